/** Errors that are the same, together: how often, since when, and all of them tried again. */

import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { ChevronRight, CircleCheck, RotateCcw } from "lucide-react";
import { useMemo, useState } from "react";
import { get } from "@/api/client";
import { useCan } from "@/api/session";
import type { ErrorGroup } from "@/api/types";
import { Answer, Empty } from "@/components/states";
import { Ago, Button, Segments } from "@/components/ui";
import { day, hour } from "@/lib/time";
import { classes, count, shortName } from "@/lib/words";
import { PageHead } from "@/shell/frame";
import { useTitle } from "@/shell/title";
import { errorsText } from "@/text";
import { BulkDialog } from "./runs/bulk";

const ranges = { "1h": hour, "24h": day, "7d": 7 * day, "30d": 30 * day };
type Range = keyof typeof ranges;

export function ErrorsPage() {
  useTitle(errorsText.title);
  const search = useSearch({ strict: false });
  const navigate = useNavigate();
  const may = useCan("operator");
  const range: Range = typeof search.range === "string" && search.range in ranges ? (search.range as Range) : "7d";
  const [open, setOpen] = useState<string | null>(null);
  const [retrying, setRetrying] = useState<ErrorGroup | null>(null);
  const query = useQuery({
    queryKey: ["errors", range],
    queryFn: ({ signal }) => get<{ items: ErrorGroup[] }>("errors", { from: new Date(Date.now() - ranges[range]).toISOString(), limit: 200 }, signal),
  });
  const target = useMemo(
    () => ({ filter: retrying ? { status: ["ERROR"], name: [retrying.workflow], search: retrying.message.slice(0, 200), created_after: new Date(Math.min(Date.parse(retrying.first_at), Date.now() - ranges[range]) - 30 * day).toISOString() } : {} }),
    [retrying, range],
  );
  return (
    <>
      <PageHead title={errorsText.title} note={query.data && <span className="text-faint">{errorsText.groups(query.data.items.length)}</span>}>
        <Segments label={errorsText.range} value={range} onChange={(next) => void navigate({ to: "/errors", search: { range: next } })} options={(Object.keys(ranges) as Range[]).map((key) => ({ key, label: key }))} />
      </PageHead>
      <div className="min-h-0 flex-1 overflow-y-auto">
        <Answer query={query}>
          {(page) =>
            page.items.length === 0 ? (
              <Empty icon={<CircleCheck />} title={errorsText.none}>
                {errorsText.noneNote}
              </Empty>
            ) : (
              <ul>
                {page.items.map((group) => {
                  const isOpen = open === group.fingerprint;
                  return (
                    <li key={group.fingerprint} className="border-b">
                      <div className="flex items-start gap-3 px-4 py-2.5 hover:bg-hover">
                        <button type="button" aria-expanded={isOpen} aria-label={errorsText.details} onClick={() => setOpen(isOpen ? null : group.fingerprint)} className="mt-0.5 text-faint hover:text-text">
                          <ChevronRight className={classes("size-4 transition-transform", isOpen && "rotate-90")} />
                        </button>
                        <button type="button" tabIndex={-1} aria-hidden onClick={() => setOpen(isOpen ? null : group.fingerprint)} className="min-w-0 flex-1 text-left">
                          <span className="flex items-baseline gap-2">
                            <span title={group.type} className="font-mono text-xs font-semibold text-bad">{shortName(group.type)}</span>
                            <span className="min-w-0 flex-1 truncate">{group.message}</span>
                          </span>
                          <span className="mt-0.5 flex flex-wrap gap-x-3 text-xs text-faint">
                            <span>{group.workflow}</span>
                            {group.step && <span>{errorsText.step(group.step)}</span>}
                            {group.place && <span className="font-mono">{group.place}</span>}
                          </span>
                        </button>
                        <div className="w-16 text-right">
                          <div className="font-semibold">{count(group.count)}</div>
                          <div className="text-xs text-faint">{errorsText.runs(group.count)}</div>
                        </div>
                        <div className="w-24 text-right text-xs text-muted max-md:hidden">
                          <div>
                            <Ago at={group.last_at} />
                          </div>
                          <div className="text-faint">
                            {errorsText.first} <Ago at={group.first_at} />
                          </div>
                        </div>
                        {may && (
                          <Button size="sm" icon={<RotateCcw />} onClick={() => setRetrying(group)} className="max-md:hidden">
                            {errorsText.retry}
                          </Button>
                        )}
                      </div>
                      {isOpen && (
                        <div className="flex flex-col gap-2 px-4 pb-3 pl-11">
                          <p className="break-words whitespace-pre-wrap text-muted">{group.message}</p>
                          <div className="text-xs font-medium text-muted">{errorsText.newest}</div>
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
                            <Link to="/runs" search={{ status: "ERROR", workflow: group.workflow, q: group.message.slice(0, 80) }} className="text-accent hover:underline">
                              {errorsText.all}
                            </Link>
                            {may && (
                              <button type="button" className="text-accent hover:underline md:hidden" onClick={() => setRetrying(group)}>
                                {errorsText.retry}
                              </button>
                            )}
                          </div>
                        </div>
                      )}
                    </li>
                  );
                })}
              </ul>
            )
          }
        </Answer>
      </div>
      <BulkDialog action={retrying ? "resume" : null} target={target} onClose={() => setRetrying(null)} onDone={() => void query.refetch()} />
    </>
  );
}
