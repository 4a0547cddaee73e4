/** Status of a run as colour, shape and word, never colour alone. */

import type { ReactNode } from "react";
import type { RunStatus } from "@/api/types";
import { classes } from "@/lib/format";
import { statusLabels } from "@/lib/labels";

type Tone = "ok" | "bad" | "warn" | "info" | "idle";

export const statusTone: Record<RunStatus, Tone> = {
  PENDING: "info",
  ENQUEUED: "idle",
  WAITING_FOR_APPROVAL: "warn",
  SUCCESS: "ok",
  ERROR: "bad",
  CANCELLED: "idle",
  MAX_RECOVERY_ATTEMPTS_EXCEEDED: "bad",
};

export const toneText: Record<Tone, string> = { ok: "text-ok", bad: "text-bad", warn: "text-warn", info: "text-info", idle: "text-idle" };
const toneIcon: Record<Tone, string> = { ok: "text-ok-fill", bad: "text-bad-fill", warn: "text-warn-fill", info: "text-info-fill", idle: "text-idle-fill" };
const toneSoft: Record<Tone, string> = { ok: "bg-ok-soft text-ok", bad: "bg-bad-soft text-bad", warn: "bg-warn-soft text-warn", info: "bg-info-soft text-info", idle: "bg-idle-soft text-idle" };
export const toneFill: Record<Tone, string> = { ok: "bg-ok-fill", bad: "bg-bad-fill", warn: "bg-warn-fill", info: "bg-info-fill", idle: "bg-idle-fill" };

export function StatusIcon({ status, className }: { status: RunStatus; className?: string }) {
  const draw = (inside: ReactNode) => (
    <svg viewBox="0 0 14 14" aria-hidden className={classes("size-3.5 shrink-0", toneIcon[statusTone[status]], className)} fill="none">
      {inside}
    </svg>
  );
  switch (status) {
    case "PENDING":
      return draw(
        <g className="origin-center animate-turn">
          <circle cx="7" cy="7" r="5.25" stroke="currentColor" strokeWidth="1.5" opacity="0.3" />
          <path d="M7 1.75A5.25 5.25 0 0 1 12.25 7" stroke="currentColor" strokeWidth="1.75" strokeLinecap="round" />
        </g>,
      );
    case "ENQUEUED":
      return draw(<circle cx="7" cy="7" r="5.25" stroke="currentColor" strokeWidth="1.5" strokeDasharray="2.1 2.02" />);
    case "WAITING_FOR_APPROVAL":
      return draw(
        <>
          <path d="M7 .9 13.1 7 7 13.1.9 7z" fill="currentColor" />
          <path d="M5.6 5v4M8.4 5v4" stroke="var(--bg)" strokeWidth="1.5" strokeLinecap="round" />
        </>,
      );
    case "SUCCESS":
      return draw(
        <>
          <circle cx="7" cy="7" r="6" fill="currentColor" />
          <path d="m4.4 7.2 1.8 1.8 3.4-3.8" stroke="var(--bg)" strokeWidth="1.5" strokeLinecap="round" strokeLinejoin="round" />
        </>,
      );
    case "ERROR":
      return draw(
        <>
          <path d="M4.5 1h5L13 4.5v5L9.5 13h-5L1 9.5v-5z" fill="currentColor" />
          <path d="m5 5 4 4M9 5 5 9" stroke="var(--bg)" strokeWidth="1.5" strokeLinecap="round" />
        </>,
      );
    case "CANCELLED":
      return draw(
        <>
          <circle cx="7" cy="7" r="5.25" stroke="currentColor" strokeWidth="1.5" />
          <path d="m3.5 10.5 7-7" stroke="currentColor" strokeWidth="1.5" />
        </>,
      );
    case "MAX_RECOVERY_ATTEMPTS_EXCEEDED":
      return draw(
        <>
          <path d="M7 1 13.3 12.5H.7z" fill="currentColor" strokeLinejoin="round" />
          <path d="M7 5.2v3M7 10.3v.1" stroke="var(--bg)" strokeWidth="1.5" strokeLinecap="round" />
        </>,
      );
  }
}

export function StatusWord({ status, className }: { status: RunStatus; className?: string }) {
  return (
    <span className={classes("inline-flex items-center gap-1.5 whitespace-nowrap", className)} data-status={status}>
      <StatusIcon status={status} />
      {statusLabels[status]}
    </span>
  );
}

export function StatusBadge({ status }: { status: RunStatus }) {
  return (
    <span data-status={status} className={classes("inline-flex h-6 items-center gap-1.5 rounded-md px-2 text-xs font-medium whitespace-nowrap", toneSoft[statusTone[status]])}>
      <StatusIcon status={status} />
      {statusLabels[status]}
    </span>
  );
}

export function Pill({ tone, children }: { tone: Tone; children: ReactNode }) {
  return <span className={classes("inline-flex h-5 max-w-52 items-center rounded-sm px-1.5 text-xs font-medium whitespace-nowrap", toneSoft[tone])}><span className="truncate">{children}</span></span>;
}

const appTone: Record<string, Tone> = {
  green: "ok", lime: "ok", red: "bad", pink: "bad", yellow: "warn", orange: "warn", blue: "info", cyan: "info", purple: "info", gray: "idle",
};

/** The status label that the workflow code set. */
export function AppStatus({ label, color }: { label: string | null; color: string | null }) {
  if (!label) return null;
  return <Pill tone={appTone[color ?? "gray"] ?? "idle"}>{label}</Pill>;
}

export const isOpen = (status: RunStatus) => status === "PENDING" || status === "ENQUEUED" || status === "WAITING_FOR_APPROVAL";
export const canResume = (status: RunStatus) => status === "ERROR" || status === "CANCELLED" || status === "MAX_RECOVERY_ATTEMPTS_EXCEEDED";
