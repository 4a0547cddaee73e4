/** Audit log. */

import { useMutation } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Download, ScrollText } from "lucide-react";
import { get, type Query } from "@/api/client";
import { stringify } from "@/api/exact-json";
import type { AuditLine, Page } from "@/api/types";
import { AuditTable } from "@/components/audit-table";
import { SearchField } from "@/components/search-field";
import { Empty, Loaded } from "@/components/states";
import { showError, showToast } from "@/components/toast";
import { Button, Menu, Segments, Sentinel } from "@/components/ui";
import { usePages } from "@/components/use-pages";
import { asCsv } from "@/lib/csv";
import { download, plural } from "@/lib/format";
import { usePhone } from "@/lib/media-query";
import { day, hour, minute } from "@/lib/time";
import { PageHead } from "@/shell/frame";
import { useTitle } from "@/shell/title";

const rangeLabels: Record<string, string> = { "": "Any time", "1h": "1h", "24h": "24h", "7d": "7d", "30d": "30d" };

const ranges: Record<string, number> = { "1h": hour, "24h": day, "7d": 7 * day, "30d": 30 * day };
const exportMax = 20_000;
const columns = ["at", "actor", "role", "action", "target", "workflow_id", "detail"] as const;

export function AuditPage() {
  useTitle("Audit log");
  const isPhone = usePhone();
  const search = useSearch({ strict: false });
  const navigate = useNavigate();
  const of = (key: string) => (typeof search[key] === "string" ? (search[key] as string) : "");
  const range = of("range") in ranges ? of("range") : "";
  const exact = { actor: of("actor"), action: of("action"), target: of("target") };
  const filter = (): Query => ({ ...exact, after: range ? new Date(Math.floor((Date.now() - ranges[range]!) / minute) * minute).toISOString() : undefined });
  const { answer, rows, more } = usePages<AuditLine>(["audit", exact, range], "audit", filter, { every: 15_000 });
  const go = (change: Record<string, string | undefined>) => void navigate({ to: "/audit", search: { ...search, ...change }, replace: true });
  const narrowed = of("actor") || of("action") || of("target") || range;
  const save = useMutation({
    mutationFn: async (kind: "csv" | "jsonl") => {
      const lines = await everything(filter());
      if (kind === "csv") download("audit.csv", asCsv([...columns], lines.map((line) => columns.map((name) => line[name]))), "text/csv");
      else download("audit.jsonl", lines.map((line) => `${stringify(line)}\n`).join(""), "application/x-ndjson");
      return lines.length;
    },
    onSuccess: (lines) => showToast(`${plural(lines, "entry", "entries")} exported`, lines >= exportMax ? "Only the newest entries. Narrow the filter to get the rest." : undefined),
    onError: (error) => showError(error),
  });
  const exporting = (
    <Menu
      trigger={
        <Button icon={<Download />} busy={save.isPending} disabled={rows.length === 0}>
          {save.isPending ? "Exporting…" : "Export"}
        </Button>
      }
      items={[
        { label: "as CSV", onSelect: () => save.mutate("csv") },
        { label: "as JSON lines", onSelect: () => save.mutate("jsonl") },
      ]}
    />
  );
  return (
    <>
      <PageHead title="Audit log">
        {!isPhone && <Segments label="Time" value={range} onChange={(next) => go({ range: next || undefined })} options={Object.entries(rangeLabels).map(([key, label]) => ({ key, label }))} />}
        {exporting}
      </PageHead>
      <div className="flex shrink-0 gap-2 overflow-x-auto border-b px-4 py-2">
        <SearchField value={of("actor")} onChange={(text) => go({ actor: text || undefined })} placeholder="Actor" className="w-52 max-md:w-32" />
        <SearchField value={of("action")} onChange={(text) => go({ action: text || undefined })} placeholder="Action" className="w-44 max-md:w-32" />
        <SearchField value={of("target")} onChange={(text) => go({ target: text || undefined })} placeholder="Target" className="w-52 max-md:w-32" />
      </div>
      <Loaded query={answer}>
        {() =>
          rows.length === 0 ? (
            <Empty icon={<ScrollText />} title={narrowed ? "No entries match" : "No entries yet"}>
              {!narrowed && "Every change made by a person or token is recorded here."}
            </Empty>
          ) : (
            <AuditTable lines={rows} foot={answer.hasNextPage && <Sentinel key={rows.length} onSeen={more} />} />
          )
        }
      </Loaded>
    </>
  );
}

/** All entries that match the filter, not only the loaded pages. */
async function everything(filter: Query): Promise<AuditLine[]> {
  const lines: AuditLine[] = [];
  let cursor: string | null = null;
  do {
    const page: Page<AuditLine> = await get<Page<AuditLine>>("audit", { ...filter, limit: 500, cursor });
    lines.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor !== null && lines.length < exportMax);
  return lines;
}
