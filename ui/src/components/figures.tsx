/** Figures, small column charts and meters. */

import { classes } from "@/lib/format";

/** A small column chart; the lower part of each column is the failed share. */
export function Columns({ points, label, height = 64 }: { points: { value: number; bad?: number; title: string }[]; label: string; height?: number }) {
  const most = Math.max(1, ...points.map((point) => point.value + (point.bad ?? 0)));
  return (
    <div role="img" aria-label={label} className="flex items-end gap-px" style={{ height }}>
      {points.map((point, index) => (
        <div key={index} title={point.title} className="group flex h-full min-w-0 flex-1 flex-col justify-end hover:bg-hover">
          {point.bad ? <div className="rounded-t-[1px] bg-bad-fill" style={{ height: `${(point.bad / most) * 100}%`, minHeight: 2 }} /> : null}
          <div className={classes("bg-ok-fill/80", !point.bad && "rounded-t-[1px]")} style={{ height: `${(point.value / most) * 100}%`, minHeight: point.value > 0 ? 1 : 0 }} />
        </div>
      ))}
    </div>
  );
}

/** A share as a bar. */
export function Meter({ value, most, tone = "accent", label }: { value: number | null; most: number; tone?: "accent" | "warn" | "ok"; label: string }) {
  const share = most > 0 ? Math.min(1, (value ?? 0) / most) : 0;
  return (
    <div role="meter" aria-label={label} aria-valuenow={value ?? 0} aria-valuemin={0} aria-valuemax={most} className="h-1.5 w-full overflow-hidden rounded-full bg-hover">
      <div className={classes("h-full rounded-full", tone === "warn" ? "bg-warn-fill" : tone === "ok" ? "bg-ok-fill" : "bg-accent")} style={{ width: `${share * 100}%` }} />
    </div>
  );
}

export function Figure({ label, value, note, tone }: { label: string; value: React.ReactNode; note?: React.ReactNode; tone?: "bad" | "warn" }) {
  return (
    <div className="min-w-24">
      <div className="text-xs text-faint">{label}</div>
      <div className={classes("text-lg font-semibold", tone === "bad" && "text-bad", tone === "warn" && "text-warn")}>{value}</div>
      {note && <div className="text-xs text-faint">{note}</div>}
    </div>
  );
}
