/** Bulk action: dry run, reason, progress. */

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { post } from "@/api/client";
import type { BulkResult } from "@/api/types";
import { problemText, showToast } from "@/components/toast";
import { Button, Dialog, Field, Input, Notice, Skeleton } from "@/components/ui";
import { count, plural } from "@/lib/format";

const doneMessages = {
  cancel: (total: number) => `${plural(total, "run")} cancelled`,
  resume: (total: number) => `${plural(total, "run")} resumed`,
  delete: (total: number) => `${plural(total, "run")} deleted`,
};
const titles = { cancel: "Cancel runs", resume: "Resume runs", delete: "Delete runs" };
const notes = {
  cancel: "Waits end at once, steps at their next await or durable call. Child runs are cancelled too.",
  resume: "Failed, cancelled and dead-lettered runs continue from their last recorded step.",
  delete: "Their steps, values, messages and products are deleted too. This cannot be undone.",
};
const submitLabels = {
  cancel: (total: number, capped: boolean) => `Cancel ${count(total)}${capped ? "+" : ""}`,
  resume: (total: number, capped: boolean) => `Resume ${count(total)}${capped ? "+" : ""}`,
  delete: (total: number, capped: boolean) => `Delete ${count(total)}${capped ? "+" : ""}`,
};
const nothingLabels = { cancel: "open runs to cancel", resume: "stopped runs to resume", delete: "finished runs to delete" };
const matchedLabels = {
  cancel: (total: number) => `open ${total === 1 ? "run" : "runs"} will be cancelled`,
  resume: (total: number) => `${total === 1 ? "run" : "runs"} will be resumed`,
  delete: (total: number) => `finished ${total === 1 ? "run" : "runs"} will be deleted`,
};

export type BulkAction = "cancel" | "resume" | "delete";
export type Target = { ids: string[] } | { filter: Record<string, unknown> };

/** Runs per request: few enough to show progress and to stop quickly. */
const portion = 100;
const failuresMost = 500;

interface Progress {
  seen: number;
  done: number;
  failed: BulkResult["failed"];
  refused: number;
  cursor: string | null;
  state: "running" | "stopped" | "broken" | "over";
  problem?: string;
}

const nothingYet: Progress = { seen: 0, done: 0, failed: [], refused: 0, cursor: null, state: "running" };

export function BulkDialog({ action, target, onClose, onDone }: { action: BulkAction | null; target: Target; onClose: () => void; onDone: () => void }) {
  return action && <Inside action={action} target={target} onClose={onClose} onDone={onDone} />;
}

function Inside({ action, target: given, onClose, onDone }: { action: BulkAction; target: Target; onClose: () => void; onDone: () => void }) {
  // The selection when the dialog opened: the list behind it may change.
  const [target] = useState(given);
  const [reason, setReason] = useState("");
  const [progress, setProgress] = useState<Progress | null>(null);
  const stopping = useRef(false);
  useEffect(
    () => () => {
      stopping.current = true;
    },
    [],
  );
  const trial = useQuery({
    queryKey: ["bulk", action, target],
    queryFn: () => post<BulkResult>("workflows/bulk", { action, ...target, dry_run: true }),
    staleTime: 0,
    gcTime: 0,
    refetchInterval: false,
    refetchOnWindowFocus: false,
  });
  const matched = trial.data?.matched ?? 0;
  // Runs that are set aside can be resumed too; the preview does not count them.
  const affected = trial.data?.affected || (action === "resume" ? matched : 0);

  const act = async (from: Progress) => {
    stopping.current = false;
    let now: Progress = { ...from, state: "running", problem: undefined };
    setProgress(now);
    while (!stopping.current) {
      try {
        const answer = await post<BulkResult>("workflows/bulk", { action, ...target, dry_run: false, reason: reason || undefined, limit: portion, cursor: now.cursor ?? undefined });
        now = {
          seen: now.seen + answer.matched,
          done: now.done + answer.done,
          failed: [...now.failed, ...answer.failed].slice(0, failuresMost),
          refused: now.refused + answer.failed.length,
          cursor: answer.next_cursor,
          state: answer.next_cursor === null ? "over" : "running",
        };
      } catch (error) {
        now = { ...now, state: "broken", problem: problemText(error) };
      }
      setProgress(now);
      if (now.state !== "running") break;
    }
    if (now.state === "running") {
      now = { ...now, state: "stopped" };
      setProgress(now);
    }
    if (now.state === "over" && now.refused === 0) {
      showToast(doneMessages[action](now.done));
      onDone();
      onClose();
    }
  };
  const leave = () => {
    stopping.current = true;
    if (progress !== null) onDone();
    onClose();
  };
  const isRunning = progress?.state === "running";
  return (
    <Dialog
      open
      onClose={leave}
      title={titles[action]}
      note={notes[action]}
      foot={
        progress === null ? (
          <>
            <Button onClick={leave}>Keep runs</Button>
            <Button tone={action === "resume" ? "primary" : "danger"} disabled={affected === 0} onClick={() => void act(nothingYet)}>
              {submitLabels[action](affected, trial.data?.capped ?? false)}
            </Button>
          </>
        ) : (
          <>
            {isRunning && <Button onClick={() => (stopping.current = true)}>Stop</Button>}
            {(progress.state === "stopped" || progress.state === "broken") && <Button onClick={() => void act(progress)}>Continue</Button>}
            <Button tone="primary" busy={isRunning} onClick={leave}>
              {isRunning ? "Working…" : "Close"}
            </Button>
          </>
        )
      }
    >
      {progress === null ? (
        <>
          {trial.error ? (
            <Notice tone="bad">{problemText(trial.error)}</Notice>
          ) : trial.data ? (
            <div className="rounded-md bg-sunken px-3 py-2.5 hairline" data-testid="bulk-count">
              <span className="text-lg font-semibold">
                {count(affected)}
                {trial.data.capped && affected > 0 && "+"}
              </span>{" "}
              <span className="text-muted">{affected === 0 ? nothingLabels[action] : matchedLabels[action](affected)}</span>
              {affected < matched && <div className="text-xs text-faint">Of {count(matched)}{trial.data.capped ? "+" : ""} selected. The others stay unchanged.</div>}
            </div>
          ) : (
            <Skeleton className="h-12 w-full rounded-md" />
          )}
          <Field label="Reason" hint="Recorded in the audit log.">
            {(wires) => <Input {...wires} value={reason} onChange={(event) => setReason(event.target.value)} placeholder="Wrong price list; runs will be restarted" />}
          </Field>
        </>
      ) : (
        <How progress={progress} all={Math.max(matched, progress.seen)} isMore={trial.data?.capped ?? false} />
      )}
    </Dialog>
  );
}

function How({ progress, all, isMore }: { progress: Progress; all: number; isMore: boolean }) {
  const share = all === 0 ? 1 : progress.state === "over" ? 1 : progress.seen / all;
  const unchanged = progress.seen - progress.done - progress.refused;
  return (
    <div className="flex flex-col gap-3" data-testid="bulk-progress">
      <div>
        <div className="flex items-baseline gap-4 pb-2">
          <span className="text-lg font-semibold">{count(progress.done)} done</span>
          {progress.refused > 0 && <span className="font-medium text-bad">{count(progress.refused)} failed</span>}
          {unchanged > 0 && <span className="text-muted">{count(unchanged)} unchanged</span>}
          <span className="flex-1" />
          <span className="text-xs text-faint">{count(progress.seen)} of {count(all)}{(isMore && progress.state !== "over") ? "+" : ""}</span>
        </div>
        <div role="progressbar" aria-label="Progress" aria-valuemin={0} aria-valuemax={all} aria-valuenow={progress.seen} className="flex h-1.5 overflow-hidden rounded-full bg-hover">
          <div className="h-full bg-accent transition-[width]" style={{ width: `${share * 100 * (1 - progress.refused / Math.max(1, progress.seen))}%` }} />
          <div className="h-full bg-bad-fill transition-[width]" style={{ width: `${(share * 100 * progress.refused) / Math.max(1, progress.seen)}%` }} />
        </div>
      </div>
      {progress.state === "stopped" && <Notice tone="warn">Stopped. Completed changes are kept.</Notice>}
      {progress.state === "broken" && <Notice tone="bad">Stopped: {progress.problem ?? ""}. Completed changes are kept.</Notice>}
      {progress.failed.length > 0 && (
        <ul aria-label="Failed runs" className="max-h-60 divide-y overflow-auto rounded-md hairline">
          {progress.failed.map((failure) => (
            <li key={failure.workflow_id} className="px-3 py-1.5">
              <Link to="/runs/$id" params={{ id: failure.workflow_id }} className="block truncate font-mono text-xs hover:underline">
                {failure.workflow_id}
              </Link>
              <div className="text-xs text-bad">{failure.detail}</div>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
