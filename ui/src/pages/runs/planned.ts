/** The next tick of each enabled schedule, as rows above the runs. */

import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { get } from "@/api/client";
import type { Page, Run, Schedule } from "@/api/types";
import { blankRun } from "@/lib/blank-run";
import { asQuery, type Filters } from "./filters";

const most = 5;
const schedules = new WeakMap<Run, Schedule>();

/** The schedule of a planned row. */
export const scheduleOf = (run: Run) => schedules.get(run);

/** Filters that a planned run cannot match. */
function hidesPlanned(filters: Filters): boolean {
  const { name: _, ...others } = asQuery({ ...filters, range: "all" });
  return Object.values(others).some((value) => value !== undefined && !(Array.isArray(value) && value.length === 0));
}

export function usePlanned(filters: Filters, isOn: boolean): Run[] {
  const hidden = !isOn || hidesPlanned(filters);
  const schedules = useQuery({ queryKey: ["schedules", "planned"], queryFn: ({ signal }) => get<Page<Schedule>>("schedules", { limit: 200 }, signal), enabled: !hidden }).data?.items;
  return useMemo(() => {
    if (hidden) return [];
    const now = Date.now();
    // The event stream reports started ticks and refreshes the schedules.
    return (schedules ?? [])
      .filter((schedule) => schedule.enabled && schedule.next_at && Date.parse(schedule.next_at) > now && (filters.name.length === 0 || filters.name.includes(schedule.workflow)))
      .sort((a, b) => Date.parse(b.next_at!) - Date.parse(a.next_at!))
      .slice(-most)
      .map(rowOf);
  }, [schedules, hidden, filters.name]);
}

function rowOf(schedule: Schedule): Run {
  const identity = { workflow_id: `planned:${schedule.id}`, status: "ENQUEUED", name: schedule.workflow, created_at: schedule.next_at! } as const;
  const row: Run = { ...blankRun(identity), summary: schedule.name };
  schedules.set(row, schedule);
  return row;
}
