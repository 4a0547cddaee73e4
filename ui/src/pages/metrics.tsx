/** Metrics: throughput, durations, failures and queues. */

import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { get } from "@/api/client";
import { address } from "@/api/client";
import type { MetricsSummary } from "@/api/types";
import { Chart } from "@/components/chart";
import { Figure, Meter } from "@/components/figures";
import { Loaded } from "@/components/states";
import { Table } from "@/components/table";
import { Notice, Segments, Skeleton } from "@/components/ui";
import { count, percent, plural } from "@/lib/format";
import { absolute, ms, seconds } from "@/lib/time";
import { PageHead } from "@/shell/frame";
import { useTitle } from "@/shell/title";

const throughputTitle = (minutes: number) => `Finished per ${minutes % 60 === 0 ? plural(minutes / 60, "hour") : plural(minutes, "minute")}`;

const spans = { "1h": 1, "24h": 24, "7d": 24 * 7, "30d": 24 * 30 };
type Span = keyof typeof spans;

export function MetricsPage() {
  useTitle("Metrics");
  const search = useSearch({ strict: false });
  const navigate = useNavigate();
  const span: Span = typeof search.range === "string" && search.range in spans ? (search.range as Span) : "24h";
  const query = useQuery({
    queryKey: ["metrics", spans[span]],
    queryFn: ({ signal }) => get<MetricsSummary>("metrics/summary", { hours: spans[span] }, signal),
    refetchInterval: 30_000,
  });
  return (
    <>
      <PageHead title="Metrics" note={<a href={address("metrics")} className="hover:text-text hover:underline">Prometheus endpoint</a>}>
        <Segments label="Time range" value={span} onChange={(next) => void navigate({ to: "/metrics", search: { range: next === "24h" ? undefined : next }, replace: true })} options={(Object.keys(spans) as Span[]).map((key) => ({ key, label: key }))} />
      </PageHead>
      <div className="min-h-0 flex-1 overflow-y-auto" tabIndex={0} role="region" aria-label="Metrics">
        <Loaded query={query} skeleton={<Waiting />}>
          {(summary) => <Inside summary={summary} span={span} />}
        </Loaded>
      </div>
    </>
  );
}

function Waiting() {
  return (
    <div className="grid gap-8 p-4 lg:grid-cols-2">
      {[0, 1, 2, 3].map((index) => (
        <Skeleton key={index} className="h-44 w-full rounded-md" />
      ))}
    </div>
  );
}

function Inside({ summary, span }: { summary: MetricsSummary; span: Span }) {
  const [at, setAt] = useState<number | null>(null);
  const points = summary.throughput;
  const times = points.map((point) => ms(point.time));
  const width = times.length > 1 ? times[1]! - times[0]! : 300_000;
  const shared = { times, at, onAt: setAt, none: "No runs finished in this time range" };
  const waiting = summary.queue_age.reduce((sum, queue) => sum + queue.enqueued, 0);
  const oldest = Math.max(0, ...summary.queue_age.map((queue) => queue.oldest_age ?? 0));
  return (
    <>
      <div className="flex flex-wrap gap-x-10 gap-y-3 border-b px-4 py-4">
        <Figure label={`Finished in ${span}`} value={count(summary.finished)} />
        <Figure label={`Failed in ${span}`} value={summary.finished === 0 ? "–" : percent(summary.failed / summary.finished)} note={summary.failed > 0 ? plural(summary.failed, "run") : undefined} tone={summary.failed > 0 ? "bad" : undefined} />
        <Figure label="Median duration" value={seconds(summary.p50)} />
        <Figure label="95th percentile" value={seconds(summary.p95)} />
        <Figure label="Waiting in queues" value={count(waiting)} note={oldest > 0 ? `oldest ${seconds(oldest)}` : undefined} />
      </div>
      {summary.sampled && (
        <div className="px-4 pt-4">
          <Notice>Too many runs to include all of them. All figures cover the time since {absolute(ms(summary.since)).split(" · ")[0]!}.</Notice>
        </div>
      )}
      <div className="grid gap-x-10 gap-y-8 p-4 lg:grid-cols-2">
        <Chart
          {...shared}
          title={throughputTitle(Math.round(width / 60_000))}
          write={(value) => (Number.isInteger(value) ? count(value) : value.toFixed(1))}
          least={2}
          series={[
            { key: "ok", label: "Succeeded or cancelled", tone: "ok", kind: "bar", values: points.map((point) => point.finished - point.failed) },
            { key: "bad", label: "Failed", tone: "bad", kind: "bar", values: points.map((point) => point.failed) },
          ]}
        />
        <Chart
          {...shared}
          title="Failure rate"
          write={(value) => percent(value)}
          least={0.01}
          series={[{ key: "rate", label: "Failed", tone: "bad", kind: "line", values: points.map((point) => (point.finished === 0 ? null : point.failed / point.finished)) }]}
        />
        <Chart
          {...shared}
          title="Run duration"
          write={(value) => (value === 0 ? "0" : seconds(value))}
          series={[
            { key: "p50", label: "p50", tone: "accent", kind: "line", values: points.map((point) => point.p50) },
            { key: "p95", label: "p95", tone: "warn", kind: "line", values: points.map((point) => point.p95) },
          ]}
        />
        <section aria-label="Queues now" className="min-w-0">
          <h2 className="font-semibold">Queues now</h2>
          {summary.queue_age.length === 0 ? (
            <p className="mt-2 text-faint">No queues.</p>
          ) : (
            <div className="mt-1 -ml-4">
              <Table
                inline
                label="Queues now"
                rows={summary.queue_age}
                id={(queue) => queue.queue}
                columns={[
                  { key: "name", head: "Queue", cell: (queue) => <Link to="/queues/$name" params={{ name: queue.queue }} className="font-medium hover:underline">{queue.queue}</Link>, width: "minmax(96px, 1fr)" },
                  { key: "bar", head: "", wide: true, cell: (queue) => <Meter label={queue.queue} value={queue.oldest_age ?? 0} most={oldest} tone="warn" />, width: "minmax(80px, 1fr)" },
                  { key: "age", head: "Oldest", cell: (queue) => seconds(queue.oldest_age), width: "88px", end: true },
                  { key: "enqueued", head: "Waiting", cell: (queue) => count(queue.enqueued), width: "72px", end: true },
                  { key: "running", head: "Running", cell: (queue) => count(queue.running), width: "72px", end: true },
                ]}
              />
            </div>
          )}
        </section>
      </div>
    </>
  );
}
