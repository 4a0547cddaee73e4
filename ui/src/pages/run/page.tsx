/** The page of a run. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { Ban, ChevronLeft, Download, Ellipsis, GitFork, RotateCcw, Send, Trash2, Workflow } from "lucide-react";
import { lazy, type ReactNode, Suspense, useState } from "react";
import { address, get, part, post, Problem, remove } from "@/api/client";
import { useCan } from "@/api/session";
import type { ActionResult, Run } from "@/api/types";
import { JsonView } from "@/components/json";
import { LogView } from "@/components/log-view";
import { Markdown } from "@/components/markdown";
import { Empty, Failed, Loaded } from "@/components/states";
import { AppStatus, canResume, isOpen, StatusBadge } from "@/components/status";
import { showError, showToast } from "@/components/toast";
import { Ago, Button, Copyable, Dialog, Field, Input, Menu, Segments, Sheet, Skeleton, Tabs, Tag, Tip } from "@/components/ui";
import { classes } from "@/lib/format";
import { useStored } from "@/lib/local-storage";
import { usePhone, useWide } from "@/lib/media-query";
import { absolute, duration, ms, seconds, useFastNow } from "@/lib/time";
import { useTitle } from "@/shell/title";
import { simple } from "./arguments";
import { Compare } from "./compare";
import { ForkDialog } from "./fork";
import { Failure, Inspector } from "./inspector";
import { explainQuery, productsQuery, runQuery, stepsQuery } from "./queries";
import { RelatedRuns, RunAudit, RunProducts, MessagesAndValues } from "./tabs";
import { Waterfall } from "./timeline";
import { CodeLocation, SendDialog, WaitingCard } from "./waiting";

const resumeNotes: Record<string, string> = {
  ERROR: "Runs the failed step again. Recorded steps are not repeated.",
  CANCELLED: "Continues after the last recorded step. Child runs that were cancelled with this run resume too.",
  MAX_RECOVERY_ATTEMPTS_EXCEEDED: "Continues after the last recorded step and resets the attempt counter.",
};
const resumeLabels: Record<string, string> = { ERROR: "Retry", CANCELLED: "Resume", MAX_RECOVERY_ATTEMPTS_EXCEEDED: "Resume" };
const confirmations = {
  cancel: { title: "Cancel this run?", note: "Waits end at once, steps at their next await or durable call. Child runs are cancelled too. You can resume the run later.", go: "Cancel run" },
  delete: { title: "Delete this run?", note: "Its steps, values, messages and products are deleted too. Logs are kept. This cannot be undone.", go: "Delete run" },
};

const Graph = lazy(() => import("./graph"));

export function RunPage() {
  const { id } = useParams({ strict: false }) as { id: string };
  const query = useQuery(runQuery(id));
  useTitle(query.data ? `${query.data.name} ${query.data.workflow_id}` : id);
  // Deleted while the page was open: none of its actions would work.
  if (query.error instanceof Problem && query.error.status === 404) return <Failed error={query.error} />;
  return (
    <Loaded query={query} skeleton={<RunSkeleton />}>
      {(run) => <Inside key={id} run={run} />}
    </Loaded>
  );
}

function Inside({ run }: { run: Run }) {
  const search = useSearch({ strict: false });
  const navigate = useNavigate();
  const isWide = useWide();
  const isPhone = usePhone();
  const [view, setView] = useStored<"timeline" | "graph">("run.view", "timeline");
  const [forkFrom, setForkFrom] = useState<string | null>(null);
  const stepsAnswer = useQuery(stepsQuery(run.workflow_id, run.status));
  const products = useQuery(productsQuery(run.workflow_id)).data?.items.length;
  const steps = stepsAnswer.data ?? [];
  const tab = typeof search.tab === "string" ? search.tab : "steps";
  const selected = typeof search.step === "string" ? search.step : null;
  const other = typeof search.compare === "string" ? search.compare : (run.forked_from ?? "");
  const go = (change: Record<string, string | undefined>) => void navigate({ to: "/runs/$id", params: { id: run.workflow_id }, search: { ...search, ...change }, replace: true });
  const select = (position: string | null) => go({ step: position ?? undefined });
  const step = steps.find((step) => step.position === selected) ?? null;
  const failing = run.error ? [...steps].reverse().find((step) => step.error && run.error?.includes(step.error.slice(0, 40))) : undefined;
  const inspector = step && <Inspector key={step.position} run={run} step={step} onClose={() => select(null)} onFork={setForkFrom} />;
  return (
    <div className="flex min-h-0 flex-1">
      <div className="flex min-h-0 min-w-0 flex-1 flex-col overflow-y-auto" tabIndex={-1}>
        <Head run={run} onFork={() => setForkFrom(failing && /^\d+$/.test(failing.position) ? failing.position : "0")} />
        <WaitingCard run={run} onFork={() => setForkFrom("0")} />
        {run.error && (
          <div className="mx-4 mt-3">
            <Failure error={run.error} traceback={failing?.attempts.at(-1)?.traceback} />
            {failing && (
              <button type="button" className="mt-1 text-xs text-accent hover:underline" onClick={() => go({ tab: undefined, step: failing.position })}>
                Failed at step {failing.position}, {failing.function_name}
              </button>
            )}
          </div>
        )}
        <div className="mt-2">
          <Tabs
            label="Run sections"
            value={tab}
            onChange={(key) => go({ tab: key === "steps" ? undefined : key })}
            tabs={[
              { key: "steps", label: "Steps", count: stepsAnswer.data?.length },
              ...(isWide ? [] : [{ key: "details", label: "Details" }]),
              { key: "logs", label: "Logs" },
              { key: "products", label: "Products", count: products || null },
              { key: "related", label: "Related runs" },
              { key: "messages", label: "Messages" },
              { key: "audit", label: "History" },
              ...(run.forked_from || tab === "compare" ? [{ key: "compare", label: "Compare" }] : []),
            ]}
            end={
              tab === "steps" && !isPhone ? (
                <Segments label="Show steps as" value={view} onChange={setView} options={[{ key: "timeline", label: "Timeline" }, { key: "graph", label: "Graph" }]} />
              ) : undefined
            }
          />
        </div>
        <div className="flex min-h-64 flex-1 flex-col" role="tabpanel" aria-label="Run sections">
          {tab === "steps" &&
            (view === "graph" && !isPhone ? (
              <Suspense fallback={<Skeleton className="m-4 h-80" />}>
                <Graph run={run} selected={selected} onSelect={select} />
              </Suspense>
            ) : (
              <Loaded query={stepsAnswer}>
                {(all) => (all.length === 0 ? <Empty title="No steps yet">{isOpen(run.status) ? "Steps appear here once they are recorded." : "The run ended before recording a step."}</Empty> : <Waterfall run={run} steps={all} selected={selected} onSelect={select} />)}
              </Loaded>
            ))}
          {tab === "details" && (
            <div className="flex flex-col gap-4 p-4">
              <Facts run={run} />
              <Payloads run={run} />
            </div>
          )}
          {tab === "logs" && <LogView workflowId={run.workflow_id} live={isOpen(run.status)} onStep={(position) => select(position)} />}
          {tab === "products" && <RunProducts run={run} />}
          {tab === "related" && <RelatedRuns run={run} />}
          {tab === "messages" && <MessagesAndValues run={run} />}
          {tab === "audit" && <RunAudit run={run} />}
          {tab === "compare" && <Compare run={run} steps={steps} other={other} onOther={(id) => go({ compare: id })} />}
        </div>
      </div>
      {isWide ? (
        <aside aria-label={step ? "Step" : "Details"} className="flex w-[372px] shrink-0 flex-col border-l">
          {inspector ?? (
            <div className="flex min-h-0 flex-1 flex-col gap-4 overflow-y-auto p-4" tabIndex={0} role="region" aria-label="Details">
              <Facts run={run} />
              <Payloads run={run} />
            </div>
          )}
        </aside>
      ) : (
        <Sheet open={step !== null} onClose={() => select(null)} title="Step">
          {inspector}
        </Sheet>
      )}
      <ForkDialog run={run} steps={steps} from={forkFrom} onClose={() => setForkFrom(null)} />
    </div>
  );
}

function Head({ run, onFork }: { run: Run; onFork: () => void }) {
  const may = useCan("operator");
  const client = useQueryClient();
  const navigate = useNavigate();
  const [asking, setAsking] = useState<"cancel" | "delete" | null>(null);
  const [sending, setSending] = useState(false);
  const open = isOpen(run.status);
  const resume = useMutation({
    mutationFn: () => post<ActionResult>(`workflows/${part(run.workflow_id)}/resume`),
    onSuccess: (answer) => {
      showToast(answer.changed ? "Run resumed" : "No change: the run has moved on");
      void client.invalidateQueries({ queryKey: ["run", run.workflow_id] });
    },
    onError: (error) => showError(error),
  });
  return (
    <header className="px-4 pt-3">
      <div className="flex items-center gap-1 text-xs text-muted">
        <Link to="/runs" className="flex items-center hover:text-text">
          <ChevronLeft className="size-3.5" /> Runs
        </Link>
        {run.parent_workflow_id && (
          <>
            <span className="text-faint">/</span>
            <Link to="/runs/$id" params={{ id: run.parent_workflow_id }} className="max-w-60 truncate font-mono hover:text-text">
              {run.parent_workflow_id}
            </Link>
          </>
        )}
      </div>
      <div className="mt-1.5 flex flex-wrap items-start gap-x-3 gap-y-2">
        <div className="min-w-0 flex-1 basis-80">
          <div className="flex flex-wrap items-center gap-x-2.5 gap-y-1.5">
            <h1 className="min-w-0 text-xl font-semibold break-words">{run.name}</h1>
            <StatusBadge status={run.status} />
            <AppStatus label={run.app_status} color={run.app_status_color} />
          </div>
          <div className="mt-0.5 flex flex-wrap items-center gap-x-3 gap-y-0.5 text-muted">
            {run.summary && <Markdown text={run.summary} className="min-w-0 break-words text-text" />}
            <Copyable text={run.workflow_id} label="Copy run ID" className="font-mono text-xs">
              {run.workflow_id}
            </Copyable>
          </div>
        </div>
        <div className="flex gap-2">
          {may && open && (
            <Button icon={<Ban />} onClick={() => setAsking("cancel")}>
              Cancel
            </Button>
          )}
          {may && canResume(run.status) && (
            <Tip text={resumeNotes[run.status as "ERROR"] ?? "Runs the failed step again. Recorded steps are not repeated."} side="bottom">
              <Button tone="primary" icon={<RotateCcw />} busy={resume.isPending} onClick={() => resume.mutate()}>
                {resumeLabels[run.status as "ERROR"] ?? "Retry"}
              </Button>
            </Tip>
          )}
          {may && (
            <Button icon={<GitFork />} onClick={onFork}>
              Fork
            </Button>
          )}
          <Menu
            trigger={<Button aria-label="More actions" icon={<Ellipsis />} />}
            items={[
              { label: "View workflow", icon: <Workflow />, onSelect: () => void navigate({ to: "/workflows/$name", params: { name: run.name } }) },
              { label: "Compare", icon: <GitFork />, onSelect: () => void navigate({ to: "/runs/$id", params: { id: run.workflow_id }, search: { tab: "compare" } }) },
              may && open && { label: "Send a message", icon: <Send />, onSelect: () => setSending(true) },
              { label: "Download as file", icon: <Download />, onSelect: () => window.location.assign(address(`workflows/${part(run.workflow_id)}/export`)) },
              may && !open && { label: "Delete", icon: <Trash2 />, danger: true, separated: true, onSelect: () => setAsking("delete") },
            ]}
          />
        </div>
      </div>
      <Confirm run={run} asking={asking} onClose={() => setAsking(null)} />
      <SendDialog id={run.workflow_id} open={sending} onClose={() => setSending(false)} />
    </header>
  );
}

function Confirm({ run, asking, onClose }: { run: Run; asking: "cancel" | "delete" | null; onClose: () => void }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const [reason, setReason] = useState("");
  const act = useMutation({
    mutationFn: () => (asking === "delete" ? remove<ActionResult>(`workflows/${part(run.workflow_id)}`) : post<ActionResult>(`workflows/${part(run.workflow_id)}/cancel`, { reason: reason || undefined })),
    onSuccess: (answer) => {
      showToast(asking === "delete" ? "Run deleted" : answer.changed ? "Cancelled" : "No change: the run has moved on");
      onClose();
      if (asking === "delete") void navigate({ to: "/runs" });
      else void client.invalidateQueries({ queryKey: ["run", run.workflow_id] });
    },
    onError: (error) => showError(error),
  });
  if (!asking) return null;
  return (
    <Dialog
      open
      onClose={onClose}
      title={confirmations[asking].title}
      note={confirmations[asking].note}
      foot={
        <>
          <Button onClick={onClose}>Keep run</Button>
          <Button tone="danger" busy={act.isPending} onClick={() => act.mutate()}>
            {confirmations[asking].go}
          </Button>
        </>
      }
    >
      {asking === "cancel" && <Field label="Reason (optional)">{(wires) => <Input {...wires} autoFocus value={reason} onChange={(event) => setReason(event.target.value)} onKeyDown={(event) => event.key === "Enter" && act.mutate()} />}</Field>}
    </Dialog>
  );
}

function Facts({ run }: { run: Run }) {
  const stack = useQuery(explainQuery(run.workflow_id, run.status)).data?.stack ?? [];
  const facts: [string, ReactNode][] = [];
  const add = (label: string, value: ReactNode) => facts.push([label, value]);
  add("Created", <When at={run.created_at} />);
  if (run.started_at) add("Started", <When at={run.started_at} />);
  if (run.completed_at) add("Ended", <When at={run.completed_at} />);
  add("Duration", <Length run={run} />);
  if (isOpen(run.status) && stack.length > 0) {
    add(
      "Current line",
      <ol aria-label="Current line in the code" className="flex flex-col gap-0.5" data-testid="stack">
        {stack.map((line, index) => (
          <li key={index} className="min-w-0 text-xs leading-5">
            <span className="font-medium">{line.function}</span> <span className="text-muted"><CodeLocation line={line} /></span>
          </li>
        ))}
      </ol>,
    );
  }
  if (run.reason) add("Reason", <span className="break-words">{run.reason}</span>);
  if (run.queue_name) {
    add(
      "Queue",
      <span>
        <Link to="/queues/$name" params={{ name: run.queue_name }} className="text-accent hover:underline">
          {run.queue_name}
        </Link>
        {run.queue_partition_key && <span className="text-muted"> · {run.queue_partition_key}</span>}
        {run.priority > 0 && <span className="text-muted"> · priority {run.priority}</span>}
      </span>,
    );
  }
  if (run.timeout !== null) add("Timeout", seconds(run.timeout));
  if (run.deadline) add("Deadline", <When at={run.deadline} />);
  add("Attempts", String(run.attempts));
  if (run.executor_id) add("Executor", <Copyable text={run.executor_id} className="font-mono text-xs leading-5">{run.executor_id}</Copyable>);
  add("Version", <Copyable text={run.application_version} className="font-mono text-xs leading-5">{run.application_version}</Copyable>);
  if (run.deduplication_id) add("Deduplication ID", <Copyable text={run.deduplication_id} className="font-mono text-xs leading-5">{run.deduplication_id}</Copyable>);
  if (run.forked_from) {
    add(
      "Forked from",
      <Link to="/runs/$id" params={{ id: run.forked_from }} className="block truncate font-mono text-xs leading-5 text-accent hover:underline">
        {run.forked_from}
      </Link>,
    );
  }
  if (run.tags.length > 0) {
    add(
      "Tags",
      <span className="flex flex-wrap gap-1">
        {run.tags.map((tag) => (
          <Link key={tag} to="/runs" search={{ tag }}>
            <Tag>{tag}</Tag>
          </Link>
        ))}
      </span>,
    );
  }
  return (
    <dl className="grid grid-cols-[88px_minmax(0,1fr)] gap-y-1.5" data-testid="facts">
      {facts.map(([label, value]) => (
        <div key={label} className="contents">
          <dt className="text-faint">{label}</dt>
          <dd className="min-w-0 [overflow-wrap:anywhere]">{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function When({ at }: { at: string }) {
  return (
    <span title={absolute(ms(at))} className="flex items-baseline justify-between gap-2">
      <span>{absolute(ms(at)).split(" · ")[0]}</span>
      <Ago at={at} className="text-xs text-faint" />
    </span>
  );
}

function Length({ run }: { run: Run }) {
  const open = isOpen(run.status);
  const now = useFastNow(open && run.started_at !== null);
  if (run.duration !== null) return <>{seconds(run.duration)}</>;
  if (!open || !run.started_at) return <span className="text-faint">Not started</span>;
  return <span className="text-info">{duration(Math.max(0, now - ms(run.started_at)))}</span>;
}

function Payloads({ run }: { run: Run }) {
  const search = useSearch({ strict: false });
  return (
    <>
      <Payload run={run} which="input" find={typeof search.find === "string" ? search.find : undefined} />
      {run.status === "SUCCESS" && <Payload run={run} which="output" />}
    </>
  );
}

/** Input or result; large values load on demand. */
function Payload({ run, which, find }: { run: Run; which: "input" | "output"; find?: string }) {
  const cut = which === "input" ? run.input_truncated : run.output_truncated;
  const [requested, setRequested] = useState(false);
  const full = useQuery({ queryKey: ["run", run.workflow_id, which], queryFn: ({ signal }) => get<unknown>(`workflows/${part(run.workflow_id)}/${which}`, undefined, signal), enabled: requested && cut === true, refetchInterval: false });
  const label = which === "input" ? "Input" : "Result";
  const value = cut ? full.data : run[which];
  if (cut && value === undefined) {
    return (
      <div className={classes("flex items-center justify-between gap-2 rounded-md bg-sunken px-3 py-2 hairline")}>
        <span className="text-muted">{label} is large</span>
        <Button size="sm" busy={full.isFetching} onClick={() => setRequested(true)}>
          Load
        </Button>
      </div>
    );
  }
  return <JsonView label={label} value={which === "input" ? simple(value) : (value ?? null)} openTo={3} find={find} />;
}

function RunSkeleton() {
  return (
    <div className="flex flex-col gap-3 p-4">
      <Skeleton className="h-3 w-16" />
      <Skeleton className="h-6 w-72" />
      <Skeleton className="h-3 w-48" />
      <Skeleton className="mt-6 h-8 w-full" />
      {Array.from({ length: 8 }, (_, index) => (
        <Skeleton key={index} className="h-5 w-full" />
      ))}
    </div>
  );
}

