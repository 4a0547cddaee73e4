/** Formats times: relative in the page, absolute on hover. */

import { useEffect, useState } from "react";
import { useSyncExternalStore } from "react";

export const second = 1000;
export const minute = 60 * second;
export const hour = 60 * minute;
export const day = 24 * hour;

/** Formats a duration in milliseconds: `840 ms`, `12.4 s`, `3m 20s`, `2h 05m`, `4d 3h`. */
export function duration(ms: number): string {
  if (ms < 0) ms = 0;
  if (ms < 1) return "< 1 ms";
  if (ms < second) return `${Math.round(ms)} ms`;
  if (ms < 10 * second) return `${(ms / second).toFixed(2)} s`;
  if (ms < minute) return `${(ms / second).toFixed(1)} s`;
  const pad = (value: number) => String(Math.floor(value)).padStart(2, "0");
  if (ms < hour) return `${Math.floor(ms / minute)}m ${pad((ms % minute) / second)}s`;
  if (ms < day) return `${Math.floor(ms / hour)}h ${pad((ms % hour) / minute)}m`;
  return `${Math.floor(ms / day)}d ${Math.floor((ms % day) / hour)}h`;
}

export function seconds(value: number | null | undefined): string {
  return value === null || value === undefined ? "–" : duration(value * 1000);
}

/** Relative time: `12s ago`, `in 3h`. */
export function relative(at: number, now: number): string {
  const apart = Math.abs(now - at);
  const text =
    apart < minute
      ? `${Math.floor(apart / second)}s`
      : apart < hour
        ? `${Math.floor(apart / minute)}m`
        : apart < day
          ? `${Math.floor(apart / hour)}h`
          : apart < 60 * day
            ? `${Math.floor(apart / day)}d`
            : `${Math.floor(apart / (30 * day))}mo`;
  if (apart < 2 * second) return at > now + 999 ? "in 1s" : "now";
  return at > now ? `in ${text}` : `${text} ago`;
}

const full = new Intl.DateTimeFormat(undefined, {
  year: "numeric",
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const clockFormat = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const shortFormat = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const dayFormat = new Intl.DateTimeFormat(undefined, { weekday: "short", month: "short", day: "numeric" });

/** `Nov 22, 2026, 18:44:56 · 2026-11-22T17:44:56.120Z` */
export function absolute(at: number): string {
  return `${full.format(at)} · ${new Date(at).toISOString()}`;
}
export const clock = (at: number) => clockFormat.format(at);
export const clockMs = (at: number) => `${clockFormat.format(at)}.${String(new Date(at).getMilliseconds()).padStart(3, "0")}`;
export const short = (at: number) => shortFormat.format(at);
export const dayOf = (at: number) => dayFormat.format(at);

export function ms(at: string | number): number;
export function ms(at: string | number | null | undefined): number | null;
export function ms(at: string | number | null | undefined): number | null {
  return at === null || at === undefined ? null : typeof at === "number" ? at : Date.parse(at);
}

/** One clock for the whole page; it stops while the page is hidden. */
const watchers = new Set<() => void>();
let tick = Date.now();
let timer: number | undefined;
function subscribe(watcher: () => void): () => void {
  watchers.add(watcher);
  if (timer === undefined) {
    tick = Date.now();
    timer = window.setInterval(() => {
      tick = Date.now();
      for (const each of watchers) each();
    }, second);
  }
  return () => {
    watchers.delete(watcher);
    if (watchers.size === 0) {
      window.clearInterval(timer);
      timer = undefined;
    }
  };
}
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => tick);
}

/** The current time, updated every 100 ms while `moving`, for growing bars. */
export function useFastNow(moving: boolean): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    setNow(Date.now());
    if (!moving) return;
    const handle = window.setInterval(() => setNow(Date.now()), 200);
    return () => window.clearInterval(handle);
  }, [moving]);
  return now;
}

/** Local time in the format of datetime-local inputs: `2026-11-22T18:44`. */
export function toLocalField(at: number): string {
  const date = new Date(at);
  return new Date(at - date.getTimezoneOffset() * minute).toISOString().slice(0, 16);
}
