/** A compact table of runs for other pages. */

import { Link, useNavigate } from "@tanstack/react-router";
import type { Run } from "@/api/types";
import { seconds } from "@/lib/time";
import { StatusWord } from "./status";
import { Table } from "./table";
import { Ago } from "./ui";

export function RunTable({ runs, label = "Runs" }: { runs: Run[]; label?: string }) {
  const navigate = useNavigate();
  return (
    <Table
      inline
      label={label}
      rows={runs}
      id={(run) => run.workflow_id}
      onOpen={(run) => void navigate({ to: "/runs/$id", params: { id: run.workflow_id } })}
      columns={[
        { key: "status", head: "Status", cell: (run) => <StatusWord status={run.status} />, width: "112px" },
        {
          key: "name",
          head: "Workflow",
          cell: (run) => (
            <Link to="/runs/$id" params={{ id: run.workflow_id }} className="hover:underline">
              {run.summary ?? run.name}
            </Link>
          ),
          width: "minmax(120px, 1fr)",
        },
        { key: "id", head: "Run ID", wide: true, cell: (run) => <span className="font-mono text-xs text-faint">{run.workflow_id}</span>, width: "minmax(120px, 1.4fr)" },
        ...(runs.some((run) => run.error) ? [{ key: "error", head: "", wide: true, cell: (run: Run) => <span className="text-bad" title={run.error ?? undefined}>{run.error}</span>, width: "minmax(80px, 1.4fr)" }] : []),
        { key: "created", head: "Created", cell: (run) => <Ago at={run.created_at} className="text-muted" />, width: "76px", end: true },
        { key: "duration", head: "Duration", wide: true, cell: (run) => <span className="text-muted">{seconds(run.duration)}</span>, width: "76px", end: true },
      ]}
    />
  );
}
