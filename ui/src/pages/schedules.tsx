/** Schedules: in a sentence, with what comes next and what came last. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { CalendarClock, ChevronLeft, Clock, Code, History, Pencil, Play, Plus, Trash2 } from "lucide-react";
import { useState } from "react";
import { get, part, patch, post, Problem, remove } from "@/api/client";
import { useCan } from "@/api/session";
import type { Page, Registered, Schedule, ScheduleDetail } from "@/api/types";
import { freshInput, InputFields, readInput } from "@/components/input-fields";
import { JsonView } from "@/components/json";
import { RunTable } from "@/components/run-table";
import { describe, ScheduleFields, specOf, Ticks, whenOf } from "@/components/schedule-fields";
import { Answer, Empty } from "@/components/states";
import { Table } from "@/components/table";
import { complain, problemText, say } from "@/components/toast";
import { Ago, Button, Dialog, Input, Notice, Switch, Tip } from "@/components/ui";
import type { Fault } from "@/lib/schema";
import { short } from "@/lib/time";
import { PageHead } from "@/shell/frame";
import { useTitle } from "@/shell/title";
import { scheduleText } from "@/text";
import { Backfill } from "./schedules-backfill";

export function useEnable() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ schedule, on }: { schedule: Schedule; on: boolean }) => post<Schedule>(`schedules/${part(schedule.id)}/${on ? "enable" : "disable"}`),
    onSuccess: (_, { schedule, on }) => {
      say(on ? scheduleText.enabled : scheduleText.disabled, schedule.name);
      void client.invalidateQueries({ queryKey: ["schedules"] });
    },
    onError: (error) => complain(error),
  });
}

export function SchedulesPage() {
  useTitle(scheduleText.title);
  const navigate = useNavigate();
  const may = useCan("operator");
  const enable = useEnable();
  const query = useQuery({ queryKey: ["schedules"], queryFn: ({ signal }) => get<Page<Schedule>>("schedules", { limit: 500 }, signal) });
  const fresh = (
    <Button tone="primary" icon={<Plus />} onClick={() => void navigate({ to: "/start", search: { when: "cron" } })}>
      {scheduleText.create}
    </Button>
  );
  return (
    <>
      <PageHead title={scheduleText.title}>{may && fresh}</PageHead>
      <Answer query={query}>
        {(page) =>
          page.items.length === 0 ? (
            <Empty icon={<Clock />} title={scheduleText.none} action={may && fresh}>
              {scheduleText.noneNote} <code>@turbine.workflow(schedule="0 3 * * *")</code>
            </Empty>
          ) : (
            <Table
              label={scheduleText.title}
              rows={page.items}
              id={(one) => one.id}
              rowHeight={48}
              phoneHeight={68}
              onOpen={(one) => void navigate({ to: "/schedules/$id", params: { id: one.id } })}
              phone={(one) => (
                <div className="flex items-center gap-3">
                  <div className="min-w-0 flex-1">
                    <Link to="/schedules/$id" params={{ id: one.id }} className="font-medium">
                      {one.name}
                    </Link>
                    <div className="truncate text-muted">{describe(one)}</div>
                  </div>
                  <Switch label={scheduleText.enable(one.name)} checked={one.enabled} disabled={!may} onCheckedChange={(on) => enable.mutate({ schedule: one, on })} />
                </div>
              )}
              columns={[
                {
                  key: "name",
                  head: scheduleText.name,
                  cell: (one) => (
                    <span className="flex items-center gap-2">
                      <Kind schedule={one} />
                      <span className="min-w-0">
                        <Link to="/schedules/$id" params={{ id: one.id }} className="block truncate font-medium hover:underline">
                          {one.name}
                        </Link>
                        <span className="block truncate text-xs text-faint">{one.workflow}</span>
                      </span>
                    </span>
                  ),
                  width: "minmax(140px, 1fr)",
                },
                {
                  key: "when",
                  head: scheduleText.when,
                  cell: (one) => (
                    <span>
                      <span className="block truncate">{describe(one)}</span>
                      <span className="block truncate text-xs text-faint">
                        {one.type === "once" ? one.scheduled_at && short(Date.parse(one.scheduled_at)) : <><span className="font-mono">{one.cron_expression}</span> · {one.timezone ?? "UTC"}</>}
                        {one.reason && <span className="text-warn" title={one.reason}> · {one.reason}</span>}
                      </span>
                    </span>
                  ),
                  width: "minmax(180px, 2fr)",
                },
                { key: "next", head: scheduleText.nextColumn, cell: (one) => (one.enabled ? <Ago at={one.next_at} /> : <span className="text-faint">{scheduleText.off}</span>), width: "90px" },
                {
                  key: "last",
                  head: scheduleText.lastColumn,
                  wide: true,
                  cell: (one) =>
                    one.last_error ? (
                      <span className="text-bad" title={one.last_error}>
                        {scheduleText.lastFailed}
                      </span>
                    ) : one.last_workflow_id ? (
                      <Link to="/runs/$id" params={{ id: one.last_workflow_id }} className="hover:underline">
                        <Ago at={one.last_at} className="text-muted" />
                      </Link>
                    ) : (
                      <span className="text-faint">{scheduleText.never}</span>
                    ),
                  width: "110px",
                },
                { key: "on", head: scheduleText.on, cell: (one) => <span className="inline-flex align-middle"><Switch label={scheduleText.enable(one.name)} checked={one.enabled} disabled={!may} onCheckedChange={(on) => enable.mutate({ schedule: one, on })} /></span>, width: "44px" },
              ]}
            />
          )
        }
      </Answer>
    </>
  );
}

function Kind({ schedule }: { schedule: Schedule }) {
  const Icon = schedule.type === "compile" ? Code : schedule.type === "once" ? CalendarClock : Clock;
  return (
    <Tip text={scheduleText.kinds[schedule.type]}>
      <span>
        <Icon className="size-4 text-faint" />
      </span>
    </Tip>
  );
}

export function SchedulePage() {
  const { id } = useParams({ strict: false }) as { id: string };
  const query = useQuery({ queryKey: ["schedules", id], queryFn: ({ signal }) => get<ScheduleDetail>(`schedules/${part(id)}`, undefined, signal) });
  useTitle(query.data ? `${scheduleText.title} ${query.data.name}` : scheduleText.title);
  return <Answer query={query}>{(schedule) => <Detail schedule={schedule} />}</Answer>;
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
      say(scheduleText.started, made.workflow_id);
      void navigate({ to: "/runs/$id", params: { id: made.workflow_id } });
    },
    onError: (error) => complain(error),
  });
  const drop = useMutation({
    mutationFn: () => remove(`schedules/${part(schedule.id)}`),
    onSuccess: () => {
      say(scheduleText.deleted, schedule.name);
      void client.invalidateQueries({ queryKey: ["schedules"] });
      void navigate({ to: "/schedules" });
    },
    onError: (error) => complain(error),
  });
  const isCode = schedule.type === "compile";
  const facts: [string, React.ReactNode][] = [
    [scheduleText.workflow, <Link key="w" to="/workflows/$name" params={{ name: schedule.workflow }} className="text-accent hover:underline">{schedule.workflow}</Link>],
    [scheduleText.kind, scheduleText.kinds[schedule.type]],
    ...(schedule.type === "once"
      ? ([[scheduleText.at, schedule.scheduled_at ? short(Date.parse(schedule.scheduled_at)) : "–"]] as [string, React.ReactNode][])
      : ([
          [scheduleText.cron, <code key="c" className="font-mono text-xs leading-5">{schedule.cron_expression}</code>],
          [scheduleText.zone, schedule.timezone ?? "UTC"],
          [scheduleText.jitter, schedule.jitter ? scheduleText.upTo(schedule.jitter) : scheduleText.noJitter],
          [scheduleText.catchUp, scheduleText.catchUps[schedule.catch_up]],
          [scheduleText.overlap, scheduleText.overlaps[schedule.overlap]],
        ] as [string, React.ReactNode][])),
    [scheduleText.createdLabel, <Ago key="t" at={schedule.created} />],
  ];
  return (
    <>
      <PageHead
        title={
          <span className="flex items-center gap-1.5">
            <Link to="/schedules" className="flex shrink-0 items-center text-muted hover:text-text">
              <ChevronLeft className="size-4" /> {scheduleText.title}
            </Link>
            <span className="text-faint">/</span> {schedule.name}
          </span>
        }
      >
        <span className="flex items-center gap-2 text-muted">
          {schedule.enabled ? scheduleText.isOn : scheduleText.isOff}
          <Switch label={scheduleText.enable(schedule.name)} checked={schedule.enabled} disabled={!may} onCheckedChange={(on) => enable.mutate({ schedule, on })} />
        </span>
        {may && (
          <>
            {schedule.type !== "once" && (
              <Button icon={<History />} onClick={() => setFilling(true)}>
                {scheduleText.backfill}
              </Button>
            )}
            {!isCode && (
              <Button icon={<Pencil />} onClick={() => setEditing(true)}>
                {scheduleText.edit}
              </Button>
            )}
            {!isCode && <Button tone="danger" aria-label={scheduleText.delete} icon={<Trash2 />} onClick={() => setDeleting(true)} />}
            <Button tone="primary" icon={<Play />} busy={run.isPending} onClick={() => run.mutate()}>
              {scheduleText.runNow}
            </Button>
          </>
        )}
      </PageHead>
      <div className="min-h-0 flex-1 overflow-y-auto">
        <div className="grid grid-cols-[minmax(0,1fr)_minmax(0,1.2fr)] gap-8 p-4 max-lg:grid-cols-1">
          <div className="flex flex-col gap-4">
            <p className="text-lg">{describe(schedule)}</p>
            {schedule.last_error && <Notice tone="bad">{scheduleText.lastError(schedule.last_error)}</Notice>}
            <dl className="grid grid-cols-[100px_minmax(0,1fr)] gap-y-1.5">
              {facts.map(([label, value]) => (
                <div key={label} className="contents">
                  <dt className="text-faint">{label}</dt>
                  <dd className="min-w-0 truncate">{value}</dd>
                </div>
              ))}
            </dl>
            {isCode && <p className="text-faint">{scheduleText.codeNote}</p>}
            {schedule.input !== null && schedule.input !== undefined && <JsonView label={scheduleText.input} value={schedule.input} />}
          </div>
          <div>{schedule.enabled ? <Ticks times={schedule.next} /> : <Off key={schedule.reason} schedule={schedule} />}</div>
        </div>
        <h2 className="px-4 pt-2 pb-1 font-semibold">{scheduleText.lastRuns}</h2>
        {schedule.last_runs.length === 0 ? <p className="px-4 pb-4 text-faint">{scheduleText.noRuns}</p> : <RunTable runs={schedule.last_runs} />}
      </div>
      {filling && <Backfill schedule={schedule} onClose={() => setFilling(false)} />}
      {editing && <Edit schedule={schedule} onClose={() => setEditing(false)} />}
      <Dialog
        open={deleting}
        onClose={() => setDeleting(false)}
        title={scheduleText.deleteTitle(schedule.name)}
        note={scheduleText.deleteNote}
        foot={
          <>
            <Button onClick={() => setDeleting(false)}>{scheduleText.cancel}</Button>
            <Button tone="danger" busy={drop.isPending} onClick={() => drop.mutate()}>
              {scheduleText.delete}
            </Button>
          </>
        }
      />
    </>
  );
}

/** Why nothing comes next; whoever turned it off may say so. */
function Off({ schedule }: { schedule: ScheduleDetail }) {
  const may = useCan("operator");
  const client = useQueryClient();
  const [reason, setReason] = useState(schedule.reason ?? "");
  const keep = useMutation({
    mutationFn: () => post<Schedule>(`schedules/${part(schedule.id)}/disable`, { reason: reason.trim() || null }),
    onSuccess: () => {
      say(scheduleText.reasonSaved, schedule.name);
      void client.invalidateQueries({ queryKey: ["schedules"] });
    },
    onError: (error) => complain(error),
  });
  return (
    <div className="flex flex-col gap-3">
      <Notice>
        {schedule.reason && <p className="font-medium">{scheduleText.offBecause(schedule.reason)}</p>}
        {scheduleText.offNote}
      </Notice>
      {may && (
        <form
          className="flex items-center gap-2"
          onSubmit={(event) => {
            event.preventDefault();
            keep.mutate();
          }}
        >
          <Input aria-label={scheduleText.reason} placeholder={scheduleText.reason} maxLength={1000} value={reason} onChange={(event) => setReason(event.target.value)} />
          <Button type="submit" busy={keep.isPending} disabled={reason.trim() === (schedule.reason ?? "")}>
            {scheduleText.saveReason}
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
  const [input, setInput] = useState(() => ({ ...freshInput(null, schedule.input) }));
  const [found, setFound] = useState<Fault[]>([]);
  const [error, setError] = useState<string | null>(null);
  const act = useMutation({
    mutationFn: (value: unknown) => patch<Schedule>(`schedules/${part(schedule.id)}`, { schedule: specOf(when), input: value }),
    onSuccess: () => {
      say(scheduleText.saved, schedule.name);
      void client.invalidateQueries({ queryKey: ["schedules"] });
      onClose();
    },
    onError: (problem) => {
      if (problem instanceof Problem) setFound(problem.errors.map((one) => ({ path: one.path, message: one.message })));
    },
  });
  return (
    <Dialog
      open
      wide
      onClose={onClose}
      title={scheduleText.editTitle(schedule.name)}
      foot={
        <>
          <Button onClick={onClose}>{scheduleText.cancel}</Button>
          <Button
            tone="primary"
            busy={act.isPending}
            onClick={() => {
              const answer = readInput(input, schema);
              setFound(answer.faults);
              setError(answer.error);
              if (answer.faults.length === 0 && answer.error === null) act.mutate(answer.value);
            }}
          >
            {scheduleText.save}
          </Button>
        </>
      }
    >
      <ScheduleFields when={when} onChange={setWhen} only={when.type} />
      <InputFields schema={schema} state={input} onChange={setInput} found={found} error={error} />
      {act.error && <Notice tone="bad">{problemText(act.error)}</Notice>}
    </Dialog>
  );
}
