/** Dialog to fork a run from a step, optionally with other input or results. */

import { useMutation } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Plus, X } from "lucide-react";
import { useState } from "react";
import { get, part, post } from "@/api/client";
import type { ActionResult, Arguments, RegisteredDetail, Run, Schema, Step } from "@/api/types";
import { InputFields, type InputState, newInput, readInput } from "@/components/input-fields";
import { asText, JsonField, readJson } from "@/components/json-field";
import { problemText, showError, showToast } from "@/components/toast";
import { Button, Dialog, Field, IconButton, Input, Notice, Select, Skeleton, Switch } from "@/components/ui";
import { plural } from "@/lib/format";
import type { ValidationError } from "@/lib/schema";
import { stepName } from "./layout";

export function ForkDialog({ run, steps, from, onClose }: { run: Run; steps: Step[]; from: string | null; onClose: () => void }) {
  return from !== null && <Inside key={from} run={run} steps={steps} from={from} onClose={onClose} />;
}

/** A fork can start only at a position of the main branch. */
const isMain = (step: Step) => /^\d+$/.test(step.position);

function Inside({ run, steps, from: given, onClose }: { run: Run; steps: Step[]; from: string; onClose: () => void }) {
  const navigate = useNavigate();
  const choices = steps.filter((step) => isMain(step) || step.position === given);
  const [from, setFrom] = useState(given);
  const [editsInput, setEditsInput] = useState(false);
  const [input, setInput] = useState<{ schema: Schema | null; state: InputState } | null>(null);
  const [errors, setErrors] = useState<ValidationError[]>([]);
  const [edits, setEdits] = useState<Record<string, string>>({});
  const [wrong, setWrong] = useState<Record<string, string>>({});
  const [newId, setNewId] = useState("");
  const before = steps.filter((step) => step.ended_at !== null && !step.error && comesBefore(step.position, from));
  const kept = steps.filter((step) => comesBefore(step.position, from)).length;

  const load = async () => {
    setEditsInput(true);
    if (input !== null) return;
    try {
      const [stored, workflow] = await Promise.all([
        run.input_truncated || !run.input ? get<Arguments>(`workflows/${part(run.workflow_id)}/input`) : run.input,
        // The workflow may no longer be registered: then edit the input as JSON.
        get<RegisteredDetail>(`registered/${part(run.name)}`).catch(() => null),
      ]);
      const named = byName(stored, workflow?.input_schema ?? null);
      setInput(named ? { schema: workflow!.input_schema, state: newInput(workflow!.input_schema, named) } : { schema: null, state: newInput(null, stored) });
    } catch (error) {
      setEditsInput(false);
      showError(error);
    }
  };
  const act = useMutation({
    mutationFn: (body: Record<string, unknown>) => post<ActionResult>(`workflows/${part(run.workflow_id)}/fork`, body),
    onSuccess: (answer) => {
      showToast("Run forked", answer.workflow_id);
      onClose();
      void navigate({ to: "/runs/$id", params: { id: answer.workflow_id } });
    },
  });
  const go = () => {
    const invalid: Record<string, string> = {};
    const body: Record<string, unknown> = { from_step: /^\d+$/.test(from) ? Number(from) : from };
    if (editsInput && input !== null) {
      const read = readInput(input.state, input.schema);
      setErrors(read.errors);
      if (read.error !== null) invalid.input = read.error;
      else if (read.errors.length > 0) invalid.input = "";
      else body.input = read.value;
    }
    const outputs: Record<string, unknown> = {};
    for (const [position, text] of Object.entries(edits)) {
      const parsed = readJson(text);
      if (parsed.error) invalid[position] = parsed.error;
      else outputs[position] = parsed.value;
    }
    if (Object.keys(outputs).length > 0) body.edits = outputs;
    if (newId) body.new_id = newId;
    setWrong(invalid);
    if (Object.keys(invalid).length === 0) act.mutate(body);
  };
  return (
    <Dialog
      open
      wide
      onClose={onClose}
      title="Fork this run"
      note="Creates a new run that reuses the results recorded before the chosen step and executes the rest."
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button tone="primary" busy={act.isPending} onClick={go}>
            Fork
          </Button>
        </>
      }
    >
      <Field label="Start from" hint={`${plural(kept, "recorded step")} reused; the rest runs again.`}>
        {(wires) => (
          <Select {...wires} value={from} onChange={(event) => { setFrom(event.target.value); setEdits({}); }}>
            <option value="0">The beginning</option>
            {choices
              .filter((step) => step.position !== "0")
              .map((step) => (
                <option key={step.position} value={step.position}>
                  {step.position} · {stepName(step.function_name)}
                  {step.error ? ` · ${step.error.split(":")[0]}` : ""}
                </option>
              ))}
          </Select>
        )}
      </Field>
      <div className="flex items-center justify-between gap-3">
        <div>
          <div className="text-sm">Change the input</div>
          <div className="text-xs text-faint">Reused steps keep their results, even if they depend on the old input.</div>
        </div>
        <Switch label="Change the input" checked={editsInput} onCheckedChange={(on) => (on ? void load() : setEditsInput(false))} />
      </div>
      {editsInput && input === null && <Skeleton className="h-24 w-full rounded-md" />}
      {editsInput && input !== null && (
        <div className="rounded-md p-3 hairline">
          <InputFields schema={input.schema} state={input.state} onChange={(state) => setInput({ ...input, state })} errors={errors} error={wrong.input || null} />
        </div>
      )}
      <div className="flex flex-col gap-2">
        <div className="flex items-center justify-between gap-3">
          <div>
            <div className="text-sm">Override step results</div>
            <div className="text-xs text-faint">The new run uses these values instead.</div>
          </div>
          {before.some((step) => !(step.position in edits)) && (
            <span className="relative inline-flex">
              <Button size="sm" icon={<Plus />}>
                Override a step
              </Button>
              <select
                aria-label="Override a step"
                className="absolute inset-0 cursor-default opacity-0"
                value=""
                onChange={(event) => {
                  const step = before.find((item) => item.position === event.target.value);
                  if (step) setEdits({ ...edits, [step.position]: asText(step.output) });
                }}
              >
                <option value="">Override a step</option>
                {before
                  .filter((step) => !(step.position in edits))
                  .map((step) => (
                    <option key={step.position} value={step.position}>
                      {step.position} · {stepName(step.function_name)}
                    </option>
                  ))}
              </select>
            </span>
          )}
        </div>
        {Object.entries(edits).map(([position, text]) => (
          <div key={position} className="flex flex-col gap-1">
            <div className="flex items-center justify-between text-xs font-medium text-muted">
              {position} · {stepName(steps.find((step) => step.position === position)?.function_name ?? "")}
              <IconButton
                size="sm"
                label="Remove override"
                onClick={() => {
                  const { [position]: _, ...rest } = edits;
                  setEdits(rest);
                }}
              >
                <X />
              </IconButton>
            </div>
            <JsonField label={`Override step results ${position}`} text={text} onChange={(next) => setEdits({ ...edits, [position]: next })} error={wrong[position]} />
          </div>
        ))}
      </div>
      <Field label="New run ID" hint="Leave empty to generate one.">
        {(wires) => <Input {...wires} value={newId} onChange={(event) => setNewId(event.target.value)} className="font-mono !text-xs" />}
      </Field>
      {act.error && <Notice tone="bad">{problemText(act.error)}</Notice>}
    </Dialog>
  );
}

/** The stored arguments by parameter name, if the schema has the names. */
function byName(stored: Arguments, schema: Schema | null): Record<string, unknown> | null {
  if (schema === null || schema.type !== "object" || !Array.isArray(stored?.args)) return null;
  const names = Object.keys((schema.properties as object | undefined) ?? {});
  if (stored.args.length > names.length) return null;
  return { ...Object.fromEntries(stored.args.map((value, index) => [names[index]!, value])), ...stored.kwargs };
}

function comesBefore(position: string, from: string): boolean {
  const a = position.split(".").map((part) => Number.parseInt(part, 10));
  const b = from.split(".").map((part) => Number.parseInt(part, 10));
  for (let at = 0; at < Math.min(a.length, b.length); at++) if (a[at] !== b[at]) return a[at]! < b[at]!;
  return false;
}
