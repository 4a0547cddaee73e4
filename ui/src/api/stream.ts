/**
 * One event stream for the whole browser; without it the queries poll.
 *
 * A browser opens at most six HTTP/1.1 connections to a server, and a stream keeps one open: with a stream in each tab,
 * the seventh tab would never load. So one tab holds the stream and forwards its events to the others.
 */

import type { QueryClient } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";
import { apiPath } from "./base-path";
import { address } from "./client";
import type { RunStatus } from "./types";

export interface RunEvent {
  workflow_id: string;
  name: string;
  status: RunStatus;
  at: string;
}

type State = "connecting" | "live" | "polling";
type Kind = "run" | "changed" | "reset";

/** Messages between tabs: an event, the state of the stream, or a question for that state. */
type Word = { kind: Kind; data: string } | { state: State } | { ask: true };

/** The query keys to invalidate when a list of the server has changed. */
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
/** With more changed runs than this, all run queries are invalidated instead of single ones. */
const runsMost = 200;
/** Milliseconds after which a hidden tab closes its own stream. */
const patience = 10_000;

const shared = `turbine ${apiPath}`;
// Over plain http (except localhost) there are no locks: then each visible tab has its own stream.
const canShare = "locks" in navigator && "BroadcastChannel" in window;

let over: AbortController | undefined;
let channel: BroadcastChannel | undefined;
let source: EventSource | undefined;
let state: State = "connecting";
let client: QueryClient | undefined;
let flushTimer: number | undefined;
let retryTimer: number | undefined;
let hideTimer: number | undefined;
let failures = 0;
const stale = new Set<string>();
const staleRuns = new Set<string>();
let everyRun = false;
const stateWatchers = new Set<() => void>();
const runWatchers = new Set<(event: RunEvent | null) => void>();

function become(next: State): void {
  if (source) tell({ state: next });
  if (next === state) return;
  const wasLive = state === "live";
  state = next;
  for (const watcher of stateWatchers) watcher();
  // A query reads its polling interval only after a response: without this refetch polling would never begin.
  if (wasLive && next === "polling") void client?.invalidateQueries({ predicate: (query) => query.queryKey[0] !== "runs-list", refetchType: document.hidden ? "none" : "active" });
}

function tell(word: Word): void {
  channel?.postMessage(word);
}

export function openStream(queries: QueryClient): void {
  client = queries;
  if (over) return;
  over = new AbortController();
  const { signal } = over;
  document.addEventListener("visibilitychange", look, { signal });
  if (!canShare) {
    if (!document.hidden) connect();
    return;
  }
  channel = new BroadcastChannel(shared);
  channel.onmessage = ({ data: word }: MessageEvent<Word>) => {
    if ("ask" in word) {
      if (source) tell({ state });
    } else if ("state" in word) become(word.state);
    else take(word.kind, word.data);
  };
  tell({ ask: true });
  const lead = () =>
    new Promise<void>((resolve) => {
      if (signal.aborted) return resolve();
      signal.addEventListener("abort", () => resolve());
      if (state !== "connecting") {
        // Another tab held the stream until now; events in between are lost.
        take("reset", "{}");
        tell({ kind: "reset", data: "{}" });
      }
      connect();
    });
  navigator.locks.request(shared, { signal }, lead).catch(() => undefined); // aborted by closeStream
}

function connect(isAgain = false): void {
  window.clearTimeout(retryTimer);
  source = new EventSource(address("stream"), { withCredentials: true });
  source.onopen = () => {
    failures = 0;
    become("live");
    // Events between the two streams are lost.
    if (isAgain) hear("reset", "{}");
    isAgain = false;
  };
  source.onerror = () => {
    become("polling");
    if (source?.readyState !== EventSource.CLOSED) return;
    // The browser gave up because the server returned an error: retry with exponential backoff.
    retryTimer = window.setTimeout(() => connect(true), Math.min(30_000, 1000 * 2 ** failures++));
  };
  for (const kind of ["run", "changed", "reset"] as const) source.addEventListener(kind, (event: MessageEvent<string>) => hear(kind, event.data));
}

function hear(kind: Kind, data: string): void {
  tell({ kind, data });
  take(kind, data);
}

function take(kind: Kind, data: string): void {
  switch (kind) {
    case "run": {
      const run = read<RunEvent>(data);
      if (!run) break;
      staleRuns.add(run.workflow_id);
      stale.add("workflows");
      for (const watcher of runWatchers) watcher(run);
      break;
    }
    case "changed":
      for (const list of read<{ lists: string[] }>(data)?.lists ?? []) {
        stale.add(list);
        if (list === "workflows") for (const watcher of runWatchers) watcher(null);
      }
      break;
    case "reset":
      for (const list of Object.keys(feeds)) stale.add(list);
      everyRun = true;
      for (const watcher of runWatchers) watcher(null);
  }
  if (staleRuns.size > runsMost) {
    everyRun = true;
    staleRuns.clear();
  }
  schedule();
}

export function closeStream(): void {
  over?.abort();
  over = undefined;
  disconnect();
  channel?.close();
  channel = undefined;
  window.clearTimeout(hideTimer);
  become("connecting");
}

function disconnect(): void {
  window.clearTimeout(retryTimer);
  source?.close();
  source = undefined;
}

/** A hidden tab refreshes only approvals, which its title counts, and catches up when it is visible again. */
function look(): void {
  window.clearTimeout(hideTimer);
  if (!canShare && document.hidden) {
    hideTimer = window.setTimeout(() => {
      disconnect();
      become("polling");
    }, patience);
  } else if (!canShare && !source) connect(true);
  if (!document.hidden) schedule();
}

function read<T>(data: string): T | undefined {
  try {
    return JSON.parse(data) as T;
  } catch {
    // An unreadable event still means that something changed.
    stale.add("workflows");
    return undefined;
  }
}

function schedule(): void {
  flushTimer ??= window.setTimeout(flush, flushEvery);
}

function flush(): void {
  flushTimer = undefined;
  if (document.hidden) {
    if (stale.delete("approvals")) void client?.invalidateQueries({ queryKey: ["approvals"] });
    return;
  }
  const keys = new Set([...stale].flatMap((list) => feeds[list] ?? [list]));
  stale.clear();
  for (const key of keys) void client?.invalidateQueries({ queryKey: [key] });
  if (everyRun) void client?.invalidateQueries({ queryKey: ["run"] });
  else for (const id of staleRuns) void client?.invalidateQueries({ queryKey: ["run", id] });
  everyRun = false;
  staleRuns.clear();
}

/** Calls `watcher` for each changed run; `null` means that unspecified runs changed. */
export function watchRuns(watcher: (event: RunEvent | null) => void): () => void {
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
