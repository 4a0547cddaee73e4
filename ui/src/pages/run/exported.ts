/** Reads a file written by `rt.export` or "Download as file" into the records that pages show. */

import { type Json, LosslessNumber, parse } from "@/api/exact-json";
import { type Arguments, type Run, type RunStatus, statuses, type Step } from "@/api/types";
import { blankRun } from "@/lib/blank-run";
import { shortName } from "@/lib/format";

export type RecordedStep = Step & { traceback: string | null };

export interface ExportedRun {
  run: Run;
  steps: RecordedStep[];
  waits: { position: string; kind: string; subject: string; since: number; until: number | null }[];
  exportedAt: number;
}

const format = 1;
const kinds: Step["kind"][] = ["step", "wait", "child", "step", "mark"];

/** App status changes are recorded for replays, but are not steps. */
const noteKind = 5;

type Loose = Record<string, unknown>;

const isLoose = (value: unknown): value is Loose => value !== null && typeof value === "object" && !Array.isArray(value) && !(value instanceof LosslessNumber);
const text = (value: unknown) => (typeof value === "string" ? value : null);
const number = (value: unknown) => (typeof value === "number" ? value : null);
const iso = (value: unknown) => (typeof value === "number" && Math.abs(value) <= 8.64e15 ? new Date(value).toISOString() : null);
const list = (value: unknown) => {
  if (!Array.isArray(value) || !value.every(isLoose)) throw new Error("This file is not an exported run, or it is incomplete.");
  return value;
};

/** Formats a recorded error like the server: `Type: message`. */
function errorText(error: unknown): string | null {
  if (!isLoose(error)) return null;
  const message = text(error.message);
  const name = shortName(text(error.type) ?? "Error");
  return message ? `${name}: ${message}` : name;
}

const traceback = (error: unknown) => (isLoose(error) ? text(error.traceback) : null);

/** Throws an error with a user-facing message if the text is not an exported run. */
export function readExport(source: string): ExportedRun {
  let document: unknown;
  try {
    document = parse(source);
  } catch {
    throw new Error("This file is not valid JSON.");
  }
  if (!isLoose(document) || document.format !== format) throw new Error(isLoose(document) && typeof document.format === "number" ? `This run was exported by a different version (format ${document.format}). Only format 1 is supported.` : "This file is not an exported run, or it is incomplete.");
  const id = text(document.workflow_id);
  const name = text(document.name);
  const exportedAt = number(document.exported_ms);
  const status = statuses.find((status) => status === document.status) as RunStatus | undefined;
  if (id === null || name === null || exportedAt === null || status === undefined) throw new Error("This file is not an exported run, or it is incomplete.");

  const failures = list(document.failures ?? []);
  const steps = list(document.steps ?? []).filter((step) => step.kind !== noteKind).map((step): RecordedStep => {
    const position = text(step.position);
    const started = iso(step.started_ms);
    if (position === null || started === null) throw new Error("This file is not an exported run, or it is incomplete.");
    const failed = failures.filter((failure) => failure.position === position);
    return {
      workflow_id: id,
      function_id: number(step.function_id) ?? 0,
      function_name: text(step.name) ?? "",
      position,
      kind: kinds[number(step.kind) ?? 0] ?? "mark",
      output: (step.output ?? null) as Json,
      output_truncated: false,
      error: errorText(step.error),
      traceback: traceback(step.error),
      started_at: started,
      ended_at: iso(step.ended_ms),
      attempts: failed.map((failure) => ({ number: number(failure.number) ?? 0, started_at: started, ended_at: null, error: errorText(failure.error), traceback: traceback(failure.error), process: null })),
      child_workflow_id: text(step.child_workflow_id),
      child_status: null,
    };
  });
  const created = iso(document.created_ms) ?? steps.map((step) => step.started_at).sort()[0] ?? new Date(exportedAt).toISOString();
  const started = iso(document.started_ms);
  const completed = iso(document.completed_ms);
  const input = isLoose(document.input) ? (document.input as unknown as Arguments) : null;
  const run: Run = {
    ...blankRun({ workflow_id: id, status, name, created_at: created }),
    updated_at: completed ?? created,
    started_at: started ?? steps[0]?.started_at ?? null,
    completed_at: completed,
    duration: started && completed ? (Date.parse(completed) - Date.parse(started)) / 1000 : null,
    output: (document.output ?? null) as Json,
    error: errorText(document.error),
    input,
    application_version: text(document.application_version) ?? "",
    attempts: number(document.attempts) ?? 0,
    summary: text(document.summary),
  };
  const waits = list(document.waits ?? []).map((wait) => ({ position: text(wait.position) ?? "", kind: text(wait.kind) ?? "", subject: text(wait.subject) ?? "", since: number(wait.since_ms) ?? exportedAt, until: number(wait.deadline_ms) }));
  return { run, steps, waits, exportedAt };
}
