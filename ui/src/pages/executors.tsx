/** The processes that carry runs out, how each of them fares, and those that are gone. */

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Cpu } from "lucide-react";
import { get } from "@/api/client";
import type { PastExecutor, Executor, ExecutorList } from "@/api/types";
import { Answer, Empty } from "@/components/states";
import { Pill } from "@/components/status";
import { Table } from "@/components/table";
import { Ago, Tip } from "@/components/ui";
import { duration, seconds } from "@/lib/time";
import { bytes, classes, plural } from "@/lib/words";
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
      <Answer query={query}>
        {(roll) => (
          <div className="min-h-0 flex-1 overflow-y-auto pb-8">
            {roll.items.length === 0 ? (
              <Empty icon={<Cpu />} title="No executors">
                Runs wait until a process that has their workflows starts.
              </Empty>
            ) : (
              <Alive executors={roll.items} />
            )}
            <h2 className="px-4 pt-6 font-semibold">Past executors</h2>
            <p className="max-w-prose px-4 pt-0.5 pb-2 text-faint">When a process dies, another executor takes over its runs: within moments on the same machine, elsewhere when the lease expires.</p>
            {roll.past_executors.length === 0 ? <p className="px-4 text-muted">No past executors.</p> : <Gone departures={roll.past_executors} />}
          </div>
        )}
      </Answer>
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

function Alive({ executors }: { executors: Executor[] }) {
  return (
    <Table
      inline
      label="Executors"
      rows={executors}
      id={(one) => one.executor_id}
      rowHeight={48}
      phone={(one) => (
        <div className="flex items-start justify-between gap-3 py-2">
          <div className="min-w-0">
            <Name id={one.executor_id} host={one.hostname} process={one.process_id} note={one.here && <Pill tone="info">this server</Pill>} />
            <div className="text-xs text-muted">{summaryOf(one.runs_held, seconds(one.lease_age), one.loop_delay === null ? null : duration(one.loop_delay * 1000), one.memory_bytes === null ? null : bytes(one.memory_bytes))}</div>
          </div>
          <Pill tone={one.alive ? "ok" : "bad"}>{one.alive ? "Alive" : "Not responding"}</Pill>
        </div>
      )}
      columns={[
        { key: "id", head: "Executor", cell: (one) => <Name id={one.executor_id} host={one.hostname} process={one.process_id} note={one.here && <Pill tone="info">this server</Pill>} />, width: "minmax(180px, 1.6fr)" },
        { key: "alive", head: "State", cell: (one) => <Pill tone={one.alive ? "ok" : "bad"}>{one.alive ? "Alive" : "Not responding"}</Pill>, width: "72px" },
        { key: "lease", head: "Heartbeat", cell: (one) => <span className={one.alive ? "text-muted" : "text-bad"}>{seconds(one.lease_age)}</span>, width: "76px", end: true },
        {
          key: "runs",
          head: "Runs",
          cell: (one) => (
            <Link to="/runs" search={{ executor: one.executor_id, status: ["PENDING", "WAITING_FOR_APPROVAL"] }} className="hover:underline">
              {one.runs_held}
            </Link>
          ),
          width: "48px",
          end: true,
        },
        { key: "threads", head: <Tip text="Threads running blocking code, and the maximum."><span>Threads</span></Tip>, wide: true, cell: (one) => <span className="text-muted">{one.threads === null ? "–" : `${one.threads}/${one.threads_max}`}</span>, width: "64px", end: true },
        { key: "lag", head: <Tip text="Worst event-loop delay between the last two heartbeats."><span>Loop lag</span></Tip>, wide: true, cell: (one) => <span title={`As of the last heartbeat, ${seconds(one.lease_age)} ago.`} className={(one.loop_delay ?? 0) > late ? "text-warn" : "text-muted"}>{one.loop_delay === null ? "–" : one.loop_delay < 0.001 ? "0 ms" : duration(one.loop_delay * 1000)}</span>, width: "76px", end: true },
        { key: "memory", head: "Memory", wide: true, cell: (one) => <span className="text-muted">{one.memory_bytes === null ? "–" : bytes(one.memory_bytes)}</span>, width: "68px", end: true },
        { key: "version", head: "Version", wide: true, cell: (one) => <span className="font-mono text-xs text-muted" title={one.application_version}>{one.application_version}</span>, width: "minmax(80px, 130px)" },
        { key: "names", head: "Workflows", wide: true, cell: (one) => <span className="text-muted" title={one.names.join("\n")}>{one.names.join(", ")}</span>, width: "minmax(120px, 2fr)" },
        { key: "started", head: "Started", wide: true, cell: (one) => <Ago at={one.started_at} className="text-muted" />, width: "72px", end: true },
      ]}
    />
  );
}

function Gone({ departures }: { departures: PastExecutor[] }) {
  return (
    <Table
      inline
      label="Past executors"
      rows={departures}
      id={(one) => `${one.executor_id} ${one.left_at}`}
      rowHeight={48}
      phone={(one) => (
        <div className="flex items-start justify-between gap-3 py-2">
          <div className="min-w-0">
            <Name id={one.executor_id} host={one.hostname} process={one.process_id} />
            <div className={classes("truncate text-xs", one.taken_by === null ? "text-muted" : "text-bad")}>{one.taken_by === null ? "Clean shutdown" : `Evicted by ${one.taken_by}`}</div>
          </div>
          <Ago at={one.left_at} className="text-muted" />
        </div>
      )}
      columns={[
        { key: "id", head: "Executor", cell: (one) => <Name id={one.executor_id} host={one.hostname} process={one.process_id} />, width: "minmax(180px, 1.4fr)" },
        { key: "how", head: "Reason", cell: (one) => (one.taken_by === null ? <span className="text-muted">Clean shutdown</span> : <span className="text-bad" title={`Evicted by ${one.taken_by}`}>Evicted by {one.taken_by}</span>), width: "minmax(120px, 2fr)" },
        { key: "runs", head: "Runs released", wide: true, cell: (one) => <span className={one.runs > 0 ? "" : "text-faint"}>{one.taken_by === null ? "–" : one.runs}</span>, width: "80px", end: true },
        { key: "version", head: "Version", wide: true, cell: (one) => <span className="font-mono text-xs text-muted" title={one.application_version}>{one.application_version}</span>, width: "minmax(80px, 130px)" },
        { key: "lived", head: "Uptime", wide: true, cell: (one) => <span className="text-muted">{duration(Date.parse(one.left_at) - Date.parse(one.started_at))}</span>, width: "80px", end: true },
        { key: "left", head: "Ended", cell: (one) => <Ago at={one.left_at} className="text-muted" />, width: "72px", end: true },
      ]}
    />
  );
}
