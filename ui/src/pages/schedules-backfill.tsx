/** Backfill: preview and start the ticks in a time range that have no run. */

import { keepPreviousData, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Check, Play } from "lucide-react";
import { useState } from "react";
import { part, post, Problem } from "@/api/client";
import type { Backfill as BackfillResult, Schedule } from "@/api/types";
import { problemText, showToast } from "@/components/toast";
import { Button, Dialog, Field, Input, Notice } from "@/components/ui";
import { classes, count, plural } from "@/lib/format";
import { clock, day, dayOf, toLocalField } from "@/lib/time";

const startLabel = (total: number) => (total === 0 ? "Start runs" : `Start ${plural(total, "run")}`);

const shown = 12;

export function Backfill({ schedule, onClose }: { schedule: Schedule; onClose: () => void }) {
  const client = useQueryClient();
  const [from, setFrom] = useState(() => toLocalField(Date.now() - 7 * day));
  const [until, setUntil] = useState(() => toLocalField(Date.now()));
  const span = { start: moment(from), end: moment(until) };
  const ready = span.start !== null && span.end !== null && span.start < span.end;
  const path = `schedules/${part(schedule.id)}/backfill`;
  const look = useQuery({
    queryKey: ["backfill", schedule.id, span],
    queryFn: () => post<BackfillResult>(path, { ...span, dry_run: true }),
    enabled: ready,
    placeholderData: keepPreviousData,
    refetchInterval: false,
    retry: false,
  });
  const act = useMutation({
    mutationFn: () => post<BackfillResult>(path, span),
    onSuccess: (done) => {
      showToast(`${plural(done.started.length, "run")} started`, schedule.name);
      void client.invalidateQueries({ queryKey: ["schedules"] });
      if (Object.keys(done.failed).length === 0) onClose();
    },
  });
  const preview = ready && !look.error ? look.data : undefined;
  const failed = Object.entries(act.data?.failed ?? preview?.failed ?? {});
  const wrong = look.error ?? act.error;
  return (
    <Dialog
      open
      onClose={onClose}
      title={`Backfill ${schedule.name}`}
      note="Starts a run for each tick in a time range that has none. A tick never gets two runs."
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button tone="primary" icon={<Play />} busy={act.isPending} disabled={!preview || preview.started.length === 0 || look.isPlaceholderData} onClick={() => act.mutate()}>
            {startLabel(preview?.started.length ?? 0)}
          </Button>
        </>
      }
    >
      <div className="grid grid-cols-2 gap-3 max-md:grid-cols-1">
        <Field label="From">{(wires) => <Input {...wires} type="datetime-local" value={from} onChange={(event) => setFrom(event.target.value)} />}</Field>
        <Field label="Until (exclusive)">{(wires) => <Input {...wires} type="datetime-local" value={until} onChange={(event) => setUntil(event.target.value)} />}</Field>
      </div>
      {wrong ? (
        <Notice tone="bad">{wrong instanceof Problem && wrong.errors[0] ? wrong.errors[0].message : problemText(wrong)}</Notice>
      ) : preview ? (
        <div className="min-h-40">
          <p className="mb-1 font-medium" aria-live="polite">
            {preview.ticks.length === 0 ? "No ticks in this range." : `${plural(preview.ticks.length, "tick")}: ${count(preview.started.length)} to start${preview.existing.length > 0 ? `, ${count(preview.existing.length)} ${preview.existing.length === 1 ? "has" : "have"} a run already` : ""}.`}
          </p>
          <ol>
            {preview.ticks.slice(0, shown).map((tick) => {
              const has = preview.existing.some((id) => id.endsWith(idTime(tick)));
              return (
                <li key={tick} className="flex items-center justify-between border-b py-1 text-xs">
                  <span className={classes(has && "text-faint")}>
                    {dayOf(Date.parse(tick))}, {clock(Date.parse(tick))}
                  </span>
                  <span className={classes("flex items-center gap-1", has ? "text-faint" : "text-accent")}>
                    {has ? <Check className="size-3.5" /> : <Play className="size-3" />}
                    {has ? "has a run" : "starts"}
                  </span>
                </li>
              );
            })}
          </ol>
          {preview.ticks.length > shown && <p className="pt-1 text-xs text-faint">and {count(preview.ticks.length - shown)} more</p>}
        </div>
      ) : null}
      {failed.length > 0 && (
        <Notice tone="bad">
          {plural(failed.length, "tick")} failed to start:
          <ul className="mt-1 text-xs">
            {failed.slice(0, 5).map(([id, why]) => (
              <li key={id}>
                <span className="font-mono">{id}</span>: {why}
              </li>
            ))}
          </ul>
        </Notice>
      )}
    </Dialog>
  );
}

function moment(text: string): string | null {
  const at = Date.parse(text);
  return Number.isNaN(at) ? null : new Date(at).toISOString();
}

/** Suffix of the run id of a tick: `2026-03-27T03:00:00Z`, with milliseconds only if not zero. */
function idTime(tick: string): string {
  return tick.replace(".000Z", "Z");
}
