/** Fields for a schedule: once, or by a cron expression. */

import { useQuery } from "@tanstack/react-query";
import cronstrue from "cronstrue";
import { post, Problem } from "@/api/client";
import type { Schedule, ScheduleSpec } from "@/api/types";
import { plural } from "@/lib/format";
import { catchUpLabels, jitterLabel, overlapLabels } from "@/lib/labels";
import { clock, dayOf, relative, toLocalField, useNow } from "@/lib/time";
import { problemText } from "./toast";
import { Field, Input, Segments, Select } from "./ui";
import { ownZone, ZoneInput } from "./zone-input";

const cronExamples: [string, string][] = [
  ["*/15 * * * *", "Every 15 minutes"],
  ["0 * * * *", "Hourly"],
  ["0 9 * * 1-5", "Weekdays at 9"],
  ["0 3 * * *", "Nightly at 3"],
  ["0 8 1 * *", "First of the month"],
];

export interface When {
  type: "cron" | "once";
  expression: string;
  timezone: string;
  jitter: string;
  catchUp: "last" | "none" | "all";
  overlap: "start" | "skip";
  at: string;
}

export function newWhen(type: "cron" | "once" = "cron"): When {
  return { type, expression: "0 9 * * 1-5", timezone: ownZone(), jitter: "", catchUp: "last", overlap: "start", at: toLocalField(Math.ceil((Date.now() + 600_000) / 300_000) * 300_000) };
}

export function whenOf(schedule: Schedule): When {
  return {
    type: schedule.type === "once" ? "once" : "cron",
    expression: schedule.cron_expression ?? "",
    timezone: schedule.timezone ?? "UTC",
    jitter: schedule.jitter ? String(schedule.jitter) : "",
    catchUp: schedule.catch_up,
    overlap: schedule.overlap,
    at: schedule.scheduled_at ? toLocalField(Date.parse(schedule.scheduled_at)) : "",
  };
}

export function specOf(when: When): ScheduleSpec {
  if (when.type === "once") return { type: "once", at: new Date(when.at).toISOString() };
  return { type: "cron", expression: when.expression.trim(), timezone: when.timezone, jitter: when.jitter ? Number(when.jitter) : null, catch_up: when.catchUp, overlap: when.overlap };
}

/** Describes a cron expression in words; null if it is invalid. */
export function sentence(expression: string): string | null {
  try {
    const words = cronstrue.toString(expression.trim(), { use24HourTimeFormat: true, verbose: false });
    // cronstrue says only "At 03:00".
    return /^At [\d:]+$/.test(words) ? `Every day at ${words.slice(3)}` : words;
  } catch {
    return null;
  }
}

export function describe(schedule: Schedule): string {
  if (schedule.type === "once") return "Once";
  return (schedule.cron_expression && sentence(schedule.cron_expression)) || schedule.cron_expression || "";
}

const jitters = ["", "10", "30", "60", "300", "900", "3600"];

export function ScheduleFields({ when, onChange, only }: { when: When; onChange: (when: When) => void; only?: "cron" | "once" }) {
  const set = (change: Partial<When>) => onChange({ ...when, ...change });
  return (
    <div className="flex flex-col gap-3">
      {!only && <Segments label="Kind" value={when.type} onChange={(type) => set({ type })} options={[{ key: "cron", label: "Repeatedly" }, { key: "once", label: "Once" }]} />}
      {when.type === "once" ? (
        <Field label="At" hint="Your local time." required>
          {(wires) => <Input {...wires} type="datetime-local" value={when.at} onChange={(event) => set({ at: event.target.value })} />}
        </Field>
      ) : (
        <>
          <Field label="Cron expression" hint={sentence(when.expression) ?? "Five fields: minute, hour, day, month, weekday. Six when seconds come first."} required>
            {(wires) => <Input {...wires} value={when.expression} spellCheck={false} className="font-mono" onChange={(event) => set({ expression: event.target.value })} />}
          </Field>
          <div className="flex flex-wrap gap-1.5">
            {cronExamples.map(([expression, label]) => (
              <button key={expression} type="button" onClick={() => set({ expression })} className="h-6 rounded-sm bg-sunken px-2 text-xs text-muted hairline hover:text-text">
                {label}
              </button>
            ))}
          </div>
          <div className="grid grid-cols-2 gap-3 max-md:grid-cols-1">
            <Field label="Time zone">
              {(wires) => <ZoneInput {...wires} value={when.timezone} onChange={(timezone) => set({ timezone })} />}
            </Field>
            <Field label="Jitter">
              {(wires) => (
                <Select {...wires} value={when.jitter} onChange={(event) => set({ jitter: event.target.value })}>
                  {[...new Set([...jitters, when.jitter])].map((item) => (
                    <option key={item} value={item}>
                      {item === "" ? "None" : jitterLabel(Number(item))}
                    </option>
                  ))}
                </Select>
              )}
            </Field>
            <Field label="Missed ticks">
              {(wires) => (
                <Select {...wires} value={when.catchUp} onChange={(event) => set({ catchUp: event.target.value as When["catchUp"] })}>
                  {(["last", "none", "all"] as const).map((item) => (
                    <option key={item} value={item}>
                      {catchUpLabels[item]}
                    </option>
                  ))}
                </Select>
              )}
            </Field>
            <Field label="Overlap" hint="When the previous run is still going.">
              {(wires) => (
                <Select {...wires} value={when.overlap} onChange={(event) => set({ overlap: event.target.value as When["overlap"] })}>
                  {(["start", "skip"] as const).map((item) => (
                    <option key={item} value={item}>
                      {overlapLabels[item]}
                    </option>
                  ))}
                </Select>
              )}
            </Field>
          </div>
        </>
      )}
      <Preview when={when} />
    </div>
  );
}

function Preview({ when }: { when: When }) {
  const ready = when.type === "once" ? when.at !== "" : sentence(when.expression) !== null;
  const query = useQuery({
    queryKey: ["preview", when],
    queryFn: () => post<{ items: string[] }>("schedules/preview", { schedule: specOf(when), count: 10 }),
    enabled: ready && when.type === "cron",
    refetchInterval: false,
    retry: false,
  });
  if (when.type === "once") return null;
  if (query.error) return <div className="text-xs text-bad">{query.error instanceof Problem && query.error.errors[0] ? query.error.errors[0].message : problemText(query.error)}</div>;
  return <Ticks times={query.data?.items ?? []} />;
}

export function Ticks({ times }: { times: string[] }) {
  const now = useNow();
  if (times.length === 0) return null;
  return (
    <div>
      <div className="mb-1 text-xs font-medium text-muted">Next {plural(times.length, "tick")}</div>
      <ol className="grid grid-cols-2 gap-x-6 max-md:grid-cols-1">
        {times.map((time) => (
          <li key={time} className="flex justify-between border-b py-1 text-xs">
            <span>
              {dayOf(Date.parse(time))}, {clock(Date.parse(time))}
            </span>
            <span className="text-faint">{relative(Date.parse(time), now)}</span>
          </li>
        ))}
      </ol>
    </div>
  );
}
