/** Key-value store: browse, edit with compare-and-set, set a schema, view history. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Boxes, Plus, Trash2, Undo2 } from "lucide-react";
import { lazy, Suspense, useState } from "react";
import { get, part, Problem, put, remove } from "@/api/client";
import { stringify } from "@/api/exact-json";
import { useCan } from "@/api/session";
import type { KvChange, KvRecord, Schema } from "@/api/types";
import { DiffView } from "@/components/diff-view";
import { asText, JsonField, readJson } from "@/components/json-field";
import { SearchField } from "@/components/search-field";
import { Empty, Failed, Loaded } from "@/components/states";
import { Pill } from "@/components/status";
import { Table } from "@/components/table";
import { problemText, showToast } from "@/components/toast";
import { Ago, Button, Dialog, Field, Input, Notice, Segments, Sentinel, Skeleton } from "@/components/ui";
import { usePages } from "@/components/use-pages";
import { classes } from "@/lib/format";
import { validate, type ValidationError } from "@/lib/schema";
import { absolute, ms } from "@/lib/time";
import { PageHead } from "@/shell/frame";
import { useTitle } from "@/shell/title";

const SchemaForm = lazy(() => import("@/components/schema-form").then((module) => ({ default: module.SchemaForm })));

export function KvPage() {
  useTitle("KV store");
  const may = useCan("operator");
  const search = useSearch({ strict: false });
  const navigate = useNavigate();
  const [isNew, setNew] = useState(false);
  const prefix = typeof search.prefix === "string" ? search.prefix : "";
  const open = typeof search.key === "string" ? search.key : null;
  const go = (change: Record<string, string | undefined>) => void navigate({ to: "/kv", search: { ...search, ...change }, replace: true });
  const { answer, rows, more } = usePages<KvRecord>(["kv"], "kv", { prefix });
  const add = (
    <Button tone="primary" icon={<Plus />} onClick={() => setNew(true)}>
      Add key
    </Button>
  );
  return (
    <>
      <PageHead title="KV store">
        <SearchField value={prefix} onChange={(text) => go({ prefix: text || undefined })} placeholder="Filter by prefix" className="w-52" />
        {may && add}
      </PageHead>
      <Loaded query={answer}>
        {() =>
          rows.length === 0 ? (
            <Empty icon={<Boxes />} title={prefix ? "No keys with this prefix" : "No keys yet"} action={!prefix && may && add}>
              {!prefix && (
                <>
                  Share small values between runs and people: <code>await turbine.kv.set("key", value)</code>
                </>
              )}
            </Empty>
          ) : (
            <Table
              label="KV store"
              rows={rows}
              id={(record) => record.key}
              onOpen={(record) => go({ key: record.key })}
              columns={[
                { key: "key", head: "Key", cell: (record) => <button type="button" onClick={() => go({ key: record.key })} className="max-w-full truncate font-mono text-xs font-medium hover:underline">{record.key}</button>, width: "minmax(110px, 1fr)" },
                { key: "value", head: "Value", cell: (record) => <span className="font-mono text-xs text-muted">{record.value === null ? <span className="font-sans text-faint">no value yet</span> : stringify(record.value).slice(0, 200)}</span>, width: "minmax(90px, 2.4fr)" },
                { key: "schema", head: "Schema", wide: true, cell: (record) => record.schema && <Pill tone="info">Schema</Pill>, width: "80px" },
                { key: "updated", head: "Updated", cell: (record) => <Ago at={record.updated} className="text-muted" />, width: "80px", end: true },
              ]}
              foot={answer.hasNextPage && <Sentinel key={rows.length} onSeen={more} />}
            />
          )
        }
      </Loaded>
      {isNew && <Edit record={null} onClose={() => setNew(false)} />}
      {open !== null && <Opened key={open} name={open} listed={rows.find((record) => record.key === open)} onClose={() => go({ key: undefined })} />}
    </>
  );
}

/** The dialog for the key in the address, taken from the list or else from the server. */
function Opened({ name, listed, onClose }: { name: string; listed: KvRecord | undefined; onClose: () => void }) {
  const [record] = useState(listed);
  // Not cached: the editor must start with the current value.
  const query = useQuery({ queryKey: ["kv-opened", name], queryFn: ({ signal }) => get<KvRecord>(`kv/${part(name)}`, undefined, signal), enabled: record === undefined, gcTime: 0, staleTime: Number.POSITIVE_INFINITY, refetchInterval: false });
  if (record) return <Edit record={record} onClose={onClose} />;
  if (query.data) return <Edit record={query.data} onClose={onClose} />;
  if (!query.error) return null;
  return (
    <Dialog open onClose={onClose} title={<span className="font-mono text-sm break-all">{name}</span>}>
      <Failed error={query.error} onRetry={() => void query.refetch()} />
    </Dialog>
  );
}

function Edit({ record, onClose }: { record: KvRecord | null; onClose: () => void }) {
  const may = useCan("operator");
  const client = useQueryClient();
  const [base, setBase] = useState(record);
  const [key, setKey] = useState(record?.key ?? "");
  const [tab, setTab] = useState<"value" | "schema" | "history">("value");
  const hasForm = record?.schema != null;
  const [mode, setMode] = useState<"form" | "json">(hasForm ? "form" : "json");
  const [value, setValue] = useState<unknown>(record?.value ?? (hasForm ? undefined : {}));
  const [text, setText] = useState(() => asText(record?.value ?? {}));
  const [schemaSource, setSchemaSource] = useState(() => (record?.schema ? asText(record.schema) : ""));
  const [errors, setErrors] = useState<ValidationError[]>([]);
  const [wrong, setWrong] = useState<{ value?: string; schema?: string }>({});
  const [theirs, setTheirs] = useState<KvRecord | null>(null);
  const [confirming, setConfirming] = useState(false);
  const done = (words: string) => {
    showToast(words, key);
    void client.invalidateQueries({ queryKey: ["kv"] });
    onClose();
  };
  const save = useMutation({
    mutationFn: async ({ next, schema, schemaChanged, valueChanged }: { next: unknown; schema: Schema | null; schemaChanged: boolean; valueChanged: boolean }) => {
      // Write only what changed; the value only if it is still the one shown (null: if there is none).
      if (schemaChanged) await put(`kv/${part(key)}/schema`, { schema });
      if (valueChanged) await put(`kv/${part(key)}`, { value: next, expect: base?.value ?? null });
    },
    onSuccess: () => done("Saved"),
    onError: async (error) => {
      if (error instanceof Problem && error.status === 409) setTheirs(await get<KvRecord>(`kv/${part(key)}`));
      else if (error instanceof Problem && error.errors.length > 0) setErrors(error.errors.map((error) => ({ path: error.path, message: error.message })));
    },
  });
  const drop = useMutation({ mutationFn: () => remove(`kv/${part(key)}`), onSuccess: () => done("Deleted") });
  const go = () => {
    const invalid: typeof wrong = {};
    let next = value;
    if (mode === "json") {
      const read = readJson(text);
      if (read.error !== undefined) invalid.value = read.error;
      else next = read.value;
    }
    let schema: Schema | null = null;
    if (schemaSource.trim()) {
      const read = readJson(schemaSource);
      if (read.error !== undefined) invalid.schema = read.error;
      else schema = read.value as Schema;
    }
    setWrong(invalid);
    const mismatches = schema && Object.keys(invalid).length === 0 ? validate(schema, next) : [];
    setErrors(mismatches);
    if (invalid.schema) setTab("schema");
    else if (invalid.value || mismatches.length > 0) setTab("value");
    if (Object.keys(invalid).length > 0 || mismatches.length > 0) return;
    if (next === null || next === undefined) {
      setWrong({ value: "A value cannot be null. Delete the key instead." });
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
      title={record ? <span className="font-mono text-sm break-all">{record.key}</span> : "Add key"}
      foot={
        may && (
          <>
            {record && (
              <Button tone="danger" icon={<Trash2 />} busy={drop.isPending} onClick={() => (confirming ? drop.mutate() : setConfirming(true))} className="mr-auto">
                {confirming ? "Confirm delete" : "Delete"}
              </Button>
            )}
            <Button onClick={onClose}>Cancel</Button>
            {tab !== "history" && (
              <Button tone="primary" busy={save.isPending} disabled={key === ""} onClick={go}>
                Save
              </Button>
            )}
          </>
        )
      }
    >
      {!record && <Field label="Key" required>{(wires) => <Input {...wires} autoFocus value={key} onChange={(event) => setKey(event.target.value)} className="font-mono !text-xs" />}</Field>}
      <div className="flex items-center justify-between">
        <Segments label="Edit" value={tab} onChange={setTab} options={[{ key: "value", label: "Value" }, { key: "schema", label: "Schema" }, ...(record ? [{ key: "history" as const, label: "History" }] : [])]} />
        {tab === "value" && hasForm && (
          <Segments
            label="Edit as"
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
            options={[{ key: "form", label: "Form" }, { key: "json", label: "JSON" }]}
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
              Overwrite
            </Button>
          }
        >
          This value was changed in the meantime. Current value: <code className="font-mono text-xs break-all">{stringify(theirs.value).slice(0, 200)}</code>
        </Notice>
      )}
      {tab === "history" && record ? (
        <History record={record} onDone={() => done("Value restored")} />
      ) : tab === "schema" ? (
        <JsonField key="schema" label="Schema" text={schemaSource} onChange={setSchemaSource} hint="JSON Schema for the values of this key. Leave empty to allow any value." error={wrong.schema} />
      ) : mode === "form" && record?.schema ? (
        <Suspense fallback={<Skeleton className="h-24 w-full" />}>
          <SchemaForm schema={record.schema} value={value} onChange={setValue} errors={errors} />
        </Suspense>
      ) : (
        <JsonField key="value" label="Value" text={text} onChange={setText} error={wrong.value ?? (errors.length > 0 ? errors.map((error) => `${error.path.join(".") || "Value"}: ${error.message}`).join("  ") : null)} />
      )}
      {error && !theirs && <Notice tone="bad">{problemText(error)}</Notice>}
    </Dialog>
  );
}

/** Earlier values of a key, compared with the current one, with restore. */
function History({ record, onDone }: { record: KvRecord; onDone: () => void }) {
  const may = useCan("operator");
  const [at, setAt] = useState<number | null>(null);
  const query = useQuery({ queryKey: ["kv", record.key, "history"], queryFn: ({ signal }) => get<{ items: KvChange[] }>(`kv/${part(record.key)}/history`, undefined, signal) });
  const current = useQuery({ queryKey: ["kv", record.key], queryFn: ({ signal }) => get<KvRecord>(`kv/${part(record.key)}`, undefined, signal), initialData: record });
  const putBack = useMutation({
    mutationFn: (value: unknown) => put(`kv/${part(record.key)}`, { value, expect: current.data.value }),
    onSuccess: onDone,
    onError: () => {
      void query.refetch();
      void current.refetch();
    },
  });
  return (
    <Loaded query={query} skeleton={<Skeleton className="h-40 w-full rounded-md" />}>
      {({ items }) => {
        if (items.length === 0) return <Notice>No earlier values.</Notice>;
        const shown = Math.min(at ?? Math.min(1, items.length - 1), items.length - 1);
        const change = items[shown]!;
        const isNow = stringify(change.value) === stringify(current.data.value);
        return (
          <div className="grid min-h-0 gap-3 md:grid-cols-[216px_minmax(0,1fr)]">
            <ol className="max-h-[46vh] overflow-y-auto rounded-md hairline max-md:max-h-36" aria-label="History">
              {items.map((item, index) => (
                <li key={`${item.at} ${index}`} className="border-b last:border-b-0">
                  <button type="button" aria-pressed={index === shown} title={`Compare the value of ${absolute(ms(item.at))}`} onClick={() => setAt(index)} className={classes("flex w-full flex-col px-3 py-1.5 text-left", index === shown ? "bg-selected" : "hover:bg-hover")}>
                    <span className="flex gap-2">
                      <Ago at={item.at} className="font-medium" />
                      {index === 0 && <span className="text-faint">current</span>}
                      {item.value === null && <span className="text-bad">deleted</span>}
                    </span>
                    <span className="max-w-full truncate text-xs text-faint">{item.by === null ? "code" : item.by.startsWith("run:") ? `run ${item.by.slice(4)}` : item.by}</span>
                  </button>
                </li>
              ))}
            </ol>
            <div className="flex min-w-0 flex-col gap-3">
              {isNow ? <Notice>This is the current value.</Notice> : <DiffView label={`Comparison of the value of ${absolute(ms(change.at))} with the current value`} before={asText(change.value)} after={asText(current.data.value)} heads={["Selected", "Current"]} />}
              {putBack.error && <Notice tone="bad">{problemText(putBack.error)}</Notice>}
              {may && !isNow && change.value !== null && (
                <div className="flex items-center gap-3">
                  <Button icon={<Undo2 />} busy={putBack.isPending} onClick={() => putBack.mutate(change.value)}>
                    Restore
                  </Button>
                  <span className="text-xs text-faint">Replaces the current value with the one on the left, unless the value changes first.</span>
                </div>
              )}
            </div>
          </div>
        );
      }}
    </Loaded>
  );
}
