/** The next tick of each schedule that is on, as rows above the runs that there are. */

import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { get } from "@/api/client";
import type { Page, Run, Schedule } from "@/api/types";
import { asQuery, type Filters } from "./filters";

const most = 5;
const schedules = new WeakMap<Run, Schedule>();

/** The schedule of a row that is only planned. */
export const scheduleOf = (run: Run) => schedules.get(run);

/** Filters that a run cannot fit before it is there. */
function hidesPlanned(filters: Filters): boolean {
  const { name: _, ...others } = asQuery({ ...filters, range: "all" });
  return Object.values(others).some((value) => value !== undefined && !(Array.isArray(value) && value.length === 0));
}

export function usePlanned(filters: Filters, isOn: boolean): Run[] {
  const hidden = !isOn || hidesPlanned(filters);
  const found = useQuery({ queryKey: ["schedules", "planned"], queryFn: ({ signal }) => get<Page<Schedule>>("schedules", { limit: 200 }, signal), enabled: !hidden }).data?.items;
  return useMemo(() => {
    if (hidden) return [];
    const now = Date.now();
    // A tick that has come is told by the event stream, and the schedules are asked again.
    return (found ?? [])
      .filter((schedule) => schedule.enabled && schedule.next_at && Date.parse(schedule.next_at) > now && (filters.name.length === 0 || filters.name.includes(schedule.workflow)))
      .sort((a, b) => Date.parse(b.next_at!) - Date.parse(a.next_at!))
      .slice(-most)
      .map(rowOf);
  }, [found, hidden, filters.name]);
}

function rowOf(schedule: Schedule): Run {
  const at = schedule.next_at!;
  const row: Run = {
    workflow_id: `planned:${schedule.id}`,
    status: "ENQUEUED",
    name: schedule.workflow,
    created_at: at,
    updated_at: at,
    started_at: null,
    completed_at: null,
    duration: null,
    error: null,
    executor_id: null,
    application_version: "",
    application_id: "",
    attempts: 0,
    queue_name: null,
    queue_partition_key: null,
    deduplication_id: null,
    priority: 0,
    timeout: null,
    deadline: null,
    parent_workflow_id: null,
    forked_from: null,
    app_status: null,
    app_status_color: null,
    summary: schedule.name,
    tags: [],
    reason: null,
    attention: null,
  };
  schedules.set(row, schedule);
  return row;
}
