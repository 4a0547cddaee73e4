/** Log lines with filters by level and text, live tail, and older lines on demand. */

import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ArrowDown, Download, Logs } from "lucide-react";
import { Fragment, useEffect, useMemo, useRef, useState } from "react";
import { get, part } from "@/api/client";
import { streamState } from "@/api/stream";
import type { LogLine, Page } from "@/api/types";
import { classes, count, download } from "@/lib/format";
import { absolute, clockMs, dayOf } from "@/lib/time";
import { Marked, SearchField } from "./search-field";
import { Empty, Failed, SkeletonRows } from "./states";
import { Button, IconButton, Segments } from "./ui";

const levelLabels = { DEBUG: "All", INFO: "Info", WARNING: "Warn", ERROR: "Error" };

const levels = ["DEBUG", "INFO", "WARNING", "ERROR"] as const;
type Level = (typeof levels)[number];
const looksMost = 40;
const levelLook: Record<string, string> = { DEBUG: "text-faint", INFO: "text-muted", WARNING: "text-warn", ERROR: "text-bad", CRITICAL: "text-bad font-semibold" };

export interface LogFilter {
  level: Level;
  search: string;
}

export const noLogFilter: LogFilter = { level: "DEBUG", search: "" };
export const levelOf = (text: unknown): Level => levels.find((level) => level === text) ?? "DEBUG";

/** The filter is controlled by `narrowing` and `onNarrow`, or kept inside when these are not given. */
export function LogView({ workflowId, step, onStep, compact, live, narrowing, onNarrow }: { workflowId?: string; step?: string | null; onStep?: (step: string) => void; compact?: boolean; live?: boolean; narrowing?: LogFilter; onNarrow?: (narrowing: LogFilter) => void }) {
  const [own, setOwn] = useState(noLogFilter);
  const { level, search } = narrowing ?? own;
  const narrow = (change: Partial<LogFilter>) => (onNarrow ?? setOwn)({ level, search, ...change });
  const [follow, setFollow] = useState(true);
  const [unseen, setUnseen] = useState(0);
  const frame = useRef<HTMLDivElement>(null);
  const query = useInfiniteQuery({
    queryKey: [workflowId ? "run" : "logs", workflowId ?? "all", "logs", step ?? null, level, search],
    queryFn: ({ pageParam, signal }) =>
      get<Page<LogLine>>(workflowId ? `workflows/${part(workflowId)}/logs` : "logs", { step, level: level === "DEBUG" ? undefined : level, search, limit: 200, cursor: pageParam }, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
    placeholderData: keepPreviousData,
    refetchInterval: live ? (streamState() === "live" ? 2500 : 5000) : false,
  });
  // A search over all runs scans a limited number of lines per request; without a match it continues automatically.
  const looked = query.data?.pages.length ?? 0;
  const foundNone = query.data?.pages.every((page) => page.items.length === 0) ?? false;
  const { hasNextPage, isFetching, fetchNextPage } = query;
  useEffect(() => {
    if (foundNone && hasNextPage && !isFetching && looked < looksMost) void fetchNextPage();
  }, [foundNone, hasNextPage, isFetching, looked, fetchNextPage]);
  const lines = useMemo(() => {
    const byId = new Map((query.data?.pages ?? []).flatMap((page) => page.items).map((line) => [String(line.id), line]));
    return [...byId.values()].sort((a, b) => a.at.localeCompare(b.at) || String(a.id).localeCompare(String(b.id), undefined, { numeric: true }));
  }, [query.data]);
  const newest = lines.at(-1)?.id;
  const seen = useRef<LogLine["id"] | undefined>(undefined);
  useEffect(() => {
    const box = frame.current;
    if (follow && box) {
      box.scrollTop = box.scrollHeight;
      // Lines that have not been rendered yet may be taller than estimated.
      requestAnimationFrame(() => {
        box.scrollTop = box.scrollHeight;
      });
      seen.current = newest;
      setUnseen(0);
    } else if (newest !== seen.current) {
      const at = lines.findIndex((line) => line.id === seen.current);
      setUnseen(at < 0 ? 0 : lines.length - 1 - at);
    }
  }, [newest, follow, lines]);

  return (
    <div className={classes("flex min-h-0 flex-col", compact ? "max-h-96" : "flex-1")}>
      <div className={classes("flex shrink-0 flex-wrap items-center gap-2 border-b py-2", compact ? "px-0" : "px-4")}>
        <SearchField value={search} onChange={(text) => narrow({ search: text })} placeholder="Search messages" className={compact ? "w-40" : "w-60 max-md:w-full"} />
        <Segments label="Minimum level" value={level} onChange={(next) => narrow({ level: next })} options={levels.map((level) => ({ key: level, label: levelLabels[level] }))} />
        <span className="flex-1" />
        {!compact && lines.length > 0 && (
          <>
            <span className="text-xs text-faint">{count(lines.length)} lines</span>
            <IconButton
              label="Download visible lines"
              size="sm"
              onClick={() => download(`${workflowId ?? "turbine"}.log`, lines.map((line) => `${line.at} ${line.level} ${line.step ?? "-"} ${line.message}`).join("\n"), "text/plain")}
            >
              <Download />
            </IconButton>
          </>
        )}
      </div>
      {query.isPending || (foundNone && hasNextPage && looked < looksMost) ? (
        <SkeletonRows rows={6} height={24} />
      ) : query.error && lines.length === 0 ? (
        <Failed error={query.error} onRetry={() => void query.refetch()} />
      ) : lines.length === 0 ? (
        search || level !== "DEBUG" ? (
          <Empty
            title="No lines match"
            action={
              <Button onClick={() => narrow(noLogFilter)}>
                Clear filters
              </Button>
            }
          />
        ) : (
          <Empty icon={<Logs />} title={step ? "No log lines from this step" : "No log lines"}>
            Lines logged with turbine.logger() or logging appear here within a second.
          </Empty>
        )
      ) : (
        <div className="relative min-h-0 flex-1">
          <div
            ref={frame}
            tabIndex={0}
            role="log"
            aria-label="Logs"
            className={classes("h-full overflow-auto font-mono text-xs", compact ? "max-h-80" : "")}
            onScroll={(event) => {
              const box = event.currentTarget;
              setFollow(box.scrollHeight - box.scrollTop - box.clientHeight < 24);
            }}
          >
            {query.hasNextPage && (
              <div className="px-4 py-1.5">
                <Button
                  size="sm"
                  busy={query.isFetchingNextPage}
                  onClick={() => {
                    setFollow(false);
                    void query.fetchNextPage();
                  }}
                >
                  Load older lines
                </Button>
              </div>
            )}
            {lines.map((line, index) => {
              const day = dayOf(Date.parse(line.at));
              const before = lines[index - 1];
              return (
                <Fragment key={line.id}>
                  {(!before || dayOf(Date.parse(before.at)) !== day) && !compact && <div className="sticky top-0 z-10 bg-bg px-4 py-1 font-sans text-2xs font-medium text-faint">{day}</div>}
                  <div className={classes("group flex gap-3 py-px [content-visibility:auto] [contain-intrinsic-size:auto_20px] hover:bg-hover max-md:flex-wrap max-md:gap-x-2", compact ? "px-0" : "px-4", (line.level === "ERROR" || line.level === "CRITICAL") && "bg-bad-soft/60")}>
                    <time dateTime={line.at} title={absolute(Date.parse(line.at))} className="shrink-0 leading-5 text-faint">
                      {clockMs(Date.parse(line.at))}
                    </time>
                    <span className={classes("w-12 shrink-0 leading-5", levelLook[line.level] ?? "text-muted")}>{line.level === "WARNING" ? "WARN" : line.level.slice(0, 5)}</span>
                    {!step && !compact && (
                      <span className="w-14 shrink-0 truncate leading-5">
                        {line.step && onStep ? (
                          <button type="button" title={`Show step ${line.step}`} className="text-faint hover:text-accent" onClick={() => onStep(line.step!)}>
                            {line.step}
                          </button>
                        ) : line.step && line.workflow_id ? (
                          <Link to="/runs/$id" params={{ id: line.workflow_id }} search={{ step: line.step }} title={`Show step ${line.step}`} className="text-faint hover:text-accent">
                            {line.step}
                          </Link>
                        ) : (
                          <span className="text-faint">–</span>
                        )}
                      </span>
                    )}
                    <span className="min-w-0 flex-1 leading-5 break-words whitespace-pre-wrap max-md:basis-full">
                      <Marked text={line.message} search={search} />
                    </span>
                    {!workflowId && line.workflow_id && (
                      <Link to="/runs/$id" params={{ id: line.workflow_id }} className="max-w-44 shrink-0 truncate leading-5 text-faint hover:text-accent">
                        {line.workflow_id}
                      </Link>
                    )}
                  </div>
                </Fragment>
              );
            })}
          </div>
          {!follow && unseen > 0 && (
            <button
              type="button"
              className="absolute bottom-3 left-1/2 flex h-7 -translate-x-1/2 items-center gap-1 rounded-full bg-accent px-3 text-xs font-medium text-on-accent shadow-pop"
              onClick={() => setFollow(true)}
            >
              <ArrowDown className="size-3.5" /> {`${count(unseen)} new`}
            </button>
          )}
        </div>
      )}
    </div>
  );
}
