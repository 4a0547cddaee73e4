/** A JSON editor with its error below. */

import { lazy, Suspense } from "react";
import { parseTyped, stringify } from "@/api/exact-json";
import { Skeleton } from "./ui";

const CodeEditor = lazy(() => import("./code-editor"));

export function asText(value: unknown): string {
  return value === undefined ? "" : stringify(value, 2);
}

/** Parses JSON; the error says at which line and column the text is invalid. */
export function readJson(text: string): { value: unknown; error?: undefined } | { value?: undefined; error: string } {
  if (text.trim() === "") return { error: "Enter a JSON value, for example {} or null." };
  try {
    return { value: parseTyped(text) };
  } catch (error) {
    return { error: `Invalid JSON: ${error instanceof Error ? error.message : String(error)}.` };
  }
}

export function JsonField({ text, onChange, label, hint, error }: { text: string; onChange: (text: string) => void; label: string; hint?: string; error?: string | null }) {
  return (
    <div className="flex flex-col gap-1">
      <Suspense fallback={<Skeleton className="h-34 w-full rounded-md" />}>
        <CodeEditor value={text} onChange={onChange} label={label} hint={hint} />
      </Suspense>
      {error && <div className="text-xs text-bad" role="alert">{error}</div>}
    </div>
  );
}
