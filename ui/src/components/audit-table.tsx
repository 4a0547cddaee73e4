import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { stringify } from "@/api/exact-json";
import type { AuditLine } from "@/api/types";
import { Table } from "./table";
import { Ago } from "./ui";

export function AuditTable({ lines, inline, foot }: { lines: AuditLine[]; inline?: boolean; foot?: ReactNode }) {
  return (
    <Table
      label="Audit log"
      rows={lines}
      inline={inline}
      foot={foot}
      id={(line) => String(line.id)}
      columns={[
        { key: "at", head: "Time", cell: (line) => <Ago at={line.at} className="text-muted" />, width: "80px" },
        { key: "actor", head: "Actor", cell: (line) => <span title={line.role ?? undefined}>{line.actor}</span>, width: "minmax(120px, 1fr)" },
        { key: "action", head: "Action", cell: (line) => <span className="font-medium">{line.action}</span>, width: "minmax(120px, 180px)" },
        {
          key: "target",
          head: "Target",
          wide: true,
          cell: (line) =>
            line.target && /^(workflow|run)\./.test(line.action) ? (
              <Link to="/runs/$id" params={{ id: line.target }} className="font-mono text-xs text-accent hover:underline">
                {line.target}
              </Link>
            ) : (
              <span className="font-mono text-xs text-muted">{line.target}</span>
            ),
          width: "minmax(120px, 1.4fr)",
        },
        { key: "detail", head: "Detail", wide: true, cell: (line) => <span className="font-mono text-xs text-faint" title={stringify(line.detail)}>{line.detail === null || line.detail === undefined || stringify(line.detail) === "{}" ? "" : typeof line.detail === "string" ? line.detail : stringify(line.detail)}</span>, width: "minmax(120px, 2fr)" },
      ]}
    />
  );
}
