/**
 * The live list: pages from the server, kept fresh by the event stream.
 *
 * While the page is in use, rows update in place and new runs wait behind the "new" button. Otherwise the list is the
 * newest page of the server, without runs that no longer match.
 */

import { type InfiniteData, useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { get } from "@/api/client";
import { streamState, watchRuns } from "@/api/stream";
import type { Page, Run } from "@/api/types";
import { isOpen } from "@/components/status";
import { asQuery, type Filters } from "./filters";

const pageSize = 100;
const refreshEvery = 1000;
const pollEvery = 5000;
/** Not every change has an event, above all in other processes: open runs are polled. */
const lookEvery = 15_000;
const rowsAtOnce = 100;

type Pages = InfiniteData<Page<Run>, string | null>;

export function useRuns(filters: Filters, paused: boolean) {
  const client = useQueryClient();
  const key = useMemo(() => ["runs-list", filters], [filters]);
  const query = useInfiniteQuery({
    queryKey: key,
    queryFn: ({ pageParam, signal }) => get<Page<Run>>("workflows", { ...asQuery(filters), limit: pageSize, cursor: pageParam }, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
    refetchInterval: false,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  });
  const rows = useMemo(() => {
    const seen = new Set<string>();
    return (query.data?.pages ?? []).flatMap((page) => page.items).filter((run) => !seen.has(run.workflow_id) && seen.add(run.workflow_id));
  }, [query.data]);

  const [fresh, setFresh] = useState<Run[]>([]);
  const [gap, setGap] = useState(false);
  const now = useRef({ rows, paused, fresh });
  now.current = { rows, paused, fresh };

  const patch = useCallback(
    (runs: Run[]) => {
      const byId = new Map(runs.map((run) => [run.workflow_id, run]));
      client.setQueryData<Pages>(key, (data) => data && { ...data, pages: data.pages.map((page) => ({ ...page, items: page.items.map((run) => byId.get(run.workflow_id) ?? run) })) });
    },
    [client, key],
  );
  const replace = useCallback((head: Page<Run>) => client.setQueryData<Pages>(key, { pages: [head], pageParams: [null] }), [client, key]);
  const prepend = useCallback(
    (runs: Run[]) => {
      client.setQueryData<Pages>(key, (data) => {
        const first = data?.pages[0];
        return data && first && { ...data, pages: [{ ...first, items: [...runs, ...first.items] }, ...data.pages.slice(1)] };
      });
    },
    [client, key],
  );
  const reset = useCallback(() => {
    setFresh([]);
    setGap(false);
    void client.resetQueries({ queryKey: key });
  }, [client, key]);
  const showFresh = useCallback(() => {
    if (gap) return reset();
    prepend(now.current.fresh);
    setFresh([]);
  }, [gap, prepend, reset]);

  useEffect(() => {
    setFresh([]);
    setGap(false);
    let stopped = false;
    let timer: number | undefined;
    const touched = new Set<string>();
    const touchOpen = () => {
      for (const run of now.current.rows) if (isOpen(run.status)) touched.add(run.workflow_id);
    };
    const refresh = async () => {
      timer = undefined;
      if (document.hidden) return;
      const shown = new Set(now.current.rows.map((run) => run.workflow_id));
      for (const id of touched) if (!shown.has(id)) touched.delete(id);
      const old = now.current.paused ? [...touched].slice(0, rowsAtOnce) : [];
      for (const id of old) touched.delete(id);
      try {
        const [head, changed] = await Promise.all([
          get<Page<Run>>("workflows", { ...asQuery(filters), limit: pageSize }),
          old.length > 0 ? get<Page<Run>>("workflows", { ids: old, limit: rowsAtOnce }) : null,
        ]);
        if (stopped) return;
        if (!now.current.paused) {
          replace(head);
          touched.clear();
          setFresh([]);
          setGap(false);
          return;
        }
        patch([...head.items, ...(changed?.items ?? [])]);
        const unseen = head.items.filter((run) => !shown.has(run.workflow_id));
        setFresh(unseen);
        setGap(unseen.length > 0 && unseen.length === head.items.length && head.next_cursor !== null && shown.size > 0);
        if (touched.size > 0) soon();
      } catch {
        // Keep the list: the next event or poll retries, and the frame shows that the stream is down.
      }
    };
    const soon = () => {
      timer ??= window.setTimeout(() => void refresh(), refreshEvery);
    };
    const deaf = watchRuns((event) => {
      if (event) touched.add(event.workflow_id);
      else touchOpen();
      soon();
    });
    let looked = Date.now();
    const poll = window.setInterval(() => {
      if (streamState() === "live" && Date.now() - looked < lookEvery) return;
      looked = Date.now();
      touchOpen();
      if (streamState() !== "live" || touched.size > 0) soon();
    }, pollEvery);
    const back = () => !document.hidden && soon();
    document.addEventListener("visibilitychange", back);
    return () => {
      stopped = true;
      deaf();
      window.clearTimeout(timer);
      window.clearInterval(poll);
      document.removeEventListener("visibilitychange", back);
    };
  }, [filters, patch, replace]);

  return { query, rows, fresh: fresh.length, gap, showFresh, reset };
}
