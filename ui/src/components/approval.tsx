/** Decide an approval: details, form, comment, approve or reject. */

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Check, X } from "lucide-react";
import { lazy, Suspense, useState } from "react";
import { part, post, Problem } from "@/api/client";
import { useMayDecide, useSession } from "@/api/session";
import type { Approval } from "@/api/types";
import { classes } from "@/lib/format";
import { asJsonSchema, initial, validate, type ValidationError } from "@/lib/schema";
import { absolute, ms, relative, useNow } from "@/lib/time";
import { JsonView } from "./json";
import { problemText, showError, showToast } from "./toast";
import { Button, Notice, Skeleton, Textarea } from "./ui";

const SchemaForm = lazy(() => import("./schema-form").then((module) => ({ default: module.SchemaForm })));

export function Due({ at }: { at: string | null }) {
  const now = useNow();
  const due = ms(at);
  if (due === null) return null;
  const soon = due - now < 3_600_000;
  return (
    <time dateTime={at!} title={absolute(due)} className={classes("whitespace-nowrap", due < now ? "font-medium text-bad" : soon ? "font-medium text-warn" : "text-muted")}>
      {due < now ? `was due ${relative(due, now)}` : `due ${relative(due, now)}`}
    </time>
  );
}

export interface Decision {
  approved: boolean;
  comment: string;
  data: unknown;
}

type Question = Pick<Approval, "title" | "name" | "details" | "form"> & Partial<Pick<Approval, "id" | "workflow_id" | "assignees">>;

/** `send` replaces the request of the signed-in account, as for decision links. */
export function Decide({ approval, onDecided, send }: { approval: Question; onDecided?: (approved: boolean) => void; send?: (decision: Decision) => Promise<unknown> }) {
  const mayDecide = useMayDecide();
  const email = useSession()?.email;
  const canDecide = send !== undefined || mayDecide(approval);
  const assignees = send === undefined && approval.assignees && approval.assignees.length > 0 ? orList(approval.assignees) : null;
  const isMine = Boolean(email && approval.assignees?.includes(email));
  const client = useQueryClient();
  const [comment, setComment] = useState("");
  const [data, setData] = useState<unknown>(() => (approval.form ? initial(asJsonSchema(approval.form), asJsonSchema(approval.form)) : null));
  const [errors, setErrors] = useState<ValidationError[]>([]);
  const act = useMutation({
    mutationFn: (approved: boolean) => {
      const decision: Decision = { approved, comment, data: approval.form ? data : null };
      return send ? send(decision) : post<Approval>(`approvals/${part(approval.id ?? "")}/decide`, decision);
    },
    onSuccess: (_, approved) => {
      onDecided?.(approved);
      if (send) return;
      showToast(approved ? "Approved" : "Rejected", approval.title ?? approval.name);
      void client.invalidateQueries({ queryKey: ["approvals"] });
      void client.invalidateQueries({ queryKey: ["run", approval.workflow_id] });
    },
    onError: (error) => {
      if (error instanceof Problem && error.errors.length > 0) setErrors(error.errors.map((error) => ({ path: error.path.filter((key) => key !== "data"), message: error.message })));
      else showError(error);
    },
  });
  const decide = (approved: boolean) => {
    const wrong = approval.form && approved ? validate(approval.form, data) : [];
    setErrors(wrong);
    if (wrong.length === 0) act.mutate(approved);
  };
  const hasDetails = approval.details !== null && approval.details !== undefined;
  return (
    <div className="flex flex-col gap-3">
      {hasDetails && (typeof approval.details === "string" ? <div className="whitespace-pre-wrap">{approval.details}</div> : <Facts value={approval.details} />)}
      {approval.form && (
        <Suspense fallback={<Skeleton className="h-16 w-full" />}>
          <SchemaForm schema={approval.form} value={data} onChange={setData} errors={errors} />
        </Suspense>
      )}
      {assignees && (canDecide || !mayDecide({})) && <p className="text-xs break-words text-faint">{canDecide && !isMine ? `Assigned to ${assignees}. You can decide it too.` : `Assigned to ${assignees}.`}</p>}
      {canDecide ? (
        <>
          <Textarea aria-label="Comment (optional)" placeholder="Comment (optional)" rows={2} value={comment} onChange={(event) => setComment(event.target.value)} />
          {act.error && !(act.error instanceof Problem && act.error.errors.length > 0) && <Notice tone="bad">{problemText(act.error)}</Notice>}
          <div className="flex gap-2">
            <Button tone="primary" icon={<Check />} busy={act.isPending} onClick={() => decide(true)} className="max-md:h-10 max-md:flex-1">
              Approve
            </Button>
            <Button tone="danger" icon={<X />} busy={act.isPending} onClick={() => decide(false)} className="max-md:h-10 max-md:flex-1">
              Reject
            </Button>
          </div>
        </>
      ) : (
        <Notice>{mayDecide({}) && assignees ? `Assigned to ${assignees}. Your role can only decide approvals that are assigned to you or unassigned.` : "Your role cannot decide approvals."}</Notice>
      )}
    </div>
  );
}

function orList(emails: string[]): string {
  return emails.length < 2 ? emails.join("") : `${emails.slice(0, -1).join(", ")} or ${emails.at(-1)}`;
}

/** Shows a flat object as a description list, anything else as JSON. */
function Facts({ value }: { value: unknown }) {
  const entries = value !== null && typeof value === "object" && !Array.isArray(value) ? Object.entries(value) : null;
  if (!entries || entries.length > 12 || entries.some(([, item]) => item !== null && typeof item === "object")) return <JsonView label="Details" value={value} />;
  return (
    <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1">
      {entries.map(([key, item]) => (
        <div key={key} className="contents">
          <dt className="text-muted">{key.replaceAll("_", " ")}</dt>
          <dd className="min-w-0 break-words">{String(item)}</dd>
        </div>
      ))}
    </dl>
  );
}
