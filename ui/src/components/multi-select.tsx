/** A filter button with a searchable list of options. */

import { ChevronDown, X } from "lucide-react";
import { type ReactNode, useState } from "react";
import { classes } from "@/lib/format";
import { Checkbox, Popover } from "./ui";

export interface Choice {
  value: string;
  label?: ReactNode;
  note?: ReactNode;
}

export function MultiSelect({ label, choices, value, onChange, onOpen, free, single }: { label: string; choices: Choice[]; value: string[]; onChange: (value: string[]) => void; onOpen?: () => void; free?: boolean; single?: boolean }) {
  const [open, setOpen] = useState(false);
  const [text, setText] = useState("");
  const values = new Set(choices.map((choice) => choice.value));
  const all = [...choices, ...value.filter((item) => !values.has(item)).map((item) => ({ value: item }) as Choice)];
  const shown = all.filter((choice) => `${choice.value} ${typeof choice.label === "string" ? choice.label : ""}`.toLowerCase().includes(text.toLowerCase()));
  const toggle = (item: string) => {
    if (single) {
      onChange(value.includes(item) ? [] : [item]);
      setOpen(false);
    } else onChange(value.includes(item) ? value.filter((other) => other !== item) : [...value, item]);
  };
  const named = (item: string) => choices.find((choice) => choice.value === item)?.label ?? item;
  return (
    <span className={classes("inline-flex h-7 shrink-0 items-center rounded-md hairline", value.length > 0 ? "bg-accent-soft shadow-none" : "bg-bg")}>
      <Popover
        label={label}
        open={open}
        onOpenChange={(on) => {
          setOpen(on);
          setText("");
          if (on) onOpen?.();
        }}
        className="w-64 p-1"
        trigger={
          <button type="button" className={classes("flex h-7 items-center gap-1 rounded-md px-2 text-xs font-medium whitespace-nowrap", value.length > 0 ? "text-accent" : "text-muted hover:text-text")}>
            {label}
            {value.length > 0 && (
              <span className="flex max-w-44 items-center truncate">
                : {value.length === 1 ? named(value[0]!) : `${value.length} selected`}
              </span>
            )}
            {value.length === 0 && <ChevronDown className="size-3.5 text-faint" />}
          </button>
        }
      >
        {(choices.length > 8 || free) && (
          <input
            autoFocus
            aria-label={`Find ${label.toLowerCase()}`}
            placeholder={free ? "Search or type" : `Find ${label.toLowerCase()}`}
            value={text}
            onChange={(event) => setText(event.target.value)}
            onKeyDown={(event) => {
              if (event.key !== "Enter" || !text) return;
              toggle(free ? text : (shown[0]?.value ?? text));
              setText("");
            }}
            className="mb-1 h-8 w-full rounded-md bg-sunken px-2 outline-none"
          />
        )}
        <div className="max-h-72 overflow-y-auto">
          {shown.length === 0 && <div className="px-2 py-3 text-center text-xs text-faint">{free && text ? `Press Enter to use “${text}”` : "No options"}</div>}
          {shown.map((choice) => (
            <label key={choice.value} className="flex h-8 items-center gap-2 rounded-md px-2 hover:bg-hover">
              <Checkbox label={choice.value} checked={value.includes(choice.value)} onChange={() => toggle(choice.value)} />
              <span className="min-w-0 flex-1 truncate">{choice.label ?? choice.value}</span>
              {choice.note !== undefined && <span className="text-xs text-faint">{choice.note}</span>}
            </label>
          ))}
        </div>
      </Popover>
      {value.length > 0 && (
        <button type="button" aria-label={`Clear ${label.toLowerCase()}`} onClick={() => onChange([])} className="flex h-7 w-6 items-center justify-center rounded-r-md text-accent hover:text-text">
          <X className="size-3.5" />
        </button>
      )}
    </span>
  );
}
