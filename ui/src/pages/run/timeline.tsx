/** The waterfall of a run's steps. */

import { Link } from "@tanstack/react-router";
import { CornerDownRight, Hourglass, MailOpen, Milestone, Moon, ShieldQuestion, Split, SquareFunction } from "lucide-react";
import { useMemo, useState } from "react";
import type { Run, Step } from "@/api/types";
import { isOpen, StatusIcon } from "@/components/status";
import { Button } from "@/components/ui";
import { useElementWidth } from "@/lib/element-width";
import { classes, plural } from "@/lib/format";
import { usePhone } from "@/lib/media-query";
import { absolute, duration, useFastNow } from "@/lib/time";
import { useKeys } from "@/shell/shortcuts";
import { type Look, stepName, ticks, timeline } from "./layout";

const lookLabels = { ok: "Done", bad: "Failed", running: "Running", waiting: "Waiting", child: "Child run", mark: "Mark", queued: "Enqueued" };

const looks: Record<Look, string> = {
  ok: "bg-ok-fill",
  bad: "bg-bad-fill",
  running: "bg-info-fill animate-breathe",
  waiting: "bg-idle-soft hatched shadow-[inset_0_0_0_1px_var(--line-strong)]",
  child: "bg-accent-soft shadow-[inset_0_0_0_1px_var(--accent)]",
  mark: "bg-idle-fill",
  queued: "bg-transparent hatched shadow-[inset_0_0_0_1px_var(--line-strong)]",
};

const manyRows = 600;

export function StepIcon({ step, className }: { step: Step; className?: string }) {
  const name = stepName(step.function_name).toLowerCase();
  const look = classes("size-3.5 shrink-0", className ?? "text-faint");
  if (step.kind === "child") return <Split className={look} />;
  if (step.kind === "mark") return <Milestone className={look} />;
  if (step.kind === "wait") {
    if (name.includes("sleep")) return <Moon className={look} />;
    if (name.includes("recv") || name.includes("value")) return <MailOpen className={look} />;
    if (name.includes("approval")) return <ShieldQuestion className={look} />;
    return <Hourglass className={look} />;
  }
  return <SquareFunction className={look} />;
}

/** `until` is the end of time for exported runs, which do not continue. */
export function Waterfall({ run, steps, selected, onSelect, until }: { run: Run; steps: Step[]; selected: string | null; onSelect: (position: string | null) => void; until?: number }) {
  const isPhone = usePhone();
  const open = isOpen(run.status);
  const clock = useFastNow(open && until === undefined);
  const now = until ?? clock;
  const [fold, setFold] = useState(true);
  const [limit, setLimit] = useState(manyRows);
  const [scale, width] = useElementWidth();
  const line = useMemo(() => timeline(run, steps, now, fold, Math.min(0.2, Math.max(0.09, 64 / Math.max(width, 1)))), [run, steps, now, fold, width]);
  const marks = useMemo(() => ticks(line, Math.max(2, Math.floor(width / 90))), [line, width]);
  const hasFolds = line.segments.some((segment) => segment.folded);
  const label = isPhone ? 124 : 264;

  const move = (by: number) => {
    const at = steps.findIndex((step) => step.position === selected);
    const next = steps[Math.min(steps.length - 1, Math.max(0, at < 0 ? 0 : at + by))];
    if (!next) return;
    onSelect(next.position);
    document.querySelector(`[data-position="${CSS.escape(next.position)}"]`)?.scrollIntoView({ block: "nearest" });
  };
  useKeys({ j: () => move(1), k: () => move(-1), ...(selected ? { Escape: () => onSelect(null) } : {}) });

  return (
    <div className="text-xs" role="group" aria-label="Step timeline">
      <div className="sticky top-0 z-10 flex h-8 border-b bg-bg">
        <div className="flex shrink-0 items-center border-r pl-4 text-faint" style={{ width: label }}>
          {plural(steps.length, "step")}
          {(hasFolds || !fold) && (
            <Button size="sm" tone="ghost" className="ml-auto !h-6 !px-1.5 !text-2xs" onClick={() => setFold(!fold)}>
              {fold ? "Show real time" : "Collapse idle time"}
            </Button>
          )}
        </div>
        <div ref={scale} className="relative mr-4 min-w-0 flex-1 overflow-hidden">
          {marks.map((mark) => (
            <div key={mark.at} className="absolute inset-y-0 flex items-center border-l border-line pl-1.5 text-2xs whitespace-nowrap text-faint" style={{ left: `${mark.place * 100}%` }}>
              {mark.place < 0.95 && (mark.at === 0 ? "0" : duration(mark.at).replace(/\.0+ s$/, " s").replace(/(\d)\.(\d)0 s$/, "$1.$2 s").replace(/m 00s$/, "m").replace(/h 00m$/, "h"))}
            </div>
          ))}
          {line.segments
            .filter((segment) => segment.folded)
            .map((segment) => (
              <div
                key={segment.from}
                title={`${duration(segment.to - segment.from)} collapsed (${segment.why})`}
                className="absolute inset-y-0 flex flex-col items-center justify-center overflow-hidden bg-sunken px-1 text-2xs leading-[13px] whitespace-nowrap text-muted"
                style={{ left: `${segment.left * 100}%`, width: `${segment.width * 100}%` }}
              >
                <span className="max-w-full truncate">{({ queue: "queued", wait_for_approval: "approval", recv: "message", get_value: "value" })[segment.why] ?? segment.why}</span>
                <span className="max-w-full truncate font-medium">{duration(segment.to - segment.from)}</span>
              </div>
            ))}
        </div>
      </div>
      <div role="list">
        {line.rows.slice(0, limit + 1).map((row, index) => {
          const isSelected = row.step !== null && row.key === selected;
          const end = Math.max(...row.bars.map((bar) => line.place(bar.to)), 0);
          const begin = Math.min(...row.bars.map((bar) => line.place(bar.from)), 1);
          const isBad = row.step?.error;
          const labelStart = 1 - (isBad && !isPhone ? 150 : 60) / Math.max(width, 200);
          return (
            <div
              key={row.key}
              role="listitem"
              data-position={row.step?.position}
              className={classes("group relative flex h-8 [contain-intrinsic-size:auto_32px] [content-visibility:auto]", isSelected ? "bg-selected" : "hover:bg-hover", index === 0 && "border-b")}
              onClick={() => row.step && onSelect(isSelected ? null : row.step.position)}
            >
              <div className="flex shrink-0 items-center gap-1.5 border-r pr-2" style={{ width: label, paddingLeft: 16 + (isPhone ? 0 : Math.min(row.depth, 6) * 14) }}>
                {row.step ? (
                  <>
                    <StepIcon step={row.step} className={isBad ? "text-bad-fill" : undefined} />
                    <button type="button" aria-pressed={isSelected} className={classes("min-w-0 flex-1 truncate text-left", isBad ? "text-bad" : "", row.isOpen && "text-info")} title={`${row.step.position} · ${row.step.function_name}`}>
                      {row.name}
                    </button>
                    {row.step.attempts.length > 1 && <span className="shrink-0 rounded-sm bg-sunken px-1 text-2xs text-muted hairline">×{row.step.attempts.length}</span>}
                    {row.step.child_workflow_id && (
                      <Link to="/runs/$id" params={{ id: row.step.child_workflow_id }} aria-label="Open child run" title="Open child run" className="shrink-0 text-faint hover:text-accent" onClick={(event) => event.stopPropagation()}>
                        {row.step.child_status ? <StatusIcon status={row.step.child_status} /> : <CornerDownRight className="size-3.5" />}
                      </Link>
                    )}
                    {!isPhone && <span className="w-6 shrink-0 text-right text-2xs text-faint">{row.step.position.length < 5 ? row.step.position : ""}</span>}
                  </>
                ) : (
                  <>
                    <StatusIcon status={run.status} />
                    <span className="truncate font-medium">{row.name}</span>
                  </>
                )}
              </div>
              <div className="relative mr-4 min-w-0 flex-1 overflow-hidden">
                {marks.map((mark) => (
                  <div key={mark.at} className="absolute inset-y-0 border-l border-line/60" style={{ left: `${mark.place * 100}%` }} />
                ))}
                {line.segments
                  .filter((segment) => segment.folded)
                  .map((segment) => (
                    <div key={segment.from} className="absolute inset-y-0 bg-sunken" style={{ left: `${segment.left * 100}%`, width: `${segment.width * 100}%` }} />
                  ))}
                {row.bars.map((bar, at) => {
                  const left = line.place(bar.from);
                  const wide = line.place(bar.to) - left;
                  return (
                    <div
                      key={at}
                      title={`${bar.attempt ? `Attempt ${bar.attempt.number} · ` : ""}${lookLabels[bar.look]} · ${duration(bar.to - bar.from)}\n${absolute(bar.from)}${bar.attempt?.error ? `\n${bar.attempt.error}` : ""}`}
                      className={classes("absolute rounded-[3px]", index === 0 ? "top-[13px] h-1.5" : "top-2 h-4", looks[bar.look])}
                      style={{ left: `min(${left * 100}%, calc(100% - 3px))`, width: `max(3px, ${wide * 100}%)` }}
                    />
                  );
                })}
                {row.bars.length > 0 && index > 0 && (
                  <span
                    className={classes("pointer-events-none absolute top-2 px-1.5 text-2xs whitespace-nowrap", isBad ? "text-bad" : "text-muted", end >= labelStart && begin <= 1 - labelStart && "mr-1 rounded-sm bg-bg/90 !px-1")}
                    style={end < labelStart ? { left: `${end * 100}%` } : begin > 1 - labelStart ? { right: `${(1 - begin) * 100}%` } : { right: 0 }}
                  >
                    {row.step?.kind === "mark" ? "" : duration(row.to - row.from)}
                    {isBad && row.step && !isPhone ? ` · ${row.step.error!.split(":")[0]}` : ""}
                  </span>
                )}
                {open && index === 0 && <div className="absolute inset-y-0 border-l border-info-fill" style={{ left: `calc(${line.place(now) * 100}% - 1px)` }} />}
              </div>
            </div>
          );
        })}
      </div>
      {steps.length > limit && (
        <div className="border-t px-4 py-2">
          <Button size="sm" onClick={() => setLimit(limit + manyRows * 2)}>
            Show {plural(steps.length - limit, "more step")}
          </Button>
        </div>
      )}
    </div>
  );
}
