/** Fields for the quiet hours of an alert channel. */

import { type QuietHours, weekdays } from "@/api/types";
import { classes } from "@/lib/format";
import { EventChips, events } from "./event-chips";
import { Field, Input } from "./ui";
import { ownZone, ZoneInput } from "./zone-input";

const weekdayLabels: Record<string, string> = { mon: "Mon", tue: "Tue", wed: "Wed", thu: "Thu", fri: "Fri", sat: "Sat", sun: "Sun" };

export const newQuietHours = (): QuietHours => ({ start: "22:00", end: "07:00", timezone: ownZone(), weekdays: [], urgent: ["workflow.MAX_RECOVERY_ATTEMPTS_EXCEEDED"] });

export function quietHoursError(quiet: QuietHours): string | null {
  if (!quiet.start || !quiet.end || !quiet.timezone.trim()) return "Enter both times and a time zone.";
  return quiet.start === quiet.end && [0, 7].includes(quiet.weekdays.length) ? "Quiet hours cannot cover every hour of every day. Turn the channel off instead." : null;
}

export function QuietHoursFields({ quiet, onChange, error }: { quiet: QuietHours; onChange: (quiet: QuietHours) => void; error: string | null }) {
  const set = (change: Partial<QuietHours>) => onChange({ ...quiet, ...change });
  const overnight = quiet.start !== "" && quiet.end !== "" && quiet.end <= quiet.start;
  return (
    <div className="flex flex-col gap-3">
      <div className="grid grid-cols-[1fr_1fr_1.4fr] gap-3 max-md:grid-cols-2">
        <Field label="From">{(wires) => <Input {...wires} type="time" value={quiet.start} onChange={(event) => set({ start: event.target.value.slice(0, 5) })} />}</Field>
        <Field label="Until" hint={overnight ? "of the next day" : undefined}>
          {(wires) => <Input {...wires} type="time" value={quiet.end} onChange={(event) => set({ end: event.target.value.slice(0, 5) })} />}
        </Field>
        <div className="max-md:col-span-2">
          <Field label="Time zone">{(wires) => <ZoneInput {...wires} value={quiet.timezone} onChange={(timezone) => set({ timezone })} />}</Field>
        </div>
      </div>
      <div className="flex flex-col gap-1.5">
        <span className="text-xs font-medium text-muted">Starting on</span>
        <div role="group" aria-label="Starting on" className="grid grid-cols-7 gap-1.5">
          {weekdays.map((day) => {
            const on = quiet.weekdays.includes(day);
            return (
              <button
                key={day}
                type="button"
                aria-pressed={on}
                onClick={() => set({ weekdays: weekdays.filter((weekday) => (weekday === day ? !on : quiet.weekdays.includes(weekday))) })}
                className={classes("h-7 rounded-md text-xs font-medium", on ? "bg-accent-soft text-accent" : "text-muted hairline hover:text-text")}
              >
                {weekdayLabels[day]}
              </button>
            );
          })}
        </div>
        <span className="text-xs text-faint">Select none for every day.</span>
      </div>
      <div className="flex flex-col gap-1.5">
        <span className="text-xs font-medium text-muted">Send immediately</span>
        <EventChips label="Send immediately" choices={events} value={quiet.urgent} onChange={(urgent) => set({ urgent })} />
        <span className="text-xs text-faint">These events ignore quiet hours.</span>
      </div>
      {error && (
        <div role="alert" className="text-xs text-bad">
          {error}
        </div>
      )}
    </div>
  );
}

/** Summary of quiet hours: `22:00–07:00 Fri Sat`. */
export function hoursOf(quiet: QuietHours): string {
  const days = quiet.weekdays.map((day) => weekdayLabels[day]).join(" ");
  return `${quiet.start}–${quiet.end} ${days}`.trim();
}
