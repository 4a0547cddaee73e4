/** Command palette (⌘K): open a page, find a run, start a workflow. */

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { CircleHelp, Clock, Layers, Moon, Play, Search, Sun, Workflow } from "lucide-react";
import { Dialog as RadixDialog } from "radix-ui";
import { type ReactNode, useDeferredValue, useEffect, useMemo, useRef, useState } from "react";
import { get } from "@/api/client";
import { useCan } from "@/api/session";
import type { Page, Queue, Registered, Run, Schedule } from "@/api/types";
import { StatusIcon } from "@/components/status";
import { Ago, Kbd, useReturn } from "@/components/ui";
import { classes } from "@/lib/format";
import { navItems } from "./navigation";
import { setTheme, useIsDark } from "./theme";

interface Entry {
  key: string;
  group: string;
  label: string;
  note?: ReactNode;
  icon: ReactNode;
  act: () => void;
}

export function Palette({ open, onClose, onHelp }: { open: boolean; onClose: () => void; onHelp: () => void }) {
  const goBack = useReturn();
  return (
    <RadixDialog.Root open={open} onOpenChange={(on) => !on && onClose()}>
      <RadixDialog.Portal>
        <RadixDialog.Overlay className="animate-appear fixed inset-0 z-50 bg-scrim" />
        <RadixDialog.Content aria-describedby={undefined} {...goBack} className="animate-rise fixed top-[12vh] left-1/2 z-50 flex max-h-[70vh] w-[calc(100vw-24px)] max-w-xl -translate-x-1/2 flex-col overflow-hidden rounded-lg bg-bg shadow-pop outline-none">
          <RadixDialog.Title className="sr-only">Search or jump to…</RadixDialog.Title>
          <Inside onClose={onClose} onHelp={onHelp} />
        </RadixDialog.Content>
      </RadixDialog.Portal>
    </RadixDialog.Root>
  );
}

function Inside({ onClose, onHelp }: { onClose: () => void; onHelp: () => void }) {
  const navigate = useNavigate();
  const mayStart = useCan("operator");
  const isAdmin = useCan("admin");
  const isDark = useIsDark();
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const list = useRef<HTMLDivElement>(null);
  const searched = useDeferredValue(text.trim());
  const registered = useQuery({ queryKey: ["registered"], queryFn: ({ signal }) => get<Page<Registered>>("registered", { limit: 500 }, signal) });
  const runs = useQuery({
    queryKey: ["workflows", "palette", searched],
    queryFn: ({ signal }) => get<Page<Run>>("workflows", { search: searched || undefined, limit: 6 }, signal),
    placeholderData: keepPreviousData,
  });
  const isSearching = searched !== "";
  const queues = useQuery({ queryKey: ["queues"], queryFn: ({ signal }) => get<Page<Queue>>("queues", { limit: 500 }, signal), enabled: isSearching });
  const schedules = useQuery({ queryKey: ["schedules"], queryFn: ({ signal }) => get<Page<Schedule>>("schedules", { limit: 500 }, signal), enabled: isSearching });
  const entries = useMemo(() => {
    const words = text.trim().toLowerCase();
    const fits = (label: string) => words.split(/\s+/).every((word) => label.toLowerCase().includes(word));
    const entries: Entry[] = [];
    const go = (to: string, search?: Record<string, string>) => () => void navigate({ to, search } as never);
    for (const item of navItems) {
      if (item.role === "admin" && !isAdmin) continue;
      if (words === "" || fits(item.label)) entries.push({ key: item.to, group: "Pages", label: item.label, icon: <item.icon />, act: go(item.to) });
    }
    const pages = words === "" ? entries.splice(6) && entries : entries;
    const runEntries: Entry[] = (runs.data?.items ?? []).map((run) => ({
      key: `run:${run.workflow_id}`,
      group: words ? "Runs" : "Latest runs",
      label: run.summary || run.name,
      note: (
        <span className="flex gap-2 truncate">
          <span className="truncate font-mono">{run.workflow_id}</span> <Ago at={run.created_at} />
        </span>
      ),
      icon: <StatusIcon status={run.status} />,
      act: () => void navigate({ to: "/runs/$id", params: { id: run.workflow_id } }),
    }));
    const workflows: Entry[] = [];
    for (const workflow of registered.data?.items ?? []) {
      if (words !== "" && !fits(`${workflow.name} Start run`)) continue;
      if (words === "" && workflows.length >= 4) break;
      if (mayStart && workflow.triggerable) workflows.push({ key: `start:${workflow.name}`, group: "Start", label: workflow.name, icon: <Play />, act: go("/start", { workflow: workflow.name }) });
      if (words !== "") workflows.push({ key: `workflow:${workflow.name}`, group: "Workflows", label: workflow.name, icon: <Workflow />, act: () => void navigate({ to: "/workflows/$name", params: { name: workflow.name } }) });
    }
    const others: Entry[] =
      words === ""
        ? []
        : [
            ...(queues.data?.items ?? [])
              .filter((queue) => fits(`${queue.name} Queues`))
              .map((queue) => ({ key: `queue:${queue.name}`, group: "Queues", label: queue.name, icon: <Layers />, act: () => void navigate({ to: "/queues/$name", params: { name: queue.name } }) })),
            ...(schedules.data?.items ?? [])
              .filter((schedule) => fits(`${schedule.name} Schedules`))
              .map((schedule) => ({ key: `schedule:${schedule.id}`, group: "Schedules", label: schedule.name, note: schedule.cron_expression, icon: <Clock />, act: () => void navigate({ to: "/schedules/$id", params: { id: schedule.id } }) })),
          ];
    const rest: Entry[] = [
      { key: "theme", group: "More", label: isDark ? "Switch to light theme" : "Switch to dark theme", icon: isDark ? <Sun /> : <Moon />, act: () => setTheme(isDark ? "light" : "dark") },
      { key: "help", group: "More", label: "Keyboard shortcuts", icon: <CircleHelp />, act: onHelp },
    ].filter((entry) => words !== "" && fits(entry.label));
    const ordered = words === "" ? [...pages, ...runEntries, ...workflows] : [...workflows, ...pages, ...others, ...runEntries, ...rest];
    // Groups in the order of their first entry.
    const groups = [...new Set(ordered.map((entry) => entry.group))];
    return groups.flatMap((group) => ordered.filter((entry) => entry.group === group));
  }, [text, runs.data, registered.data, queues.data, schedules.data, mayStart, isAdmin, isDark, navigate, onHelp]);
  useEffect(() => setAt(0), [text]);
  useEffect(() => {
    // Braces: newer browsers return a promise here, which React would treat as a cleanup function.
    void list.current?.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
  }, [at]);
  const choose = (entry: Entry | undefined) => {
    if (!entry) return;
    onClose();
    entry.act();
  };
  return (
    <>
      <div className="flex h-12 shrink-0 items-center gap-2.5 border-b px-4">
        <Search className="size-4 text-faint" />
        <input
          autoFocus
          role="combobox"
          aria-expanded="true"
          aria-controls="palette-list"
          aria-activedescendant={entries[at] ? `palette-${at}` : undefined}
          aria-label="Search or jump to…"
          placeholder="Find a run, workflow or page"
          value={text}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === "ArrowDown") setAt(Math.min(entries.length - 1, at + 1));
            else if (event.key === "ArrowUp") setAt(Math.max(0, at - 1));
            else if (event.key === "Enter") choose(entries[at]);
            else return;
            event.preventDefault();
          }}
          className="h-full flex-1 bg-transparent text-base outline-none"
        />
        <Kbd>esc</Kbd>
      </div>
      <div ref={list} id="palette-list" role="listbox" aria-label="Search or jump to…" className="min-h-0 flex-1 overflow-y-auto p-1.5">
        {entries.length === 0 && <div className="px-3 py-8 text-center text-muted">No results</div>}
        {entries.map((entry, index) => (
          <div key={entry.key} role="presentation">
            {entries[index - 1]?.group !== entry.group && <div role="presentation" className="px-2.5 pt-2 pb-1 text-2xs font-medium text-faint">{entry.group}</div>}
            <div
              id={`palette-${index}`}
              role="option"
              aria-selected={index === at}
              onMouseMove={() => at !== index && setAt(index)}
              onClick={() => choose(entry)}
              className={classes("flex h-9 items-center gap-2.5 rounded-md px-2.5 text-muted [&_svg]:size-4 [&_svg]:shrink-0", index === at && "bg-hover")}
            >
              {entry.icon}
              <span className="shrink-0 truncate text-text max-md:shrink">{entry.label}</span>
              <span className="min-w-0 flex-1 truncate text-right text-xs text-faint">{entry.note}</span>
            </div>
          </div>
        ))}
      </div>
    </>
  );
}
