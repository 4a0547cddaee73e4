/** Queues: how deep, how old, who holds the slots, and the limits, to be changed while they work. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { ChevronLeft, Layers, Pause, Play, SlidersHorizontal } from "lucide-react";
import { useState } from "react";
import { get, part, patch, post } from "@/api/client";
import { useCan } from "@/api/session";
import type { Page, Queue, QueueNumbers, QueueStats, Run } from "@/api/types";
import { Figure, Meter } from "@/components/spark";
import { RunTable } from "@/components/run-table";
import { Answer, Empty } from "@/components/states";
import { Pill } from "@/components/status";
import { Table } from "@/components/table";
import { complain, problemText, say } from "@/components/toast";
import { Ago, Button, Dialog, Field, Input, Notice, Switch, Tip } from "@/components/ui";
import { seconds } from "@/lib/time";
import { count } from "@/lib/words";
import { PageHead } from "@/shell/frame";
import { useTitle } from "@/shell/title";
import { queuesText } from "@/text";

const statsOf = (name: string) => ({ queryKey: ["queues", name, "stats"], queryFn: ({ signal }: { signal: AbortSignal }) => get<QueueStats>(`queues/${part(name)}/stats`, undefined, signal) });

interface Listed extends Queue {
  stats: QueueNumbers;
}

export function limitWords(queue: Queue): string[] {
  return [
    queue.worker_concurrency !== null && queuesText.perWorker(queue.worker_concurrency),
    queue.global_concurrency !== null && queuesText.inAll(queue.global_concurrency),
    queue.rate_limit && queuesText.rate(queue.rate_limit.limit, queue.rate_limit.per),
    queue.partitioned && queuesText.partitioned,
    queue.priority && queuesText.byPriority,
    queue.release_while_waiting && queuesText.releases,
  ].filter((word): word is string => Boolean(word));
}

export function QueuesPage() {
  useTitle(queuesText.title);
  const navigate = useNavigate();
  const query = useQuery({ queryKey: ["queues", "with stats"], queryFn: ({ signal }) => get<Page<Listed>>("queues", { stats: true }, signal) });
  const queues = query.data?.items ?? [];
  const of = (queue: Listed) => queue.stats;
  return (
    <>
      <PageHead title={queuesText.title} />
      <Answer query={query}>
        {() =>
          queues.length === 0 ? (
            <Empty icon={<Layers />} title={queuesText.none}>
              {queuesText.noneNote} <code>rt.queue("emails", worker_concurrency=4)</code>
            </Empty>
          ) : (
            <Table
              label={queuesText.title}
              rows={queues}
              id={(queue) => queue.name}
              rowHeight={44}
              onOpen={(queue) => void navigate({ to: "/queues/$name", params: { name: queue.name } })}
              phone={(queue) => {
                const stats = of(queue);
                return (
                  <div>
                    <span className="flex items-center gap-2">
                      <Link to="/queues/$name" params={{ name: queue.name }} className="truncate font-medium">
                        {queue.name}
                      </Link>
                      {queue.paused && <Pill tone="warn">{queuesText.paused}</Pill>}
                    </span>
                    <div className="truncate text-muted">{stats && queuesText.inShort(stats.enqueued, stats.running, queue.partitioned ? null : queue.global_concurrency, stats.oldest_age === null ? null : seconds(stats.oldest_age))}</div>
                  </div>
                );
              }}
              columns={[
                {
                  key: "name",
                  head: queuesText.name,
                  cell: (queue) => (
                    <span className="flex items-center gap-2">
                      <Link to="/queues/$name" params={{ name: queue.name }} className="truncate font-medium hover:underline">
                        {queue.name}
                      </Link>
                      {queue.paused && <Pill tone="warn">{queuesText.paused}</Pill>}
                    </span>
                  ),
                  width: "minmax(120px, 1fr)",
                },
                { key: "waiting", head: queuesText.enqueued, cell: (queue) => count(of(queue)?.enqueued ?? 0), width: "80px", end: true },
                {
                  key: "running",
                  head: queuesText.running,
                  cell: (queue) => {
                    const running = of(queue)?.running ?? 0;
                    return queue.global_concurrency && !queue.partitioned ? (
                      <span className="flex items-center justify-end gap-2">
                        <span className="w-16 max-md:hidden"><Meter label={queuesText.running} value={running} most={queue.global_concurrency} tone={running >= queue.global_concurrency ? "warn" : "accent"} /></span>
                        {running}/{queue.global_concurrency}
                      </span>
                    ) : (
                      running
                    );
                  },
                  width: "minmax(70px, 140px)",
                  end: true,
                },
                { key: "oldest", head: queuesText.oldest, cell: (queue) => <Old stats={of(queue)} />, width: "90px", end: true },
                { key: "flow", head: queuesText.throughput, wide: true, cell: (queue) => <span className="text-muted">{perMinute(of(queue)?.throughput_per_minute)}</span>, width: "110px", end: true },
                { key: "limits", head: queuesText.limits, wide: true, cell: (queue) => <span className="text-muted">{limitWords(queue).join(" · ") || queuesText.noLimits}</span>, width: "minmax(200px, 2fr)" },
              ]}
            />
          )
        }
      </Answer>
    </>
  );
}

const perMinute = (value: number | undefined) => (value === undefined ? "–" : queuesText.perMinute(value < 10 ? value.toFixed(1) : count(Math.round(value))));

function Old({ stats }: { stats: QueueNumbers | undefined }) {
  const age = stats?.oldest_age ?? null;
  return <span className={age !== null && age > 300 ? "text-warn" : "text-muted"}>{seconds(age)}</span>;
}

export function QueuePage() {
  const { name } = useParams({ strict: false }) as { name: string };
  useTitle(`${queuesText.title} ${name}`);
  const query = useQuery({ queryKey: ["queues", name], queryFn: ({ signal }) => get<Queue>(`queues/${part(name)}`, undefined, signal) });
  return <Answer query={query}>{(queue) => <Detail queue={queue} />}</Answer>;
}

function Detail({ queue }: { queue: Queue }) {
  const may = useCan("operator");
  const client = useQueryClient();
  const [editing, setEditing] = useState(false);
  const stats = useQuery(statsOf(queue.name)).data;
  const waiting = useQuery({
    queryKey: ["workflows", "of-queue", queue.name],
    queryFn: ({ signal }) => get<Page<Run>>("workflows", { queue: queue.name, limit: 50 }, signal),
  });
  const act = useMutation({
    mutationFn: () => post<Queue>(`queues/${part(queue.name)}/${queue.paused ? "resume" : "pause"}`),
    onSuccess: (answer) => {
      say(answer.paused ? queuesText.didPause : queuesText.didResume, queue.name);
      void client.invalidateQueries({ queryKey: ["queues"] });
    },
    onError: (error) => complain(error),
  });
  const free = queue.global_concurrency !== null && !queue.partitioned && stats ? Math.max(0, queue.global_concurrency - stats.running) : null;
  return (
    <>
      <PageHead
        title={
          <span className="flex items-center gap-1.5">
            <Link to="/queues" className="flex shrink-0 items-center text-muted hover:text-text">
              <ChevronLeft className="size-4" /> {queuesText.title}
            </Link>
            <span className="text-faint">/</span> {queue.name} {queue.paused && <Pill tone="warn">{queuesText.paused}</Pill>}
          </span>
        }
      >
        {may && (
          <>
            <Button icon={<SlidersHorizontal />} onClick={() => setEditing(true)}>
              {queuesText.edit}
            </Button>
            <Button tone={queue.paused ? "primary" : "plain"} icon={queue.paused ? <Play /> : <Pause />} busy={act.isPending} onClick={() => act.mutate()}>
              {queue.paused ? queuesText.resume : queuesText.pause}
            </Button>
          </>
        )}
      </PageHead>
      <div className="min-h-0 flex-1 overflow-y-auto">
        {queue.paused && stats && (
          <div className="px-4 pt-4" role="status">
            <Notice tone={stats.running > 0 ? "warn" : "info"} icon={<Pause />}>
              {stats.running > 0 ? queuesText.draining(stats.running) : queuesText.drained(stats.enqueued)}
            </Notice>
          </div>
        )}
        <div className="flex flex-wrap gap-x-10 gap-y-4 border-b px-4 py-4">
          <Figure label={queuesText.enqueued} value={stats ? count(stats.enqueued) : "–"} />
          <Figure label={queuesText.running} value={stats ? (free === null ? count(stats.running) : `${stats.running}/${queue.global_concurrency}`) : "–"} note={free === null ? undefined : queuesText.free(free)} />
          <Figure label={queuesText.oldest} value={seconds(stats?.oldest_age)} tone={(stats?.oldest_age ?? 0) > 300 ? "warn" : undefined} />
          <Figure label={queuesText.throughput} value={perMinute(stats?.throughput_per_minute)} />
          <Figure label={queuesText.completed} value={stats ? count(stats.completed) : "–"} />
          <Figure label={queuesText.failed} value={stats ? count(stats.failed) : "–"} tone={stats && stats.failed > 0 ? "bad" : undefined} />
          <div className="min-w-40 flex-1">
            <div className="text-xs text-faint">{queuesText.limits}</div>
            <div className="mt-0.5">{limitWords(queue).join(" · ") || queuesText.noLimits}</div>
          </div>
        </div>
        {stats && <Slots queue={queue} stats={stats} />}
        {stats && stats.partitions.length > 0 && (
          <section>
            <h2 className="px-4 pt-4 pb-1 font-semibold">{queuesText.partitions}</h2>
            <Table
              inline
              label={queuesText.partitions}
              rows={stats.partitions}
              id={(one) => one.key}
              columns={[
                { key: "key", head: queuesText.key, cell: (one) => one.key, width: "minmax(120px, 1fr)" },
                { key: "bar", head: "", wide: true, cell: (one) => <Meter label={one.key} value={one.enqueued} most={Math.max(...stats.partitions.map((other) => other.enqueued))} />, width: "minmax(120px, 2fr)" },
                { key: "enqueued", head: queuesText.enqueued, cell: (one) => count(one.enqueued), width: "80px", end: true },
                { key: "running", head: queuesText.running, cell: (one) => count(one.running), width: "80px", end: true },
              ]}
            />
          </section>
        )}
        <section>
          <h2 className="px-4 pt-4 pb-1 font-semibold">{queuesText.holders}</h2>
          {stats && stats.holders.length === 0 ? (
            <p className="px-4 pb-2 text-faint">{queuesText.noHolders}</p>
          ) : (
            <Table
              inline
              label={queuesText.holders}
              rows={stats?.holders ?? []}
              id={(holder) => holder.workflow_id}
              columns={[
                { key: "id", head: queuesText.run, cell: (holder) => <Link to="/runs/$id" params={{ id: holder.workflow_id }} className="font-mono text-xs hover:underline">{holder.workflow_id}</Link>, width: "minmax(120px, 1.4fr)" },
                { key: "name", head: queuesText.workflow, cell: (holder) => <span className="text-muted">{holder.name}</span>, width: "minmax(90px, 1fr)" },
                { key: "executor", head: queuesText.executor, wide: true, cell: (holder) => <span className="font-mono text-xs text-muted">{holder.executor_id ?? "–"}</span>, width: "minmax(120px, 1fr)" },
                { key: "since", head: queuesText.since, cell: (holder) => <Ago at={holder.since} className="text-muted" />, width: "80px", end: true },
              ]}
            />
          )}
        </section>
        <section className="pb-6">
          <div className="flex items-baseline gap-3 px-4 pt-4 pb-1">
            <h2 className="font-semibold">{queuesText.latest}</h2>
            <Link to="/runs" search={{ queue: queue.name }} className="text-accent hover:underline">
              {queuesText.all}
            </Link>
          </div>
          <Answer query={waiting}>{(page) => (page.items.length === 0 ? <p className="px-4 text-faint">{queuesText.noRuns}</p> : <RunTable runs={page.items} />)}</Answer>
        </section>
      </div>
      {editing && <Limits queue={queue} onClose={() => setEditing(false)} />}
    </>
  );
}

const slotsShown = 64;

/** The places of a queue and who is in them: all of it, or those of each process, as the limits say. */
function Slots({ queue, stats }: { queue: Queue; stats: QueueStats }) {
  const most = queue.partitioned ? null : queue.global_concurrency;
  const each = queue.partitioned ? null : queue.worker_concurrency;
  const byProcess = new Map<string, number>();
  for (const holder of stats.holders) if (holder.executor_id) byProcess.set(holder.executor_id, (byProcess.get(holder.executor_id) ?? 0) + 1);
  if (most === null && (each === null || byProcess.size === 0)) return null;
  return (
    <section className="flex flex-wrap gap-x-12 gap-y-4 border-b px-4 py-4">
      {most !== null && most <= slotsShown && (
        <div className="min-w-0">
          <h2 className="mb-1.5 text-xs text-faint">{queuesText.slots}</h2>
          <ul className="flex flex-wrap gap-1">
            {Array.from({ length: Math.max(most, stats.holders.length) }, (_, index) => {
              const holder = stats.holders[index];
              return (
                <li key={holder?.workflow_id ?? index}>
                  {holder ? (
                    <Tip text={`${holder.workflow_id} · ${holder.name}`}>
                      <Link to="/runs/$id" params={{ id: holder.workflow_id }} aria-label={queuesText.slotOf(holder.workflow_id)} className="block h-6 w-9 rounded-sm bg-accent hover:bg-accent-hover" />
                    </Tip>
                  ) : (
                    <span title={queuesText.slotFree} className="block h-6 w-9 rounded-sm border border-dashed border-line-strong" />
                  )}
                </li>
              );
            })}
          </ul>
        </div>
      )}
      {byProcess.size > 0 && each !== null && (
        <div className="min-w-0">
          <h2 className="mb-1.5 text-xs text-faint">{queuesText.byProcess}</h2>
          <ul className="flex flex-col gap-1.5">
            {[...byProcess].map(([executor, held]) => (
              <li key={executor} className="grid grid-cols-[minmax(60px,auto)_120px_auto] items-center justify-start gap-3 text-xs">
                <Link to="/executors" className="truncate font-mono hover:underline">
                  {executor}
                </Link>
                <Meter label={executor} value={held} most={each} tone={held >= each ? "warn" : "accent"} />
                <span className="whitespace-nowrap text-muted">
                  {held} {queuesText.ofEach(each)}
                </span>
              </li>
            ))}
          </ul>
        </div>
      )}
    </section>
  );
}

function Limits({ queue, onClose }: { queue: Queue; onClose: () => void }) {
  const client = useQueryClient();
  const [worker, setWorker] = useState(queue.worker_concurrency?.toString() ?? "");
  const [global, setGlobal] = useState(queue.global_concurrency?.toString() ?? "");
  const [limit, setLimit] = useState(queue.rate_limit?.limit.toString() ?? "");
  const [per, setPer] = useState(queue.rate_limit?.per.toString() ?? "60");
  const [releases, setReleases] = useState(queue.release_while_waiting);
  const [batch, setBatch] = useState(queue.batch_max.toString());
  const [priority, setPriority] = useState(queue.priority);
  const number = (text: string) => (text.trim() === "" ? null : Number(text));
  const wrong = [worker, global, limit, per, batch].some((text) => text.trim() !== "" && !(Number(text) > 0)) || batch.trim() === "";
  const act = useMutation({
    mutationFn: () =>
      patch<Queue>(`queues/${part(queue.name)}`, {
        worker_concurrency: number(worker),
        global_concurrency: number(global),
        rate_limit: number(limit) === null ? null : { limit: number(limit), per: number(per) ?? 60 },
        ...(number(batch) !== null && number(batch) !== queue.batch_max && { batch_max: number(batch) }),
        ...(priority !== queue.priority && { priority }),
        ...(releases !== queue.release_while_waiting && { release_while_waiting: releases }),
      }),
    onSuccess: () => {
      say(queuesText.saved, queue.name);
      void client.invalidateQueries({ queryKey: ["queues"] });
      onClose();
    },
  });
  return (
    <Dialog
      open
      onClose={onClose}
      title={queuesText.editTitle(queue.name)}
      note={queuesText.editNote}
      foot={
        <>
          <Button onClick={onClose}>{queuesText.cancel}</Button>
          <Button tone="primary" busy={act.isPending} disabled={wrong} onClick={() => act.mutate()}>
            {queuesText.save}
          </Button>
        </>
      }
    >
      <div className="grid grid-cols-2 gap-3">
        <Field label={queuesText.workerField} hint={queuesText.emptyIsNone}>{(wires) => <Input {...wires} inputMode="numeric" value={worker} onChange={(event) => setWorker(event.target.value)} />}</Field>
        <Field label={queuesText.globalField} hint={queuesText.emptyIsNone}>{(wires) => <Input {...wires} inputMode="numeric" value={global} onChange={(event) => setGlobal(event.target.value)} />}</Field>
        <Field label={queuesText.rateField} hint={queuesText.emptyIsNone}>{(wires) => <Input {...wires} inputMode="numeric" value={limit} onChange={(event) => setLimit(event.target.value)} />}</Field>
        <Field label={queuesText.perField}>{(wires) => <Input {...wires} inputMode="decimal" value={per} onChange={(event) => setPer(event.target.value)} />}</Field>
        <Field label={queuesText.batchField} hint={queuesText.batchHint}>{(wires) => <Input {...wires} inputMode="numeric" value={batch} onChange={(event) => setBatch(event.target.value)} />}</Field>
      </div>
      <div className="flex items-center justify-between gap-3">
        <div>
          <div>{queuesText.priorityField}</div>
          <div className="text-xs text-faint">{queuesText.priorityHint}</div>
        </div>
        <Switch label={queuesText.priorityField} checked={priority} onCheckedChange={setPriority} />
      </div>
      <div className="flex items-center justify-between gap-3">
        <div>
          <div>{queuesText.releasesField}</div>
          <div className="text-xs text-faint">{queuesText.releasesHint}</div>
        </div>
        <Switch label={queuesText.releasesField} checked={releases} onCheckedChange={setReleases} />
      </div>
      {act.error && <Notice tone="bad">{problemText(act.error)}</Notice>}
    </Dialog>
  );
}
