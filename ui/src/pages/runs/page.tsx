import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { ArrowUp, Ban, Bookmark, ChartScatter, Columns3, ListTree, Play, Plus, RotateCcw, Trash2, X } from "lucide-react";
import { useEffect, useMemo, useState } from "react";
import { get } from "@/api/client";
import { useCan } from "@/api/session";
import { type Page, type Queue, type Registered, type Run, type RunStatus, statuses } from "@/api/types";
import { Pick } from "@/components/pick";
import { Marked, SearchField } from "@/components/search-field";
import { Empty, Failed, SkeletonRows } from "@/components/states";
import { AppStatus, isOpen, StatusIcon, StatusWord } from "@/components/status";
import { type Column, Table } from "@/components/table";
import { Ago, Button, Checkbox, Dialog, Field, IconButton, Input, Menu, Segments, Sentinel, Tag } from "@/components/ui";
import { useKept } from "@/lib/keep";
import { usePhone } from "@/lib/media";
import { duration, ms, useNow } from "@/lib/time";
import { classes, count } from "@/lib/words";
import { PageHead } from "@/shell/frame";
import { useTitle } from "@/shell/title";
import { runsText, statusText } from "@/text";
import { BulkDialog, type BulkAction } from "./bulk";
import { asBody, asQuery, type Filters, isNarrowed, noFilters, ranges, readFilters, writeFilters } from "./filters";
import { useRuns } from "./list";
import { Scatter } from "./scatter";

const columnKeys = ["summary", "id", "app", "tags", "queue", "version", "executor", "attempts", "created", "duration"] as const;
type ColumnKey = (typeof columnKeys)[number];
const usualColumns: ColumnKey[] = ["summary", "app", "tags", "queue", "created", "duration"];

interface View {
  name: string;
  search: ReturnType<typeof writeFilters>;
}

export function RunsPage() {
  useTitle(runsText.title);
  const search = useSearch({ strict: false });
  const navigate = useNavigate();
  const isPhone = usePhone();
  const mayAct = useCan("operator");
  const text = JSON.stringify(search);
  // The address is read anew only when it changes: the filters are the key of every query here.
  const filters = useMemo(() => readFilters(JSON.parse(text)), [text]);
  const narrow = (change: Partial<Filters>) => void navigate({ to: "/runs", search: writeFilters({ ...filters, ...change }), replace: true });

  const [hovered, setHovered] = useState(false);
  const [scrolled, setScrolled] = useState(false);
  const [frame, setFrame] = useState<HTMLDivElement | null>(null);
  const [chosen, setChosen] = useState<Set<string>>(new Set());
  const [allMatching, setAllMatching] = useState(false);
  const [action, setAction] = useState<BulkAction | null>(null);
  const [strip, setStrip] = useKept("runs.scatter", true);
  const [shown, setShown] = useKept<ColumnKey[]>("runs.columns", usualColumns);
  const [views, setViews] = useKept<View[]>("runs.views", []);
  const [naming, setNaming] = useState(false);

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
    frame.addEventListener("scroll", look, { passive: true });
    return () => frame.removeEventListener("scroll", look);
  }, [frame]);

  const toggle = (run: Run) => {
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
  const open = (run: Run) => void navigate({ to: "/runs/$id", params: { id: run.workflow_id } });

  const columns: Column<Run>[] = [
    ...(mayAct
      ? [
          {
            key: "pick",
            head: <Checkbox label={runsText.pickAll} checked={chosen.size === 0 ? false : chosen.size === rows.length ? true : "indeterminate"} onChange={toggleAll} disabled={rows.length === 0} />,
            cell: (run: Run) => <Checkbox label={runsText.pick(run.workflow_id)} checked={chosen.has(run.workflow_id)} onChange={() => toggle(run)} />,
            width: "16px",
          } satisfies Column<Run>,
        ]
      : []),
    { key: "status", head: runsText.columns.status, cell: (run) => <StatusWord status={run.status} className={run.attention ? "text-warn" : run.status === "SUCCESS" || run.status === "CANCELLED" ? "text-muted" : ""} />, width: "118px" },
    {
      key: "name",
      head: runsText.columns.name,
      cell: (run) => (
        <Link to="/runs/$id" params={{ id: run.workflow_id }} className="font-medium hover:underline">
          <Marked text={run.name} search={filters.q} />
        </Link>
      ),
      width: "minmax(140px, 1fr)",
    },
    ...optional(filters, narrow).filter((column) => shown.includes(column.key as ColumnKey)),
  ];

  const bar = (
    <>
      <SearchField value={filters.q ?? ""} onChange={(q) => narrow({ q: q || undefined })} placeholder={runsText.search} className="w-60 max-md:w-full" />
      <FilterPicks filters={filters} narrow={narrow} />
      {isNarrowed(filters) && (
        <Button size="sm" tone="ghost" icon={<X />} onClick={() => narrow(noFilters)}>
          {runsText.clear}
        </Button>
      )}
    </>
  );

  return (
    <>
      <PageHead
        title={runsText.title}
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
            <IconButton label={strip ? runsText.hideScatter : runsText.showScatter} aria-pressed={strip} className={strip ? "!text-text" : ""} onClick={() => setStrip(!strip)}>
              <ChartScatter />
            </IconButton>
            <Menu
              trigger={<Button tone="ghost" icon={<Columns3 />}>{runsText.columnsButton}</Button>}
              items={columnKeys.map((key) => ({
                label: runsText.columns[key],
                checked: shown.includes(key),
                onSelect: () => setShown(shown.includes(key) ? shown.filter((other) => other !== key) : [...shown, key]),
              }))}
            />
          </>
        )}
        <Menu
          trigger={<Button tone="ghost" icon={<Bookmark />}>{runsText.views}</Button>}
          items={[
            ...runsText.usualViews.map((view) => ({ label: view.name, onSelect: () => void navigate({ to: "/runs", search: view.search }) })),
            ...views.map((view, index) => ({ label: view.name, onSelect: () => void navigate({ to: "/runs", search: view.search }), separated: index === 0 })),
            { label: runsText.saveView, icon: <Plus />, onSelect: () => setNaming(true), disabled: !isNarrowed(filters), separated: true },
            ...views.map((view) => ({ label: runsText.forgetView(view.name), icon: <Trash2 />, onSelect: () => setViews(views.filter((other) => other !== view)) })),
          ]}
        />
      </PageHead>
      <div className="flex shrink-0 flex-wrap items-center gap-1.5 border-b px-4 py-2 max-md:flex-nowrap max-md:flex-col max-md:items-stretch">
        {isPhone ? (
          <>
            <SearchField value={filters.q ?? ""} onChange={(q) => narrow({ q: q || undefined })} placeholder={runsText.search} className="w-full" />
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
              <ArrowUp className="size-3.5" /> {runsText.fresh(list.fresh, list.gap)}
            </button>
          </div>
        )}
        {query.isPending ? (
          <SkeletonRows />
        ) : query.error && rows.length === 0 ? (
          <Failed error={query.error} onRetry={() => void query.refetch()} />
        ) : rows.length === 0 ? (
          isNarrowed(filters) ? (
            <Empty icon={<ListTree />} title={runsText.noneMatch} action={<Button onClick={() => narrow(noFilters)}>{runsText.clear}</Button>}>
              {runsText.noneMatchNote}
            </Empty>
          ) : (
            <Empty
              icon={<ListTree />}
              title={runsText.none}
              action={
                mayAct && (
                  <Button tone="primary" icon={<Play />} onClick={() => void navigate({ to: "/start" })}>
                    {runsText.start}
                  </Button>
                )
              }
            >
              {runsText.noneNote}
            </Empty>
          )
        ) : (
          <Table
            label={runsText.title}
            columns={columns}
            rows={rows}
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
            <div className="flex max-w-full flex-wrap items-center gap-2 rounded-lg bg-bg py-2 pr-2 pl-3 shadow-pop" role="toolbar" aria-label={runsText.bulk}>
              <span className="font-medium">{allMatching && matching ? runsText.chosenAll(count(matching.count) + (matching.capped ? "+" : "")) : runsText.chosen(chosen.size)}</span>
              {!allMatching && matching && matching.count > chosen.size && chosen.size === rows.length && (
                <button type="button" className="text-accent hover:underline" onClick={() => setAllMatching(true)}>
                  {runsText.chooseAll(count(matching.count) + (matching.capped ? "+" : ""))}
                </button>
              )}
              <span className="mx-1 h-4 w-px bg-line" />
              <Button size="sm" icon={<Ban />} onClick={() => setAction("cancel")}>
                {runsText.cancel}
              </Button>
              <Button size="sm" icon={<RotateCcw />} onClick={() => setAction("resume")}>
                {runsText.resume}
              </Button>
              <Button size="sm" tone="danger" icon={<Trash2 />} onClick={() => setAction("delete")}>
                {runsText.delete}
              </Button>
              <IconButton size="sm" label={runsText.unchoose} onClick={() => toggleAll(false)}>
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
      <NameView
        open={naming}
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
    { key: "summary", head: runsText.columns.summary, cell: (run) => <span className={run.error ? "text-bad" : "text-muted"} title={run.error ?? run.summary ?? undefined}><Marked text={run.error ?? run.summary ?? ""} search={filters.q} /></span>, width: "minmax(160px, 2fr)" },
    { key: "id", head: runsText.columns.id, cell: (run) => <span className="font-mono text-xs text-muted"><Marked text={run.workflow_id} search={filters.q} /></span>, width: "minmax(120px, 1fr)" },
    { key: "app", head: runsText.columns.app, cell: (run) => <AppStatus label={run.app_status} color={run.app_status_color} />, width: "140px" },
    {
      key: "tags",
      head: runsText.columns.tags,
      cell: (run) => (
        <span className="flex gap-1">
          {run.tags.slice(0, 3).map((tag) => (
            <Tag key={tag} label={runsText.onlyTag(tag)} onClick={() => narrow({ tag: [tag] })}>
              {tag}
            </Tag>
          ))}
        </span>
      ),
      width: "120px",
    },
    { key: "queue", head: runsText.columns.queue, cell: (run) => <span className="text-muted">{run.queue_name}</span>, width: "96px" },
    { key: "version", head: runsText.columns.version, cell: (run) => <span className="font-mono text-xs text-muted">{run.application_version}</span>, width: "96px" },
    { key: "executor", head: runsText.columns.executor, cell: (run) => <span className="font-mono text-xs text-muted">{run.executor_id ?? "–"}</span>, width: "120px" },
    { key: "attempts", head: runsText.columns.attempts, cell: (run) => run.attempts, width: "64px", end: true },
    { key: "created", head: runsText.columns.created, cell: (run) => <Ago at={run.created_at} className="text-muted" />, width: "76px", end: true },
    { key: "duration", head: runsText.columns.duration, cell: (run) => <Took run={run} />, width: "76px", end: true },
  ];
}

function Took({ run }: { run: Run }) {
  if (run.duration !== null) return <span className="text-muted">{duration(run.duration * 1000)}</span>;
  if (!isOpen(run.status) || run.status === "ENQUEUED" || !run.started_at) return <span className="text-faint">–</span>;
  return <Ticking since={ms(run.started_at)} />;
}

function Ticking({ since }: { since: number }) {
  const now = useNow();
  const apart = Math.max(0, now - since);
  return <span className="text-info">{apart < 60_000 ? `${Math.floor(apart / 1000)} s` : duration(apart)}</span>;
}

function PhoneRow({ run, search }: { run: Run; search: string | undefined }) {
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
        <span className={classes("min-w-0 flex-1 truncate", run.error && "text-bad")}>{run.error ?? run.summary ?? statusText[run.status]}</span>
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
      <Pick
        label={runsText.filters.status}
        value={filters.status}
        onChange={(status) => narrow({ status: status as RunStatus[] })}
        choices={statuses.map((status) => ({ value: status, label: <StatusWord status={status} />, note: stats ? count(stats.by_status[status] ?? 0) : undefined }))}
      />
      <Pick label={runsText.filters.workflow} value={filters.name} onChange={(name) => narrow({ name })} choices={(names?.items ?? []).map((one) => ({ value: one.name }))} free />
      <Pick label={runsText.filters.queue} value={filters.queue} onChange={(queue) => narrow({ queue })} choices={(queues?.items ?? []).map((one) => ({ value: one.name }))} />
      <Pick label={runsText.filters.tag} value={filters.tag} onChange={(tag) => narrow({ tag })} choices={(tags?.items ?? []).map((one) => ({ value: one.tag, note: count(one.count) }))} free />
      <Pick label={runsText.filters.version} value={filters.version} onChange={(version) => narrow({ version })} choices={[]} free />
      {filters.executor.length > 0 && <Pick label={runsText.filters.executor} value={filters.executor} onChange={(executor) => narrow({ executor })} choices={[]} free />}
      {filters.parent && <Pick label={runsText.filters.parent} value={[filters.parent]} onChange={() => narrow({ parent: undefined })} choices={[]} />}
      {filters.after || filters.before ? (
        <Button size="sm" className="!bg-accent-soft !text-accent !shadow-none" onClick={() => narrow({ after: undefined, before: undefined })}>
          {runsText.window(filters.after, filters.before)} <X className="!size-3.5" />
        </Button>
      ) : (
        <Segments label={runsText.filters.time} value={filters.range} onChange={(range) => narrow({ range })} options={ranges.map((range) => ({ key: range, label: runsText.ranges[range] }))} />
      )}
    </>
  );
}

function NameView({ open, onClose, onName }: { open: boolean; onClose: () => void; onName: (name: string) => void }) {
  const [name, setName] = useState("");
  return (
    <Dialog
      open={open}
      onClose={onClose}
      title={runsText.saveView}
      note={runsText.saveViewNote}
      foot={
        <Button tone="primary" disabled={!name.trim()} onClick={() => onName(name.trim())}>
          {runsText.save}
        </Button>
      }
    >
      <Field label={runsText.viewName}>{(wires) => <Input {...wires} autoFocus value={name} onChange={(event) => setName(event.target.value)} onKeyDown={(event) => event.key === "Enter" && name.trim() && onName(name.trim())} />}</Field>
    </Dialog>
  );
}
