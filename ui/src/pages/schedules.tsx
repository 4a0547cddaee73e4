/** Schedules with their description, next and last ticks. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { CalendarClock, ChevronLeft, Clock, Code, History, Pencil, Play, Plus, Trash2 } from "lucide-react";
import { useState } from "react";
import { get, part, patch, post, Problem, remove } from "@/api/client";
import { useCan } from "@/api/session";
import type { Page, Registered, Schedule, ScheduleDetail } from "@/api/types";
import { InputFields, newInput, readInput } from "@/components/input-fields";
import { JsonView } from "@/components/json";
import { RunTable } from "@/components/run-table";
import { describe, ScheduleFields, specOf, Ticks, whenOf } from "@/components/schedule-fields";
import { Empty, Loaded } from "@/components/states";
import { Table } from "@/components/table";
import { problemText, showError, showToast } from "@/components/toast";
import { Ago, Button, Dialog, Input, Notice, Switch, Tip } from "@/components/ui";
import { catchUpLabels, jitterLabel, overlapLabels } from "@/lib/labels";
import type { ValidationError } from "@/lib/schema";
import { short } from "@/lib/time";
import { PageHead } from "@/shell/frame";
import { useTitle } from "@/shell/title";
import { Backfill } from "./schedules-backfill";

const kindLabels = { compile: "Defined in code", cron: "Recurring", once: "Once" };

export function useEnable() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ schedule, on }: { schedule: Schedule; on: boolean }) => post<Schedule>(`schedules/${part(schedule.id)}/${on ? "enable" : "disable"}`),
    onSuccess: (_, { schedule, on }) => {
      showToast(on ? "Schedule turned on" : "Schedule turned off", schedule.name);
      void client.invalidateQueries({ queryKey: ["schedules"] });
    },
    onError: (error) => showError(error),
  });
}

export function SchedulesPage() {
  useTitle("Schedules");
  const navigate = useNavigate();
  const may = useCan("operator");
  const enable = useEnable();
  const query = useQuery({ queryKey: ["schedules"], queryFn: ({ signal }) => get<Page<Schedule>>("schedules", { limit: 500 }, signal) });
  const fresh = (
    <Button tone="primary" icon={<Plus />} onClick={() => void navigate({ to: "/start", search: { when: "cron" } })}>
      New schedule
    </Button>
  );
  return (
    <>
      <PageHead title="Schedules">{may && fresh}</PageHead>
      <Loaded query={query}>
        {(page) =>
          page.items.length === 0 ? (
            <Empty icon={<Clock />} title="No schedules" action={may && fresh}>
              Create one here, or in code with <code>@turbine.workflow(schedule="0 3 * * *")</code>
            </Empty>
          ) : (
            <Table
              label="Schedules"
              rows={page.items}
              id={(item) => item.id}
              rowHeight={48}
              phoneHeight={68}
              onOpen={(item) => void navigate({ to: "/schedules/$id", params: { id: item.id } })}
              phone={(item) => (
                <div className="flex items-center gap-3">
                  <div className="min-w-0 flex-1">
                    <Link to="/schedules/$id" params={{ id: item.id }} className="font-medium">
                      {item.name}
                    </Link>
                    <div className="truncate text-muted">{describe(item)}</div>
                  </div>
                  <Switch label={`Turn ${item.name} on or off`} checked={item.enabled} disabled={!may} onCheckedChange={(on) => enable.mutate({ schedule: item, on })} />
                </div>
              )}
              columns={[
                {
                  key: "name",
                  head: "Name",
                  cell: (item) => (
                    <span className="flex items-center gap-2">
                      <Kind schedule={item} />
                      <span className="min-w-0">
                        <Link to="/schedules/$id" params={{ id: item.id }} className="block truncate font-medium hover:underline">
                          {item.name}
                        </Link>
                        <span className="block truncate text-xs text-faint">{item.workflow}</span>
                      </span>
                    </span>
                  ),
                  width: "minmax(140px, 1fr)",
                },
                {
                  key: "when",
                  head: "When",
                  cell: (item) => (
                    <span>
                      <span className="block truncate">{describe(item)}</span>
                      <span className="block truncate text-xs text-faint">
                        {item.type === "once" ? item.scheduled_at && short(Date.parse(item.scheduled_at)) : <><span className="font-mono">{item.cron_expression}</span> · {item.timezone ?? "UTC"}</>}
                        {item.reason && <span className="text-warn" title={item.reason}> · {item.reason}</span>}
                      </span>
                    </span>
                  ),
                  width: "minmax(180px, 2fr)",
                },
                { key: "next", head: "Next", cell: (item) => (item.enabled ? <Ago at={item.next_at} /> : <span className="text-faint">off</span>), width: "90px" },
                {
                  key: "last",
                  head: "Last",
                  wide: true,
                  cell: (item) =>
                    item.last_error ? (
                      <span className="text-bad" title={item.last_error}>
                        failed to start
                      </span>
                    ) : item.last_workflow_id ? (
                      <Link to="/runs/$id" params={{ id: item.last_workflow_id }} className="hover:underline">
                        <Ago at={item.last_at} className="text-muted" />
                      </Link>
                    ) : (
                      <span className="text-faint">never</span>
                    ),
                  width: "110px",
                },
                { key: "on", head: "On", cell: (item) => <span className="inline-flex align-middle"><Switch label={`Turn ${item.name} on or off`} checked={item.enabled} disabled={!may} onCheckedChange={(on) => enable.mutate({ schedule: item, on })} /></span>, width: "44px" },
              ]}
            />
          )
        }
      </Loaded>
    </>
  );
}

function Kind({ schedule }: { schedule: Schedule }) {
  const Icon = schedule.type === "compile" ? Code : schedule.type === "once" ? CalendarClock : Clock;
  return (
    <Tip text={kindLabels[schedule.type]}>
      <span>
        <Icon className="size-4 text-faint" />
      </span>
    </Tip>
  );
}

export function SchedulePage() {
  const { id } = useParams({ strict: false }) as { id: string };
  const query = useQuery({ queryKey: ["schedules", id], queryFn: ({ signal }) => get<ScheduleDetail>(`schedules/${part(id)}`, undefined, signal) });
  useTitle(query.data ? `Schedules ${query.data.name}` : "Schedules");
  return <Loaded query={query}>{(schedule) => <Detail schedule={schedule} />}</Loaded>;
}

function Detail({ schedule }: { schedule: ScheduleDetail }) {
  const may = useCan("operator");
  const navigate = useNavigate();
  const client = useQueryClient();
  const enable = useEnable();
  const [editing, setEditing] = useState(false);
  const [deleting, setDeleting] = useState(false);
  const [filling, setFilling] = useState(false);
  const run = useMutation({
    mutationFn: () => post<{ workflow_id: string }>(`schedules/${part(schedule.id)}/run-now`),
    onSuccess: (made) => {
      showToast("Run started", made.workflow_id);
      void navigate({ to: "/runs/$id", params: { id: made.workflow_id } });
    },
    onError: (error) => showError(error),
  });
  const drop = useMutation({
    mutationFn: () => remove(`schedules/${part(schedule.id)}`),
    onSuccess: () => {
      showToast("Schedule deleted", schedule.name);
      void client.invalidateQueries({ queryKey: ["schedules"] });
      void navigate({ to: "/schedules" });
    },
    onError: (error) => showError(error),
  });
  const isCode = schedule.type === "compile";
  const facts: [string, React.ReactNode][] = [
    ["Workflow", <Link key="w" to="/workflows/$name" params={{ name: schedule.workflow }} className="text-accent hover:underline">{schedule.workflow}</Link>],
    ["Kind", kindLabels[schedule.type]],
    ...(schedule.type === "once"
      ? ([["At", schedule.scheduled_at ? short(Date.parse(schedule.scheduled_at)) : "–"]] as [string, React.ReactNode][])
      : ([
          ["Cron expression", <code key="c" className="font-mono text-xs leading-5">{schedule.cron_expression}</code>],
          ["Time zone", schedule.timezone ?? "UTC"],
          ["Jitter", schedule.jitter ? jitterLabel(schedule.jitter) : "None"],
          ["Missed ticks", catchUpLabels[schedule.catch_up]],
          ["Overlap", overlapLabels[schedule.overlap]],
        ] as [string, React.ReactNode][])),
    ["Created", <Ago key="t" at={schedule.created} />],
  ];
  return (
    <>
      <PageHead
        title={
          <span className="flex items-center gap-1.5">
            <Link to="/schedules" className="flex shrink-0 items-center text-muted hover:text-text">
              <ChevronLeft className="size-4" /> Schedules
            </Link>
            <span className="text-faint">/</span> {schedule.name}
          </span>
        }
      >
        <span className="flex items-center gap-2 text-muted">
          {schedule.enabled ? "On" : "Off"}
          <Switch label={`Turn ${schedule.name} on or off`} checked={schedule.enabled} disabled={!may} onCheckedChange={(on) => enable.mutate({ schedule, on })} />
        </span>
        {may && (
          <>
            {schedule.type !== "once" && (
              <Button icon={<History />} onClick={() => setFilling(true)}>
                Backfill
              </Button>
            )}
            {!isCode && (
              <Button icon={<Pencil />} onClick={() => setEditing(true)}>
                Edit
              </Button>
            )}
            {!isCode && <Button tone="danger" aria-label="Delete" icon={<Trash2 />} onClick={() => setDeleting(true)} />}
            <Button tone="primary" icon={<Play />} busy={run.isPending} onClick={() => run.mutate()}>
              Run now
            </Button>
          </>
        )}
      </PageHead>
      <div className="min-h-0 flex-1 overflow-y-auto">
        <div className="grid grid-cols-[minmax(0,1fr)_minmax(0,1.2fr)] gap-8 p-4 max-lg:grid-cols-1">
          <div className="flex flex-col gap-4">
            <p className="text-lg">{describe(schedule)}</p>
            {schedule.last_error && <Notice tone="bad">The last tick did not start a run: {schedule.last_error}</Notice>}
            <dl className="grid grid-cols-[100px_minmax(0,1fr)] gap-y-1.5">
              {facts.map(([label, value]) => (
                <div key={label} className="contents">
                  <dt className="text-faint">{label}</dt>
                  <dd className="min-w-0 truncate">{value}</dd>
                </div>
              ))}
            </dl>
            {isCode && <p className="text-faint">This schedule is defined in code. You can turn it off here, but edit it only in code.</p>}
            {schedule.input !== null && schedule.input !== undefined && <JsonView label="Run input" value={schedule.input} />}
          </div>
          <div>{schedule.enabled ? <Ticks times={schedule.next} /> : <Off key={schedule.reason} schedule={schedule} />}</div>
        </div>
        <h2 className="px-4 pt-2 pb-1 font-semibold">Last 10 runs</h2>
        {schedule.last_runs.length === 0 ? <p className="px-4 pb-4 text-faint">No runs yet.</p> : <RunTable runs={schedule.last_runs} />}
      </div>
      {filling && <Backfill schedule={schedule} onClose={() => setFilling(false)} />}
      {editing && <Edit schedule={schedule} onClose={() => setEditing(false)} />}
      <Dialog
        open={deleting}
        onClose={() => setDeleting(false)}
        title={`Delete ${schedule.name}?`}
        note="Runs it has started are kept."
        foot={
          <>
            <Button onClick={() => setDeleting(false)}>Cancel</Button>
            <Button tone="danger" busy={drop.isPending} onClick={() => drop.mutate()}>
              Delete
            </Button>
          </>
        }
      />
    </>
  );
}

/** The reason why the schedule is off, editable. */
function Off({ schedule }: { schedule: ScheduleDetail }) {
  const may = useCan("operator");
  const client = useQueryClient();
  const [reason, setReason] = useState(schedule.reason ?? "");
  const save = useMutation({
    mutationFn: () => post<Schedule>(`schedules/${part(schedule.id)}/disable`, { reason: reason.trim() || null }),
    onSuccess: () => {
      showToast("Reason saved", schedule.name);
      void client.invalidateQueries({ queryKey: ["schedules"] });
    },
    onError: (error) => showError(error),
  });
  return (
    <div className="flex flex-col gap-3">
      <Notice>
        {schedule.reason && <p className="font-medium">Turned off: {schedule.reason}</p>}
        Ticks missed while the schedule is off do not run. Use a backfill to start them later.
      </Notice>
      {may && (
        <form
          className="flex items-center gap-2"
          onSubmit={(event) => {
            event.preventDefault();
            save.mutate();
          }}
        >
          <Input aria-label="Reason for turning it off" placeholder="Reason for turning it off" maxLength={1000} value={reason} onChange={(event) => setReason(event.target.value)} />
          <Button type="submit" busy={save.isPending} disabled={reason.trim() === (schedule.reason ?? "")}>
            Save
          </Button>
        </form>
      )}
    </div>
  );
}

function Edit({ schedule, onClose }: { schedule: Schedule; onClose: () => void }) {
  const client = useQueryClient();
  const workflow = useQuery({ queryKey: ["registered", schedule.workflow], queryFn: ({ signal }) => get<Registered>(`registered/${part(schedule.workflow)}`, undefined, signal), refetchInterval: false });
  const schema = workflow.data?.input_schema ?? null;
  const [when, setWhen] = useState(() => whenOf(schedule));
  const [input, setInput] = useState(() => ({ ...newInput(null, schedule.input) }));
  const [errors, setErrors] = useState<ValidationError[]>([]);
  const [error, setError] = useState<string | null>(null);
  const act = useMutation({
    mutationFn: (value: unknown) => patch<Schedule>(`schedules/${part(schedule.id)}`, { schedule: specOf(when), input: value }),
    onSuccess: () => {
      showToast("Schedule saved", schedule.name);
      void client.invalidateQueries({ queryKey: ["schedules"] });
      onClose();
    },
    onError: (problem) => {
      if (problem instanceof Problem) setErrors(problem.errors.map((error) => ({ path: error.path, message: error.message })));
    },
  });
  return (
    <Dialog
      open
      wide
      onClose={onClose}
      title={`Edit ${schedule.name}`}
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button
            tone="primary"
            busy={act.isPending}
            onClick={() => {
              const answer = readInput(input, schema);
              setErrors(answer.errors);
              setError(answer.error);
              if (answer.errors.length === 0 && answer.error === null) act.mutate(answer.value);
            }}
          >
            Save
          </Button>
        </>
      }
    >
      <ScheduleFields when={when} onChange={setWhen} only={when.type} />
      <InputFields schema={schema} state={input} onChange={setInput} errors={errors} error={error} />
      {act.error && <Notice tone="bad">{problemText(act.error)}</Notice>}
    </Dialog>
  );
}
