/** Loads a paginated list; returns the rows loaded so far. */

import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { get, type Query } from "@/api/client";
import type { Page } from "@/api/types";

/** `query` may be a function when it depends on the time; `key` then identifies it. `every` is the polling interval. */
export function usePages<T>(key: unknown[], path: string, query: Query | (() => Query), { limit = 100, every }: { limit?: number; every?: number } = {}) {
  const answer = useInfiniteQuery({
    queryKey: typeof query === "function" ? key : [...key, query],
    queryFn: ({ pageParam, signal }) => get<Page<T>>(path, { ...(typeof query === "function" ? query() : query), limit, cursor: pageParam }, signal),
    ...(every === undefined ? {} : { refetchInterval: every }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
    placeholderData: keepPreviousData,
  });
  return { answer, rows: answer.data?.pages.flatMap((page) => page.items) ?? [], more: () => answer.hasNextPage && !answer.isFetchingNextPage && void answer.fetchNextPage() };
}
