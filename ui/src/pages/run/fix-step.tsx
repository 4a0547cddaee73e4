/** Fix a step by hand: retry it, skip it with a result, or fail it with an error. */

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { CircleX, ListRestart, Redo2, Wrench } from "lucide-react";
import { useState } from "react";
import { part, post } from "@/api/client";
import { useCan } from "@/api/session";
import type { ActionResult, Run, Step } from "@/api/types";
import { JsonField, readJson } from "@/components/json-field";
import { isOpen } from "@/components/status";
import { problemText, showError, showToast } from "@/components/toast";
import { Button, Dialog, Field, Input, Menu, Notice } from "@/components/ui";
import { stepName } from "./layout";

const cancelReasons = {
  skip: (position: string) => `continued in a fork that skips step ${position}`,
  fail: (position: string) => `continued in a fork in which step ${position} fails`,
};
const doneMessages = { skip: "Step skipped in a new run", fail: "Step failed in a new run" };
const titles = {
  skip: (position: string, name: string) => `Skip step ${position}, ${name}`,
  fail: (position: string, name: string) => `Fail step ${position}, ${name}`,
};
const notes = {
  skip: "The workflow continues as if the step had returned this value.",
  fail: "The workflow continues as if the step had raised an error with this reason. It may handle the error or fail.",
};
const submitOpenLabels = { skip: "Cancel and skip step", fail: "Cancel and fail step" };
const submitLabels = { skip: "Skip step", fail: "Fail step" };

type Act = "skip" | "fail";

const isMain = (step: Step) => /^\d+$/.test(step.position);
/** Approvals and sleeps take no result: they are decided or ended in the waiting card. */
const takesValue = (step: Step) => !["sleep", "wait_for_approval"].includes(stepName(step.function_name));

export function FixStepMenu({ run, step }: { run: Run; step: Step }) {
  const may = useCan("operator");
  const client = useQueryClient();
  const [act, setAct] = useState<Act | null>(null);
  const again = useMutation({
    mutationFn: (how: "release" | "resume") => post<ActionResult>(`workflows/${part(run.workflow_id)}/${how}`),
    onSuccess: (answer) => {
      showToast(answer.changed ? "Retrying the step" : "No change: the run has moved on");
      void client.invalidateQueries({ queryKey: ["run", run.workflow_id] });
    },
    onError: (error) => showError(error),
  });
  const open = isOpen(run.status);
  const isUnderWay = step.ended_at === null && (open || run.status === "CANCELLED");
  const rests = open && step.ended_at === null && step.kind === "step" && Boolean(step.attempts.at(-1)?.error);
  const hasEndedRun = run.status === "ERROR" && Boolean(step.error) && (run.error?.includes(step.error!.slice(0, 40)) ?? false);
  const canSkip = isMain(step) && takesValue(step) && (Boolean(step.error) || isUnderWay);
  const canFail = isMain(step) && takesValue(step) && !step.error && step.kind !== "mark" && (step.ended_at !== null || isUnderWay);
  if (!may || !(rests || hasEndedRun || canSkip || canFail)) return null;
  return (
    <>
      <Menu
        trigger={<Button size="sm" icon={<Wrench />} aria-label="Fix step" title="Fix step" />}
        items={[
          (rests || hasEndedRun) && { label: rests ? "Retry now" : "Try again", icon: <ListRestart />, onSelect: () => again.mutate(rests ? "release" : "resume") },
          canSkip && { label: "Skip with a result", icon: <Redo2 />, onSelect: () => setAct("skip") },
          canFail && { label: "Fail with an error", icon: <CircleX />, onSelect: () => setAct("fail") },
        ]}
      />
      {act && <FixStepDialog run={run} step={step} act={act} onClose={() => setAct(null)} />}
    </>
  );
}

function FixStepDialog({ run, step, act, onClose }: { run: Run; step: Step; act: Act; onClose: () => void }) {
  const navigate = useNavigate();
  const client = useQueryClient();
  const [text, setText] = useState("null");
  const [reason, setReason] = useState("");
  const [wrong, setWrong] = useState<string | null>(null);
  const open = isOpen(run.status);
  const name = stepName(step.function_name);
  const id = part(run.workflow_id);
  const amend = useMutation({
    mutationFn: async (change: Record<string, unknown>) => {
      // Cancel first: the two runs must not continue side by side.
      if (open) await post<ActionResult>(`workflows/${id}/cancel`, { reason: cancelReasons[act](step.position) });
      return post<ActionResult>(`workflows/${id}/fork`, { from_step: Number(step.position) + 1, ...change });
    },
    onSuccess: (answer) => {
      showToast(doneMessages[act], answer.workflow_id);
      onClose();
      void navigate({ to: "/runs/$id", params: { id: answer.workflow_id } });
    },
    onSettled: () => void client.invalidateQueries({ queryKey: ["run", run.workflow_id] }),
  });
  const go = () => {
    if (act === "fail") return amend.mutate({ failures: { [step.position]: reason.trim() } });
    const parsed = readJson(text);
    setWrong(parsed.error ?? null);
    if (parsed.error === undefined) amend.mutate({ edits: { [step.position]: parsed.value } });
  };
  return (
    <Dialog
      open
      onClose={onClose}
      title={titles[act](step.position, name)}
      note={notes[act]}
      foot={
        <>
          <Button onClick={onClose}>Back</Button>
          <Button tone={act === "fail" ? "danger" : "primary"} busy={amend.isPending} disabled={act === "fail" && !reason.trim()} onClick={go}>
            {open ? submitOpenLabels[act] : submitLabels[act]}
          </Button>
        </>
      }
    >
      <ol className="flex list-decimal flex-col gap-0.5 rounded-md bg-sunken py-2 pr-3 pl-7 text-muted hairline" aria-label="What happens next">
        {[
    open ? "This run and its child runs are cancelled. They stay in the list." : "This run stays unchanged.",
    `A new run reuses everything recorded before step ${step.position}. None of it runs again.`,
    act === "skip" ? `Step ${step.position} returns your value. The rest is executed.` : `Step ${step.position} fails with your reason. The rest is executed.`,
  ].map((line) => (
          <li key={line}>{line}</li>
        ))}
      </ol>
      {act === "skip" ? (
        <div className="flex flex-col gap-1">
          <span className="text-xs font-medium text-muted">Result of the step (JSON)</span>
          <JsonField label="Result of the step (JSON)" text={text} onChange={setText} error={wrong} />
        </div>
      ) : (
        <Field label="Reason" hint="Used as the error message and recorded in the audit log.">
          {(wires) => <Input {...wires} autoFocus value={reason} onChange={(event) => setReason(event.target.value)} onKeyDown={(event) => event.key === "Enter" && reason.trim() && go()} />}
        </Field>
      )}
      {amend.error && <Notice tone="bad">{open ? `The new run was not started: ${problemText(amend.error)}. If this run was cancelled, you can resume it.` : problemText(amend.error)}</Notice>}
    </Dialog>
  );
}
