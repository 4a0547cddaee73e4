/** Read-only SQL console for admins. */

import { useMutation, useQuery } from "@tanstack/react-query";
import { Bookmark, DatabaseZap, Download, Play, Trash2 } from "lucide-react";
import { type KeyboardEvent, useState } from "react";
import { get, post } from "@/api/client";
import { Problem } from "@/api/client";
import { stringify } from "@/api/exact-json";
import { useSession } from "@/api/session";
import type { QueryResult } from "@/api/types";
import { Failed } from "@/components/states";
import { problemText } from "@/components/toast";
import { Button, Dialog, Field, IconButton, Input, Kbd, Notice, Textarea } from "@/components/ui";
import { asCsv } from "@/lib/csv";
import { classes, count, download, plural } from "@/lib/format";
import { useStored } from "@/lib/local-storage";
import { seconds } from "@/lib/time";
import { PageHead } from "@/shell/frame";
import { useTitle } from "@/shell/title";

interface Saved {
  name: string;
  query: string;
}

const first = "select status, count(*) as runs\nfrom pt_runs\ngroup by status\norder by runs desc";

export function SqlPage() {
  useTitle("SQL");
  const database = useSession()?.database;
  const [text, setText] = useStored("sql.text", first);
  const [saved, setSaved] = useStored<Saved[]>("sql.saved", []);
  const [naming, setNaming] = useState(false);
  const tables = useQuery({ queryKey: ["sql-tables"], queryFn: ({ signal }) => get<{ tables: string[] }>("sql/tables", undefined, signal), staleTime: Number.POSITIVE_INFINITY, refetchInterval: false });
  const run = useMutation({ mutationFn: (query: string) => post<QueryResult>("sql", { query }) });
  const go = () => text.trim() && !run.isPending && run.mutate(text);
  const keys = (event: KeyboardEvent) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      go();
    }
  };
  if (tables.error instanceof Problem && tables.error.status === 403) return <Failed error={tables.error} />;
  return (
    <>
      <PageHead title="SQL" note={<span className="text-faint">{database === "postgres" ? "Postgres" : "SQLite"}, read-only</span>} />
      <div className="flex min-h-0 flex-1">
        <aside className="w-60 shrink-0 overflow-y-auto border-r py-2 max-md:hidden" aria-label="Saved queries and tables" tabIndex={0}>
          {saved.length > 0 && (
            <>
              <h2 className="px-4 pt-1 pb-1 text-xs font-medium text-faint">Saved</h2>
              <ul className="mb-3">
                {saved.map((item) => (
                  <li key={item.name} className="group flex items-center pr-2 hover:bg-hover">
                    <button type="button" title={item.query} className="min-w-0 flex-1 truncate py-1 pl-4 text-left" onClick={() => setText(item.query)}>
                      {item.name}
                    </button>
                    <IconButton size="sm" label={`Delete ${item.name}`} onClick={() => setSaved(saved.filter((other) => other.name !== item.name))}>
                      <Trash2 />
                    </IconButton>
                  </li>
                ))}
              </ul>
            </>
          )}
          <h2 className="px-4 pt-1 pb-1 text-xs font-medium text-faint">Tables</h2>
          <ul>
            {tables.data?.tables.map((name) => (
              <li key={name}>
                <button type="button" className="w-full truncate px-4 py-1 text-left font-mono text-xs text-muted hover:bg-hover hover:text-text" onClick={() => setText(`select *\nfrom ${name}\nlimit 50`)}>
                  {name}
                </button>
              </li>
            ))}
          </ul>
        </aside>
        <div className="flex min-h-0 min-w-0 flex-1 flex-col">
          <div className="flex shrink-0 flex-col gap-2 border-b p-4">
            <Textarea aria-label="Query" spellCheck={false} autoCapitalize="off" rows={6} value={text} onChange={(event) => setText(event.target.value)} onKeyDown={keys} className="resize-y font-mono !text-xs leading-5" />
            <div className="flex items-center gap-2">
              <Button tone="primary" icon={<Play />} busy={run.isPending} disabled={!text.trim()} onClick={go}>
                Run
              </Button>
              <span className="flex items-center gap-1 text-xs text-faint max-md:hidden">
                <Kbd>Ctrl</Kbd>
                <Kbd>↵</Kbd>
              </span>
              <span className="flex-1" />
              {run.data && (
                <span className="text-xs text-muted tabular-nums" role="status">
                  {run.data.truncated ? `first ${count(run.data.rows.length)} rows` : plural(run.data.rows.length, "row")} · {seconds(run.data.seconds)}
                </span>
              )}
              <IconButton label="Save query" onClick={() => setNaming(true)}>
                <Bookmark />
              </IconButton>
              <IconButton label="Download as CSV" disabled={!run.data || run.data.rows.length === 0} onClick={() => run.data && download("turbine.csv", asCsv(run.data.columns, run.data.rows), "text/csv")}>
                <Download />
              </IconButton>
            </div>
          </div>
          {run.error ? (
            <div className="p-4">
              <Notice tone="bad">{problemText(run.error)}</Notice>
            </div>
          ) : run.data ? (
            <Result result={run.data} />
          ) : (
            <div className="flex flex-1 flex-col items-center justify-center gap-2 px-6 text-center text-muted">
              <DatabaseZap className="size-6 stroke-[1.5] text-faint" />
              <p className="max-w-md">Queries can read every table except those with secrets, for up to 5 seconds and 1,000 rows. Queries are recorded in the audit log.</p>
            </div>
          )}
        </div>
      </div>
      {naming && <Name taken={saved} onClose={() => setNaming(false)} onName={(name) => setSaved([...saved.filter((item) => item.name !== name), { name, query: text }].sort((a, b) => a.name.localeCompare(b.name)))} />}
    </>
  );
}

const isNumber = (value: unknown) => typeof value === "number" || typeof value === "bigint";

function Result({ result }: { result: QueryResult }) {
  if (result.rows.length === 0) return <p className="p-4 text-muted">No rows</p>;
  return (
    <div className="min-h-0 flex-1 overflow-auto" tabIndex={0} role="region" aria-label="Result">
      <table className="min-w-full border-collapse text-xs" aria-label="Result">
        <thead className="sticky top-0 bg-bg">
          <tr>
            {result.columns.map((column, index) => (
              <th key={index} scope="col" className={classes("h-8 border-b px-4 font-medium whitespace-nowrap text-faint", isNumber(result.rows[0]?.[index]) ? "text-right" : "text-left")}>
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {result.rows.map((row, index) => (
            <tr key={index} className="border-b hover:bg-hover">
              {row.map((value, place) => {
                const shown = value === null ? "null" : typeof value === "string" ? value : stringify(value);
                return (
                  <td key={place} title={shown.length > 60 ? shown : undefined} className={classes("h-8 max-w-96 truncate px-4 font-mono", isNumber(value) && "text-right tabular-nums", value === null && "text-faint italic")}>
                    {shown}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Name({ taken, onClose, onName }: { taken: Saved[]; onClose: () => void; onName: (name: string) => void }) {
  const [name, setName] = useState("");
  const save = () => {
    onName(name.trim());
    onClose();
  };
  return (
    <Dialog
      open
      onClose={onClose}
      title="Save query"
      note="Saved in this browser."
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button tone="primary" disabled={!name.trim()} onClick={save}>
            Save
          </Button>
        </>
      }
    >
      <Field label="Name" hint={taken.some((item) => item.name === name.trim()) ? "Replaces the query with this name." : undefined}>
        {(wires) => <Input {...wires} autoFocus value={name} maxLength={60} onChange={(event) => setName(event.target.value)} onKeyDown={(event) => event.key === "Enter" && name.trim() && save()} />}
      </Field>
    </Dialog>
  );
}
