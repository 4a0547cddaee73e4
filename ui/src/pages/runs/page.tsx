import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { ArrowUp, Ban, Bookmark, CalendarClock, ChartScatter, ChevronDown, FileUp, ListTree, Pencil, Play, Plus, RotateCcw, SlidersHorizontal, Trash2, X } from "lucide-react";
import { useEffect, useMemo, useState } from "react";
import { get } from "@/api/client";
import { useCan } from "@/api/session";
import { type ErrorGroup, type Page, type Queue, type Registered, type Run, type RunStatus, statuses } from "@/api/types";
import { MultiSelect } from "@/components/multi-select";
import { Marked, SearchField } from "@/components/search-field";
import { Empty, Failed, SkeletonRows } from "@/components/states";
import { AppStatus, isOpen, StatusIcon, StatusWord } from "@/components/status";
import { type Column, Table } from "@/components/table";
import { Ago, Button, Checkbox, Dialog, Field, IconButton, Input, Menu, Popover, Segments, Sentinel, Tag } from "@/components/ui";
import { classes, count, shortName } from "@/lib/format";
import { statusLabels } from "@/lib/labels";
import { useStored } from "@/lib/local-storage";
import { usePhone } from "@/lib/media-query";
import { duration, ms, useNow } from "@/lib/time";
import { PageHead } from "@/shell/frame";
import { useTitle } from "@/shell/title";
import { type BulkAction, BulkDialog } from "./bulk";
import { asBody, asQuery, type Filters, isNarrowed, noFilters, parseDuration, ranges, readFilters, writeFilters } from "./filters";
import { useRuns } from "./list";
import { scheduleOf, usePlanned } from "./planned";
import { Scatter } from "./scatter";
import { hitOf, searchInRun } from "./search-hits";

const columnLabels = {
  status: "Status",
  name: "Workflow",
  summary: "Summary",
  id: "Run ID",
  app: "App status",
  tags: "Tags",
  queue: "Queue",
  version: "Version",
  executor: "Executor",
  attempts: "Attempts",
  created: "Created",
  duration: "Duration",
};
const defaultViews = [
  { name: "All runs", search: {} },
  { name: "Failed in the last day", search: { status: ["ERROR", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"], range: "24h" } },
  { name: "Open now", search: { status: ["PENDING", "ENQUEUED", "WAITING_FOR_APPROVAL"] } },
];
const timeWindowLabel = (after: string | undefined, before: string | undefined) => {
  const text = (at: string | undefined) => (at ? new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }).format(new Date(at)) : "…");
  return `${text(after)} – ${text(before)}`;
};
const rangeLabels: Record<string, string> = { "15m": "15m", "1h": "1h", "6h": "6h", "24h": "24h", "7d": "7d", "30d": "30d", all: "All" };

const columnKeys = ["summary", "id", "app", "tags", "queue", "version", "executor", "attempts", "created", "duration"] as const;
type ColumnKey = (typeof columnKeys)[number];
const usualColumns: ColumnKey[] = ["summary", "app", "tags", "queue", "created", "duration"];

interface View {
  name: string;
  search: ReturnType<typeof writeFilters>;
}

export function RunsPage() {
  useTitle("Runs");
  const search = useSearch({ strict: false });
  const navigate = useNavigate();
  const isPhone = usePhone();
  const mayAct = useCan("operator");
  const text = JSON.stringify(search);
  // Memoized by address: the filters are part of every query key here.
  const filters = useMemo(() => readFilters(JSON.parse(text)), [text]);
  const narrow = (change: Partial<Filters>) => void navigate({ to: "/runs", search: writeFilters({ ...filters, ...change }), replace: true });

  const [hovered, setHovered] = useState(false);
  const [scrolled, setScrolled] = useState(false);
  const [frame, setFrame] = useState<HTMLDivElement | null>(null);
  const [chosen, setChosen] = useState<Set<string>>(new Set());
  const [allMatching, setAllMatching] = useState(false);
  const [action, setAction] = useState<BulkAction | null>(null);
  const [strip, setStrip] = useStored("runs.scatter", true);
  const [shown, setShown] = useStored<ColumnKey[]>("runs.columns", usualColumns);
  const [views, setViews] = useStored<View[]>("runs.views", []);
  const [naming, setNaming] = useState(false);
  const [editing, setEditing] = useState(false);
  const [isDense, setDense] = useStored("runs.dense", false);
  const [showsPlanned, setShowsPlanned] = useStored("runs.planned", true);

  const list = useRuns(filters, hovered || scrolled || chosen.size > 0);
  const { query, rows } = list;
  const matching = useQuery({
    queryKey: ["workflows", "count", filters],
    queryFn: ({ signal }) => get<{ count: number; capped: boolean }>("workflows/count", asQuery(filters), signal),
  }).data;

  useEffect(() => {
    setChosen(new Set());
    setAllMatching(false);
  }, [filters]);
  useEffect(() => {
    if (!frame) return;
    const look = () => setScrolled(frame.scrollTop > 60);
    look();
    frame.addEventListener("scroll", look, { passive: true });
    return () => frame.removeEventListener("scroll", look);
  }, [frame]);

  const toggle = (run: Run) => {
    if (scheduleOf(run)) return;
    setAllMatching(false);
    setChosen((before) => {
      const after = new Set(before);
      if (!after.delete(run.workflow_id)) after.add(run.workflow_id);
      return after;
    });
  };
  const toggleAll = (on: boolean) => {
    setChosen(on ? new Set(rows.map((run) => run.workflow_id)) : new Set());
    setAllMatching(false);
  };
  const open = (run: Run) => {
    const schedule = scheduleOf(run);
    if (schedule) void navigate({ to: "/schedules/$id", params: { id: schedule.id } });
    else void navigate({ to: "/runs/$id", params: { id: run.workflow_id }, search: searchInRun(run, filters.q) });
  };

  const planned = usePlanned(filters, showsPlanned);
  const columns: Column<Run>[] = [
    ...(mayAct
      ? [
          {
            key: "pick",
            head: <Checkbox label="Select all visible runs" checked={chosen.size === 0 ? false : chosen.size === rows.length ? true : "indeterminate"} onChange={toggleAll} disabled={rows.length === 0} />,
            cell: (run: Run) => !scheduleOf(run) && <Checkbox label={`Select run ${run.workflow_id}`} checked={chosen.has(run.workflow_id)} onChange={() => toggle(run)} />,
            width: "16px",
          } satisfies Column<Run>,
        ]
      : []),
    { key: "status", head: "Status", cell: (run) => scheduleOf(run) ? <PlannedWord /> : <StatusWord status={run.status} className={run.attention ? "text-warn" : run.status === "SUCCESS" || run.status === "CANCELLED" ? "text-muted" : ""} />, width: "118px" },
    {
      key: "name",
      head: "Workflow",
      cell: (run) => {
        const schedule = scheduleOf(run);
        return schedule ? (
          <Link to="/schedules/$id" params={{ id: schedule.id }} className="text-muted hover:underline">
            {run.name}
          </Link>
        ) : (
          <Link to="/runs/$id" params={{ id: run.workflow_id }} search={searchInRun(run, filters.q)} className="font-medium hover:underline">
            <Marked text={run.name} search={filters.q} />
          </Link>
        );
      },
      width: "minmax(140px, 1fr)",
    },
    ...optional(filters, narrow).filter((column) => shown.includes(column.key as ColumnKey)),
  ];

  const bar = (
    <>
      <SearchField value={filters.q ?? ""} onChange={(q) => narrow({ q: q || undefined })} placeholder="Search runs" className="w-60 max-md:w-full" />
      <FilterPicks filters={filters} narrow={narrow} />
      {isNarrowed(filters) && (
        <Button size="sm" tone="ghost" icon={<X />} onClick={() => narrow(noFilters)}>
          Clear filters
        </Button>
      )}
    </>
  );

  return (
    <>
      <PageHead
        title="Runs"
        note={
          matching && (
            <span data-testid="runs-count" className="text-faint">
              {count(matching.count)}
              {matching.capped && "+"}
            </span>
          )
        }
      >
        {!isPhone && (
          <>
            <IconButton label={strip ? "Hide duration chart" : "Show duration chart"} aria-pressed={strip} className={strip ? "!text-text" : ""} onClick={() => setStrip(!strip)}>
              <ChartScatter />
            </IconButton>
            <Menu
              trigger={<Button tone="ghost" icon={<SlidersHorizontal />}>Display</Button>}
              items={[
                { label: "Planned runs", checked: showsPlanned, onSelect: () => setShowsPlanned(!showsPlanned) },
                { label: "Compact rows", checked: isDense, onSelect: () => setDense(!isDense) },
                ...columnKeys.map((key, index) => ({
                  label: columnLabels[key],
                  checked: shown.includes(key),
                  separated: index === 0,
                  onSelect: () => setShown(shown.includes(key) ? shown.filter((other) => other !== key) : [...shown, key]),
                })),
              ]}
            />
          </>
        )}
        <IconButton label="Open an exported run" onClick={() => void navigate({ to: "/open" })}>
          <FileUp />
        </IconButton>
        <Menu
          trigger={<Button tone="ghost" icon={<Bookmark />}>Views</Button>}
          items={[
            ...defaultViews.map((view) => ({ label: view.name, onSelect: () => void navigate({ to: "/runs", search: view.search }) })),
            ...views.map((view, index) => ({ label: view.name, onSelect: () => void navigate({ to: "/runs", search: view.search }), separated: index === 0 })),
            { label: "Save view", icon: <Plus />, onSelect: () => setNaming(true), disabled: !isNarrowed(filters), separated: true },
            views.length > 0 && { label: "Edit saved views", icon: <Pencil />, onSelect: () => setEditing(true) },
          ]}
        />
      </PageHead>
      <div className="flex shrink-0 flex-wrap items-center gap-1.5 border-b px-4 py-2 max-md:flex-nowrap max-md:flex-col max-md:items-stretch">
        {isPhone ? (
          <>
            <SearchField value={filters.q ?? ""} onChange={(q) => narrow({ q: q || undefined })} placeholder="Search runs" className="w-full" />
            <div className="-mx-4 flex gap-1.5 overflow-x-auto px-4 [scrollbar-width:none]">
              <FilterPicks filters={filters} narrow={narrow} />
            </div>
          </>
        ) : (
          bar
        )}
      </div>
      {strip && !isPhone && (
        <Scatter
          filters={filters}
          onZoom={(after, before) => narrow({ range: "all", after: new Date(after).toISOString(), before: new Date(before).toISOString() })}
        />
      )}
      <div className="relative flex min-h-0 flex-1 flex-col">
        {list.fresh > 0 && (
          <div className="absolute inset-x-0 top-10 z-20 flex justify-center">
            <button
              type="button"
              onClick={() => {
                list.showFresh();
                frame?.scrollTo({ top: 0 });
              }}
              className="animate-rise flex h-7 items-center gap-1.5 rounded-full bg-accent px-3 text-xs font-medium text-on-accent shadow-pop hover:bg-accent-hover"
            >
              <ArrowUp className="size-3.5" /> {list.gap ? "Many new runs" : `${count(list.fresh)} new`}
            </button>
          </div>
        )}
        {query.isPending ? (
          <SkeletonRows />
        ) : query.error && rows.length === 0 ? (
          <Failed error={query.error} onRetry={() => void query.refetch()} />
        ) : rows.length === 0 && planned.length === 0 ? (
          isNarrowed(filters) ? (
            <Empty icon={<ListTree />} title="No runs match" action={<Button onClick={() => narrow(noFilters)}>Clear filters</Button>}>
              Try a longer time range or remove a filter.
            </Empty>
          ) : (
            <Empty
              icon={<ListTree />}
              title="No runs yet"
              action={
                mayAct && (
                  <Button tone="primary" icon={<Play />} onClick={() => void navigate({ to: "/start" })}>
                    Start a run
                  </Button>
                )
              }
            >
              Runs appear here when your code or this dashboard starts them.
            </Empty>
          )
        ) : (
          <Table
            label="Runs"
            columns={columns}
            rows={planned.length > 0 ? [...planned, ...rows] : rows}
            rowHeight={isDense ? 28 : 36}
            quiet={(run) => scheduleOf(run) !== undefined}
            id={(run) => run.workflow_id}
            onOpen={open}
            onToggle={mayAct ? toggle : undefined}
            selected={(run) => chosen.has(run.workflow_id)}
            onHover={setHovered}
            scroller={setFrame}
            phone={(run) => <PhoneRow run={run} search={filters.q} />}
            foot={query.hasNextPage && <Sentinel key={rows.length} root={frame} onSeen={() => !query.isFetchingNextPage && void query.fetchNextPage()} />}
          />
        )}
        {chosen.size > 0 && (
          <div className="animate-rise absolute inset-x-0 bottom-4 z-20 flex justify-center px-2">
            <div className="flex max-w-full flex-wrap items-center gap-2 rounded-lg bg-bg py-2 pr-2 pl-3 shadow-pop" role="toolbar" aria-label="Bulk actions">
              <span className="font-medium">{allMatching && matching ? `All ${(count(matching.count) + (matching.capped ? "+" : ""))} selected` : `${count(chosen.size)} selected`}</span>
              {!allMatching && matching && matching.count > chosen.size && chosen.size === rows.length && (
                <button type="button" className="text-accent hover:underline" onClick={() => setAllMatching(true)}>
                  Select all {(count(matching.count) + (matching.capped ? "+" : ""))}
                </button>
              )}
              <span className="mx-1 h-4 w-px bg-line" />
              <Button size="sm" icon={<Ban />} onClick={() => setAction("cancel")}>
                Cancel
              </Button>
              <Button size="sm" icon={<RotateCcw />} onClick={() => setAction("resume")}>
                Resume
              </Button>
              <Button size="sm" tone="danger" icon={<Trash2 />} onClick={() => setAction("delete")}>
                Delete
              </Button>
              <IconButton size="sm" label="Clear selection" onClick={() => toggleAll(false)}>
                <X />
              </IconButton>
            </div>
          </div>
        )}
      </div>
      <BulkDialog
        action={action}
        target={allMatching ? { filter: asBody(filters) } : { ids: [...chosen] }}
        onClose={() => setAction(null)}
        onDone={() => {
          toggleAll(false);
          list.reset();
        }}
      />
      <EditViews views={views} open={editing} onClose={() => setEditing(false)} onChange={setViews} />
      <NameView
        open={naming}
        taken={views.map((view) => view.name)}
        onClose={() => setNaming(false)}
        onName={(name) => {
          setViews([...views.filter((view) => view.name !== name), { name, search: writeFilters(filters) }]);
          setNaming(false);
        }}
      />
    </>
  );
}

function optional(filters: Filters, narrow: (change: Partial<Filters>) => void): Column<Run>[] {
  return [
    { key: "summary", head: "Summary", cell: (run) => <Summary run={run} search={filters.q} />, width: "minmax(160px, 2fr)" },
    { key: "id", head: "Run ID", cell: (run) => scheduleOf(run) ? null : <span className="font-mono text-xs text-muted"><Marked text={run.workflow_id} search={filters.q} /></span>, width: "minmax(120px, 1fr)" },
    { key: "app", head: "App status", cell: (run) => <AppStatus label={run.app_status} color={run.app_status_color} />, width: "140px" },
    {
      key: "tags",
      head: "Tags",
      cell: (run) => (
        <span className="flex gap-1">
          {run.tags.slice(0, 3).map((tag) => (
            <Tag key={tag} label={`Only runs tagged ${tag}`} onClick={() => narrow({ tag: [tag] })}>
              <Marked text={tag} search={filters.q} />
            </Tag>
          ))}
        </span>
      ),
      width: "120px",
    },
    { key: "queue", head: "Queue", cell: (run) => <span className="text-muted">{run.queue_name}</span>, width: "96px" },
    { key: "version", head: "Version", cell: (run) => <span className="font-mono text-xs text-muted">{run.application_version}</span>, width: "96px" },
    { key: "executor", head: "Executor", cell: (run) => <span className="font-mono text-xs text-muted">{scheduleOf(run) ? null : (run.executor_id ?? "–")}</span>, width: "120px" },
    { key: "attempts", head: "Attempts", cell: (run) => !scheduleOf(run) && run.attempts, width: "64px", end: true },
    { key: "created", head: "Created", cell: (run) => <Ago at={run.created_at} className="text-muted" />, width: "76px", end: true },
    { key: "duration", head: "Duration", cell: (run) => <Took run={run} />, width: "76px", end: true },
  ];
}

function Took({ run }: { run: Run }) {
  if (scheduleOf(run)) return null;
  if (run.duration !== null) return <span className="text-muted">{duration(run.duration * 1000)}</span>;
  if (!isOpen(run.status) || run.status === "ENQUEUED" || !run.started_at) return <span className="text-faint">–</span>;
  return <Ticking since={ms(run.started_at)} />;
}

function Ticking({ since }: { since: number }) {
  const now = useNow();
  const apart = Math.max(0, now - since);
  return <span className="text-info">{apart < 60_000 ? `${Math.floor(apart / 1000)} s` : duration(apart)}</span>;
}

/** The summary of a run, or the place of the match if no visible column has it. */
function Summary({ run, search }: { run: Run; search: string | undefined }) {
  const text = run.error ?? run.summary ?? "";
  const place = hitOf(run, search);
  const second = place === "summary" && run.error ? run.summary : null;
  return (
    <span className={run.error ? "text-bad" : "text-muted"} title={text || undefined}>
      {place === "input" && <mark className="mr-1.5 rounded-xs bg-warn-soft px-1 text-xs text-warn">in input</mark>}
      {second && (
        <span className="mr-2 text-muted">
          <Marked text={second} search={search} />
        </span>
      )}
      {place === "id" && (
        <span className="mr-2 font-mono text-xs text-muted">
          <Marked text={run.workflow_id} search={search} />
        </span>
      )}
      <Marked text={text} search={search} />
    </span>
  );
}

function PlannedWord() {
  return (
    <span className="inline-flex items-center gap-1.5 whitespace-nowrap text-faint" data-status="PLANNED">
      <CalendarClock className="size-3.5" />
      Planned
    </span>
  );
}

function PhoneRow({ run, search }: { run: Run; search: string | undefined }) {
  const schedule = scheduleOf(run);
  if (schedule) {
    return (
      <div className="flex min-w-0 flex-col gap-0.5 text-muted">
        <div className="flex items-center gap-2">
          <CalendarClock className="size-3.5 shrink-0 text-faint" />
          <Link to="/schedules/$id" params={{ id: schedule.id }} className="min-w-0 flex-1 truncate">
            {run.name}
          </Link>
          <Ago at={run.created_at} className="text-xs text-faint" />
        </div>
        <div className="truncate pl-[22px] text-faint">Planned by {schedule.name}</div>
      </div>
    );
  }
  return (
    <div className="flex min-w-0 flex-col gap-0.5">
      <div className="flex items-center gap-2">
        <StatusIcon status={run.status} />
        <Link to="/runs/$id" params={{ id: run.workflow_id }} className="min-w-0 flex-1 truncate font-medium">
          <Marked text={run.name} search={search} />
        </Link>
        <Ago at={run.created_at} className="text-xs text-faint" />
      </div>
      <div className="flex items-center gap-2 pl-[22px] text-muted">
        <span className={classes("min-w-0 flex-1 truncate", run.error && "text-bad")}>{run.error ?? run.summary ?? statusLabels[run.status]}</span>
        {run.app_status && <AppStatus label={run.app_status} color={run.app_status_color} />}
        <span className="text-xs"><Took run={run} /></span>
      </div>
    </div>
  );
}

function FilterPicks({ filters, narrow }: { filters: Filters; narrow: (change: Partial<Filters>) => void }) {
  const stats = useQuery({ queryKey: ["workflows", "stats"], queryFn: ({ signal }) => get<{ by_status: Partial<Record<RunStatus, number>> }>("workflows/stats", undefined, signal) }).data;
  const names = useQuery({ queryKey: ["registered"], queryFn: ({ signal }) => get<Page<Registered>>("registered", { limit: 500 }, signal) }).data;
  const queues = useQuery({ queryKey: ["queues"], queryFn: ({ signal }) => get<Page<Queue>>("queues", { limit: 500 }, signal) }).data;
  const tags = useQuery({ queryKey: ["tags"], queryFn: ({ signal }) => get<Page<{ tag: string; count: number }>>("tags", { limit: 500 }, signal) }).data;
  return (
    <>
      <MultiSelect
        label="Status"
        value={filters.status}
        onChange={(status) => narrow({ status: status as RunStatus[] })}
        choices={statuses.map((status) => ({ value: status, label: <StatusWord status={status} />, note: stats ? count(stats.by_status[status] ?? 0) : undefined }))}
      />
      <MultiSelect label="Workflow" value={filters.name} onChange={(name) => narrow({ name })} choices={(names?.items ?? []).map((item) => ({ value: item.name }))} free />
      <MultiSelect label="Queue" value={filters.queue} onChange={(queue) => narrow({ queue })} choices={(queues?.items ?? []).map((item) => ({ value: item.name }))} />
      <MultiSelect label="Tag" value={filters.tag} onChange={(tag) => narrow({ tag })} choices={(tags?.items ?? []).map((item) => ({ value: item.tag, note: count(item.count) }))} free />
      <MultiSelect label="Version" value={filters.version} onChange={(version) => narrow({ version })} choices={[]} free />
      <TookPick value={filters.took} onChange={(took) => narrow({ took })} />
      <ErrorPick value={filters.error} onChange={(error) => narrow({ error })} />
      {filters.executor.length > 0 && <MultiSelect label="Executor" value={filters.executor} onChange={(executor) => narrow({ executor })} choices={[]} free />}
      {filters.fingerprint && <MultiSelect label="Error" value={[filters.fingerprint]} onChange={() => narrow({ fingerprint: undefined })} choices={[]} />}
      {filters.parent && <MultiSelect label="Parent" value={[filters.parent]} onChange={() => narrow({ parent: undefined })} choices={[]} />}
      {filters.after || filters.before ? (
        <Button size="sm" className="!bg-accent-soft !text-accent !shadow-none" onClick={() => narrow({ after: undefined, before: undefined })}>
          {timeWindowLabel(filters.after, filters.before)} <X className="!size-3.5" />
        </Button>
      ) : (
        <Segments label="Created in the last" value={filters.range} onChange={(range) => narrow({ range })} options={ranges.map((range) => ({ key: range, label: rangeLabels[range] }))} />
      )}
    </>
  );
}

/** Filter by error class, with the classes of recent errors. */
function ErrorPick({ value, onChange }: { value: string[]; onChange: (value: string[]) => void }) {
  const query = useQuery({ queryKey: ["errors", "classes"], queryFn: ({ signal }) => get<Page<ErrorGroup>>("errors", { limit: 200 }, signal), enabled: false });
  const groups = query.data?.items ?? [];
  const classes = [...new Set(groups.map((group) => group.type))].sort();
  return <MultiSelect label="Error class" value={value} onChange={onChange} choices={classes.map((type) => ({ value: type, label: shortName(type) }))} onOpen={() => void query.refetch()} free />;
}

function TookPick({ value, onChange }: { value: string | undefined; onChange: (value: string | undefined) => void }) {
  const [open, setOpen] = useState(false);
  const [least = "", most = ""] = (value ?? "").split("..");
  const [sides, setSides] = useState({ least, most });
  const isWrong = (side: string) => side.trim() !== "" && parseDuration(side) === undefined;
  const apply = (next: { least: string; most: string }) => {
    if (isWrong(next.least) || isWrong(next.most)) return;
    const text = `${next.least.trim()}..${next.most.trim()}`;
    onChange(text === ".." ? undefined : text);
    setOpen(false);
  };
  return (
    <span className={classes("inline-flex h-7 shrink-0 items-center rounded-md hairline", value ? "bg-accent-soft shadow-none" : "bg-bg")}>
      <Popover
        label="Duration"
        open={open}
        onOpenChange={(on) => {
          setOpen(on);
          setSides({ least, most });
        }}
        className="w-64 p-3"
        trigger={
          <button type="button" className={classes("flex h-7 items-center gap-1 rounded-md px-2 text-xs font-medium whitespace-nowrap", value ? "text-accent" : "text-muted hover:text-text")}>
            {value ? (least && most ? `Took ${least} to ${most}` : least ? `Took ≥ ${least}` : `Took ≤ ${most}`) : "Duration"}
            {!value && <ChevronDown className="size-3.5 text-faint" />}
          </button>
        }
      >
        <form
          className="flex flex-col gap-3"
          onSubmit={(event) => {
            event.preventDefault();
            apply(sides);
          }}
        >
          <div className="grid grid-cols-2 gap-2">
            <Field label="At least" error={isWrong(sides.least) ? "Use a duration such as 250ms, 10s, 5m or 2h" : undefined}>
              {(wires) => <Input {...wires} autoFocus placeholder="10s" value={sides.least} onChange={(event) => setSides({ ...sides, least: event.target.value })} />}
            </Field>
            <Field label="At most" error={isWrong(sides.most) ? "Use a duration such as 250ms, 10s, 5m or 2h" : undefined}>
              {(wires) => <Input {...wires} placeholder="5m" value={sides.most} onChange={(event) => setSides({ ...sides, most: event.target.value })} />}
            </Field>
          </div>
          <div className="flex items-center justify-between gap-2">
            <span className="text-xs text-faint">Finished runs only</span>
            <Button type="submit" size="sm" tone="primary">
              Apply
            </Button>
          </div>
        </form>
      </Popover>
      {value && (
        <button type="button" aria-label="Clear duration filter" onClick={() => onChange(undefined)} className="flex h-7 w-6 items-center justify-center rounded-r-md text-accent hover:text-text">
          <X className="size-3.5" />
        </button>
      )}
    </span>
  );
}

function NameView({ open, taken, onClose, onName }: { open: boolean; taken: string[]; onClose: () => void; onName: (name: string) => void }) {
  const [name, setName] = useState("");
  const go = () => {
    if (!name.trim()) return;
    onName(name.trim());
    setName("");
  };
  return (
    <Dialog
      open={open}
      onClose={onClose}
      title="Save view"
      note="Saved in this browser. To share a view, copy the address of the page."
      foot={
        <Button tone="primary" disabled={!name.trim()} onClick={go}>
          {taken.includes(name.trim()) ? "Replace view" : "Save view"}
        </Button>
      }
    >
      <Field label="Name" hint={taken.includes(name.trim()) ? "A view with this name exists and will be replaced." : undefined}>
        {(wires) => <Input {...wires} autoFocus value={name} onChange={(event) => setName(event.target.value)} onKeyDown={(event) => event.key === "Enter" && go()} />}
      </Field>
    </Dialog>
  );
}

/** Dialog to rename, reorder and delete saved views. */
function EditViews({ views, open, onClose, onChange }: { views: View[]; open: boolean; onClose: () => void; onChange: (views: View[]) => void }) {
  const [rows, setRows] = useState<{ name: string; search: View["search"] }[]>([]);
  useEffect(() => {
    if (open) setRows(views.map((view) => ({ ...view })));
    // Do not overwrite edits while the dialog is open.
  }, [open]); // eslint-disable-line react-hooks/exhaustive-deps
  const names = rows.map((row) => row.name.trim());
  const errorOf = (index: number) => (names[index] === "" ? "Enter a name." : names.indexOf(names[index]!) !== index ? "This name is already used." : undefined);
  const isWrong = rows.some((_, index) => errorOf(index) !== undefined);
  return (
    <Dialog
      open={open}
      onClose={onClose}
      title="Edit saved views"
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button
            tone="primary"
            disabled={isWrong}
            onClick={() => {
              onChange(rows.map((row) => ({ ...row, name: row.name.trim() })));
              onClose();
            }}
          >
            Save
          </Button>
        </>
      }
    >
      {rows.length === 0 && <p className="text-muted">All views removed. Save to confirm.</p>}
      <ul className="flex flex-col gap-2">
        {rows.map((row, index) => (
          <li key={index} className="flex items-start gap-1">
            <div className="min-w-0 flex-1">
              <Input aria-label={`Name of view ${index + 1}`} aria-invalid={errorOf(index) ? true : undefined} value={row.name} onChange={(event) => setRows(rows.map((other, at) => (at === index ? { ...other, name: event.target.value } : other)))} />
              {errorOf(index) && <div className="mt-0.5 text-xs text-bad">{errorOf(index)}</div>}
            </div>
            <IconButton label={`Remove “${row.name}”`} onClick={() => setRows(rows.filter((_, at) => at !== index))}>
              <Trash2 />
            </IconButton>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}
