/** Queues: depth, age, slot holders, and limits that can be changed while they run. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { ChevronLeft, Layers, Pause, Play, SlidersHorizontal } from "lucide-react";
import { useState } from "react";
import { get, part, patch, post } from "@/api/client";
import { useCan } from "@/api/session";
import type { ListedQueue, Page, Queue, QueueStats, Run } from "@/api/types";
import { Figure, Meter } from "@/components/figures";
import { RunTable } from "@/components/run-table";
import { Empty, Loaded } from "@/components/states";
import { Pill } from "@/components/status";
import { Table } from "@/components/table";
import { problemText, showError, showToast } from "@/components/toast";
import { Ago, Button, Dialog, Field, Input, Notice, Switch, Tip } from "@/components/ui";
import { count, plural } from "@/lib/format";
import { seconds } from "@/lib/time";
import { PageHead } from "@/shell/frame";
import { useTitle } from "@/shell/title";

const summaryOf = (waiting: number, running: number, most: number | null, oldest: string | null) => [`${count(waiting)} enqueued`, `${count(running)}${most === null ? "" : `/${count(most)}`} running`, oldest && `oldest ${oldest}`].filter(Boolean).join(" · ");

const statsOf = (name: string) => ({ queryKey: ["queues", name, "stats"], queryFn: ({ signal }: { signal: AbortSignal }) => get<QueueStats>(`queues/${part(name)}/stats`, undefined, signal) });

export function limitWords(queue: Queue): string[] {
  return [
    queue.worker_concurrency !== null && `${count(queue.worker_concurrency)} per process`,
    queue.global_concurrency !== null && `${count(queue.global_concurrency)} in total`,
    queue.rate_limit && `${count(queue.rate_limit.limit)} per ${queue.rate_limit.per === 1 ? "second" : queue.rate_limit.per === 60 ? "minute" : queue.rate_limit.per === 3600 ? "hour" : `${queue.rate_limit.per} s`}`,
    queue.partitioned && "by key",
    queue.priority && "by priority",
    queue.release_while_waiting && "waiting runs release their slot",
  ].filter((word): word is string => Boolean(word));
}

export function QueuesPage() {
  useTitle("Queues");
  const navigate = useNavigate();
  const query = useQuery({ queryKey: ["queues", "with stats"], queryFn: ({ signal }) => get<Page<ListedQueue>>("queues", { stats: true }, signal) });
  const queues = query.data?.items ?? [];
  const of = (queue: ListedQueue) => queue.stats;
  return (
    <>
      <PageHead title="Queues" />
      <Loaded query={query}>
        {() =>
          queues.length === 0 ? (
            <Empty icon={<Layers />} title="No queues">
              Declare a queue before the runtime launches: <code>rt.queue("emails", worker_concurrency=4)</code>
            </Empty>
          ) : (
            <Table
              label="Queues"
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
                      {queue.paused && <Pill tone="warn">Paused</Pill>}
                    </span>
                    <div className="truncate text-muted">{stats && summaryOf(stats.enqueued, stats.running, queue.partitioned ? null : queue.global_concurrency, stats.oldest_age === null ? null : seconds(stats.oldest_age))}</div>
                  </div>
                );
              }}
              columns={[
                {
                  key: "name",
                  head: "Queue",
                  cell: (queue) => (
                    <span className="flex items-center gap-2">
                      <Link to="/queues/$name" params={{ name: queue.name }} className="truncate font-medium hover:underline">
                        {queue.name}
                      </Link>
                      {queue.paused && <Pill tone="warn">Paused</Pill>}
                    </span>
                  ),
                  width: "minmax(120px, 1fr)",
                },
                { key: "waiting", head: "Enqueued", cell: (queue) => count(of(queue)?.enqueued ?? 0), width: "80px", end: true },
                {
                  key: "running",
                  head: "Running",
                  cell: (queue) => {
                    const running = of(queue)?.running ?? 0;
                    return queue.global_concurrency && !queue.partitioned ? (
                      <span className="flex items-center justify-end gap-2">
                        <span className="w-16 max-md:hidden"><Meter label="Running" value={running} most={queue.global_concurrency} tone={running >= queue.global_concurrency ? "warn" : "accent"} /></span>
                        {running}/{queue.global_concurrency}
                      </span>
                    ) : (
                      running
                    );
                  },
                  width: "minmax(70px, 140px)",
                  end: true,
                },
                { key: "oldest", head: "Oldest", cell: (queue) => <Old stats={of(queue)} />, width: "90px", end: true },
                { key: "flow", head: "Throughput", wide: true, cell: (queue) => <span className="text-muted">{perMinute(of(queue)?.throughput_per_minute)}</span>, width: "110px", end: true },
                { key: "limits", head: "Limits", wide: true, cell: (queue) => <span className="text-muted">{limitWords(queue).join(" · ") || "no limits"}</span>, width: "minmax(200px, 2fr)" },
              ]}
            />
          )
        }
      </Loaded>
    </>
  );
}

const perMinute = (value: number | undefined) => (value === undefined ? "–" : `${(value < 10 ? value.toFixed(1) : count(Math.round(value)))}/min`);

function Old({ stats }: { stats: ListedQueue["stats"] }) {
  const age = stats?.oldest_age ?? null;
  return <span className={age !== null && age > 300 ? "text-warn" : "text-muted"}>{seconds(age)}</span>;
}

export function QueuePage() {
  const { name } = useParams({ strict: false }) as { name: string };
  useTitle(`Queues ${name}`);
  const query = useQuery({ queryKey: ["queues", name], queryFn: ({ signal }) => get<Queue>(`queues/${part(name)}`, undefined, signal) });
  return <Loaded query={query}>{(queue) => <Detail queue={queue} />}</Loaded>;
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
      showToast(answer.paused ? "Queue paused. Active runs finish; no new ones start." : "Queue resumed", queue.name);
      void client.invalidateQueries({ queryKey: ["queues"] });
    },
    onError: (error) => showError(error),
  });
  const free = queue.global_concurrency !== null && !queue.partitioned && stats ? Math.max(0, queue.global_concurrency - stats.running) : null;
  return (
    <>
      <PageHead
        title={
          <span className="flex items-center gap-1.5">
            <Link to="/queues" className="flex shrink-0 items-center text-muted hover:text-text">
              <ChevronLeft className="size-4" /> Queues
            </Link>
            <span className="text-faint">/</span> {queue.name} {queue.paused && <Pill tone="warn">Paused</Pill>}
          </span>
        }
      >
        {may && (
          <>
            <Button icon={<SlidersHorizontal />} onClick={() => setEditing(true)}>
              Edit limits
            </Button>
            <Button tone={queue.paused ? "primary" : "plain"} icon={queue.paused ? <Play /> : <Pause />} busy={act.isPending} onClick={() => act.mutate()}>
              {queue.paused ? "Resume" : "Pause"}
            </Button>
          </>
        )}
      </PageHead>
      <div className="min-h-0 flex-1 overflow-y-auto">
        {queue.paused && stats && (
          <div className="px-4 pt-4" role="status">
            <Notice tone={stats.running > 0 ? "warn" : "info"} icon={<Pause />}>
              {stats.running > 0 ? `Paused. ${plural(stats.running, "run")} still running; no new runs start.` : `Paused. Nothing is running.${stats.enqueued > 0 ? ` ${plural(stats.enqueued, "run")} ${stats.enqueued === 1 ? "waits" : "wait"}.` : ""}`}
            </Notice>
          </div>
        )}
        <div className="flex flex-wrap gap-x-10 gap-y-4 border-b px-4 py-4">
          <Figure label="Enqueued" value={stats ? count(stats.enqueued) : "–"} />
          <Figure label="Running" value={stats ? (free === null ? count(stats.running) : `${stats.running}/${queue.global_concurrency}`) : "–"} note={free === null ? undefined : (free === 0 ? "no free slots" : `${plural(free, "slot")} free`)} />
          <Figure label="Oldest" value={seconds(stats?.oldest_age)} tone={(stats?.oldest_age ?? 0) > 300 ? "warn" : undefined} />
          <Figure label="Throughput" value={perMinute(stats?.throughput_per_minute)} />
          <Figure label="Completed" value={stats ? count(stats.completed) : "–"} />
          <Figure label="Failed" value={stats ? count(stats.failed) : "–"} tone={stats && stats.failed > 0 ? "bad" : undefined} />
          <div className="min-w-40 flex-1">
            <div className="text-xs text-faint">Limits</div>
            <div className="mt-0.5">{limitWords(queue).join(" · ") || "no limits"}</div>
          </div>
        </div>
        {stats && <Slots queue={queue} stats={stats} />}
        {stats && stats.partitions.length > 0 && (
          <section>
            <h2 className="px-4 pt-4 pb-1 font-semibold">Busiest keys</h2>
            <Table
              inline
              label="Busiest keys"
              rows={stats.partitions}
              id={(item) => item.key}
              columns={[
                { key: "key", head: "Key", cell: (item) => item.key, width: "minmax(120px, 1fr)" },
                { key: "bar", head: "", wide: true, cell: (item) => <Meter label={item.key} value={item.enqueued} most={Math.max(...stats.partitions.map((other) => other.enqueued))} />, width: "minmax(120px, 2fr)" },
                { key: "enqueued", head: "Enqueued", cell: (item) => count(item.enqueued), width: "80px", end: true },
                { key: "running", head: "Running", cell: (item) => count(item.running), width: "80px", end: true },
              ]}
            />
          </section>
        )}
        <section>
          <h2 className="px-4 pt-4 pb-1 font-semibold">Slot holders</h2>
          {stats && stats.holders.length === 0 ? (
            <p className="px-4 pb-2 text-faint">No runs of this queue are executing.</p>
          ) : (
            <Table
              inline
              label="Slot holders"
              rows={stats?.holders ?? []}
              id={(holder) => holder.workflow_id}
              columns={[
                { key: "id", head: "Run", cell: (holder) => <Link to="/runs/$id" params={{ id: holder.workflow_id }} className="font-mono text-xs hover:underline">{holder.workflow_id}</Link>, width: "minmax(120px, 1.4fr)" },
                { key: "name", head: "Workflow", cell: (holder) => <span className="text-muted">{holder.name}</span>, width: "minmax(90px, 1fr)" },
                { key: "executor", head: "Executor", wide: true, cell: (holder) => <span className="font-mono text-xs text-muted">{holder.executor_id ?? "–"}</span>, width: "minmax(120px, 1fr)" },
                { key: "since", head: "Since", cell: (holder) => <Ago at={holder.since} className="text-muted" />, width: "80px", end: true },
              ]}
            />
          )}
        </section>
        <section className="pb-6">
          <div className="flex items-baseline gap-3 px-4 pt-4 pb-1">
            <h2 className="font-semibold">Latest runs</h2>
            <Link to="/runs" search={{ queue: queue.name }} className="text-accent hover:underline">
              View all
            </Link>
          </div>
          <Loaded query={waiting}>{(page) => (page.items.length === 0 ? <p className="px-4 text-faint">No runs in this queue yet.</p> : <RunTable runs={page.items} />)}</Loaded>
        </section>
      </div>
      {editing && <Limits queue={queue} onClose={() => setEditing(false)} />}
    </>
  );
}

const slotsShown = 64;

/** Slots of a queue and their runs, in total or per process depending on the limits. */
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
          <h2 className="mb-1.5 text-xs text-faint">Slots</h2>
          <ul className="flex flex-wrap gap-1">
            {Array.from({ length: Math.max(most, stats.holders.length) }, (_, index) => {
              const holder = stats.holders[index];
              return (
                <li key={holder?.workflow_id ?? index}>
                  {holder ? (
                    <Tip text={`${holder.workflow_id} · ${holder.name}`}>
                      <Link to="/runs/$id" params={{ id: holder.workflow_id }} aria-label={`Slot of ${holder.workflow_id}`} className="block h-6 w-9 rounded-sm bg-accent hover:bg-accent-hover" />
                    </Tip>
                  ) : (
                    <span title="Free" className="block h-6 w-9 rounded-sm border border-dashed border-line-strong" />
                  )}
                </li>
              );
            })}
          </ul>
        </div>
      )}
      {byProcess.size > 0 && each !== null && (
        <div className="min-w-0">
          <h2 className="mb-1.5 text-xs text-faint">Slots by executor</h2>
          <ul className="flex flex-col gap-1.5">
            {[...byProcess].map(([executor, held]) => (
              <li key={executor} className="grid grid-cols-[minmax(60px,auto)_120px_auto] items-center justify-start gap-3 text-xs">
                <Link to="/executors" className="truncate font-mono hover:underline">
                  {executor}
                </Link>
                <Meter label={executor} value={held} most={each} tone={held >= each ? "warn" : "accent"} />
                <span className="whitespace-nowrap text-muted">
                  {held} {`of ${count(each)}`}
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
      showToast("Limits saved", queue.name);
      void client.invalidateQueries({ queryKey: ["queues"] });
      onClose();
    },
  });
  return (
    <Dialog
      open
      onClose={onClose}
      title={`Limits of ${queue.name}`}
      note="Takes effect immediately in all processes. If more runs are active than the new limit allows, they finish normally."
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button tone="primary" busy={act.isPending} disabled={wrong} onClick={() => act.mutate()}>
            Save
          </Button>
        </>
      }
    >
      <div className="grid grid-cols-2 gap-3">
        <Field label="Concurrency per process" hint="Leave empty for no limit.">{(wires) => <Input {...wires} inputMode="numeric" value={worker} onChange={(event) => setWorker(event.target.value)} />}</Field>
        <Field label="Total concurrency" hint="Leave empty for no limit.">{(wires) => <Input {...wires} inputMode="numeric" value={global} onChange={(event) => setGlobal(event.target.value)} />}</Field>
        <Field label="Starts per window" hint="Leave empty for no limit.">{(wires) => <Input {...wires} inputMode="numeric" value={limit} onChange={(event) => setLimit(event.target.value)} />}</Field>
        <Field label="Window (seconds)">{(wires) => <Input {...wires} inputMode="decimal" value={per} onChange={(event) => setPer(event.target.value)} />}</Field>
        <Field label="Batch size" hint="Runs claimed at a time.">{(wires) => <Input {...wires} inputMode="numeric" value={batch} onChange={(event) => setBatch(event.target.value)} />}</Field>
      </div>
      <div className="flex items-center justify-between gap-3">
        <div>
          <div>Use priorities</div>
          <div className="text-xs text-faint">Lower numbers first; otherwise in order of enqueueing.</div>
        </div>
        <Switch label="Use priorities" checked={priority} onCheckedChange={setPriority} />
      </div>
      <div className="flex items-center justify-between gap-3">
        <div>
          <div>Release slot while waiting</div>
          <div className="text-xs text-faint">While a run sleeps or waits, another run can use its slot.</div>
        </div>
        <Switch label="Release slot while waiting" checked={releases} onCheckedChange={setReleases} />
      </div>
      {act.error && <Notice tone="bad">{problemText(act.error)}</Notice>}
    </Dialog>
  );
}
