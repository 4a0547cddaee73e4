/** Storage: size and growth, retention rules, cleanup, vacuum. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Download, HardDriveDownload, Pencil, Plus, Trash2 } from "lucide-react";
import { useRef, useState } from "react";
import { address, get, post, put, remove } from "@/api/client";
import { useCan, useSession } from "@/api/session";
import type { CalendarDay, CleanupPreview, Page, Registered, RetentionRule, RunStatus, Settings, VacuumResult } from "@/api/types";
import { Chart } from "@/components/chart";
import { Columns, Meter } from "@/components/figures";
import { Loaded } from "@/components/states";
import { StatusWord } from "@/components/status";
import { Table } from "@/components/table";
import { problemText, showError, showToast } from "@/components/toast";
import { Button, Dialog, Field, IconButton, Input, Notice, Select } from "@/components/ui";
import { bytes, count, plural } from "@/lib/format";
import { statusLabels } from "@/lib/labels";
import { day, dayOf, hour, ms } from "@/lib/time";

const unitLabels = { hours: "hours", days: "days", ever: "forever" };
const diskFullIn = (days: number) => (days > 3650 ? "At this rate the disk lasts more than ten years." : days >= 2 ? `At this rate the disk is full in about ${plural(Math.round(days), "day")}.` : `At this rate the disk is full in about ${plural(Math.max(1, Math.round(days * 24)), "hour")}.`);
const ruleName = (workflow: string | null, status: string | null) => [workflow ?? "any workflow", status].filter(Boolean).join(", ");
const dueLabels = { runs: "Runs", deliveries: "Deliveries", logs: "Log lines" };

export const settingsQuery = { queryKey: ["settings"], queryFn: ({ signal }: { signal: AbortSignal }) => get<Settings>("settings", undefined, signal) };

type StorageSettings = Settings["storage"];
type Unit = keyof typeof unitLabels;

const ends: RunStatus[] = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"];

export function Storage() {
  const isAdmin = useCan("admin");
  const session = useSession();
  const query = useQuery(settingsQuery);
  return (
    <Loaded query={query}>
      {({ storage, config }) => {
        const tables = [...storage.tables].sort((a, b) => (b.bytes ?? 0) - (a.bytes ?? 0));
        const most = Math.max(1, ...tables.map((table) => table.bytes ?? 0));
        const kept = config.gc_retention?.replace(", 0:00:00", "") ?? "";
        return (
          <>
            <div className="flex flex-wrap items-start gap-x-10 gap-y-3 border-b px-4 py-4">
              <Fact label="Database" value={bytes(storage.database_bytes)} note={storage.free_bytes ? `${bytes(storage.free_bytes)} of it free` : undefined} />
              {storage.disk_free_bytes !== null && <Fact label="Free disk space" value={bytes(storage.disk_free_bytes)} />}
              <Fact label="Products" value={bytes(storage.products_bytes)} />
              <Fact label="Retention of finished runs" value={kept || "forever"} />
              <Made />
              <span className="flex-1" />
              {isAdmin &&
                (session?.database === "sqlite" ? (
                  <a href={address("backup")} download className="inline-flex h-8 items-center gap-1.5 self-center rounded-md px-3 font-medium hairline hover:bg-hover">
                    <Download className="size-4" /> Download backup
                  </a>
                ) : (
                  <span className="self-center text-faint">Back up with pg_dump</span>
                ))}
            </div>
            <div className="border-b p-4">
              <GrowthOver growth={storage.growth} knowsFree={storage.free_bytes !== null} />
            </div>
            <div className="px-4 pt-4">
              <Rules kept={kept} />
            </div>
            <div className="grid gap-8 border-b p-4 lg:grid-cols-2">
              {isAdmin && <CleanUp kept={kept} />}
              {isAdmin && <Vacuum storage={storage} />}
              <section aria-label="Restore a backup">
                <h2 className="font-semibold">Restore a backup</h2>
                <p className="mt-1 max-w-prose text-muted">{session?.database === "postgres" ? "Stop every process that uses the database, restore the dump with pg_restore into an empty database, and start again with its URL." : "Stop every process that uses the database, replace the database file with the backup, remove the -wal and -shm files next to it, and start again."}</p>
              </section>
            </div>
            <div className="shrink-0">
              <Table
                inline
                label="Tables"
                rows={tables}
                id={(table) => table.name}
                columns={[
                  { key: "name", head: "Table", cell: (table) => <span className="font-mono text-xs">{table.name}</span>, width: "minmax(140px, 1fr)" },
                  { key: "bar", head: "", wide: true, cell: (table) => <Meter label={table.name} value={table.bytes} most={most} />, width: "minmax(120px, 2fr)" },
                  ...(tables.some((table) => table.rows !== null) ? [{ key: "rows", head: "Rows", cell: (table: StorageSettings["tables"][number]) => (table.rows === null ? "–" : count(table.rows)), width: "96px", end: true }] : []),
                  { key: "bytes", head: "Size", cell: (table) => <span className="text-muted">{table.bytes === null ? "–" : bytes(table.bytes)}</span>, width: "80px", end: true },
                ]}
              />
            </div>
          </>
        );
      }}
    </Loaded>
  );
}

function Fact({ label, value, note }: { label: string; value: string; note?: string }) {
  return (
    <div>
      <div className="text-xs text-faint">{label}</div>
      <div className="text-lg font-semibold">{value}</div>
      {note && <div className="text-xs text-faint">{note}</div>}
    </div>
  );
}

/** Runs created on each of the last seven days. */
function Made() {
  const today = new Date();
  today.setHours(0, 0, 0, 0);
  const from = today.getTime() - 6 * day;
  const query = useQuery({ queryKey: ["calendar", "growth", from], queryFn: ({ signal }) => get<{ days: CalendarDay[] }>("calendar", { from_ms: from, to_ms: from + 7 * day, bucket_mins: 1440 }, signal) });
  if (!query.data) return null;
  const points = query.data.days.map((day) => ({ at: ms(day.time), made: day.success + day.error + day.cancelled + day.open }));
  return (
    <div>
      <div className="text-xs text-faint">Runs per day</div>
      <div className="flex items-end gap-3">
        <div className="text-lg font-semibold">{count(Math.round(points.reduce((sum, point) => sum + point.made, 0) / Math.max(1, points.length)))}</div>
        <div className="mb-1 w-24">
          <Columns height={20} label={`Runs per day, the last 7 days: ${points.map((point) => count(point.made)).join(", ")}`} points={points.map((point) => ({ value: point.made, title: `${dayOf(point.at)}: ${plural(point.made, "run")}` }))} />
        </div>
      </div>
    </div>
  );
}

/** Resamples measurements (old ones daily, new ones hourly) to one interval, with gaps where there is none. */
function evenly(sizes: StorageSettings["growth"]["sizes"]) {
  const measured = sizes.map((size) => ({ ...size, at: ms(size.at) }));
  const first = measured[0]!.at;
  const last = measured[measured.length - 1]!.at;
  const pace = last - first > 3 * day ? day : hour;
  const slot = (at: number) => Math.floor(at / pace);
  const bySlot = new Map(measured.map((item) => [slot(item.at), item]));
  const slots = Array.from({ length: slot(last) - slot(first) + 1 }, (_, index) => slot(first) + index);
  return slots.map((slot) => ({ at: bySlot.get(slot)?.at ?? slot * pace, size: bySlot.get(slot) ?? null }));
}

function GrowthOver({ growth, knowsFree }: { growth: StorageSettings["growth"]; knowsFree: boolean }) {
  const [at, setAt] = useState<number | null>(null);
  const { sizes, per_day: pace, full_in: left } = growth;
  const isFlat = pace !== null && Math.abs(pace) < Math.max(1024, (sizes[sizes.length - 1]?.bytes ?? 0) / 10_000);
  const sentence = pace === null ? "Not enough data yet. The size is measured every hour; the trend appears after a day." : isFlat ? "Almost unchanged in recent days." : pace > 0 ? `Grows by ${bytes(pace)} a day.` : `Shrinks by ${bytes(-pace)} a day.`;
  const points = sizes.length > 1 ? evenly(sizes) : [];
  // In the unit of the largest value, so that the axis ends at a round number.
  const unit = 1024 ** Math.floor(Math.log(Math.max(1, ...sizes.map((size) => size.bytes))) / Math.log(1024));
  const isSoon = !isFlat && left !== null && left < (14 * day) / 1000;
  return (
    <section aria-label="Size over time">
      {points.length > 1 ? (
        <Chart
          title="Size over time"
          none="Not enough data yet. The size is measured every hour; the trend appears after a day."
          at={at}
          onAt={setAt}
          height={150}
          write={(value) => bytes(Math.round(value * unit))}
          times={points.map((point) => point.at)}
          series={[
            { key: "size", label: "Size", tone: "info", kind: "line", values: points.map((point) => point.size && point.size.bytes / unit) },
            ...(knowsFree ? [{ key: "used", label: "In use", tone: "accent" as const, kind: "line" as const, values: points.map((point) => point.size && point.size.used_bytes / unit) }] : []),
          ]}
        />
      ) : (
        <h2 className="font-semibold">Size over time</h2>
      )}
      <p className="mt-1 text-muted" title={pace === null ? undefined : "Linear trend of the space in use over the last 7 days."}>
        {sentence} {!isFlat && left !== null && <span className={isSoon ? "font-medium text-warn" : undefined}>{diskFullIn((left * 1000) / day)}</span>}
      </p>
    </section>
  );
}

const garbageQuery = (age: string) => ({
  queryKey: ["garbage", age],
  queryFn: ({ signal }: { signal: AbortSignal }) => get<CleanupPreview>("garbage", { older_than: age === "" ? undefined : Number(age) * 86_400 }, signal),
});

function retentionLabel(seconds: number | null): string {
  if (seconds === null) return "forever";
  if (seconds === 0) return "removed at the next cleanup";
  if (seconds % 86_400 === 0) return plural(seconds / 86_400, "day");
  return plural(Math.round((seconds / 3600) * 100) / 100, "hour");
}

const ruleKey = (rule: { workflow: string | null; status: string | null }) => `${rule.workflow ?? ""} ${rule.status ?? ""}`;
const ruleTold = (rule: { workflow: string | null; status: RunStatus | null }) => ruleName(rule.workflow, rule.status && statusLabels[rule.status]);

function Rules({ kept }: { kept: string }) {
  const isAdmin = useCan("admin");
  const client = useQueryClient();
  const [editing, setEditing] = useState<RetentionRule | "new" | null>(null);
  const [lifting, setLifting] = useState<RetentionRule | null>(null);
  const query = useQuery({ queryKey: ["retention"], queryFn: ({ signal }) => get<Page<RetentionRule>>("retention", { limit: 500 }, signal) });
  const due = useQuery({ ...garbageQuery(""), enabled: isAdmin });
  const lift = useMutation({
    mutationFn: (rule: RetentionRule) => remove(`retention?${new URLSearchParams(Object.entries({ workflow: rule.workflow, status: rule.status }).filter((entry): entry is [string, string] => entry[1] !== null))}`),
    onSuccess: (_, rule) => {
      showToast("Rule deleted", ruleTold(rule));
      setLifting(null);
      void client.invalidateQueries({ queryKey: ["retention"] });
      void client.invalidateQueries({ queryKey: ["garbage"] });
    },
    onError: (error) => showError(error),
  });
  const dueOf = (rule: RetentionRule | null): string => {
    if (!due.data) return "–";
    if (rule) return count(due.data.by_rule.find((item) => ruleKey(item) === ruleKey(rule))?.runs ?? 0);
    return count(Math.max(0, due.data.runs - due.data.by_rule.reduce((sum, item) => sum + item.runs, 0)));
  };
  const buttons = (rule: RetentionRule | null) =>
    rule && (
      <span className="flex">
        <IconButton size="sm" label={`Edit rule for ${ruleTold(rule)}`} onClick={() => setEditing(rule)}><Pencil /></IconButton>
        <IconButton size="sm" label={`Delete rule for ${ruleTold(rule)}`} onClick={() => setLifting(rule)}><Trash2 /></IconButton>
      </span>
    );
  return (
    <section aria-label="Retention rules">
      <div className="mb-2 flex flex-wrap items-start justify-between gap-x-6 gap-y-2">
        <div>
          <h2 className="font-semibold">Retention rules</h2>
          <p className="mt-1 text-muted">How long runs are kept after they end. The most specific rule applies: workflow and status, then workflow, then status.</p>
        </div>
        {isAdmin && (
          <Button icon={<Plus />} onClick={() => setEditing("new")}>
            Add rule
          </Button>
        )}
      </div>
      <Loaded query={query}>
        {(page) => (
          <div className="-mx-4 border-t">
            <Table
              inline
              label="Retention rules"
              rows={[...page.items, null]}
              id={(rule) => (rule ? ruleKey(rule) : "others")}
              phoneHeight={56}
              phone={(rule) => (
                <div className="flex w-full items-center gap-2">
                  <div className="min-w-0 flex-1">
                    <div className="truncate">{rule ? (rule.workflow ?? "any workflow") : "All other runs"}</div>
                    <div className="flex items-center gap-2 text-xs text-muted">
                      {rule?.status && <StatusWord status={rule.status} />}
                      {rule ? retentionLabel(rule.keep) : kept || "forever"}
                    </div>
                  </div>
                  {isAdmin && buttons(rule)}
                </div>
              )}
              columns={[
                {
                  key: "workflow",
                  head: "Workflow",
                  cell: (rule) => (rule ? <span className={rule.workflow ? "truncate font-medium" : "text-faint"}>{rule.workflow ?? "any workflow"}</span> : <span className="text-muted">All other runs</span>),
                  width: "minmax(110px, 2fr)",
                },
                { key: "status", head: "Status", cell: (rule) => rule && (rule.status ? <StatusWord status={rule.status} /> : <span className="text-faint">any status</span>), width: "minmax(90px, 1fr)" },
                { key: "keep", head: "Keep", cell: (rule) => (rule ? retentionLabel(rule.keep) : <span className="text-muted" title="gc_retention">{kept || "forever"}</span>), width: "minmax(80px, 1fr)" },
                ...(isAdmin ? [{ key: "due", head: "Due now", wide: true, cell: (rule: RetentionRule | null) => <span className="text-muted tabular-nums">{dueOf(rule)}</span>, width: "90px", end: true }] : []),
                ...(isAdmin
                  ? [
                      {
                        key: "act",
                        head: <span className="sr-only">Actions</span>,
                        cell: buttons,
                        width: "64px",
                        end: true,
                      },
                    ]
                  : []),
              ]}
            />
          </div>
        )}
      </Loaded>
      {editing && <EditRule rule={editing === "new" ? null : editing} onClose={() => setEditing(null)} />}
      <Dialog
        open={lifting !== null}
        onClose={() => setLifting(null)}
        title={lifting ? `Delete the rule for ${ruleTold(lifting)}?` : ""}
        note="The next matching rule or the default retention applies to these runs. Runs older than that are removed at the next cleanup."
        foot={
          <>
            <Button onClick={() => setLifting(null)}>Cancel</Button>
            <Button tone="danger" busy={lift.isPending} onClick={() => lifting && lift.mutate(lifting)}>
              Delete rule
            </Button>
          </>
        }
      />
    </section>
  );
}

const unitSeconds = { hours: 3600, days: 86_400, ever: 0 };

function EditRule({ rule, onClose }: { rule: RetentionRule | null; onClose: () => void }) {
  const client = useQueryClient();
  const inDays = !rule || rule.keep === null || rule.keep % 86_400 === 0;
  const [workflow, setWorkflow] = useState(rule?.workflow ?? "");
  const [status, setStatus] = useState<string>(rule?.status ?? "");
  const [unit, setUnit] = useState<Unit>(rule && rule.keep === null ? "ever" : inDays ? "days" : "hours");
  const [number, setNumber] = useState(rule && rule.keep !== null ? String(rule.keep / unitSeconds[inDays ? "days" : "hours"]) : "30");
  const registered = useQuery({ queryKey: ["registered"], queryFn: ({ signal }) => get<Page<Registered>>("registered", { limit: 500 }, signal) });
  const amount = Number(number);
  const isRight = (workflow.trim() !== "" || status !== "") && (unit === "ever" || (number.trim() !== "" && amount >= 0 && amount * unitSeconds[unit] <= 36_500 * 86_400));
  const act = useMutation({
    mutationFn: () => put<RetentionRule>("retention", { workflow: workflow.trim() || null, status: status || null, keep: unit === "ever" ? null : amount * unitSeconds[unit] }),
    onSuccess: (made) => {
      showToast("Rule saved", ruleTold(made));
      void client.invalidateQueries({ queryKey: ["retention"] });
      void client.invalidateQueries({ queryKey: ["garbage"] });
      onClose();
    },
  });
  return (
    <Dialog
      open
      onClose={onClose}
      title={rule ? "Edit retention rule" : "Add retention rule"}
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button tone="primary" busy={act.isPending} disabled={!isRight} onClick={() => act.mutate()}>
            Save
          </Button>
        </>
      }
    >
      <div className="grid gap-3 sm:grid-cols-2">
        <Field label="Workflow">
          {(wires) => (
            <>
              <Input {...wires} list="retention-workflows" placeholder="any workflow" value={workflow} disabled={rule !== null} autoFocus={rule === null} onChange={(event) => setWorkflow(event.target.value)} />
              <datalist id="retention-workflows">
                {(registered.data?.items ?? []).map((item) => (
                  <option key={item.name} value={item.name} />
                ))}
              </datalist>
            </>
          )}
        </Field>
        <Field label="Status">
          {(wires) => (
            <Select {...wires} value={status} disabled={rule !== null} onChange={(event) => setStatus(event.target.value)}>
              <option value="">any status</option>
              {ends.map((end) => (
                <option key={end} value={end}>
                  {statusLabels[end]}
                </option>
              ))}
            </Select>
          )}
        </Field>
      </div>
      <div className="flex items-end gap-2">
        {unit !== "ever" && (
          <div className="w-28">
            <Field label="Keep">{(wires) => <Input {...wires} type="number" min={0} step="any" value={number} autoFocus={rule !== null} onChange={(event) => setNumber(event.target.value)} />}</Field>
          </div>
        )}
        <Field label={unit === "ever" ? "Keep" : <span className="sr-only">Unit</span>}>
          {(wires) => (
            <Select {...wires} value={unit} onChange={(event) => setUnit(event.target.value as Unit)}>
              {(Object.keys(unitLabels) as Unit[]).map((key) => (
                <option key={key} value={key}>
                  {unitLabels[key]}
                </option>
              ))}
            </Select>
          )}
        </Field>
      </div>
      {!workflow.trim() && !status && <p className="text-xs text-faint">Choose a workflow or a status. The retention of all other runs is set in the configuration (gc_retention).</p>}
      {act.error && <Notice tone="bad">{problemText(act.error)}</Notice>}
    </Dialog>
  );
}

function CleanUp({ kept }: { kept: string }) {
  const client = useQueryClient();
  const [age, setAge] = useState("");
  const [confirming, setConfirming] = useState(false);
  const query = useQuery(garbageQuery(age));
  const act = useMutation({
    mutationFn: () => post<{ runs: number }>("garbage", { older_than: age === "" ? null : Number(age) * 86_400 }),
    onSuccess: ({ runs }) => {
      showToast(`${plural(runs, "run")} removed`);
      setConfirming(false);
      void client.invalidateQueries();
    },
    onError: (error) => showError(error),
  });
  const due = query.data;
  const some = due !== undefined && due.runs + due.deliveries + due.logs > 0;
  const more = (key: "runs" | "deliveries" | "logs") => due !== undefined && (due[key] >= 10_000 || (key === "runs" && due.partial));
  return (
    <section aria-label="Clean up">
      <h2 className="font-semibold">Clean up</h2>
      <p className="mt-1 max-w-prose text-muted">Finished runs, completed deliveries and log lines are removed automatically once they are older than the retention. See what is due, or remove it now.</p>
      <div className="mt-3 flex flex-wrap items-end gap-x-6 gap-y-3">
        <Field label="Runs without a rule, finished for">
          {(wires) => (
            <Select {...wires} value={age} onChange={(event) => setAge(event.target.value)}>
              <option value="">{kept ? `${kept} (the retention)` : "Runs are kept forever"}</option>
              {[0, 1, 7, 30, 90].map((days) => (
                <option key={days} value={days}>
                  {days === 0 ? "any time" : plural(days, "day")}
                </option>
              ))}
            </Select>
          )}
        </Field>
        {(["runs", "deliveries", "logs"] as const).map((key) => (
          <div key={key}>
            <div className="text-xs text-faint">{dueLabels[key]}</div>
            <div className="h-8 text-lg font-semibold tabular-nums">{due ? `${count(due[key])}${more(key) ? "+" : ""}` : "–"}</div>
          </div>
        ))}
        <Button tone="danger" icon={<Trash2 />} disabled={!some} onClick={() => setConfirming(true)}>
          Remove now
        </Button>
      </div>
      {query.error && <p className="mt-2 text-bad">{problemText(query.error)}</p>}
      {due && (
        <Dialog
          open={confirming}
          onClose={() => setConfirming(false)}
          title={`Remove ${count(due.runs)}${more("runs") ? "+" : ""} ${due.runs === 1 ? "run" : "runs"} permanently?`}
          note="Their steps, messages, approvals and products are removed too. Open runs and pending deliveries are kept."
          foot={
            <>
              <Button onClick={() => setConfirming(false)}>Cancel</Button>
              <Button tone="danger" busy={act.isPending} onClick={() => act.mutate()}>
                Remove now
              </Button>
            </>
          }
        />
      )}
    </section>
  );
}

function Vacuum({ storage }: { storage: StorageSettings }) {
  const client = useQueryClient();
  const session = useSession();
  const [confirming, setConfirming] = useState(false);
  const [freed, setFreed] = useState(0);
  const stopped = useRef(false);
  const isPostgres = session?.database === "postgres";
  const free = storage.free_bytes ?? 0;
  const act = useMutation({
    mutationFn: async () => {
      stopped.current = false;
      let freedTotal = 0;
      setFreed(0);
      // Pages that become free meanwhile are left for the next time; otherwise this might never end.
      let done = await post<VacuumResult>("vacuum");
      const goal = done.freed_bytes + done.free_bytes;
      for (;;) {
        freedTotal += done.freed_bytes;
        setFreed(freedTotal);
        if (done.done || stopped.current || done.freed_bytes === 0 || freedTotal >= goal) return { freedTotal, skipped: done.skipped };
        done = await post<VacuumResult>("vacuum");
      }
    },
    onSuccess: ({ freedTotal, skipped }) => showToast(isPostgres ? "Tables vacuumed" : `${bytes(freedTotal)} reclaimed`, skipped.length > 0 ? `Skipped, locked or owned by another user: ${skipped.join(", ")}` : undefined),
    onError: (error) => showError(error),
    onSettled: () => {
      setConfirming(false);
      void client.invalidateQueries({ queryKey: ["settings"] });
    },
  });
  return (
    <section aria-label="Reclaim disk space">
      <h2 className="font-semibold">Reclaim disk space</h2>
      <p className="mt-1 max-w-prose text-muted">{isPostgres ? "Makes the space of removed rows available to new rows and refreshes the table statistics. Postgres also does this automatically from time to time." : "Removed data leaves free pages in the database file, which new runs reuse. Reclaim them if the database will stay smaller."}</p>
      <div className="mt-3 flex flex-wrap items-center gap-x-4 gap-y-2">
        <Button icon={<HardDriveDownload />} disabled={!isPostgres && free === 0} onClick={() => setConfirming(true)}>
          {isPostgres ? "Vacuum tables" : "Reclaim"}
        </Button>
        {!isPostgres && <span className="text-muted">{free === 0 ? "No free pages in the file." : `${bytes(free)} can be reclaimed`}</span>}
      </div>
      <Dialog
        open={confirming}
        onClose={() => !act.isPending && setConfirming(false)}
        title={isPostgres ? "Vacuum the tables now?" : `Reclaim ${bytes(free)} of disk space?`}
        note={isPostgres ? "Runs VACUUM (ANALYZE) on the Turbine tables. Reads and writes continue, with more disk load. It can take minutes on a large database. Files shrink only if there is free space at their end." : "Pages are moved in small steps of about 10 milliseconds. Runs continue, with slightly slower writes. You can stop at any time without losing data."}
        foot={
          <>
            {act.isPending && !isPostgres && <span className="flex-1 text-muted tabular-nums" role="status">{bytes(freed)} reclaimed so far</span>}
            {act.isPending && !isPostgres ? (
              <Button onClick={() => (stopped.current = true)}>Stop</Button>
            ) : (
              <Button disabled={act.isPending} onClick={() => setConfirming(false)}>
                Cancel
              </Button>
            )}
            <Button tone="primary" busy={act.isPending} onClick={() => act.mutate()}>
              {isPostgres ? "Vacuum tables" : "Reclaim"}
            </Button>
          </>
        }
      />
    </section>
  );
}
