/** Card that says why a run waits and since when, with a button to release it. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { AlarmClock, CircleAlert, Hand, Layers, MailOpen, Moon, RotateCcw, Send, Split, Unplug } from "lucide-react";
import { type ReactNode, useState } from "react";
import { part, post } from "@/api/client";
import { useCan } from "@/api/session";
import type { ActionResult, CodeLine, Explanation, Run } from "@/api/types";
import { Decide, Due } from "@/components/approval";
import { JsonField, readJson } from "@/components/json-field";
import { showError, showToast } from "@/components/toast";
import { Ago, Button, Dialog, Field, Input } from "@/components/ui";
import { absolute, duration, ms, short, useNow } from "@/lib/time";
import { approvalsQuery, explainQuery, waitsQuery } from "./queries";

const reasonLabels: Record<string, string> = {
  sleeping: "Sleeping",
  retry: "Waiting to retry a failed step",
  delayed: "Scheduled to start later",
  message: "Waiting for a message",
  value: "Waiting for a value",
  result: "Waiting for another run",
  queue: "Waiting in queue",
  "set-aside": "Set aside: the code does not match the history",
  "unknown-workflow": "No executor has this workflow",
  recovery: "Waiting for an executor",
};
const doneMessages = { release: "Run resumed", resume: "Run resumed" };
const releaseLabels = { sleeping: "Wake now", retry: "Retry now", delayed: "Start now" };

const icons: Record<string, ReactNode> = {
  sleeping: <Moon />,
  retry: <RotateCcw />,
  delayed: <AlarmClock />,
  message: <MailOpen />,
  value: <MailOpen />,
  result: <Split />,
  queue: <Layers />,
  "set-aside": <CircleAlert />,
  "unknown-workflow": <Unplug />,
  recovery: <RotateCcw />,
};

export function WaitingCard({ run, onFork }: { run: Run; onFork: () => void }) {
  const explanation = useQuery(explainQuery(run.workflow_id, run.status)).data;
  const approvals = useQuery({ ...approvalsQuery(run.workflow_id), enabled: run.status === "WAITING_FOR_APPROVAL" }).data?.items.filter((approval) => approval.status === "open") ?? [];
  if (approvals.length > 0) {
    return (
      <section aria-label="Waiting for" className="mx-4 mt-3 rounded-lg border border-warn-fill/50" data-testid="waiting">
        {approvals.map((approval) => (
          <div key={approval.id} className="border-b last:border-b-0">
            <div className="flex items-center gap-2 rounded-t-lg bg-warn-soft px-3 py-2 text-warn">
              <Hand className="size-4 shrink-0" />
              <span className="min-w-0 flex-1 truncate font-medium">{approval.title ?? "Waiting for approval"}</span>
              <span className="text-xs">
                since <Ago at={approval.created} />
              </span>
              {approval.due_at && <span className="text-xs"><Due at={approval.due_at} /></span>}
            </div>
            <div className="max-w-2xl p-3">
              <Decide approval={approval} />
            </div>
          </div>
        ))}
      </section>
    );
  }
  if (!explanation || explanation.reason === "running" || explanation.reason === "finished") return null;
  const isWrong = explanation.reason === "set-aside" || explanation.reason === "unknown-workflow";
  return (
    <section aria-label="Waiting for" data-testid="waiting" className={`mx-4 mt-3 flex items-start gap-3 rounded-lg px-3 py-2.5 hairline max-md:flex-wrap ${isWrong ? "bg-warn-soft" : "bg-sunken"}`}>
      <span className={`mt-0.5 [&_svg]:size-4 ${isWrong ? "text-warn" : "text-muted"}`}>{icons[explanation.reason] ?? <AlarmClock />}</span>
      <div className="min-w-0 flex-1">
        <div className="font-medium break-words">{reasonLabels[explanation.reason] ?? localTimes(explanation.text)}</div>
        <div className="text-muted break-words">{reasonLabels[explanation.reason] ? localTimes(explanation.text) : null}</div>
        <div className="mt-0.5 flex flex-wrap gap-x-4 text-xs text-faint">
          {explanation.since && (
            <span>
              since <Ago at={explanation.since} />
            </span>
          )}
          {explanation.until && <Until at={explanation.until} />}
          {explanation.stack.length > 0 && <CodeLocation line={explanation.stack.at(-1)!} />}
          {explanation.advice && <span className="break-words">{explanation.advice}</span>}
        </div>
      </div>
      <Release run={run} explanation={explanation} onFork={onFork} />
    </section>
  );
}

/** Code location, shortened; full path on hover. */
export function CodeLocation({ line }: { line: CodeLine }) {
  return (
    <span title={`${line.file}:${line.line}`} className="font-mono break-all">
      {line.file.split(/[\\/]/).slice(-2).join("/")}:{line.line}
    </span>
  );
}

/** Replaces the UTC times in texts of the server with local times. */
function localTimes(text: string): string {
  return text.replace(/\d{4}-\d\d-\d\dT[\d:.]+(?:Z|\+00:00)/g, (time) => short(Date.parse(time)));
}

function Until({ at }: { at: string }) {
  const now = useNow();
  const until = ms(at);
  return <span title={absolute(until)}>{until > now ? `${duration(until - now)} left` : "due now"}</span>;
}

function Release({ run, explanation, onFork }: { run: Run; explanation: Explanation; onFork: () => void }) {
  const may = useCan("operator");
  const client = useQueryClient();
  const [sending, setSending] = useState(false);
  const act = useMutation({
    mutationFn: (action: "release" | "resume") => post<ActionResult>(`workflows/${part(run.workflow_id)}/${action}`),
    onSuccess: (answer, action) => {
      showToast(answer.changed ? doneMessages[action] : "Not needed: the run is about to continue");
      void client.invalidateQueries({ queryKey: ["run", run.workflow_id] });
    },
    onError: (error) => showError(error),
  });
  const held = explanation.held_by[0];
  switch (explanation.reason) {
    case "sleeping":
    case "retry":
    case "delayed":
      return may ? (
        <Button busy={act.isPending} onClick={() => act.mutate("release")}>
          {releaseLabels[explanation.reason]}
        </Button>
      ) : null;
    case "message":
      return may ? (
        <>
          <Button icon={<Send />} onClick={() => setSending(true)}>
            Send a message
          </Button>
          <SendDialog id={run.workflow_id} open={sending} onClose={() => setSending(false)} />
        </>
      ) : null;
    case "set-aside":
      return may ? (
        <span className="flex gap-2">
          <Button onClick={onFork}>Fork</Button>
          <Button busy={act.isPending} onClick={() => act.mutate("resume")}>
            Resume
          </Button>
        </span>
      ) : null;
    case "queue":
      return run.queue_name ? (
        <Link to="/queues/$name" params={{ name: run.queue_name }} className="text-accent hover:underline">
          Open queue
        </Link>
      ) : null;
    case "unknown-workflow":
      return (
        <Link to="/executors" className="text-accent hover:underline">
          View executors
        </Link>
      );
    case "result":
    case "value":
      return held ? (
        <Link to="/runs/$id" params={{ id: held }} className="text-accent hover:underline">
          Open run
        </Link>
      ) : null;
    default:
      return null;
  }
}

export function SendDialog({ id, open, onClose }: { id: string; open: boolean; onClose: () => void }) {
  const client = useQueryClient();
  const waits = useQuery({ ...waitsQuery(id, "PENDING"), enabled: open, refetchInterval: false }).data?.items ?? [];
  const expected = waits.find((wait) => wait.kind === "message")?.subject;
  const [topic, setTopic] = useState<string | null>(null);
  const [text, setText] = useState('""');
  const [wrong, setWrong] = useState<string | null>(null);
  const act = useMutation({
    mutationFn: (message: unknown) => post<ActionResult>(`workflows/${part(id)}/send`, { topic: topic ?? expected ?? "", message }),
    onSuccess: () => {
      showToast("Message sent");
      void client.invalidateQueries({ queryKey: ["run", id] });
      onClose();
    },
    onError: (error) => showError(error),
  });
  return (
    <Dialog
      open={open}
      onClose={onClose}
      title="Send a message"
      note="The run receives it from recv()."
      foot={
        <Button
          tone="primary"
          busy={act.isPending}
          onClick={() => {
            const parsed = readJson(text);
            setWrong(parsed.error ?? null);
            if (parsed.error === undefined) act.mutate(parsed.value);
          }}
        >
          Send
        </Button>
      }
    >
      <Field label="Topic" hint="Leave empty for the default topic.">
        {(wires) => <Input {...wires} value={topic ?? expected ?? ""} onChange={(event) => setTopic(event.target.value)} />}
      </Field>
      <div className="flex flex-col gap-1">
        <span className="text-xs font-medium text-muted">Message (JSON)</span>
        <JsonField text={text} onChange={setText} label="Message (JSON)" error={wrong} />
      </div>
    </Dialog>
  );
}
