/** Local days, from midnight to midnight: 23 or 25 hours long when the clocks change. */

import { minute } from "./time";

/** Midnights of `count` days from `offset` days after today, and the end of the last day. */
export function midnights(today: Date, offset: number, count: number): number[] {
  return Array.from({ length: count + 1 }, (_, index) => new Date(today.getFullYear(), today.getMonth(), today.getDate() + offset + index).getTime());
}

export interface Span {
  from: number;
  to: number;
  /** Length of each day in minutes. */
  size: number;
}

/** Groups consecutive days of equal length: the server counts in buckets of one length. */
export function spans(edges: number[]): Span[] {
  const ranges: Span[] = [];
  for (let at = 1; at < edges.length; at++) {
    const [from, to] = [edges[at - 1]!, edges[at]!];
    const size = (to - from) / minute;
    const last = ranges.at(-1);
    if (last?.size === size) last.to = to;
    else ranges.push({ from, to, size });
  }
  return ranges;
}
