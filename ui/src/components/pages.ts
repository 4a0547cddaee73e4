/** A list that comes in pages, and its rows so far. */

import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { get, type Query } from "@/api/client";
import type { Page } from "@/api/types";

export function usePages<T>(key: unknown[], path: string, query: Query, limit = 100) {
  const answer = useInfiniteQuery({
    queryKey: [...key, query],
    queryFn: ({ pageParam, signal }) => get<Page<T>>(path, { ...query, limit, cursor: pageParam }, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
    placeholderData: keepPreviousData,
  });
  return { answer, rows: answer.data?.pages.flatMap((page) => page.items) ?? [], more: () => answer.hasNextPage && !answer.isFetchingNextPage && void answer.fetchNextPage() };
}
