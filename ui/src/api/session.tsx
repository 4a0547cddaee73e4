/** Who is signed in, and what that allows. */

import { QueryClient, useQuery } from "@tanstack/react-query";
import { get, keepCsrf, Problem } from "./client";
import { streamState } from "./stream";
import type { Role, Session } from "./types";

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 2000,
      refetchOnWindowFocus: true,
      // Without the event stream everything that is looked at asks again by itself.
      refetchInterval: () => (streamState() === "live" ? false : 5000),
      retry: (failures, error) => failures < 2 && error instanceof Problem && (error.status === 0 || error.status >= 500),
      retryDelay: 800,
    },
  },
});

export const sessionQuery = {
  queryKey: ["session"],
  queryFn: async ({ signal }: { signal: AbortSignal }) => {
    const session = await get<Session>("session", undefined, signal);
    keepCsrf(session.csrf);
    return session;
  },
  staleTime: Number.POSITIVE_INFINITY,
  refetchInterval: false as const,
};

const rank: Record<Role, number> = { viewer: 0, operator: 1, admin: 2 };

export function useSession(): Session | undefined {
  return useQuery(sessionQuery).data;
}

/** Whether the one who looks may do what `role` may. */
export function useCan(role: Role): boolean {
  const session = useSession();
  if (!session) return false;
  return rank[session.role ?? (session.auth === "none" ? "admin" : "viewer")] >= rank[role];
}
