/** Live executors with their metrics, and past executors. */

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Cpu } from "lucide-react";
import { get } from "@/api/client";
import type { Executor, ExecutorList, PastExecutor } from "@/api/types";
import { Empty, Loaded } from "@/components/states";
import { Pill } from "@/components/status";
import { Table } from "@/components/table";
import { Ago, Tip } from "@/components/ui";
import { bytes, classes, plural } from "@/lib/format";
import { duration, seconds } from "@/lib/time";
import { PageHead } from "@/shell/frame";
import { useTitle } from "@/shell/title";

const summaryOf = (runs: number, beat: string, lag: string | null, memory: string | null) => [plural(runs, "run"), `heartbeat ${beat}`, lag && `lag ${lag}`, memory].filter(Boolean).join(" · ");

const late = 0.2;

export function ExecutorsPage() {
  useTitle("Executors");
  const query = useQuery({ queryKey: ["executors"], queryFn: ({ signal }) => get<ExecutorList>("executors", undefined, signal), refetchInterval: 5000 });
  return (
    <>
      <PageHead title="Executors" />
      <Loaded query={query}>
        {(list) => (
          <div className="min-h-0 flex-1 overflow-y-auto pb-8">
            {list.items.length === 0 ? (
              <Empty icon={<Cpu />} title="No executors">
                Runs wait until a process that has their workflows starts.
              </Empty>
            ) : (
              <LiveExecutors executors={list.items} />
            )}
            <h2 className="px-4 pt-6 font-semibold">Past executors</h2>
            <p className="max-w-prose px-4 pt-0.5 pb-2 text-faint">When a process dies, another executor takes over its runs: within moments on the same machine, elsewhere when the lease expires.</p>
            {list.past_executors.length === 0 ? <p className="px-4 text-muted">No past executors.</p> : <PastExecutors executors={list.past_executors} />}
          </div>
        )}
      </Loaded>
    </>
  );
}

function Name({ id, host, process, note }: { id: string; host: string; process: number; note?: React.ReactNode }) {
  return (
    <span>
      <span className="flex items-center gap-2">
        <span className="truncate font-mono text-xs font-medium" title={id}>
          {id}
        </span>
        {note}
      </span>
      <span className="block truncate text-xs text-faint">{host}, process {process}</span>
    </span>
  );
}

function LiveExecutors({ executors }: { executors: Executor[] }) {
  return (
    <Table
      inline
      label="Executors"
      rows={executors}
      id={(item) => item.executor_id}
      rowHeight={48}
      phone={(item) => (
        <div className="flex items-start justify-between gap-3 py-2">
          <div className="min-w-0">
            <Name id={item.executor_id} host={item.hostname} process={item.process_id} note={item.here && <Pill tone="info">this server</Pill>} />
            <div className="text-xs text-muted">{summaryOf(item.runs_held, seconds(item.lease_age), item.loop_delay === null ? null : duration(item.loop_delay * 1000), item.memory_bytes === null ? null : bytes(item.memory_bytes))}</div>
          </div>
          <Pill tone={item.alive ? "ok" : "bad"}>{item.alive ? "Alive" : "Unresponsive"}</Pill>
        </div>
      )}
      columns={[
        { key: "id", head: "Executor", cell: (item) => <Name id={item.executor_id} host={item.hostname} process={item.process_id} note={item.here && <Pill tone="info">this server</Pill>} />, width: "minmax(180px, 1.6fr)" },
        { key: "alive", head: "State", cell: (item) => <Pill tone={item.alive ? "ok" : "bad"}>{item.alive ? "Alive" : "Unresponsive"}</Pill>, width: "100px" },
        { key: "lease", head: "Heartbeat", cell: (item) => <span className={item.alive ? "text-muted" : "text-bad"}>{seconds(item.lease_age)}</span>, width: "76px", end: true },
        {
          key: "runs",
          head: "Runs",
          cell: (item) => (
            <Link to="/runs" search={{ executor: item.executor_id, status: ["PENDING", "WAITING_FOR_APPROVAL"] }} className="hover:underline">
              {item.runs_held}
            </Link>
          ),
          width: "48px",
          end: true,
        },
        { key: "threads", head: <Tip text="Threads running blocking code, and the maximum."><span>Threads</span></Tip>, wide: true, cell: (item) => <span className="text-muted">{item.threads === null ? "–" : `${item.threads}/${item.threads_max}`}</span>, width: "64px", end: true },
        { key: "lag", head: <Tip text="Worst event-loop delay between the last two heartbeats."><span>Loop lag</span></Tip>, wide: true, cell: (item) => <span title={`As of the last heartbeat, ${seconds(item.lease_age)} ago.`} className={(item.loop_delay ?? 0) > late ? "text-warn" : "text-muted"}>{item.loop_delay === null ? "–" : item.loop_delay < 0.001 ? "0 ms" : duration(item.loop_delay * 1000)}</span>, width: "76px", end: true },
        { key: "memory", head: "Memory", wide: true, cell: (item) => <span className="text-muted">{item.memory_bytes === null ? "–" : bytes(item.memory_bytes)}</span>, width: "68px", end: true },
        { key: "version", head: "Version", wide: true, cell: (item) => <span className="font-mono text-xs text-muted" title={item.application_version}>{item.application_version}</span>, width: "minmax(80px, 130px)" },
        { key: "names", head: "Workflows", wide: true, cell: (item) => <span className="text-muted" title={item.names.join("\n")}>{item.names.join(", ")}</span>, width: "minmax(88px, 2fr)" },
        { key: "started", head: "Started", wide: true, cell: (item) => <Ago at={item.started_at} className="text-muted" />, width: "72px", end: true },
      ]}
    />
  );
}

function PastExecutors({ executors }: { executors: PastExecutor[] }) {
  return (
    <Table
      inline
      label="Past executors"
      rows={executors}
      id={(item) => `${item.executor_id} ${item.left_at}`}
      rowHeight={48}
      phone={(item) => (
        <div className="flex items-start justify-between gap-3 py-2">
          <div className="min-w-0">
            <Name id={item.executor_id} host={item.hostname} process={item.process_id} />
            <div className={classes("truncate text-xs", item.taken_by === null ? "text-muted" : "text-bad")}>{item.taken_by === null ? "Clean shutdown" : `Evicted by ${item.taken_by}`}</div>
          </div>
          <Ago at={item.left_at} className="text-muted" />
        </div>
      )}
      columns={[
        { key: "id", head: "Executor", cell: (item) => <Name id={item.executor_id} host={item.hostname} process={item.process_id} />, width: "minmax(180px, 1.4fr)" },
        { key: "how", head: "Reason", cell: (item) => (item.taken_by === null ? <span className="text-muted">Clean shutdown</span> : <span className="text-bad" title={`Evicted by ${item.taken_by}`}>Evicted by {item.taken_by}</span>), width: "minmax(120px, 2fr)" },
        { key: "runs", head: "Runs released", wide: true, cell: (item) => <span className={item.runs > 0 ? "" : "text-faint"}>{item.taken_by === null ? "–" : item.runs}</span>, width: "80px", end: true },
        { key: "version", head: "Version", wide: true, cell: (item) => <span className="font-mono text-xs text-muted" title={item.application_version}>{item.application_version}</span>, width: "minmax(80px, 130px)" },
        { key: "lived", head: "Uptime", wide: true, cell: (item) => <span className="text-muted">{duration(Date.parse(item.left_at) - Date.parse(item.started_at))}</span>, width: "80px", end: true },
        { key: "left", head: "Ended", cell: (item) => <Ago at={item.left_at} className="text-muted" />, width: "72px", end: true },
      ]}
    />
  );
}
