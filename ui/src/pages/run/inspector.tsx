/** Details of a step. */

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ChevronRight, GitFork, X } from "lucide-react";
import { useState } from "react";
import { get, part } from "@/api/client";
import { useCan } from "@/api/session";
import type { Attempt, Run, Step } from "@/api/types";
import { JsonView } from "@/components/json";
import { LogView } from "@/components/log-view";
import { isOpen } from "@/components/status";
import { Button, Copyable, IconButton, Skeleton } from "@/components/ui";
import { classes, plural, shortName } from "@/lib/format";
import { absolute, clockMs, duration } from "@/lib/time";
import { FixStepMenu } from "./fix-step";
import { stepName } from "./layout";
import { StepIcon } from "./timeline";

const processAndVersion = (process: string, version: string) => `process ${process}, version ${version}`;

export function Inspector({ run, step, onClose, onFork }: { run: Run; step: Step; onClose: () => void; onFork: (position: string) => void }) {
  const may = useCan("operator");
  const state = step.error ? "Failed" : step.ended_at ? "Done" : isOpen(run.status) ? (step.kind === "wait" ? "Waiting" : "Running") : "Not finished";
  const took = step.ended_at ? Date.parse(step.ended_at) - Date.parse(step.started_at) : null;
  return (
    <div className="flex min-h-0 flex-1 flex-col" data-testid="inspector">
      <div className="flex h-11 shrink-0 items-center gap-2 border-b pr-2 pl-4 max-xl:pr-12">
        <StepIcon step={step} />
        <h2 className="min-w-0 flex-1 truncate font-semibold">{stepName(step.function_name)}</h2>
        {may && /^\d+$/.test(step.position) && (
          <Button size="sm" icon={<GitFork />} onClick={() => onFork(step.position)}>
            Fork from here
          </Button>
        )}
        <FixStepMenu run={run} step={step} />
        <IconButton label="Close step" size="sm" onClick={onClose} className="max-xl:hidden">
          <X />
        </IconButton>
      </div>
      <div className="flex min-h-0 flex-1 flex-col gap-4 overflow-y-auto p-4" tabIndex={0} role="region" aria-label={stepName(step.function_name)}>
        <dl className="grid grid-cols-[88px_1fr] gap-y-1.5">
          <dt className="text-faint">State</dt>
          <dd className={step.error ? "text-bad" : ""}>{state}{took !== null && ` · ${duration(took)}`}</dd>
          <dt className="text-faint">Position</dt>
          <dd className="font-mono text-xs leading-5">{step.position}</dd>
          <dt className="text-faint">Started</dt>
          <dd title={absolute(Date.parse(step.started_at))}>{clockMs(Date.parse(step.started_at))}</dd>
          {step.ended_at && (
            <>
              <dt className="text-faint">Ended</dt>
              <dd title={absolute(Date.parse(step.ended_at))}>{clockMs(Date.parse(step.ended_at))}</dd>
            </>
          )}
          {step.kind === "step" && <Where run={run} step={step} />}
          {step.child_workflow_id && (
            <>
              <dt className="text-faint">Child run</dt>
              <dd className="min-w-0">
                <Link to="/runs/$id" params={{ id: step.child_workflow_id }} className="block truncate text-accent hover:underline">
                  {step.child_workflow_id}
                </Link>
              </dd>
            </>
          )}
        </dl>
        {step.error && <Failure error={step.error} traceback={step.attempts.at(-1)?.traceback ?? null} />}
        {step.ended_at && !step.error && (step.output_truncated ? <LazyOutput run={run} step={step} /> : <JsonView label="Result" value={step.output ?? null} />)}
        {step.attempts.length > 0 && (step.attempts.length > 1 || step.attempts[0]!.error) && (
          <section>
            <h3 className="mb-1.5 text-xs font-medium text-muted">{plural(step.attempts.length, "attempt")}</h3>
            <ol className="divide-y rounded-md hairline">
              {step.attempts.map((attempt) => (
                <AttemptRow key={attempt.number} attempt={attempt} moved={new Set(step.attempts.map((attempt) => attempt.process?.executor_id)).size > 1} />
              ))}
            </ol>
          </section>
        )}
        <section>
          <h3 className="mb-0.5 text-xs font-medium text-muted">Logs</h3>
          <LogView workflowId={run.workflow_id} step={step.position} compact live={isOpen(run.status)} />
        </section>
      </div>
    </div>
  );
}

/** Process and code version of the step, or of the run if the step has none recorded. */
function Where({ run, step }: { run: Run; step: Step }) {
  const process = step.attempts.at(-1)?.process;
  const executor = process?.executor_id ?? run.executor_id;
  const version = process?.application_version ?? run.application_version;
  return (
    <>
      {executor && (
        <>
          <dt className="text-faint">Process</dt>
          <dd className="min-w-0 truncate" title={executor}>
            {process ? `${process.process_id} on ${process.hostname}` : <span className="font-mono text-xs">{executor}</span>}
          </dd>
        </>
      )}
      <dt className="text-faint">Code version</dt>
      <dd className="min-w-0">
        <Copyable text={version} className="font-mono text-xs leading-5">
          {version}
        </Copyable>
      </dd>
    </>
  );
}

function LazyOutput({ run, step }: { run: Run; step: Step }) {
  const [requested, setRequested] = useState(false);
  const query = useQuery({
    queryKey: ["run", run.workflow_id, "step-output", step.position],
    queryFn: ({ signal }) => get<unknown>(`workflows/${part(run.workflow_id)}/steps/${part(step.position)}/output`, undefined, signal),
    enabled: requested,
    refetchInterval: false,
  });
  if (query.data !== undefined) return <JsonView label="Result" value={query.data} openTo={1} />;
  if (query.isFetching) return <Skeleton className="h-16" />;
  return (
    <Button onClick={() => setRequested(true)}>Load large result</Button>
  );
}

export function Failure({ error, traceback }: { error: string; traceback?: string | null }) {
  const [open, setOpen] = useState(false);
  const at = error.indexOf(":");
  const type = at > 0 ? error.slice(0, at) : error;
  const message = at > 0 ? error.slice(at + 1).trim() : "";
  return (
    <div className="rounded-md bg-bad-soft" role="group" aria-label="Error">
      <div className="flex items-start gap-2 px-3 py-2">
        <div className="min-w-0 flex-1">
          <div title={type} className="font-mono text-xs leading-5 font-semibold text-bad">{shortName(type)}</div>
          {message && (
            <div tabIndex={message.length > 600 ? 0 : undefined} role={message.length > 600 ? "group" : undefined} aria-label={message.length > 600 ? "Error" : undefined} className="max-h-52 overflow-y-auto break-words whitespace-pre-wrap">
              {message}
            </div>
          )}
        </div>
        <Copyable text={traceback ?? error} label="Copy error" className="mt-0.5" />
      </div>
      {traceback && (
        <>
          <button type="button" aria-expanded={open} onClick={() => setOpen(!open)} className="flex items-center gap-1 px-3 pb-2 text-xs text-muted hover:text-text">
            <ChevronRight className={classes("size-3.5 transition-transform", open && "rotate-90")} /> Traceback
          </button>
          {open && <pre tabIndex={0} className="max-h-80 overflow-auto border-t border-bad-fill/20 px-3 py-2 font-mono text-2xs leading-4">{traceback}</pre>}
        </>
      )}
    </div>
  );
}

/** `moved`: attempts ran in several processes, so each shows its own. */
function AttemptRow({ attempt, moved }: { attempt: Attempt; moved: boolean }) {
  const [open, setOpen] = useState(false);
  const began = Date.parse(attempt.started_at);
  return (
    <li className="px-3 py-1.5">
      <div className="flex items-center gap-2">
        <span className={classes("size-2 shrink-0 rounded-xs", attempt.error ? "bg-bad-fill" : attempt.ended_at ? "bg-ok-fill" : "bg-info-fill")} />
        <span className="w-5 text-muted">{attempt.number}</span>
        <span className="text-muted" title={absolute(began)}>
          {clockMs(began)}
        </span>
        <span className="flex-1" />
        <span className="text-muted">{attempt.ended_at ? duration(Date.parse(attempt.ended_at) - began) : "Running"}</span>
      </div>
      {moved && attempt.process && (
        <div className="truncate pl-4 text-xs text-muted" title={attempt.process.executor_id}>
          {processAndVersion(`${attempt.process.process_id} on ${attempt.process.hostname}`, attempt.process.application_version)}
        </div>
      )}
      {attempt.error && (
        <button type="button" disabled={!attempt.traceback} onClick={() => setOpen(!open)} className="mt-0.5 w-full pl-4 text-left text-xs break-words text-bad">
          {attempt.error}
        </button>
      )}
      {open && attempt.traceback && <pre tabIndex={0} className="mt-1 max-h-60 overflow-auto rounded-sm bg-sunken p-2 font-mono text-2xs leading-4">{attempt.traceback}</pre>}
    </li>
  );
}
