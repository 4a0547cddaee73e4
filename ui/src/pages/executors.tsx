/** The processes that carry runs out. */

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Cpu } from "lucide-react";
import { get } from "@/api/client";
import type { Executor, Page } from "@/api/types";
import { Answer, Empty } from "@/components/states";
import { Pill } from "@/components/status";
import { Table } from "@/components/table";
import { Ago } from "@/components/ui";
import { seconds } from "@/lib/time";
import { PageHead } from "@/shell/frame";
import { useTitle } from "@/shell/title";
import { executorText } from "@/text";

export function ExecutorsPage() {
  useTitle(executorText.title);
  const query = useQuery({ queryKey: ["executors"], queryFn: ({ signal }) => get<Page<Executor>>("executors", { limit: 500 }, signal), refetchInterval: 5000 });
  return (
    <>
      <PageHead title={executorText.title} />
      <Answer query={query}>
        {(page) =>
          page.items.length === 0 ? (
            <Empty icon={<Cpu />} title={executorText.none}>
              {executorText.noneNote}
            </Empty>
          ) : (
            <Table
              label={executorText.title}
              rows={page.items}
              id={(one) => one.executor_id}
              rowHeight={48}
              columns={[
                {
                  key: "id",
                  head: executorText.executor,
                  cell: (one) => (
                    <span>
                      <span className="flex items-center gap-2">
                        <span className="truncate font-mono text-xs font-medium">{one.executor_id}</span>
                        {one.here && <Pill tone="info">{executorText.here}</Pill>}
                      </span>
                      <span className="block truncate text-xs text-faint">{executorText.process(one.hostname, one.process_id)}</span>
                    </span>
                  ),
                  width: "minmax(180px, 1.6fr)",
                },
                { key: "alive", head: executorText.state, cell: (one) => <Pill tone={one.alive ? "ok" : "bad"}>{one.alive ? executorText.alive : executorText.silent}</Pill>, width: "72px" },
                { key: "lease", head: executorText.lease, cell: (one) => <span className={one.alive ? "text-muted" : "text-bad"}>{seconds(one.lease_age)}</span>, width: "80px", end: true },
                {
                  key: "runs",
                  head: executorText.runs,
                  cell: (one) => (
                    <Link to="/runs" search={{ executor: one.executor_id, status: ["PENDING", "WAITING_FOR_APPROVAL"] }} className="hover:underline">
                      {one.runs_held}
                    </Link>
                  ),
                  width: "56px",
                  end: true,
                },
                ...(page.items.some((one) => typeof one.threads === "number") ? [{ key: "threads", head: executorText.threads, wide: true, cell: (one: Executor) => <span className="text-muted">{one.threads ?? "–"}</span>, width: "64px", end: true }] : []),
                ...(page.items.some((one) => typeof one.loop_delay === "number") ? [{ key: "lag", head: executorText.lag, wide: true, cell: (one: Executor) => <span className={(one.loop_delay ?? 0) > 0.2 ? "text-warn" : "text-muted"}>{seconds(one.loop_delay)}</span>, width: "80px", end: true }] : []),
                { key: "version", head: executorText.version, wide: true, cell: (one) => <span className="font-mono text-xs text-muted">{one.application_version}</span>, width: "minmax(80px, 140px)" },
                { key: "names", head: executorText.workflows, wide: true, cell: (one) => <span className="text-muted" title={one.names.join("\n")}>{one.names.join(", ")}</span>, width: "minmax(120px, 2fr)" },
                { key: "started", head: executorText.started, wide: true, cell: (one) => <Ago at={one.started_at} className="text-muted" />, width: "80px", end: true },
              ]}
            />
          )
        }
      </Answer>
    </>
  );
}
