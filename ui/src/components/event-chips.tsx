/** Toggles for the events that a webhook or channel receives. */

import { classes } from "@/lib/format";
import { eventLabels } from "@/lib/labels";
import { Pill } from "./status";

export const events = ["workflow.SUCCESS", "workflow.ERROR", "workflow.CANCELLED", "workflow.WAITING_FOR_APPROVAL", "workflow.MAX_RECOVERY_ATTEMPTS_EXCEEDED"];
const every = "workflow.*";

export function EventChips({ value, onChange, choices = [every, ...events], label = "Events" }: { value: string[]; onChange: (events: string[]) => void; choices?: string[]; label?: string }) {
  const toggle = (event: string) => {
    if (event === every) return onChange(value.includes(every) ? [] : [every]);
    const rest = value.filter((item) => item !== every && item !== event);
    onChange(value.includes(event) ? rest : [...rest, event]);
  };
  return (
    <div role="group" aria-label={label} className="flex flex-wrap gap-1.5">
      {choices.map((event) => (
        <button
          key={event}
          type="button"
          aria-pressed={value.includes(event)}
          onClick={() => toggle(event)}
          className={classes("h-7 rounded-md px-2.5 text-xs font-medium", value.includes(event) ? "bg-accent-soft text-accent" : "text-muted hairline hover:text-text")}
        >
          {eventLabels[event] ?? event}
        </button>
      ))}
    </div>
  );
}

export function EventList({ events: given }: { events: string[] }) {
  return (
    <span className="flex gap-1">
      {given.length === 0 && <span className="text-faint">By name only</span>}
      {given.slice(0, 3).map((event) => (
        <Pill key={event} tone="idle">
          {eventLabels[event] ?? event}
        </Pill>
      ))}
      {given.length > 3 && <span className="text-xs text-faint">+{given.length - 3}</span>}
    </span>
  );
}
