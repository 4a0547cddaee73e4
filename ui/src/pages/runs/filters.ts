/** Filters of the run list, in the address and in requests. */

import type { Query } from "@/api/client";
import { type RunStatus, statuses } from "@/api/types";
import { many } from "@/lib/format";
import { day, hour, minute } from "@/lib/time";
import type { Search } from "@/router";

export const ranges = ["15m", "1h", "6h", "24h", "7d", "30d", "all"] as const;
export type Range = (typeof ranges)[number];
const rangeLength: Record<Exclude<Range, "all">, number> = { "15m": 15 * minute, "1h": hour, "6h": 6 * hour, "24h": day, "7d": 7 * day, "30d": 30 * day };

export interface Filters {
  status: RunStatus[];
  name: string[];
  queue: string[];
  tag: string[];
  version: string[];
  executor: string[];
  error: string[];
  /** Duration range such as `10s..5m`; either side may be missing. */
  took: string | undefined;
  parent: string | undefined;
  fingerprint: string | undefined;
  range: Range;
  after: string | undefined;
  before: string | undefined;
  q: string | undefined;
}

const units: Record<string, number> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400 };

/** Seconds of a written duration: `250ms`, `1.5s`, `90`, `2h`. */
export function parseDuration(text: string): number | undefined {
  const [, amount, unit] = /^\s*(\d+(?:[.,]\d+)?)\s*(ms|s|m|h|d)?\s*$/i.exec(text) ?? [];
  if (amount === undefined) return undefined;
  const seconds = Number(amount.replace(",", ".")) * units[(unit ?? "s").toLowerCase()]!;
  return seconds <= 1e9 ? Math.round(seconds * 1000) / 1000 : undefined;
}

/** Both sides of `10s..5m`; undefined if neither is valid. */
export function bounds(text: string | undefined): { least: number | undefined; most: number | undefined } | undefined {
  const [least, most] = (text ?? "").split("..").map((side) => parseDuration(side));
  return least === undefined && most === undefined ? undefined : { least, most };
}

const first = (value: string | string[] | undefined) => (Array.isArray(value) ? value[0] : value) || undefined;

export function readFilters(search: Search): Filters {
  const range = first(search.range) as Range | undefined;
  return {
    status: many(search.status).filter((status): status is RunStatus => (statuses as readonly string[]).includes(status)),
    name: many(search.workflow),
    queue: many(search.queue),
    tag: many(search.tag),
    version: many(search.version),
    executor: many(search.executor),
    error: many(search.error),
    took: bounds(first(search.took)) ? first(search.took) : undefined,
    parent: first(search.parent),
    fingerprint: first(search.fingerprint),
    range: range && ranges.includes(range) ? range : "all",
    after: first(search.after),
    before: first(search.before),
    q: first(search.q),
  };
}

export function writeFilters(filters: Filters): Search {
  return {
    status: filters.status,
    workflow: filters.name,
    queue: filters.queue,
    tag: filters.tag,
    version: filters.version,
    executor: filters.executor,
    error: filters.error,
    took: filters.took,
    parent: filters.parent,
    fingerprint: filters.fingerprint,
    range: filters.range === "all" ? undefined : filters.range,
    after: filters.after,
    before: filters.before,
    q: filters.q,
  };
}

export const noFilters = readFilters({});

export function isNarrowed(filters: Filters): boolean {
  return JSON.stringify(filters) !== JSON.stringify(noFilters);
}

/** Query parameters of the API; relative ranges start at a full minute, so that responses can be cached. */
export function asQuery(filters: Filters): Query {
  const since = filters.range === "all" ? undefined : new Date(Math.floor((Date.now() - rangeLength[filters.range]) / minute) * minute).toISOString();
  return {
    status: filters.status,
    name: filters.name,
    queue: filters.queue,
    tag: filters.tag,
    version: filters.version,
    executor_id: filters.executor,
    error_class: filters.error,
    duration_min: bounds(filters.took)?.least,
    duration_max: bounds(filters.took)?.most,
    parent_id: filters.parent,
    fingerprint: filters.fingerprint === undefined ? undefined : [filters.fingerprint],
    created_after: filters.after ?? since,
    created_before: filters.before,
    search: filters.q,
  };
}

/** The same as the body of a bulk action, without unset filters. */
export function asBody(filters: Filters): Record<string, unknown> {
  return Object.fromEntries(Object.entries(asQuery(filters)).filter(([, value]) => value !== undefined && !(Array.isArray(value) && value.length === 0)));
}
