/** One action on many runs: first what it would do, then why, then how far it came. */

import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { post } from "@/api/client";
import type { BulkAnswer } from "@/api/types";
import { problemText, say } from "@/components/toast";
import { Button, Dialog, Field, Input, Notice, Skeleton } from "@/components/ui";
import { count } from "@/lib/words";
import { bulkText } from "@/text";

export type BulkAction = "cancel" | "resume" | "delete";
export type Target = { ids: string[] } | { filter: Record<string, unknown> };

export function BulkDialog({ action, target, onClose, onDone }: { action: BulkAction | null; target: Target; onClose: () => void; onDone: () => void }) {
  return action && <Inside action={action} target={target} onClose={onClose} onDone={onDone} />;
}

function Inside({ action, target, onClose, onDone }: { action: BulkAction; target: Target; onClose: () => void; onDone: () => void }) {
  const [reason, setReason] = useState("");
  const trial = useQuery({
    queryKey: ["bulk", action, target],
    queryFn: () => post<BulkAnswer>("workflows/bulk", { action, ...target, dry_run: true }),
    staleTime: 0,
    gcTime: 0,
    refetchInterval: false,
  });
  const act = useMutation({
    mutationFn: () => post<BulkAnswer>("workflows/bulk", { action, ...target, dry_run: false, reason: reason || undefined }),
    onSuccess: (answer) => {
      onDone();
      if (answer.failed.length === 0) {
        say(bulkText.done[action](answer.done));
        onClose();
      }
    },
  });
  const matched = trial.data?.matched ?? 0;
  return (
    <Dialog
      open
      onClose={onClose}
      title={bulkText.title[action]}
      note={bulkText.note[action]}
      foot={
        <>
          <Button onClick={onClose}>{act.data ? bulkText.close : bulkText.cancel}</Button>
          {!act.data && (
            <Button tone={action === "resume" ? "primary" : "danger"} busy={act.isPending} disabled={!trial.data || matched === 0} onClick={() => act.mutate()}>
              {act.isPending ? bulkText.busy : bulkText.go[action](matched, trial.data?.capped ?? false)}
            </Button>
          )}
        </>
      }
    >
      {act.data ? (
        <>
          <Notice tone="warn">{bulkText.partly(act.data.done, act.data.failed.length)}</Notice>
          <ul className="max-h-60 divide-y overflow-auto rounded-md hairline">
            {act.data.failed.map((failure) => (
              <li key={failure.workflow_id} className="px-3 py-1.5">
                <div className="truncate font-mono text-xs">{failure.workflow_id}</div>
                <div className="text-xs text-bad">{failure.detail}</div>
              </li>
            ))}
          </ul>
        </>
      ) : (
        <>
          {trial.error ? (
            <Notice tone="bad">{problemText(trial.error)}</Notice>
          ) : trial.data ? (
            <div className="rounded-md bg-sunken px-3 py-2.5 hairline" data-testid="bulk-count">
              <span className="text-lg font-semibold">
                {count(matched)}
                {trial.data.capped && "+"}
              </span>{" "}
              <span className="text-muted">{matched === 0 ? bulkText.none[action] : bulkText.matched[action](matched)}</span>
            </div>
          ) : (
            <Skeleton className="h-12 w-full rounded-md" />
          )}
          <Field label={bulkText.reason} hint={bulkText.reasonHint}>
            {(wires) => <Input {...wires} value={reason} onChange={(event) => setReason(event.target.value)} placeholder={bulkText.reasonExample} />}
          </Field>
          {act.error && <Notice tone="bad">{problemText(act.error)}</Notice>}
        </>
      )}
    </Dialog>
  );
}
