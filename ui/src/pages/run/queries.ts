/** Queries of the run page. */

import { queryOptions } from "@tanstack/react-query";
import { get, part } from "@/api/client";
import type { Approval, AuditLine, Explanation, Message, Page, Product, RelatedRun, Run, RunStatus, Step, Value, Wait } from "@/api/types";
import { isOpen } from "@/components/status";

const stepsMost = 5000;
/** Open runs are polled: recorded steps do not emit events. */
const pace = (status: RunStatus | undefined) => (status && isOpen(status) ? 2000 : false) as number | false;

const at = (id: string, rest = "") => `workflows/${part(id)}${rest}`;

export const runQuery = (id: string) =>
  queryOptions({
    queryKey: ["run", id],
    queryFn: ({ signal }) => get<Run>(at(id), { payload_limit: 65536 }, signal),
    refetchInterval: (query) => pace(query.state.data?.status),
  });

export const stepsQuery = (id: string, status: RunStatus | undefined) =>
  queryOptions({
    queryKey: ["run", id, "steps"],
    queryFn: async ({ signal }) => {
      const steps: Step[] = [];
      let cursor: string | null = null;
      do {
        const page: Page<Step> = await get<Page<Step>>(at(id, "/steps"), { limit: 500, cursor }, signal);
        steps.push(...page.items);
        cursor = page.next_cursor;
      } while (cursor !== null && steps.length < stepsMost);
      return steps;
    },
    refetchInterval: pace(status),
  });

export const explainQuery = (id: string, status: RunStatus) =>
  queryOptions({
    queryKey: ["run", id, "explain"],
    queryFn: ({ signal }) => get<Explanation>(at(id, "/explain"), undefined, signal),
    enabled: isOpen(status),
    refetchInterval: pace(status),
  });

const listOf = <T>(name: string) => (id: string, status: RunStatus | undefined) =>
  queryOptions({
    queryKey: ["run", id, name],
    queryFn: ({ signal }) => get<Page<T>>(at(id, `/${name}`), { limit: 200 }, signal),
    refetchInterval: pace(status),
  });

export const waitsQuery = listOf<Wait>("waits");
export const messagesQuery = listOf<Message>("messages");
export const valuesQuery = listOf<Value>("values");
export const auditQuery = listOf<AuditLine>("audit");

export const lineageQuery = (id: string, status: RunStatus | undefined) =>
  queryOptions({
    queryKey: ["run", id, "family"],
    queryFn: ({ signal }) => get<{ root: string; nodes: RelatedRun[] }>(at(id, "/family"), undefined, signal),
    refetchInterval: pace(status),
  });

export const approvalsQuery = (id: string) =>
  queryOptions({
    queryKey: ["approvals", "of", id],
    queryFn: ({ signal }) => get<Page<Approval>>("approvals", { workflow_id: id, open: "all", limit: 100 }, signal),
  });

export const productsQuery = (id: string) =>
  queryOptions({
    queryKey: ["products", "of", id],
    queryFn: ({ signal }) => get<Page<Product>>("products", { workflow_id: id, limit: 200 }, signal),
  });
