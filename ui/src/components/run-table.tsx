/** Runs in a few columns, for pages that are about something else. */

import { Link, useNavigate } from "@tanstack/react-router";
import type { Run } from "@/api/types";
import { seconds } from "@/lib/time";
import { runsText } from "@/text";
import { StatusWord } from "./status";
import { Table } from "./table";
import { Ago } from "./ui";

export function RunTable({ runs, label = runsText.title }: { runs: Run[]; label?: string }) {
  const navigate = useNavigate();
  return (
    <Table
      inline
      label={label}
      rows={runs}
      id={(run) => run.workflow_id}
      onOpen={(run) => void navigate({ to: "/runs/$id", params: { id: run.workflow_id } })}
      columns={[
        { key: "status", head: runsText.columns.status, cell: (run) => <StatusWord status={run.status} />, width: "112px" },
        {
          key: "name",
          head: runsText.columns.name,
          cell: (run) => (
            <Link to="/runs/$id" params={{ id: run.workflow_id }} className="hover:underline">
              {run.summary ?? run.name}
            </Link>
          ),
          width: "minmax(120px, 1fr)",
        },
        { key: "id", head: runsText.columns.id, wide: true, cell: (run) => <span className="font-mono text-xs text-faint">{run.workflow_id}</span>, width: "minmax(120px, 1.4fr)" },
        ...(runs.some((run) => run.error) ? [{ key: "error", head: "", wide: true, cell: (run: Run) => <span className="text-bad" title={run.error ?? undefined}>{run.error}</span>, width: "minmax(80px, 1.4fr)" }] : []),
        { key: "created", head: runsText.columns.created, cell: (run) => <Ago at={run.created_at} className="text-muted" />, width: "76px", end: true },
        { key: "duration", head: runsText.columns.duration, wide: true, cell: (run) => <span className="text-muted">{seconds(run.duration)}</span>, width: "76px", end: true },
      ]}
    />
  );
}
