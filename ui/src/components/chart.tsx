/** Chart over time: stacked bars and lines on one axis, readable with the pointer or arrow keys. */

import type { KeyboardEvent, PointerEvent } from "react";
import { useElementWidth } from "@/lib/element-width";
import { classes } from "@/lib/format";
import { clock, day, dayOf } from "@/lib/time";

export type Tone = "ok" | "bad" | "accent" | "info" | "warn";

export interface Series {
  key: string;
  label: string;
  tone: Tone;
  /** Bars are stacked in the given order; lines have gaps where a value is missing. */
  kind: "bar" | "line";
  values: (number | null)[];
}

const fills: Record<Tone, string> = { ok: "fill-ok-fill", bad: "fill-bad-fill", accent: "fill-accent", info: "fill-info-fill", warn: "fill-warn-fill" };
const strokes: Record<Tone, string> = { ok: "stroke-ok-fill", bad: "stroke-bad-fill", accent: "stroke-accent", info: "stroke-info-fill", warn: "stroke-warn-fill" };
const grounds: Record<Tone, string> = { ok: "bg-ok-fill", bad: "bg-bad-fill", accent: "bg-accent", info: "bg-info-fill", warn: "bg-warn-fill" };

const left = 52;
const right = 12;
const top = 8;
const bottom = 20;

/** The next round number: 1, 2 or 5 times a power of ten. */
export function roundUp(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const part = value / power;
  return (part <= 1 ? 1 : part <= 2 ? 2 : part <= 5 ? 5 : 10) * power;
}

interface ChartProps {
  title: string;
  series: Series[];
  times: number[];
  /** Formats a value for the axis and the legend. */
  write: (value: number) => string;
  /** Minimum for the upper end of the axis. */
  least?: number;
  at: number | null;
  onAt: (at: number | null) => void;
  height?: number;
  none: string;
}

export function Chart({ title, series, times, write, least = 0, at, onAt, height = 168, none }: ChartProps) {
  const [frame, measured] = useElementWidth();
  const width = Math.max(240, measured);
  const count = times.length;
  const stacked = series.filter((line) => line.kind === "bar");
  const sums = times.map((_, index) => stacked.reduce((sum, item) => sum + (item.values[index] ?? 0), 0));
  const highest = Math.max(least, ...sums, ...series.filter((line) => line.kind === "line").flatMap((line) => line.values.map((value) => value ?? 0)));
  const most = roundUp(highest);
  const isEmpty = series.every((line) => line.values.every((value) => value === null || value === 0));
  const step = (width - left - right) / Math.max(1, count);
  const x = (index: number) => left + index * step;
  const y = (value: number) => top + (height - top - bottom) * (1 - value / most);
  const shown = at !== null && at < count ? at : null;
  const span = count > 1 ? times[count - 1]! - times[0]! : 0;
  const whenOf = (time: number) => (span > 2 * day ? dayOf(time) : clock(time).slice(0, 5));
  const marks = Math.max(2, Math.min(7, Math.floor((width - left) / (span > 2 * day ? 120 : 90))));
  const ticks = count < 2 ? [0] : [...new Set(Array.from({ length: marks }, (_, index) => Math.round((index * (count - 1)) / marks)))];
  const read = (index: number | null) => (index === null ? "" : `${dayOf(times[index]!)}, ${clock(times[index]!).slice(0, 5)}: ${series.map((line) => `${line.label} ${line.values[index] === null || line.values[index] === undefined ? "–" : write(line.values[index])}`).join(", ")}`);
  const point = (event: PointerEvent<SVGSVGElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    onAt(Math.min(count - 1, Math.max(0, Math.floor((event.clientX - box.left - left) / step))));
  };
  const keys = (event: KeyboardEvent) => {
    const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -count, End: count }[event.key];
    if (event.key === "Escape") onAt(null);
    if (by === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    onAt(Math.min(count - 1, Math.max(0, (shown ?? (by < 0 ? count : -1)) + by)));
  };
  return (
    <section className="min-w-0" aria-label={title}>
      <div className="flex h-6 items-baseline gap-x-4 overflow-hidden">
        <h2 className="font-semibold whitespace-nowrap">{title}</h2>
        <div className="flex min-w-0 flex-1 justify-end gap-x-4 text-xs whitespace-nowrap text-muted">
          {shown !== null && <span className="text-faint tabular-nums max-md:hidden">{span > 2 * day ? `${dayOf(times[shown]!)}, ${clock(times[shown]!).slice(0, 5)}` : clock(times[shown]!).slice(0, 5)}</span>}
          {series.map((line) => (
            <span key={line.key} className="flex items-center gap-1.5 tabular-nums">
              <span aria-hidden className={classes("inline-block rounded-full", grounds[line.tone], line.kind === "bar" ? "size-2" : "h-0.5 w-3")} />
              {line.label}
              {shown !== null && <span className="font-medium text-text">{line.values[shown] === null || line.values[shown] === undefined ? "–" : write(line.values[shown])}</span>}
            </span>
          ))}
        </div>
      </div>
      <div ref={frame} className="relative mt-1">
        <svg
          width={width}
          height={height}
          role="slider"
          tabIndex={0}
          aria-label={title}
          aria-valuemin={0}
          aria-valuemax={Math.max(0, count - 1)}
          aria-valuenow={shown ?? count - 1}
          aria-valuetext={read(shown ?? count - 1)}
          onPointerMove={point}
          onPointerLeave={() => onAt(null)}
          onKeyDown={keys}
          className="block max-w-full touch-pan-y rounded-sm"
        >
          {[0, 0.5, 1].map((part) => (
            <g key={part}>
              <line x1={left} x2={width - right} y1={Math.round(y(most * part)) + 0.5} y2={Math.round(y(most * part)) + 0.5} className={part === 0 ? "stroke-line-strong" : "stroke-line"} />
              <text x={left - 8} y={y(most * part) + 3.5} textAnchor="end" className="fill-faint text-2xs tabular-nums">
                {write(most * part)}
              </text>
            </g>
          ))}
          {shown !== null && <rect x={x(shown)} y={top} width={Math.max(1, step)} height={height - top - bottom} className="fill-hover" />}
          {stacked.map((item, layer) =>
            item.values.map((value, index) => {
              if (!value) return null;
              const below = stacked.slice(0, layer).reduce((sum, other) => sum + (other.values[index] ?? 0), 0);
              const high = Math.max(1, y(below) - y(below + value));
              return <rect key={`${item.key} ${index}`} x={x(index) + (step > 3 ? 0.5 : 0)} y={y(below) - high} width={Math.max(1, step - (step > 3 ? 1 : 0))} height={high} className={fills[item.tone]} />;
            }),
          )}
          {series
            .filter((line) => line.kind === "line")
            .map((line) => (
              <g key={line.key}>
                <path d={path(line.values, (index) => x(index) + step / 2, y)} fill="none" strokeWidth={1.5} strokeLinejoin="round" className={strokes[line.tone]} />
                {line.values.map((value, index) => (value !== null && (index === shown || ((line.values[index - 1] ?? null) === null && (line.values[index + 1] ?? null) === null)) ? <circle key={index} cx={x(index) + step / 2} cy={y(value)} r={index === shown ? 3.5 : 2.5} className={fills[line.tone]} /> : null))}
              </g>
            ))}
          {ticks.map((index) => (
            <text key={index} x={x(index)} y={height - 5} className="fill-faint text-2xs tabular-nums">
              {times[index] !== undefined && whenOf(times[index])}
            </text>
          ))}
        </svg>
        {isEmpty && <div className="pointer-events-none absolute inset-0 flex items-center justify-center text-faint">{none}</div>}
      </div>
    </section>
  );
}

function path(values: (number | null)[], x: (index: number) => number, y: (value: number) => number): string {
  let text = "";
  let pen = false;
  values.forEach((value, index) => {
    if (value === null) {
      pen = false;
      return;
    }
    text += `${pen ? "L" : "M"}${x(index).toFixed(1)} ${y(value).toFixed(1)}`;
    pen = true;
  });
  return text;
}
