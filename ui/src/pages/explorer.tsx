/** API explorer based on the live OpenAPI document. */

import { useMutation, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Send } from "lucide-react";
import { useState } from "react";
import { apiPath } from "@/api/base-path";
import { address, get, type Raw, sendRaw } from "@/api/client";
import { parse } from "@/api/exact-json";
import { useCan } from "@/api/session";
import type { Role, Schema } from "@/api/types";
import { JsonView } from "@/components/json";
import { asText, JsonField, readJson } from "@/components/json-field";
import { SearchField } from "@/components/search-field";
import { Loaded } from "@/components/states";
import { problemText } from "@/components/toast";
import { Button, Copyable, Field, Input, Notice } from "@/components/ui";
import { classes, count } from "@/lib/format";
import { PageHead } from "@/shell/frame";
import { useTitle } from "@/shell/title";

interface Parameter {
  name: string;
  in: "path" | "query";
  required?: boolean;
  description?: string;
  schema?: Schema;
}

interface Operation {
  id: string;
  method: string;
  path: string;
  tag: string;
  text: string;
  role: Role | null;
  parameters: Parameter[];
  body: unknown;
}

interface Document {
  paths: Record<string, Record<string, { tags?: string[]; description?: string; parameters?: Parameter[]; requestBody?: { content: Record<string, { schema: Schema }> }; "x-role"?: Role }>>;
  components?: { schemas?: Record<string, Schema> };
}

const looks: Record<string, string> = { GET: "text-info", POST: "text-ok", PUT: "text-warn", PATCH: "text-warn", DELETE: "text-bad" };

function operationsOf(document: Document): Operation[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(() => path !== "/stream")
      .map(([method, node]) => {
        const schema = node.requestBody?.content["application/json"]?.schema;
        return {
          id: `${method.toUpperCase()} ${path}`,
          method: method.toUpperCase(),
          path,
          tag: node.tags?.[0] ?? "",
          text: node.description ?? "",
          role: node["x-role"] ?? null,
          parameters: (node.parameters ?? []).filter((parameter) => parameter.in === "path" || parameter.in === "query"),
          body: schema ? sample(schema, document, 0) : undefined,
        };
      }),
  );
}

/** A sample value for a schema: examples if there are any, and only required fields. */
function sample(schema: Schema, document: Document, depth: number): unknown {
  const node = schema as Record<string, unknown>;
  if (typeof node.$ref === "string") return depth > 6 ? null : sample(document.components?.schemas?.[node.$ref.split("/").at(-1)!] ?? {}, document, depth + 1);
  if (Array.isArray(node.examples) && node.examples.length > 0) return node.examples[0];
  if (node.default !== undefined) return node.default;
  if (node.const !== undefined) return node.const;
  if (Array.isArray(node.enum)) return node.enum[0];
  const choices = (node.anyOf ?? node.oneOf) as Schema[] | undefined;
  if (choices?.[0]) return sample(choices[0], document, depth + 1);
  if (node.type === "object" || node.properties) {
    const needed = (node.required as string[] | undefined) ?? [];
    return Object.fromEntries(Object.entries((node.properties as Record<string, Schema> | undefined) ?? {}).filter(([name]) => needed.includes(name)).map(([name, part]) => [name, sample(part, document, depth + 1)]));
  }
  if (node.type === "array") return [];
  if (node.type === "string") return "";
  if (node.type === "boolean") return false;
  return node.type === "integer" || node.type === "number" ? 0 : null;
}

export function ExplorerPage() {
  useTitle("API");
  const search = useSearch({ strict: false });
  const navigate = useNavigate();
  const [words, setWords] = useState("");
  const query = useQuery({
    queryKey: ["openapi"],
    queryFn: async ({ signal }) => operationsOf(await get<Document>("openapi.json", undefined, signal)),
    staleTime: Number.POSITIVE_INFINITY,
    refetchInterval: false,
  });
  return (
    <>
      <PageHead title="API" note={<a href={address("openapi.json")} target="_blank" rel="noreferrer" className="hover:text-text hover:underline">openapi.json</a>}>
        <SearchField value={words} onChange={setWords} placeholder="Search operations" className="w-52" />
      </PageHead>
      <Loaded query={query}>
        {(all) => {
          const matching = all.filter((item) => `${item.id} ${item.tag} ${item.text}`.toLowerCase().includes(words.toLowerCase()));
          const chosen = all.find((item) => item.id === search.operation) ?? matching[0];
          return (
            <div className="flex min-h-0 flex-1 max-md:flex-col">
              <nav aria-label="Operations" className="w-88 shrink-0 overflow-y-auto border-r py-1 max-md:h-56 max-md:w-full max-md:border-r-0 max-md:border-b">
                {matching.length === 0 && <p className="px-4 py-3 text-faint">No operations match</p>}
                {matching.map((item, index) => (
                  <div key={item.id}>
                    {item.tag !== matching[index - 1]?.tag && <h2 className="px-4 pt-3 pb-1 text-xs font-medium text-faint">{item.tag}</h2>}
                    <button
                      type="button"
                      aria-current={item.id === chosen?.id || undefined}
                      onClick={() => void navigate({ to: "/api", search: { operation: item.id }, replace: true })}
                      className={classes("flex w-full items-baseline gap-2 px-4 py-1 text-left font-mono text-xs", item.id === chosen?.id ? "bg-selected" : "hover:bg-hover")}
                    >
                      <span className={classes("w-12 shrink-0 font-semibold", looks[item.method])}>{item.method}</span>
                      <span className="min-w-0 break-all">{item.path}</span>
                    </button>
                  </div>
                ))}
              </nav>
              <div className="min-w-0 flex-1 overflow-y-auto" tabIndex={0} role="region" aria-label={chosen?.id ?? "API"}>
                {chosen && <Try key={chosen.id} operation={chosen} />}
              </div>
            </div>
          );
        }}
      </Loaded>
    </>
  );
}

function Try({ operation }: { operation: Operation }) {
  const may = useCan(operation.role ?? "viewer");
  const [values, setValues] = useState<Record<string, string>>({});
  const [body, setBody] = useState(() => (operation.body === undefined ? "" : asText(operation.body)));
  const [wrong, setWrong] = useState<string | null>(null);
  const act = useMutation({ mutationFn: ({ path, text }: { path: string; text: string | undefined }) => sendRaw(operation.method, path, text) });
  const path = pathOf(operation, values);
  const missing = operation.parameters.some((parameter) => parameter.in === "path" && !values[parameter.name]);
  const go = () => {
    const read = operation.body === undefined ? null : readJson(body);
    setWrong(read?.error ?? null);
    if (read?.error === undefined) act.mutate({ path, text: operation.body === undefined ? undefined : body });
  };
  const curl = `curl -X ${operation.method} '${window.location.origin}${apiPath}${path}' -H "Authorization: Bearer $TURBINE_TOKEN"${operation.body === undefined ? "" : ` -H 'Content-Type: application/json' -d '${body.replaceAll("'", "'\\''")}'`}`;
  return (
    <div className="mx-auto flex max-w-3xl flex-col gap-4 p-6 max-md:p-4">
      <div>
        <h2 className="font-mono text-sm font-semibold break-all">
          <span className={looks[operation.method]}>{operation.method}</span> {operation.path}
        </h2>
        <p className="mt-1 text-muted">{operation.text}</p>
        <p className="mt-1 text-xs text-faint">{operation.role ? `Requires the role ${operation.role}.` : "No sign-in required."}</p>
      </div>
      {operation.parameters.length > 0 && (
        <div className="grid gap-3 sm:grid-cols-2">
          {operation.parameters.map((parameter) => (
            <Field key={`${parameter.in} ${parameter.name}`} label={<span className="font-mono">{parameter.name}</span>} hint={parameter.description} required={parameter.in === "path" || parameter.required}>
              {(wires) => <Input {...wires} value={values[parameter.name] ?? ""} placeholder={parameter.schema?.default === undefined || parameter.schema.default === null ? "" : String(parameter.schema.default)} onChange={(event) => setValues({ ...values, [parameter.name]: event.target.value })} className="font-mono !text-xs" />}
            </Field>
          ))}
        </div>
      )}
      {operation.body !== undefined && <JsonField label="Body" text={body} onChange={setBody} error={wrong} />}
      {may ? (
        <div className="flex flex-wrap items-center gap-3">
          <Button tone={operation.method === "DELETE" ? "danger" : "primary"} icon={<Send />} busy={act.isPending} disabled={missing} onClick={go}>
            Try it
          </Button>
          <Copyable text={curl} label="Copy as curl">
            <span className="text-muted">Copy as curl</span>
          </Copyable>
          {operation.method !== "GET" && <span className="text-xs text-faint">This changes live data.</span>}
        </div>
      ) : (
        <Notice>Your role cannot do this. It requires {operation.role ?? "viewer"}.</Notice>
      )}
      {act.error && <Notice tone="bad">{problemText(act.error)}</Notice>}
      {act.data && <Shown raw={act.data} />}
    </div>
  );
}

function pathOf(operation: Operation, values: Record<string, string>): string {
  const path = operation.path.replace(/\{(\w+)\}/g, (_, name: string) => (values[name] ? encodeURIComponent(values[name]) : `{${name}}`)).replace(/^\//, "");
  const query = new URLSearchParams();
  for (const parameter of operation.parameters) if (parameter.in === "query" && values[parameter.name]) for (const value of parameter.schema?.type === "array" ? values[parameter.name]!.split(",") : [values[parameter.name]!]) query.append(parameter.name, value.trim());
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

function Shown({ raw }: { raw: Raw }) {
  let value: unknown;
  let isJson = false;
  try {
    value = parse(raw.text);
    isJson = raw.text !== "";
  } catch {
    value = raw.text;
  }
  return (
    <section aria-label="Response" className="flex flex-col gap-2">
      <div className="flex items-center gap-3 text-xs tabular-nums" role="status">
        <span className={classes("font-semibold", raw.status < 300 ? "text-ok" : "text-bad")}>{raw.status}</span>
        <span className="text-muted">{Math.round(raw.ms)} ms, {count(raw.text.length)} characters</span>
      </div>
      {isJson ? <JsonView label="Response" value={value} /> : raw.text && <pre className="max-h-96 overflow-auto rounded-md p-3 font-mono text-xs whitespace-pre-wrap hairline">{raw.text.slice(0, 100_000)}</pre>}
    </section>
  );
}
