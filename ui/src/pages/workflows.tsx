/** Registered workflows and their statistics. */

import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { ChevronLeft, Copy, Play, Workflow as WorkflowIcon } from "lucide-react";
import { get, part } from "@/api/client";
import { useCan } from "@/api/session";
import { type Page, type Registered, type RegisteredDetail, statuses } from "@/api/types";
import { Figure } from "@/components/figures";
import { JsonView } from "@/components/json";
import { RunTable } from "@/components/run-table";
import { describe } from "@/components/schedule-fields";
import { SearchField } from "@/components/search-field";
import { Empty, Loaded } from "@/components/states";
import { Pill, StatusWord } from "@/components/status";
import { Table } from "@/components/table";
import { showToast } from "@/components/toast";
import { Button, copy, IconButton, Notice, Tag, Tip } from "@/components/ui";
import { count, percent } from "@/lib/format";
import { seconds } from "@/lib/time";
import { PageHead } from "@/shell/frame";
import { useTitle } from "@/shell/title";
import { useState } from "react";

export function WorkflowsPage() {
  useTitle("Workflows");
  const navigate = useNavigate();
  const may = useCan("operator");
  const [text, setText] = useState("");
  const query = useQuery({ queryKey: ["registered"], queryFn: ({ signal }) => get<Page<Registered>>("registered", { limit: 500 }, signal) });
  return (
    <>
      <PageHead title="Workflows">
        <SearchField value={text} onChange={setText} placeholder="Search workflows" className="w-52" />
      </PageHead>
      <Loaded query={query}>
        {(page) => {
          const rows = page.items.filter((item) => `${item.name} ${item.fqn} ${item.tags.join(" ")}`.toLowerCase().includes(text.toLowerCase()));
          return rows.length === 0 ? (
            <Empty icon={<WorkflowIcon />} title={text ? "No workflows match" : "No workflows"}>
              {!text && (
                <>
                  Pass them to the runtime: <code>Runtime(workflows=[…])</code>
                </>
              )}
            </Empty>
          ) : (
            <Table
              label="Workflows"
              rows={rows}
              id={(item) => item.name}
              rowHeight={44}
              onOpen={(item) => void navigate({ to: "/workflows/$name", params: { name: item.name } })}
              columns={[
                {
                  key: "name",
                  head: "Workflow",
                  cell: (item) => (
                    <span>
                      <Link to="/workflows/$name" params={{ name: item.name }} className="block truncate font-medium hover:underline">
                        {item.name}
                      </Link>
                      <span className="block truncate font-mono text-2xs text-faint">{item.fqn}</span>
                    </span>
                  ),
                  width: "minmax(160px, 1.2fr)",
                },
                { key: "doc", head: "About", wide: true, cell: (item) => <span className="text-muted">{item.docstring?.split("\n")[0]}</span>, width: "minmax(160px, 2fr)" },
                { key: "tags", head: "Tags", wide: true, cell: (item) => <span className="flex gap-1">{item.tags.map((tag) => <Tag key={tag}>{tag}</Tag>)}</span>, width: "140px" },
                { key: "cron", head: "Schedule", wide: true, cell: (item) => <span className="font-mono text-xs text-muted">{item.cron_schedule}</span>, width: "110px" },
                { key: "here", head: "Process", wide: true, cell: (item) => <span className={item.here ? "text-muted" : "text-warn"}>{item.here ? "this server" : "other"}</span>, width: "90px" },
                {
                  key: "start",
                  head: <span className="sr-only">Start run</span>,
                  cell: (item) =>
                    may && item.triggerable ? (
                      <Link to="/start" search={{ workflow: item.name }} aria-label={`Start ${item.name}`} title={`Start ${item.name}`} className="inline-flex size-7 items-center justify-center rounded-md align-middle text-faint hover:bg-hover hover:text-text">
                        <Play className="size-4" />
                      </Link>
                    ) : null,
                  width: "28px",
                },
              ]}
            />
          );
        }}
      </Loaded>
    </>
  );
}

export function WorkflowPage() {
  const { name } = useParams({ strict: false }) as { name: string };
  useTitle(name);
  const navigate = useNavigate();
  const may = useCan("operator");
  const query = useQuery({ queryKey: ["registered", name], queryFn: ({ signal }) => get<RegisteredDetail>(`registered/${part(name)}`, undefined, signal) });
  return (
    <Loaded query={query}>
      {(item) => (
        <>
          <PageHead
            title={
              <span className="flex items-center gap-1.5">
                <Link to="/workflows" className="flex shrink-0 items-center text-muted hover:text-text">
                  <ChevronLeft className="size-4" /> Workflows
                </Link>
                <span className="text-faint">/</span> {item.name}
              </span>
            }
          >
            <Button onClick={() => void navigate({ to: "/runs", search: { workflow: item.name } })}>All runs</Button>
            {may && item.triggerable && (
              <Button tone="primary" icon={<Play />} onClick={() => void navigate({ to: "/start", search: { workflow: item.name } })}>
                Start run
              </Button>
            )}
          </PageHead>
          <div className="min-h-0 flex-1 overflow-y-auto">
            <div className="flex flex-wrap gap-x-10 gap-y-4 border-b px-4 py-4">
              <Figure label="Success rate" value={item.success_rate === null ? "–" : percent(item.success_rate)} tone={item.success_rate !== null && item.success_rate < 0.9 ? "bad" : undefined} />
              <Figure label="Median" value={seconds(item.p50)} />
              <Figure label="95th percentile" value={seconds(item.p95)} />
              <div>
                <div className="text-xs text-faint">Runs</div>
                <div className="mt-1 flex flex-wrap gap-x-4 gap-y-1">
                  {statuses
                    .filter((status) => item.counts[status])
                    .map((status) => (
                      <Link key={status} to="/runs" search={{ workflow: item.name, status }} className="flex items-center gap-1.5 hover:underline">
                        <StatusWord status={status} /> {count(item.counts[status] ?? 0)}
                      </Link>
                    ))}
                </div>
              </div>
            </div>
            <div className="grid grid-cols-[minmax(0,1.4fr)_minmax(0,1fr)] gap-8 p-4 max-lg:grid-cols-1">
              <div className="flex min-w-0 flex-col gap-4">
                {!item.here && <Notice tone="warn">This server does not run this workflow. Another process does.</Notice>}
                {item.docstring && <p className="max-w-prose whitespace-pre-line">{item.docstring}</p>}
                {item.signature && <pre className="overflow-x-auto rounded-md bg-sunken px-3 py-2 font-mono text-xs leading-5 whitespace-pre-wrap hairline">{item.signature}</pre>}
                <dl className="grid grid-cols-[100px_minmax(0,1fr)] gap-y-1.5">
                  <dt className="text-faint">Code</dt>
                  <dd className="truncate font-mono text-xs leading-5" title={item.fqn}>{item.fqn}</dd>
                  {item.source && (
                    <>
                      <dt className="text-faint">Source</dt>
                      <dd className="min-w-0">
                        <Source source={item.source} />
                      </dd>
                    </>
                  )}
                  {item.tags.length > 0 && (
                    <>
                      <dt className="text-faint">Tags</dt>
                      <dd className="flex gap-1">{item.tags.map((tag) => <Tag key={tag}>{tag}</Tag>)}</dd>
                    </>
                  )}
                  <dt className="text-faint">Start</dt>
                  <dd>{item.triggerable ? "From code and dashboard" : "From code only"}</dd>
                </dl>
                {item.input_schema && <JsonView label="Input schema" value={item.input_schema} openTo={2} />}
              </div>
              <div className="flex min-w-0 flex-col gap-5">
                <section>
                  <h2 className="mb-1 font-semibold">Schedules</h2>
                  {item.schedules.length === 0 ? (
                    <p className="text-faint">None.</p>
                  ) : (
                    <ul className="divide-y rounded-md hairline">
                      {item.schedules.map((schedule) => (
                        <li key={schedule.id} className="flex items-center gap-2 px-3 py-2">
                          <Link to="/schedules/$id" params={{ id: schedule.id }} className="min-w-0 flex-1 truncate hover:underline">
                            {describe(schedule)}
                          </Link>
                          <span className="text-xs text-faint">{schedule.enabled ? schedule.timezone : "off"}</span>
                        </li>
                      ))}
                    </ul>
                  )}
                </section>
                <section>
                  <h2 className="mb-1 font-semibold">Open runs by version</h2>
                  {item.versions.length === 0 ? (
                    <p className="text-faint">No open runs.</p>
                  ) : (
                    <ul className="divide-y rounded-md hairline">
                      {item.versions.map((version) => (
                        <li key={version.version} className="flex items-center gap-2 px-3 py-2">
                          <Link to="/runs" search={{ workflow: item.name, version: version.version, status: ["PENDING", "ENQUEUED", "WAITING_FOR_APPROVAL"] }} className="min-w-0 flex-1 truncate font-mono text-xs leading-5 hover:underline">
                            {version.version}
                          </Link>
                          {version.set_aside > 0 && (
                            <Tip text="Their history does not match the code that tried to continue them. Deploy matching code, or cancel or fork them.">
                              <span tabIndex={0}>
                                <Pill tone="bad">{count(version.set_aside)} set aside</Pill>
                              </span>
                            </Tip>
                          )}
                          {version.live ? (
                            <Pill tone="ok">live process</Pill>
                          ) : (
                            <Tip text="No live process has this code version. A process with another version continues these runs, and sets aside those whose history does not match.">
                              <span tabIndex={0}>
                                <Pill tone="warn">no live process</Pill>
                              </span>
                            </Tip>
                          )}
                          <span className="text-muted">{count(version.open)} open</span>
                        </li>
                      ))}
                    </ul>
                  )}
                </section>
              </div>
            </div>
            <h2 className="px-4 pb-1 font-semibold">Recent errors</h2>
            {item.last_errors.length === 0 ? <p className="px-4 pb-6 text-faint">None.</p> : <RunTable runs={item.last_errors} />}
          </div>
        </>
      )}
    </Loaded>
  );
}

const isHere = /^(localhost|127\.0\.0\.1|\[::1\])$/.test(window.location.hostname);

/** Source location, shortened; full path on hover. On localhost it opens in an editor. */
function Source({ source }: { source: string }) {
  const parts = source.split("/");
  const brief = parts.length > 3 ? `…/${parts.slice(-3).join("/")}` : source;
  return (
    <span className="flex items-center gap-1">
      {isHere ? (
        <a href={`vscode://file${encodeURI(source.startsWith("/") ? source : `/${source}`)}`} title={`Open in editor: ${source}`} className="truncate font-mono text-xs leading-5 text-accent hover:underline">
          {brief}
        </a>
      ) : (
        <span className="truncate font-mono text-xs leading-5" title={source}>
          {brief}
        </span>
      )}
      <IconButton label="Copy file and line" size="sm" className="!size-5" onClick={() => void copy(source).then(() => showToast("File and line copied", source))}>
        <Copy className="!size-3.5" />
      </IconButton>
    </span>
  );
}
