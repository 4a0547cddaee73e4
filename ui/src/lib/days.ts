/** Days as people here count them: from midnight to midnight, which are 23 or 25 hours apart where clocks are changed. */

import { minute } from "./time";

/** The beginnings of so many days, and the end of the last one; the first is some days away from today. */
export function midnights(today: Date, offset: number, count: number): number[] {
  return Array.from({ length: count + 1 }, (_, index) => new Date(today.getFullYear(), today.getMonth(), today.getDate() + offset + index).getTime());
}

export interface Span {
  from: number;
  to: number;
  /** Minutes that each day in it has. */
  size: number;
}

/** Days of the same length that follow each other, together: the server counts in spans of one length. */
export function spans(edges: number[]): Span[] {
  const found: Span[] = [];
  for (let at = 1; at < edges.length; at++) {
    const [from, to] = [edges[at - 1]!, edges[at]!];
    const size = (to - from) / minute;
    const last = found.at(-1);
    if (last?.size === size) last.to = to;
    else found.push({ from, to, size });
  }
  return found;
}
