/** The session: the signed-in account and its permissions. */

import { QueryClient, useQuery } from "@tanstack/react-query";
import { get, onForbidden, Problem, setCsrf } from "./client";
import { streamState } from "./stream";
import type { Approval, Role, Session } from "./types";

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 2000,
      refetchOnWindowFocus: true,
      // Without the event stream all active queries poll.
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
    setCsrf(session.csrf ?? undefined);
    return session;
  },
  staleTime: Number.POSITIVE_INFINITY,
  refetchInterval: false as const,
};

onForbidden(() => void queryClient.invalidateQueries({ queryKey: sessionQuery.queryKey }));

const rank: Record<Role, number> = { viewer: 0, approver: 1, operator: 2, admin: 3 };

export function useSession(): Session | undefined {
  return useQuery(sessionQuery).data;
}

/** Whether the current session has at least this role. */
export function useCan(role: Role): boolean {
  const session = useSession();
  if (!session) return false;
  return rank[session.role ?? (session.auth === "none" ? "admin" : "viewer")] >= rank[role];
}

/** Whether the session may decide an approval: approvers only those assigned to them or unassigned, operators all. */
export function useMayDecide(): (approval: Partial<Pick<Approval, "assignees">>) => boolean {
  const email = useSession()?.email;
  const all = useCan("operator");
  const own = useCan("approver");
  return ({ assignees = [] }) => all || (own && (assignees.length === 0 || Boolean(email && assignees.includes(email))));
}
