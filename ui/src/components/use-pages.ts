/** A list that comes in pages, and its rows so far. */

import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { get, type Query } from "@/api/client";
import type { Page } from "@/api/types";

/** A query that moves with the time is a function, and `key` then says which one it is; `every` asks again so often. */
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
