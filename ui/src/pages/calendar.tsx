/** Calendar of past and planned runs, with figures for the last day. */

import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { get } from "@/api/client";
import type { CalendarDay, MetricsSummary, Page, Registered, Schedule } from "@/api/types";
import { Columns, Figure } from "@/components/figures";
import { MultiSelect } from "@/components/multi-select";
import { describe } from "@/components/schedule-fields";
import { Loaded } from "@/components/states";
import { Ago, Segments, Skeleton } from "@/components/ui";
import { midnights, spans } from "@/lib/days";
import { classes, count, many, percent } from "@/lib/format";
import { clock, dayOf, ms, seconds } from "@/lib/time";
import { PageHead } from "@/shell/frame";
import { useTitle } from "@/shell/title";

const weekdays = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const dayLabel = (data: { success: number; error: number; cancelled: number; open: number; planned: number } | undefined) => {
  if (!data) return "no runs";
  const parts = [
    data.success && `${count(data.success)} succeeded`,
    data.error && `${count(data.error)} failed`,
    data.cancelled && `${count(data.cancelled)} cancelled`,
    data.open && `${count(data.open)} open`,
    data.planned && `${count(data.planned)} planned`,
  ].filter(Boolean);
  return parts.length > 0 ? parts.join(", ") : "no runs";
};

const weeksBack = 26;
const weeksAhead = 4;

interface Cell {
  from: number;
  to: number;
  data: CalendarDay | undefined;
}

export function CalendarPage() {
  useTitle("Calendar");
  const search = useSearch({ strict: false });
  const navigate = useNavigate();
  const name = many(search.workflow)[0];
  const hours = search.hours === "168" ? 168 : 24;
  const registered = useQuery({ queryKey: ["registered"], queryFn: ({ signal }) => get<Page<Registered>>("registered", { limit: 500 }, signal) }).data?.items ?? [];
  const today = new Date();
  // Weeks begin on Monday.
  const monday = -((today.getDay() + 6) % 7);
  const edges = midnights(today, monday - (weeksBack - 1) * 7, (weeksBack + weeksAhead) * 7);
  const query = useQuery({
    queryKey: ["calendar", name ?? null, edges[0]],
    queryFn: async ({ signal }) => {
      const answers = spans(edges).map(({ from, to, size }) => get<{ days: CalendarDay[] }>("calendar", { from_ms: from, to_ms: to, bucket_mins: size, name }, signal));
      return (await Promise.all(answers)).flatMap((answer) => answer.days);
    },
    refetchInterval: 60_000,
  });
  const metrics = useQuery({ queryKey: ["metrics", hours], queryFn: ({ signal }) => get<MetricsSummary>("metrics/summary", { hours }, signal), refetchInterval: 30_000 });
  const coming = useQuery({ queryKey: ["schedules"], queryFn: ({ signal }) => get<Page<Schedule>>("schedules", { limit: 500 }, signal) })
    .data?.items.filter((schedule) => schedule.enabled && schedule.next_at && (!name || schedule.workflow === name))
    .sort((a, b) => a.next_at!.localeCompare(b.next_at!))
    .slice(0, 8);
  return (
    <>
      <PageHead title="Calendar">
        <MultiSelect single label="Workflow" value={name ? [name] : []} onChange={([next]) => void navigate({ to: "/calendar", search: { ...search, workflow: next } })} choices={registered.map((item) => ({ value: item.name }))} />
      </PageHead>
      <div className="min-h-0 flex-1 overflow-y-auto">
        <section className="border-b px-4 py-4">
          <Loaded query={query} skeleton={<Skeleton className="h-40 w-full" />}>
            {(days) => <Heat days={days} edges={edges} today={new Date().setHours(0, 0, 0, 0)} name={name} />}
          </Loaded>
        </section>
        <section className="border-b px-4 py-4">
          <div className="mb-3 flex items-center gap-3">
            <h2 className="flex-1 font-semibold">Recent</h2>
            <Segments label="Recent" value={String(hours)} onChange={(next) => void navigate({ to: "/calendar", search: { ...search, hours: next === "24" ? undefined : next }, replace: true })} options={[{ key: "24", label: "24h" }, { key: "168", label: "7d" }]} />
          </div>
          <Loaded query={metrics} skeleton={<Skeleton className="h-28 w-full" />}>
            {(summary) => <Recent summary={summary} />}
          </Loaded>
        </section>
        <section className="px-4 py-4">
          <h2 className="mb-1 font-semibold">Upcoming</h2>
          {coming && coming.length > 0 ? (
            <ul className="max-w-3xl">
              {coming.map((schedule) => (
                <li key={schedule.id} className="flex items-baseline gap-4 border-b py-1.5">
                  <span className="w-40 shrink-0 text-muted">
                    {dayOf(Date.parse(schedule.next_at!))}, {clock(Date.parse(schedule.next_at!)).slice(0, 5)}
                  </span>
                  <Link to="/schedules/$id" params={{ id: schedule.id }} className="shrink-0 font-medium hover:underline">
                    {schedule.name}
                  </Link>
                  <span className="min-w-0 flex-1 truncate text-muted max-md:hidden">{describe(schedule)}</span>
                  <Ago at={schedule.next_at} className="text-faint" />
                </li>
              ))}
            </ul>
          ) : (
            <p className="text-faint">No active schedules.</p>
          )}
        </section>
      </div>
    </>
  );
}

function Heat({ days, edges, today, name }: { days: CalendarDay[]; edges: number[]; today: number; name: string | undefined }) {
  const navigate = useNavigate();
  const byDay = new Map(days.map((day) => [ms(day.time), day]));
  const cells: Cell[] = edges.slice(0, -1).map((from, index) => ({ from, to: edges[index + 1]!, data: byDay.get(from) }));
  const weeks = Array.from({ length: cells.length / 7 }, (_, week) => cells.slice(week * 7, week * 7 + 7));
  const most = Math.max(1, ...days.map((day) => day.success + day.error + day.cancelled + day.open));
  const past = days.reduce((sum, day) => sum + day.success + day.error + day.cancelled + day.open, 0);
  const ended = days.reduce((sum, day) => sum + day.success + day.error, 0);
  const bad = days.reduce((sum, day) => sum + day.error, 0);
  return (
    <div>
      <div className="mb-3 flex flex-wrap gap-x-10 gap-y-2">
        <Figure label={`Runs in ${weeksBack} weeks`} value={count(past)} />
        <Figure label="Success rate" value={ended === 0 ? "–" : percent((ended - bad) / ended)} />
        <Figure label="Failed" value={count(bad)} tone={bad > 0 ? "bad" : undefined} />
        <Figure label={`Planned in ${weeksAhead} weeks`} value={count(days.reduce((sum, day) => sum + day.planned, 0))} />
      </div>
      <div ref={toNow} className="overflow-x-auto pb-1" tabIndex={0} role="group" aria-label="Runs by day">
        <div className="inline-flex gap-[3px]">
          <div className="mr-1 flex flex-col gap-[3px] pt-5 text-2xs text-faint" aria-hidden>
            {weekdays.map((word, index) => (
              <span key={word} className="h-[18px] leading-[18px]">
                {index % 2 === 0 ? word : ""}
              </span>
            ))}
          </div>
          {weeks.map((week, index) => {
            const first = new Date(week[0]!.from);
            const next = weeks[index + 1]?.[0];
            const isNewMonth = index === 0 ? next !== undefined && new Date(next.from).getMonth() === first.getMonth() : first.getMonth() !== new Date(weeks[index - 1]![0]!.from).getMonth();
            return (
              <div key={week[0]!.from} className="flex w-[18px] flex-col gap-[3px]">
                <span className="h-[17px] text-2xs whitespace-nowrap text-faint">{isNewMonth ? first.toLocaleString(undefined, { month: "short" }) : ""}</span>
                {week.map((cell) => (
                  <button
                    key={cell.from}
                    type="button"
                    title={`${dayOf(cell.from)}\n${dayLabel(cell.data)}`}
                    aria-label={`${dayOf(cell.from)}: ${dayLabel(cell.data)}`}
                    onClick={() => void navigate({ to: "/runs", search: { workflow: name, after: new Date(cell.from).toISOString(), before: new Date(cell.to).toISOString() } })}
                    className={classes("size-[18px] rounded-[3px]", look(cell.data, cell.from > today), cell.from === today && "ring-1 ring-text ring-offset-1 ring-offset-bg")}
                    style={{ opacity: strength(cell.data, most, cell.from > today) }}
                  />
                ))}
              </div>
            );
          })}
        </div>
      </div>
      <div className="mt-2 flex flex-wrap items-center gap-x-4 gap-y-1 text-xs text-faint">
        {(
          [
            ["bg-ok-fill", "All succeeded"],
            ["bg-warn-fill", "Some failed"],
            ["bg-bad-fill", "Most failed"],
            ["hatched shadow-[inset_0_0_0_1px_var(--line-strong)]", "Planned"],
          ] as const
        ).map(([fill, word]) => (
          <span key={word} className="flex items-center gap-1.5">
            <span className={classes("size-[11px] rounded-[3px]", fill)} /> {word}
          </span>
        ))}
      </div>
    </div>
  );
}

/** On a narrow screen, scroll to today. */
function toNow(element: HTMLDivElement | null): void {
  if (element) element.scrollLeft = element.scrollWidth;
}

function look(data: CalendarDay | undefined, ahead: boolean): string {
  if (!data) return "bg-hover";
  const done = data.success + data.error + data.cancelled + data.open;
  if (done === 0) return data.planned > 0 ? "hatched shadow-[inset_0_0_0_1px_var(--line-strong)]" : ahead ? "bg-transparent shadow-[inset_0_0_0_1px_var(--line)]" : "bg-hover";
  const share = data.error / Math.max(1, data.success + data.error);
  return share === 0 ? "bg-ok-fill" : share < 0.5 ? (share < 0.05 ? "bg-ok-fill" : "bg-warn-fill") : "bg-bad-fill";
}

function strength(data: CalendarDay | undefined, most: number, ahead: boolean): number {
  const done = data ? data.success + data.error + data.cancelled + data.open : 0;
  if (done === 0 || ahead) return 1;
  const share = Math.log1p(done) / Math.log1p(most);
  return share > 0.85 ? 1 : share > 0.6 ? 0.75 : share > 0.35 ? 0.55 : 0.35;
}

function Recent({ summary }: { summary: MetricsSummary }) {
  const points = summary.throughput;
  const finished = points.reduce((sum, point) => sum + point.finished, 0);
  const failed = points.reduce((sum, point) => sum + point.failed, 0);
  const last = [...points].reverse().find((point) => point.p50 !== null);
  const slow = points.map((point) => point.p95 ?? 0);
  const most = Math.max(...slow, 0);
  return (
    <div className="flex flex-wrap gap-x-10 gap-y-4">
      <div className="flex flex-wrap gap-x-8 gap-y-3">
        <Figure label="Finished" value={count(finished)} />
        <Figure label="Failure rate" value={finished + failed === 0 ? "–" : percent(failed / Math.max(1, finished))} tone={failed > 0 ? "bad" : undefined} />
        <Figure label="Median" value={seconds(last?.p50)} />
        <Figure label="95th percentile" value={seconds(last?.p95)} note={most > 0 ? `worst ${seconds(most)}` : undefined} />
      </div>
      <div className="min-w-72 flex-1">
        {points.length === 0 ? (
          <p className="text-faint">No runs finished in this time range.</p>
        ) : (
          <>
            <Columns label="Finished runs over time, with failed runs on top" points={points.map((point) => ({ value: Math.max(0, point.finished - point.failed), bad: point.failed, title: `${dayOf(ms(point.time))}, ${clock(ms(point.time)).slice(0, 5)}\n${count(point.finished)} finished, ${count(point.failed)} failed\n95th percentile ${seconds(point.p95)}` }))} />
            <div className="mt-1 flex justify-between text-2xs text-faint">
              <span>
                {dayOf(ms(points[0]!.time))}, {clock(ms(points[0]!.time)).slice(0, 5)}
              </span>
              <span>now</span>
            </div>
          </>
        )}
      </div>
    </div>
  );
}
