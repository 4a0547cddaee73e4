/** Workflow input, edited as a form (if the schema is available) or as JSON. */

import { lazy, Suspense, useState } from "react";
import type { Schema } from "@/api/types";
import { asJsonSchema, initial, validate, type ValidationError } from "@/lib/schema";
import { asText, JsonField, readJson } from "./json-field";
import { Segments, Skeleton } from "./ui";

const SchemaForm = lazy(() => import("./schema-form").then((module) => ({ default: module.SchemaForm })));

export interface InputState {
  value: unknown;
  text: string;
  mode: "form" | "json";
}

const isEmpty = (schema: Schema | null) => schema !== null && schema.type === "object" && Object.keys((schema.properties as object | undefined) ?? {}).length === 0 && !Array.isArray(schema.fields);

export function newInput(schema: Schema | null, value?: unknown): InputState {
  const content = value === undefined || value === null ? (schema ? initial(asJsonSchema(schema), asJsonSchema(schema)) : null) : value;
  return { value: content, text: asText(content ?? null), mode: schema ? "form" : "json" };
}

/** The value to send, or its validation errors. */
export function readInput(state: InputState, schema: Schema | null): { value: unknown; errors: ValidationError[]; error: string | null } {
  if (state.mode === "json") {
    const parsed = readJson(state.text);
    if (parsed.error !== undefined) return { value: undefined, errors: [], error: parsed.error };
    return { value: parsed.value, errors: [], error: null };
  }
  return { value: state.value ?? null, errors: schema && !isEmpty(schema) ? validate(schema, state.value) : [], error: null };
}

export function InputFields({ schema, state, onChange, errors, error }: { schema: Schema | null; state: InputState; onChange: (state: InputState) => void; errors: ValidationError[]; error: string | null }) {
  const [wrong, setWrong] = useState<string | null>(null);
  if (isEmpty(schema)) return <p className="text-faint">This workflow takes no input.</p>;
  const choose = (mode: "form" | "json") => {
    if (mode === state.mode) return;
    if (mode === "json") {
      onChange({ ...state, mode, text: asText(state.value ?? null) });
      return;
    }
    const read = readJson(state.text);
    if (read.error !== undefined) {
      setWrong(read.error);
      return;
    }
    setWrong(null);
    onChange({ ...state, mode, value: read.value });
  };
  return (
    <div className="flex flex-col gap-3">
      <div className="flex items-center justify-between">
        <span className="text-xs font-medium text-muted">Input</span>
        {schema && <Segments label="Edit input as" value={state.mode} onChange={choose} options={[{ key: "form", label: "Form" }, { key: "json", label: "JSON" }]} />}
      </div>
      {state.mode === "form" && schema ? (
        <Suspense fallback={<Skeleton className="h-24 w-full" />}>
          <SchemaForm schema={schema} value={state.value} onChange={(value) => onChange({ ...state, value })} errors={errors} />
        </Suspense>
      ) : (
        <JsonField label="Input" text={state.text} onChange={(text) => onChange({ ...state, text })} error={error ?? wrong ?? (errors.length > 0 ? errors.map((error) => `${error.path.join(".") || "input"}: ${error.message}`).join("\n") : null)} />
      )}
    </div>
  );
}
