/**
 * The live list: pages from the server, kept fresh by the event stream.
 *
 * A row that is shown is brought up to date where it stands. A new row comes to the top only while nobody reads there;
 * otherwise it waits behind the "new" pill.
 */

import { type InfiniteData, useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { get } from "@/api/client";
import { hearRuns, streamState } from "@/api/stream";
import type { Page, Run } from "@/api/types";
import { asQuery, type Filters } from "./filters";

const pageSize = 100;
const refreshEvery = 1000;
const pollEvery = 5000;

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
    const refresh = async () => {
      timer = undefined;
      if (now.current.rows === undefined || document.hidden) return;
      const shown = new Set(now.current.rows.map((run) => run.workflow_id));
      const old = [...touched].filter((id) => shown.has(id)).slice(0, 100);
      touched.clear();
      try {
        const [head, changed] = await Promise.all([
          get<Page<Run>>("workflows", { ...asQuery(filters), limit: pageSize }),
          old.length > 0 ? get<Page<Run>>("workflows", { ids: old, limit: 100 }) : null,
        ]);
        if (stopped) return;
        patch([...head.items, ...(changed?.items ?? [])]);
        const unseen = head.items.filter((run) => !shown.has(run.workflow_id));
        const isGap = unseen.length === head.items.length && head.next_cursor !== null && shown.size > 0;
        if (unseen.length === 0) setFresh([]);
        else if (now.current.paused || isGap) {
          setFresh(unseen);
          setGap(isGap);
        } else {
          prepend(unseen);
          setFresh([]);
        }
      } catch {
        // The list stands as it was; the next event or poll asks again, and the frame shows that the stream is gone.
      }
    };
    const soon = () => {
      timer ??= window.setTimeout(() => void refresh(), refreshEvery);
    };
    const deaf = hearRuns((event) => {
      if (event) touched.add(event.workflow_id);
      soon();
    });
    const poll = window.setInterval(() => {
      if (streamState() === "live") return;
      for (const run of now.current.rows.slice(0, 100)) touched.add(run.workflow_id);
      soon();
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
  }, [filters, patch, prepend]);

  return { query, rows, fresh: fresh.length, gap, showFresh, reset };
}
