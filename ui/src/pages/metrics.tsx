/** How it goes, without another tool: throughput, times, failures and queues over the last day or week. */

import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { get } from "@/api/client";
import { address } from "@/api/client";
import type { MetricsSummary } from "@/api/types";
import { Chart } from "@/components/chart";
import { Figure, Meter } from "@/components/spark";
import { Answer } from "@/components/states";
import { Table } from "@/components/table";
import { Notice, Segments, Skeleton } from "@/components/ui";
import { absolute, ms, seconds } from "@/lib/time";
import { count, percent } from "@/lib/words";
import { PageHead } from "@/shell/frame";
import { useTitle } from "@/shell/title";
import { metricsText } from "@/text";

const spans = { "1h": 1, "24h": 24, "7d": 24 * 7, "30d": 24 * 30 };
type Span = keyof typeof spans;

export function MetricsPage() {
  useTitle(metricsText.title);
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
      <PageHead title={metricsText.title} note={<a href={address("metrics")} className="hover:text-text hover:underline">{metricsText.prometheus}</a>}>
        <Segments label={metricsText.range} value={span} onChange={(next) => void navigate({ to: "/metrics", search: { range: next === "24h" ? undefined : next }, replace: true })} options={(Object.keys(spans) as Span[]).map((key) => ({ key, label: key }))} />
      </PageHead>
      <div className="min-h-0 flex-1 overflow-y-auto" tabIndex={0} role="region" aria-label={metricsText.title}>
        <Answer query={query} skeleton={<Waiting />}>
          {(summary) => <Inside summary={summary} span={span} />}
        </Answer>
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
  const shared = { times, at, onAt: setAt, none: metricsText.none };
  const waiting = summary.queue_age.reduce((sum, queue) => sum + queue.enqueued, 0);
  const oldest = Math.max(0, ...summary.queue_age.map((queue) => queue.oldest_age ?? 0));
  return (
    <>
      <div className="flex flex-wrap gap-x-10 gap-y-3 border-b px-4 py-4">
        <Figure label={metricsText.finished(span)} value={count(summary.finished)} />
        <Figure label={metricsText.failed(span)} value={summary.finished === 0 ? "–" : percent(summary.failed / summary.finished)} note={summary.failed > 0 ? metricsText.runs(summary.failed) : undefined} tone={summary.failed > 0 ? "bad" : undefined} />
        <Figure label={metricsText.p50} value={seconds(summary.p50)} />
        <Figure label={metricsText.p95} value={seconds(summary.p95)} />
        <Figure label={metricsText.waiting} value={count(waiting)} note={oldest > 0 ? metricsText.oldest(seconds(oldest)) : undefined} />
      </div>
      {summary.sampled && (
        <div className="px-4 pt-4">
          <Notice>{metricsText.sampled(absolute(ms(summary.since)).split(" · ")[0]!)}</Notice>
        </div>
      )}
      <div className="grid gap-x-10 gap-y-8 p-4 lg:grid-cols-2">
        <Chart
          {...shared}
          title={metricsText.throughput(Math.round(width / 60_000))}
          write={(value) => (Number.isInteger(value) ? count(value) : value.toFixed(1))}
          least={2}
          series={[
            { key: "ok", label: metricsText.ok, tone: "ok", kind: "bar", values: points.map((point) => point.finished - point.failed) },
            { key: "bad", label: metricsText.bad, tone: "bad", kind: "bar", values: points.map((point) => point.failed) },
          ]}
        />
        <Chart
          {...shared}
          title={metricsText.rate}
          write={(value) => percent(value)}
          least={0.01}
          series={[{ key: "rate", label: metricsText.bad, tone: "bad", kind: "line", values: points.map((point) => (point.finished === 0 ? null : point.failed / point.finished)) }]}
        />
        <Chart
          {...shared}
          title={metricsText.duration}
          write={(value) => (value === 0 ? "0" : seconds(value))}
          series={[
            { key: "p50", label: "p50", tone: "accent", kind: "line", values: points.map((point) => point.p50) },
            { key: "p95", label: "p95", tone: "warn", kind: "line", values: points.map((point) => point.p95) },
          ]}
        />
        <section aria-label={metricsText.queues} className="min-w-0">
          <h2 className="font-semibold">{metricsText.queues}</h2>
          {summary.queue_age.length === 0 ? (
            <p className="mt-2 text-faint">{metricsText.noQueues}</p>
          ) : (
            <div className="mt-1 -ml-4">
              <Table
                inline
                label={metricsText.queues}
                rows={summary.queue_age}
                id={(queue) => queue.queue}
                columns={[
                  { key: "name", head: metricsText.queue, cell: (queue) => <Link to="/queues/$name" params={{ name: queue.queue }} className="font-medium hover:underline">{queue.queue}</Link>, width: "minmax(96px, 1fr)" },
                  { key: "bar", head: "", wide: true, cell: (queue) => <Meter label={queue.queue} value={queue.oldest_age ?? 0} most={oldest} tone="warn" />, width: "minmax(80px, 1fr)" },
                  { key: "age", head: metricsText.age, cell: (queue) => seconds(queue.oldest_age), width: "88px", end: true },
                  { key: "enqueued", head: metricsText.enqueued, cell: (queue) => count(queue.enqueued), width: "72px", end: true },
                  { key: "running", head: metricsText.running, cell: (queue) => count(queue.running), width: "72px", end: true },
                ]}
              />
            </div>
          )}
        </section>
      </div>
    </>
  );
}
