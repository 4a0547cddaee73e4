/** Errors grouped by fingerprint, with resolve, ignore and retry. */

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { Check, ChevronRight, CircleCheck, EllipsisVertical, EyeOff, RotateCcw, Undo2 } from "lucide-react";
import { useMemo, useState } from "react";
import { part, put } from "@/api/client";
import { useCan } from "@/api/session";
import type { ErrorGroup } from "@/api/types";
import { Empty, Loaded } from "@/components/states";
import { showError, showToast } from "@/components/toast";
import { Ago, Button, IconButton, Menu, Segments, Sentinel, Tabs } from "@/components/ui";
import { usePages } from "@/components/use-pages";
import { classes, count, plural, shortName } from "@/lib/format";
import { day, hour, minute } from "@/lib/time";
import { PageHead } from "@/shell/frame";
import { useTitle } from "@/shell/title";
import { BulkDialog } from "./runs/bulk";

const markedMessages = { open: "Reopened", resolved: "Resolved", ignored: "Ignored" };
const stateLabels = { open: "Open", resolved: "Resolved", ignored: "Ignored" };
const emptyTitles = { resolved: "No resolved errors in this time range", ignored: "No ignored errors" };
const emptyNotes = { resolved: "A resolved error reopens when it occurs again.", ignored: "An ignored error stays here, even if it occurs again." };
const markedBy = { resolved: (by: string) => `resolved by ${by}`, ignored: (by: string) => `ignored by ${by}` };

const ranges = { "1h": hour, "24h": day, "7d": 7 * day, "30d": 30 * day };
type Range = keyof typeof ranges;

export function ErrorsPage() {
  useTitle("Errors");
  const search = useSearch({ strict: false });
  const navigate = useNavigate();
  const may = useCan("operator");
  const range: Range = typeof search.range === "string" && search.range in ranges ? (search.range as Range) : "7d";
  const [open, setOpen] = useState<string | null>(null);
  const [retrying, setRetrying] = useState<ErrorGroup | null>(null);
  const state: ErrorGroup["state"] = search.state === "resolved" || search.state === "ignored" ? search.state : "open";
  const since = () => new Date(Math.floor((Date.now() - ranges[range]) / minute) * minute).toISOString();
  const { answer: query, rows: groups, more } = usePages<ErrorGroup>(["errors", state, range], "errors", () => ({ state, from: since() }), { limit: 50 });
  const client = useQueryClient();
  const mark = useMutation({
    mutationFn: ({ group, to }: { group: ErrorGroup; to: ErrorGroup["state"] }) => put(`errors/${part(group.fingerprint)}/state`, { state: to }),
    onSuccess: (_, { group, to }) => {
      showToast(markedMessages[to], group.message || shortName(group.type));
      void client.invalidateQueries({ queryKey: ["errors"] });
    },
    onError: (error) => showError(error),
  });
  const target = useMemo(() => ({ filter: { fingerprint: retrying ? [retrying.fingerprint] : [] } }), [retrying]);
  const go = (change: Record<string, string | undefined>) => void navigate({ to: "/errors", search: { ...search, ...change } });
  return (
    <>
      <PageHead title="Errors" note={query.data && <span className="text-faint">{plural(groups.length, "group")}{query.hasNextPage && "+"}</span>}>
        <Segments label="Time range" value={range} onChange={(next) => go({ range: next })} options={(Object.keys(ranges) as Range[]).map((key) => ({ key, label: key }))} />
      </PageHead>
      <Tabs label="Error state" value={state} onChange={(key) => go({ state: key === "open" ? undefined : key })} tabs={(["open", "resolved", "ignored"] as const).map((key) => ({ key, label: stateLabels[key] }))} />
      <div className="min-h-0 flex-1 overflow-y-auto" role="tabpanel" tabIndex={0} aria-label={stateLabels[state]}>
        <Loaded query={query}>
          {() =>
            groups.length === 0 ? (
              <Empty icon={<CircleCheck />} title={state === "open" ? "No errors in this time range" : emptyTitles[state]}>
                {state === "open" ? "Failed runs are grouped by error and location." : emptyNotes[state]}
              </Empty>
            ) : (
              <ul aria-label={stateLabels[state]}>
                {groups.map((group) => {
                  const isOpen = open === group.fingerprint;
                  return (
                    <li key={group.fingerprint} className="border-b">
                      <div className="flex items-start gap-3 px-4 py-2.5 hover:bg-hover">
                        <button type="button" aria-expanded={isOpen} aria-label="Details" onClick={() => setOpen(isOpen ? null : group.fingerprint)} className="mt-0.5 text-faint hover:text-text">
                          <ChevronRight className={classes("size-4 transition-transform", isOpen && "rotate-90")} />
                        </button>
                        <button type="button" tabIndex={-1} aria-hidden onClick={() => setOpen(isOpen ? null : group.fingerprint)} className="min-w-0 flex-1 text-left">
                          <span className="flex items-baseline gap-2">
                            <span title={group.type} className="font-mono text-xs font-semibold text-bad">{shortName(group.type)}</span>
                            <span className="min-w-0 flex-1 truncate">{group.message}</span>
                          </span>
                          <span className="mt-0.5 flex flex-wrap gap-x-3 text-xs text-faint">
                            <span>{group.workflow}</span>
                            {group.step && <span>step {group.step}</span>}
                            {group.place && <span className="font-mono">{group.place}</span>}
                            {group.state === "open" && group.state_by && <span className="text-warn">reopened after {group.state_by} resolved it</span>}
                            {group.state !== "open" && <span>{markedBy[group.state](group.state_by ?? "code")}</span>}
                          </span>
                        </button>
                        <div className="w-16 text-right">
                          <div className="font-semibold">{count(group.count)}{group.count >= 10_000 && "+"}</div>
                          <div className="text-xs text-faint">{group.count === 1 ? "run" : "runs"}</div>
                        </div>
                        <div className="w-24 text-right text-xs text-muted max-md:hidden">
                          <div>
                            <Ago at={group.last_at} />
                          </div>
                          <div className="text-faint">
                            first <Ago at={group.first_at} />
                          </div>
                        </div>
                        {may && (
                          <>
                            <Button size="sm" icon={<RotateCcw />} disabled={group.count === 0} onClick={() => setRetrying(group)} className="max-md:hidden">
                              Retry all
                            </Button>
                            <Menu
                              trigger={
                                <IconButton size="sm" tip={false} label={`Actions for ${(group.message || shortName(group.type)).slice(0, 60)}`}>
                                  <EllipsisVertical />
                                </IconButton>
                              }
                              items={[
                                group.state !== "resolved" && { label: "Resolve", note: "reopens if it occurs again", icon: <Check />, onSelect: () => mark.mutate({ group, to: "resolved" }) },
                                group.state !== "ignored" && { label: "Ignore", note: "stays ignored if it occurs again", icon: <EyeOff />, onSelect: () => mark.mutate({ group, to: "ignored" }) },
                                group.state !== "open" && { label: "Reopen", icon: <Undo2 />, onSelect: () => mark.mutate({ group, to: "open" }) },
                              ]}
                            />
                          </>
                        )}
                      </div>
                      {isOpen && (
                        <div className="flex flex-col gap-2 px-4 pt-1.5 pb-3 pl-11">
                          <p className="break-words whitespace-pre-wrap text-muted">{group.message}</p>
                          <div className="text-xs font-medium text-muted">Latest runs</div>
                          <ul className="flex flex-wrap gap-x-4 gap-y-1">
                            {group.workflow_ids.map((id) => (
                              <li key={id}>
                                <Link to="/runs/$id" params={{ id }} className="font-mono text-xs text-accent hover:underline">
                                  {id}
                                </Link>
                              </li>
                            ))}
                          </ul>
                          <div className="mt-1 flex gap-4">
                            <Link to="/runs" search={{ fingerprint: group.fingerprint }} className="text-accent hover:underline">
                              View all runs
                            </Link>
                            {may && (
                              <button type="button" className="text-accent hover:underline md:hidden" onClick={() => setRetrying(group)}>
                                Retry all
                              </button>
                            )}
                          </div>
                        </div>
                      )}
                    </li>
                  );
                })}
                {query.hasNextPage && <Sentinel key={groups.length} onSeen={more} />}
              </ul>
            )
          }
        </Loaded>
      </div>
      <BulkDialog action={retrying ? "resume" : null} target={target} onClose={() => setRetrying(null)} onDone={() => void client.invalidateQueries({ queryKey: ["errors"] })} />
    </>
  );
}
