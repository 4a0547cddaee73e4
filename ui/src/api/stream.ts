/** One event stream for the whole page. Where it cannot be had, the queries poll instead. */

import type { QueryClient } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";
import { address } from "./client";
import type { RunStatus } from "./types";

export interface RunEvent {
  workflow_id: string;
  name: string;
  status: RunStatus;
  at: string;
}

type State = "connecting" | "live" | "polling";

/** Which queries a list of the server feeds. */
const feeds: Record<string, string[]> = {
  workflows: ["workflows", "errors", "scatter", "registered", "calendar", "metrics", "tags"],
  approvals: ["approvals"],
  queues: ["queues"],
  products: ["products"],
  deliveries: ["deliveries"],
  schedules: ["schedules"],
  kv: ["kv"],
  executors: ["executors"],
  logs: ["logs"],
};

const flushEvery = 1000;

let source: EventSource | undefined;
let state: State = "connecting";
let client: QueryClient | undefined;
let flushTimer: number | undefined;
let retryTimer: number | undefined;
let failures = 0;
const stale = new Set<string>();
const staleRuns = new Set<string>();
const stateWatchers = new Set<() => void>();
const runWatchers = new Set<(event: RunEvent | null) => void>();

function become(next: State): void {
  if (next === state) return;
  state = next;
  for (const watcher of stateWatchers) watcher();
}

export function openStream(queries: QueryClient): void {
  client = queries;
  if (source) return;
  source = new EventSource(address("stream"), { withCredentials: true });
  source.onopen = () => {
    failures = 0;
    become("live");
  };
  source.onerror = () => {
    become("polling");
    if (source?.readyState !== EventSource.CLOSED) return;
    // The browser gave up (the server answered with an error): try again, ever more slowly.
    source = undefined;
    window.clearTimeout(retryTimer);
    retryTimer = window.setTimeout(() => openStream(queries), Math.min(30_000, 1000 * 2 ** failures++));
  };
  source.addEventListener("run", (event) => {
    const run = read<RunEvent>(event);
    if (!run) return;
    staleRuns.add(run.workflow_id);
    stale.add("workflows");
    for (const watcher of runWatchers) watcher(run);
    schedule();
  });
  source.addEventListener("changed", (event) => {
    for (const list of read<{ lists: string[] }>(event)?.lists ?? []) {
      stale.add(list);
      if (list === "workflows") for (const watcher of runWatchers) watcher(null);
    }
    schedule();
  });
  source.addEventListener("reset", () => {
    for (const list of Object.keys(feeds)) stale.add(list);
    for (const watcher of runWatchers) watcher(null);
    void client?.invalidateQueries({ queryKey: ["run"] });
    schedule();
  });
}

export function closeStream(): void {
  source?.close();
  source = undefined;
  window.clearTimeout(retryTimer);
  become("connecting");
}

function read<T>(event: Event): T | undefined {
  try {
    return JSON.parse((event as MessageEvent<string>).data) as T;
  } catch {
    // A line we cannot read tells at least that something happened.
    stale.add("workflows");
    schedule();
    return undefined;
  }
}

function schedule(): void {
  flushTimer ??= window.setTimeout(flush, flushEvery);
}

function flush(): void {
  flushTimer = undefined;
  const keys = new Set([...stale].flatMap((list) => feeds[list] ?? [list]));
  stale.clear();
  for (const key of keys) void client?.invalidateQueries({ queryKey: [key] });
  for (const id of staleRuns) void client?.invalidateQueries({ queryKey: ["run", id] });
  staleRuns.clear();
}

/** Hears every change of a run; `null` says that some run changed. */
export function hearRuns(watcher: (event: RunEvent | null) => void): () => void {
  runWatchers.add(watcher);
  return () => runWatchers.delete(watcher);
}

export const streamState = () => state;

export function useStreamState(): State {
  return useSyncExternalStore(
    (watcher) => {
      stateWatchers.add(watcher);
      return () => stateWatchers.delete(watcher);
    },
    () => state,
  );
}
