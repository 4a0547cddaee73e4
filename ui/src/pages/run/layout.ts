/**
 * Layout of the timeline. Time runs to the right; long idle periods are collapsed, so that a step of a second and a
 * sleep of a day fit into one view.
 */

import type { Attempt, Run, Step } from "@/api/types";
import { isOpen } from "@/components/status";

export type Look = "ok" | "bad" | "running" | "waiting" | "child" | "mark" | "queued";

export interface Bar {
  from: number;
  to: number;
  look: Look;
  /** Set if there was more than one attempt. */
  attempt?: Attempt;
}

export interface Row {
  key: string;
  step: Step | null;
  name: string;
  depth: number;
  bars: Bar[];
  from: number;
  to: number;
  isOpen: boolean;
}

export interface Segment {
  from: number;
  to: number;
  /** As shares of the width. */
  left: number;
  width: number;
  folded: boolean;
  /** What the collapsed time was spent on: `sleep`, `queue`, … */
  why: string;
}

export interface Timeline {
  rows: Row[];
  segments: Segment[];
  from: number;
  to: number;
  /** Maps a time to a share of the width. */
  place: (at: number) => number;
}

export const foldAtLeast = 10_000;
export const foldShare = 0.3;
const usualFold = 0.11;
const foldWidthMost = 0.45;

const ours = "turbine.";

/** Removes the module of Turbine's own steps: `turbine.sleep` becomes `sleep`. */
export const stepName = (name: string) => (name.startsWith(ours) ? name.slice(ours.length) : name);

export const depthOf = (position: string) => position.split(".").length - 1;

export function timeline(run: Run, steps: Step[], now: number, fold = true, foldWidth = usualFold): Timeline {
  const created = Date.parse(run.created_at);
  const started = run.started_at ? Date.parse(run.started_at) : null;
  const ended = run.completed_at ? Date.parse(run.completed_at) : null;
  const open = isOpen(run.status);
  const rows = steps.map((step) => rowOf(step, open, ended ?? now));
  const from = Math.min(created, ...rows.map((row) => row.from));
  const to = Math.max(from + 1, ended ?? (open ? now : from), ...rows.map((row) => row.to));

  const runRow: Row = {
    key: "run",
    step: null,
    name: run.name,
    depth: 0,
    from,
    to,
    isOpen: open,
    bars: [
      ...(started === null || started - created > 20 ? [{ from: created, to: started ?? to, look: "queued" as const }] : []),
      ...(started === null ? [] : [{ from: started, to, look: (open ? "running" : run.status === "SUCCESS" ? "ok" : run.status === "CANCELLED" ? "mark" : "bad") as Look }]),
    ],
  };
  const segments = fold ? folded(from, to, rows, steps, started, foldWidth) : [{ from, to, left: 0, width: 1, folded: false, why: "" }];
  return { rows: [runRow, ...rows], segments, from, to, place: (at) => placeIn(segments, at) };
}

function rowOf(step: Step, runIsOpen: boolean, now: number): Row {
  const from = Date.parse(step.started_at);
  const under = step.ended_at === null;
  const to = Math.max(from, under ? (runIsOpen ? now : from) : Date.parse(step.ended_at!));
  const row = { key: step.position, step, name: stepName(step.function_name), depth: depthOf(step.position), from, to, isOpen: under && runIsOpen };
  if (step.kind === "mark") return { ...row, bars: [{ from, to, look: "mark" }] };
  if (step.kind === "wait") return { ...row, bars: [{ from, to, look: step.error ? "bad" : "waiting" }] };
  if (step.kind === "child") return { ...row, bars: [{ from, to, look: step.error ? "bad" : "child" }] };
  if (step.attempts.length < 2) return { ...row, bars: [{ from, to, look: step.error ? "bad" : under ? "running" : "ok" }] };
  const bars: Bar[] = [];
  let last: number | null = null;
  for (const attempt of step.attempts) {
    const began = Date.parse(attempt.started_at);
    const stopped = attempt.ended_at === null ? to : Date.parse(attempt.ended_at);
    if (last !== null && began > last) bars.push({ from: last, to: began, look: "waiting" });
    bars.push({ from: began, to: Math.max(began, stopped), look: attempt.error ? "bad" : attempt.ended_at === null ? "running" : "ok", attempt });
    last = Math.max(began, stopped);
  }
  if (under && runIsOpen && last !== null && last < to) bars.push({ from: last, to, look: "waiting" });
  return { ...row, bars };
}

function folded(from: number, to: number, rows: Row[], steps: Step[], started: number | null, foldWidth: number): Segment[] {
  const busy = rows
    .flatMap((row) => row.bars.filter((bar) => bar.look === "ok" || bar.look === "bad" || bar.look === "running" || bar.look === "mark"))
    .map((bar) => [bar.from, bar.to] as const)
    .sort((a, b) => a[0] - b[0]);
  const active: [number, number][] = [];
  for (const [begin, end] of busy) {
    const last = active.at(-1);
    if (last && begin <= last[1]) last[1] = Math.max(last[1], end);
    else active.push([begin, end]);
  }
  const activity = active.reduce((sum, [begin, end]) => sum + end - begin, 0);
  const gaps: [number, number][] = [];
  // A fold ends where a wait begins or ends, so that each fold has one reason.
  const edges = rows.flatMap((row) => [row.from, row.to]).sort((a, b) => a - b);
  let at = from;
  for (const [begin, end] of [...active, [to, to] as [number, number]]) {
    const inside = edges.filter((edge) => edge > at && edge < begin);
    let left = at;
    for (const right of [...inside, begin]) {
      const length = right - left;
      if (length >= foldAtLeast && length >= activity * foldShare) {
        // Keep the edges of the gap visible.
        const rim = Math.min(length * 0.02, activity * 0.02);
        gaps.push([left + rim, right - rim]);
      }
      left = right;
    }
    at = Math.max(at, end);
  }
  // If everything is one gap, there is no real time to show.
  const real = to - from - gaps.reduce((sum, [begin, end]) => sum + end - begin, 0);
  if (gaps.length === 0 || real <= 0) return [{ from, to, left: 0, width: 1, folded: false, why: "" }];
  const each = Math.min(foldWidth, foldWidthMost / gaps.length);
  const rest = 1 - each * gaps.length;
  const segments: Segment[] = [];
  let left = 0;
  at = from;
  const add = (begin: number, end: number, isFolded: boolean, why: string) => {
    if (end <= begin) return;
    const width = isFolded ? each : ((end - begin) / real) * rest;
    segments.push({ from: begin, to: end, left, width, folded: isFolded, why });
    left += width;
  };
  for (const [begin, end] of gaps) {
    add(at, begin, false, "");
    add(begin, end, true, whyOf(begin, end, rows, steps, started));
    at = end;
  }
  add(at, to, false, "");
  return segments;
}

function whyOf(begin: number, end: number, rows: Row[], steps: Step[], started: number | null): string {
  const middle = (begin + end) / 2;
  if (started === null || middle < started) return "queue";
  const spanning = rows.filter((row) => row.from <= middle && row.to >= middle && row.step).map((row) => row.step!);
  const wait = spanning.find((step) => step.kind === "wait") ?? spanning.find((step) => step.kind === "child") ?? spanning[0];
  if (!wait) return steps.length === 0 ? "queue" : "idle";
  return wait.kind === "child" ? "child" : wait.kind === "wait" ? stepName(wait.function_name) : "retry";
}

function placeIn(segments: Segment[], at: number): number {
  const first = segments[0]!;
  if (at <= first.from) return 0;
  for (const segment of segments) if (at <= segment.to) return segment.left + ((at - segment.from) / (segment.to - segment.from)) * segment.width;
  return 1;
}

const lengths = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000, 3_600_000, 7_200_000, 21_600_000, 43_200_000, 86_400_000, 172_800_000, 604_800_000];

/** About `wanted` ticks of the scale, as times since the start. */
export function ticks(line: Timeline, count: number): { at: number; place: number }[] {
  const marks: { at: number; place: number }[] = [];
  const realWidth = line.segments.filter((segment) => !segment.folded).reduce((sum, segment) => sum + segment.width, 0);
  const realTime = line.segments.filter((segment) => !segment.folded).reduce((sum, segment) => sum + segment.to - segment.from, 0);
  const perWidth = realTime / Math.max(realWidth, 0.01);
  const step = lengths.find((length) => length / perWidth >= 1 / Math.max(1, count)) ?? 604_800_000;
  for (const segment of line.segments) {
    if (segment.folded) continue;
    for (let at = Math.ceil((segment.from - line.from) / step) * step; at <= segment.to - line.from; at += step) {
      const place = line.place(line.from + at);
      if (marks.length === 0 || place - marks.at(-1)!.place > 0.5 / count) marks.push({ at, place });
    }
  }
  return marks;
}
