/** The key-value store: look, change with a check that nobody else did meanwhile, and say what a value must look like. */

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Boxes, Plus, Trash2 } from "lucide-react";
import { lazy, Suspense, useState } from "react";
import { get, part, Problem, put, remove } from "@/api/client";
import { stringify } from "@/api/lossless";
import { useCan } from "@/api/session";
import type { KvRecord, Schema } from "@/api/types";
import { asText, JsonField, readJson } from "@/components/json-field";
import { usePages } from "@/components/pages";
import { SearchField } from "@/components/search-field";
import { Answer, Empty } from "@/components/states";
import { Pill } from "@/components/status";
import { Table } from "@/components/table";
import { problemText, say } from "@/components/toast";
import { Ago, Button, Dialog, Field, Input, Notice, Segments, Sentinel, Skeleton } from "@/components/ui";
import { type Fault, faults } from "@/lib/schema";
import { PageHead } from "@/shell/frame";
import { useTitle } from "@/shell/title";
import { kvText } from "@/text";

const SchemaForm = lazy(() => import("@/components/schema-form").then((found) => ({ default: found.SchemaForm })));

export function KvPage() {
  useTitle(kvText.title);
  const may = useCan("operator");
  const [prefix, setPrefix] = useState("");
  const [open, setOpen] = useState<KvRecord | "new" | null>(null);
  const { answer, rows, more } = usePages<KvRecord>(["kv"], "kv", { prefix });
  const add = (
    <Button tone="primary" icon={<Plus />} onClick={() => setOpen("new")}>
      {kvText.add}
    </Button>
  );
  return (
    <>
      <PageHead title={kvText.title}>
        <SearchField value={prefix} onChange={setPrefix} placeholder={kvText.prefix} className="w-52" />
        {may && add}
      </PageHead>
      <Answer query={answer}>
        {() =>
          rows.length === 0 ? (
            <Empty icon={<Boxes />} title={prefix ? kvText.noneMatch : kvText.none} action={!prefix && may && add}>
              {!prefix && (
                <>
                  {kvText.noneNote} <code>await turbine.kv.set("key", value)</code>
                </>
              )}
            </Empty>
          ) : (
            <Table
              label={kvText.title}
              rows={rows}
              id={(record) => record.key}
              onOpen={setOpen}
              columns={[
                { key: "key", head: kvText.key, cell: (record) => <button type="button" onClick={() => setOpen(record)} className="max-w-full truncate font-mono text-xs font-medium hover:underline">{record.key}</button>, width: "minmax(140px, 1fr)" },
                { key: "value", head: kvText.value, cell: (record) => <span className="font-mono text-xs text-muted">{record.value === null ? <span className="font-sans text-faint">{kvText.noValue}</span> : stringify(record.value).slice(0, 200)}</span>, width: "minmax(120px, 2.4fr)" },
                { key: "schema", head: kvText.schema, wide: true, cell: (record) => record.schema && <Pill tone="info">{kvText.hasSchema}</Pill>, width: "80px" },
                { key: "updated", head: kvText.updated, cell: (record) => <Ago at={record.updated} className="text-muted" />, width: "80px", end: true },
              ]}
              foot={answer.hasNextPage && <Sentinel key={rows.length} onSeen={more} />}
            />
          )
        }
      </Answer>
      {open && <Edit key={open === "new" ? "" : open.key} record={open === "new" ? null : open} onClose={() => setOpen(null)} />}
    </>
  );
}

function Edit({ record, onClose }: { record: KvRecord | null; onClose: () => void }) {
  const may = useCan("operator");
  const client = useQueryClient();
  const [base, setBase] = useState(record);
  const [key, setKey] = useState(record?.key ?? "");
  const [tab, setTab] = useState<"value" | "schema">("value");
  const hasForm = record?.schema != null;
  const [mode, setMode] = useState<"form" | "json">(hasForm ? "form" : "json");
  const [value, setValue] = useState<unknown>(record?.value ?? (hasForm ? undefined : {}));
  const [text, setText] = useState(() => asText(record?.value ?? {}));
  const [schemaSource, setSchemaSource] = useState(() => (record?.schema ? asText(record.schema) : ""));
  const [found, setFound] = useState<Fault[]>([]);
  const [wrong, setWrong] = useState<{ value?: string; schema?: string }>({});
  const [theirs, setTheirs] = useState<KvRecord | null>(null);
  const [sure, setSure] = useState(false);
  const done = (words: string) => {
    say(words, key);
    void client.invalidateQueries({ queryKey: ["kv"] });
    onClose();
  };
  const save = useMutation({
    mutationFn: async ({ next, schema, schemaChanged, valueChanged }: { next: unknown; schema: Schema | null; schemaChanged: boolean; valueChanged: boolean }) => {
      // Only what was changed is written; the value only if it is still what was shown (null: if there is none yet).
      if (schemaChanged) await put(`kv/${part(key)}/schema`, { schema });
      if (valueChanged) await put(`kv/${part(key)}`, { value: next, expect: base?.value ?? null });
    },
    onSuccess: () => done(kvText.saved),
    onError: async (error) => {
      if (error instanceof Problem && error.status === 409) setTheirs(await get<KvRecord>(`kv/${part(key)}`));
      else if (error instanceof Problem && error.errors.length > 0) setFound(error.errors.map((one) => ({ path: one.path, message: one.message })));
    },
  });
  const drop = useMutation({ mutationFn: () => remove(`kv/${part(key)}`), onSuccess: () => done(kvText.deleted) });
  const go = () => {
    const faultsNow: typeof wrong = {};
    let next = value;
    if (mode === "json") {
      const read = readJson(text);
      if (read.error !== undefined) faultsNow.value = read.error;
      else next = read.value;
    }
    let schema: Schema | null = null;
    if (schemaSource.trim()) {
      const read = readJson(schemaSource);
      if (read.error !== undefined) faultsNow.schema = read.error;
      else schema = read.value as Schema;
    }
    setWrong(faultsNow);
    const misfits = schema && Object.keys(faultsNow).length === 0 ? faults(schema, next) : [];
    setFound(misfits);
    if (faultsNow.schema) setTab("schema");
    else if (faultsNow.value || misfits.length > 0) setTab("value");
    if (Object.keys(faultsNow).length > 0 || misfits.length > 0) return;
    if (next === null || next === undefined) {
      setWrong({ value: kvText.noNull });
      return;
    }
    save.mutate({ next, schema, schemaChanged: stringify(schema) !== stringify(base?.schema ?? null), valueChanged: base === null || stringify(next) !== stringify(base.value) });
  };
  const error = save.error ?? drop.error;
  return (
    <Dialog
      open
      wide
      onClose={onClose}
      title={record ? <span className="font-mono text-sm break-all">{record.key}</span> : kvText.add}
      foot={
        may && (
          <>
            {record && (
              <Button tone="danger" icon={<Trash2 />} busy={drop.isPending} onClick={() => (sure ? drop.mutate() : setSure(true))} className="mr-auto">
                {sure ? kvText.reallyDelete : kvText.delete}
              </Button>
            )}
            <Button onClick={onClose}>{kvText.cancel}</Button>
            <Button tone="primary" busy={save.isPending} disabled={key === ""} onClick={go}>
              {kvText.save}
            </Button>
          </>
        )
      }
    >
      {!record && <Field label={kvText.key} required>{(wires) => <Input {...wires} autoFocus value={key} onChange={(event) => setKey(event.target.value)} className="font-mono !text-xs" />}</Field>}
      <div className="flex items-center justify-between">
        <Segments label={kvText.part} value={tab} onChange={setTab} options={[{ key: "value", label: kvText.value }, { key: "schema", label: kvText.schema }]} />
        {tab === "value" && hasForm && (
          <Segments
            label={kvText.mode}
            value={mode}
            onChange={(next) => {
              if (next === "json") setText(asText(value ?? null));
              else {
                const read = readJson(text);
                if (read.error !== undefined) return setWrong({ value: read.error });
                setValue(read.value);
              }
              setMode(next);
            }}
            options={[{ key: "form", label: kvText.form }, { key: "json", label: "JSON" }]}
          />
        )}
      </div>
      {theirs && (
        <Notice
          tone="warn"
          action={
            <Button
              size="sm"
              onClick={() => {
                setBase(theirs);
                setTheirs(null);
              }}
            >
              {kvText.overwrite}
            </Button>
          }
        >
          {kvText.conflict} <code className="font-mono text-xs break-all">{stringify(theirs.value).slice(0, 200)}</code>
        </Notice>
      )}
      {tab === "schema" ? (
        <>
          <JsonField label={kvText.schema} text={schemaSource} onChange={setSchemaSource} hint={kvText.schemaHint} error={wrong.schema} />
        </>
      ) : mode === "form" && record?.schema ? (
        <Suspense fallback={<Skeleton className="h-24 w-full" />}>
          <SchemaForm schema={record.schema} value={value} onChange={setValue} faults={found} />
        </Suspense>
      ) : (
        <JsonField label={kvText.value} text={text} onChange={setText} error={wrong.value ?? (found.length > 0 ? found.map((fault) => `${fault.path.join(".") || kvText.value}: ${fault.message}`).join("  ") : null)} />
      )}
      {error && !theirs && <Notice tone="bad">{problemText(error)}</Notice>}
    </Dialog>
  );
}
