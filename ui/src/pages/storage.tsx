/** How much room the data takes and where that leads, how long runs are kept, and giving room back. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Download, HardDriveDownload, Pencil, Plus, Trash2 } from "lucide-react";
import { useRef, useState } from "react";
import { address, get, post, put, remove } from "@/api/client";
import { useCan, useSession } from "@/api/session";
import type { CalendarDay, Page, Registered, RetentionRule, RunStatus, Settings } from "@/api/types";
import { Chart } from "@/components/chart";
import { Columns, Meter } from "@/components/spark";
import { Answer } from "@/components/states";
import { StatusWord } from "@/components/status";
import { Table } from "@/components/table";
import { complain, problemText, say } from "@/components/toast";
import { Button, Dialog, Field, IconButton, Input, Notice, Select } from "@/components/ui";
import { day, dayOf, hour, ms } from "@/lib/time";
import { bytes, count } from "@/lib/words";
import { settingsText, statusText, storageText } from "@/text";

export const settingsQuery = { queryKey: ["settings"], queryFn: ({ signal }: { signal: AbortSignal }) => get<Settings>("settings", undefined, signal) };

type Room = Settings["storage"];
type Unit = keyof typeof storageText.units;

const ends: RunStatus[] = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"];

export function Storage() {
  const isAdmin = useCan("admin");
  const session = useSession();
  const query = useQuery(settingsQuery);
  return (
    <Answer query={query}>
      {({ storage, config }) => {
        const tables = [...storage.tables].sort((a, b) => (b.bytes ?? 0) - (a.bytes ?? 0));
        const most = Math.max(1, ...tables.map((table) => table.bytes ?? 0));
        const kept = config.gc_retention?.replace(", 0:00:00", "") ?? "";
        return (
          <>
            <div className="flex flex-wrap items-start gap-x-10 gap-y-3 border-b px-4 py-4">
              <Fact label={settingsText.database} value={bytes(storage.database_bytes)} note={storage.free_bytes ? storageText.free(bytes(storage.free_bytes)) : undefined} />
              {storage.disk_free_bytes !== null && <Fact label={storageText.disk} value={bytes(storage.disk_free_bytes)} />}
              <Fact label={settingsText.products} value={bytes(storage.products_bytes)} />
              <Fact label={settingsText.retention} value={kept || settingsText.forEver} />
              <Made />
              <span className="flex-1" />
              {isAdmin &&
                (session?.database === "sqlite" ? (
                  <a href={address("backup")} download className="inline-flex h-8 items-center gap-1.5 self-center rounded-md px-3 font-medium hairline hover:bg-hover">
                    <Download className="size-4" /> {settingsText.backup}
                  </a>
                ) : (
                  <span className="self-center text-faint">{settingsText.pgBackup}</span>
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
              {isAdmin && <Vacuum room={storage} />}
              <section aria-label={storageText.restore}>
                <h2 className="font-semibold">{storageText.restore}</h2>
                <p className="mt-1 max-w-prose text-muted">{session?.database === "postgres" ? storageText.restorePostgres : storageText.restoreSqlite}</p>
              </section>
            </div>
            <div className="shrink-0">
              <Table
                inline
                label={settingsText.tables}
                rows={tables}
                id={(table) => table.name}
                columns={[
                  { key: "name", head: settingsText.table, cell: (table) => <span className="font-mono text-xs">{table.name}</span>, width: "minmax(140px, 1fr)" },
                  { key: "bar", head: "", wide: true, cell: (table) => <Meter label={table.name} value={table.bytes} most={most} />, width: "minmax(120px, 2fr)" },
                  ...(tables.some((table) => table.rows !== null) ? [{ key: "rows", head: settingsText.rows, cell: (table: Room["tables"][number]) => (table.rows === null ? "–" : count(table.rows)), width: "96px", end: true }] : []),
                  { key: "bytes", head: settingsText.size, cell: (table) => <span className="text-muted">{table.bytes === null ? "–" : bytes(table.bytes)}</span>, width: "80px", end: true },
                ]}
              />
            </div>
          </>
        );
      }}
    </Answer>
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

/** How many runs were made on each of the last seven days: counted, not guessed. */
function Made() {
  const today = new Date();
  today.setHours(0, 0, 0, 0);
  const from = today.getTime() - 6 * day;
  const query = useQuery({ queryKey: ["calendar", "growth", from], queryFn: ({ signal }) => get<{ days: CalendarDay[] }>("calendar", { from_ms: from, to_ms: from + 7 * day, bucket_mins: 1440 }, signal) });
  if (!query.data) return null;
  const points = query.data.days.map((one) => ({ at: ms(one.time), made: one.success + one.error + one.cancelled + one.open }));
  return (
    <div>
      <div className="text-xs text-faint">{storageText.made}</div>
      <div className="flex items-end gap-3">
        <div className="text-lg font-semibold">{count(Math.round(points.reduce((sum, one) => sum + one.made, 0) / Math.max(1, points.length)))}</div>
        <div className="mb-1 w-24">
          <Columns height={20} label={`${storageText.made}, ${storageText.madeNote}: ${points.map((one) => count(one.made)).join(", ")}`} points={points.map((one) => ({ value: one.made, title: storageText.perDay(dayOf(one.at), one.made) }))} />
        </div>
      </div>
    </div>
  );
}

/** Old measurements are a day apart and new ones an hour: the chart has one pace, and gaps where nobody measured. */
function evenly(sizes: Room["growth"]["sizes"]) {
  const known = sizes.map((one) => ({ ...one, at: ms(one.at) }));
  const first = known[0]!.at;
  const last = known[known.length - 1]!.at;
  const pace = last - first > 3 * day ? day : hour;
  const slot = (at: number) => Math.floor(at / pace);
  const found = new Map(known.map((one) => [slot(one.at), one]));
  const slots = Array.from({ length: slot(last) - slot(first) + 1 }, (_, index) => slot(first) + index);
  return slots.map((one) => ({ at: found.get(one)?.at ?? one * pace, size: found.get(one) ?? null }));
}

function GrowthOver({ growth, knowsFree }: { growth: Room["growth"]; knowsFree: boolean }) {
  const [at, setAt] = useState<number | null>(null);
  const { sizes, per_day: pace, full_in: left } = growth;
  const isFlat = pace !== null && Math.abs(pace) < Math.max(1024, (sizes[sizes.length - 1]?.bytes ?? 0) / 10_000);
  const sentence = pace === null ? storageText.few : isFlat ? storageText.still : pace > 0 ? storageText.grows(bytes(pace)) : storageText.shrinks(bytes(-pace));
  const points = sizes.length > 1 ? evenly(sizes) : [];
  // In the unit of the largest, so that the axis ends at a round number of it.
  const unit = 1024 ** Math.floor(Math.log(Math.max(1, ...sizes.map((one) => one.bytes))) / Math.log(1024));
  const isSoon = !isFlat && left !== null && left < (14 * day) / 1000;
  return (
    <section aria-label={storageText.growth}>
      {points.length > 1 ? (
        <Chart
          title={storageText.growth}
          none={storageText.few}
          at={at}
          onAt={setAt}
          height={150}
          write={(value) => bytes(Math.round(value * unit))}
          times={points.map((one) => one.at)}
          series={[
            { key: "size", label: storageText.size, tone: "info", kind: "line", values: points.map((one) => one.size && one.size.bytes / unit) },
            ...(knowsFree ? [{ key: "used", label: storageText.used, tone: "accent" as const, kind: "line" as const, values: points.map((one) => one.size && one.size.used_bytes / unit) }] : []),
          ]}
        />
      ) : (
        <h2 className="font-semibold">{storageText.growth}</h2>
      )}
      <p className="mt-1 text-muted" title={pace === null ? undefined : storageText.growthNote}>
        {sentence} {!isFlat && left !== null && <span className={isSoon ? "font-medium text-warn" : undefined}>{storageText.fullIn((left * 1000) / day)}</span>}
      </p>
    </section>
  );
}

interface Due {
  runs: number;
  partial: boolean;
  by_rule: { workflow: string | null; status: RunStatus | null; keep: number | null; runs: number }[];
  deliveries: number;
  logs: number;
  older_than: number | null;
}

const garbageQuery = (age: string) => ({
  queryKey: ["garbage", age],
  queryFn: ({ signal }: { signal: AbortSignal }) => get<Due>("garbage", { older_than: age === "" ? undefined : Number(age) * 86_400 }, signal),
});

function told(keep: number | null): string {
  if (keep === null) return storageText.keptForEver;
  if (keep === 0) return storageText.keptShort;
  if (keep % 86_400 === 0) return storageText.kept(keep / 86_400, "days");
  return storageText.kept(Math.round((keep / 3600) * 100) / 100, "hours");
}

const ruleKey = (rule: { workflow: string | null; status: string | null }) => `${rule.workflow ?? ""} ${rule.status ?? ""}`;
const ruleTold = (rule: { workflow: string | null; status: RunStatus | null }) => storageText.told(rule.workflow, rule.status && statusText[rule.status]);

function Rules({ kept }: { kept: string }) {
  const isAdmin = useCan("admin");
  const client = useQueryClient();
  const [editing, setEditing] = useState<RetentionRule | "new" | null>(null);
  const [lifting, setLifting] = useState<RetentionRule | null>(null);
  const query = useQuery({ queryKey: ["retention"], queryFn: ({ signal }) => get<Page<RetentionRule>>("retention", { limit: 500 }, signal) });
  const due = useQuery({ ...garbageQuery(""), enabled: isAdmin });
  const lift = useMutation({
    mutationFn: (rule: RetentionRule) => remove(`retention?${new URLSearchParams(Object.entries({ workflow: rule.workflow, status: rule.status }).filter((one): one is [string, string] => one[1] !== null))}`),
    onSuccess: (_, rule) => {
      say(storageText.ruleLifted, ruleTold(rule));
      setLifting(null);
      void client.invalidateQueries({ queryKey: ["retention"] });
      void client.invalidateQueries({ queryKey: ["garbage"] });
    },
    onError: (error) => complain(error),
  });
  const dueOf = (rule: RetentionRule | null): string => {
    if (!due.data) return "–";
    if (rule) return count(due.data.by_rule.find((one) => ruleKey(one) === ruleKey(rule))?.runs ?? 0);
    return count(Math.max(0, due.data.runs - due.data.by_rule.reduce((sum, one) => sum + one.runs, 0)));
  };
  const buttons = (rule: RetentionRule | null) =>
    rule && (
      <span className="flex">
        <IconButton size="sm" label={storageText.change(ruleTold(rule))} onClick={() => setEditing(rule)}><Pencil /></IconButton>
        <IconButton size="sm" label={storageText.lift(ruleTold(rule))} onClick={() => setLifting(rule)}><Trash2 /></IconButton>
      </span>
    );
  return (
    <section aria-label={storageText.rules}>
      <div className="mb-2 flex flex-wrap items-start justify-between gap-x-6 gap-y-2">
        <div>
          <h2 className="font-semibold">{storageText.rules}</h2>
          <p className="mt-1 text-muted">{storageText.rulesNote}</p>
        </div>
        {isAdmin && (
          <Button icon={<Plus />} onClick={() => setEditing("new")}>
            {storageText.addRule}
          </Button>
        )}
      </div>
      <Answer query={query}>
        {(page) => (
          <div className="-mx-4 border-t">
            <Table
              inline
              label={storageText.rules}
              rows={[...page.items, null]}
              id={(rule) => (rule ? ruleKey(rule) : "others")}
              phoneHeight={56}
              phone={(rule) => (
                <div className="flex w-full items-center gap-2">
                  <div className="min-w-0 flex-1">
                    <div className="truncate">{rule ? (rule.workflow ?? storageText.anyWorkflow) : storageText.others}</div>
                    <div className="flex items-center gap-2 text-xs text-muted">
                      {rule?.status && <StatusWord status={rule.status} />}
                      {rule ? told(rule.keep) : kept || storageText.keptForEver}
                    </div>
                  </div>
                  {isAdmin && buttons(rule)}
                </div>
              )}
              columns={[
                {
                  key: "workflow",
                  head: storageText.workflow,
                  cell: (rule) => (rule ? <span className={rule.workflow ? "truncate font-medium" : "text-faint"}>{rule.workflow ?? storageText.anyWorkflow}</span> : <span className="text-muted">{storageText.others}</span>),
                  width: "minmax(110px, 2fr)",
                },
                { key: "status", head: storageText.status, cell: (rule) => rule && (rule.status ? <StatusWord status={rule.status} /> : <span className="text-faint">{storageText.anyStatus}</span>), width: "minmax(90px, 1fr)" },
                { key: "keep", head: storageText.keep, cell: (rule) => (rule ? told(rule.keep) : <span className="text-muted" title={storageText.othersNote}>{kept || storageText.keptForEver}</span>), width: "minmax(80px, 1fr)" },
                ...(isAdmin ? [{ key: "due", head: storageText.dueNow, wide: true, cell: (rule: RetentionRule | null) => <span className="text-muted tabular-nums">{dueOf(rule)}</span>, width: "90px", end: true }] : []),
                ...(isAdmin
                  ? [
                      {
                        key: "act",
                        head: <span className="sr-only">{storageText.act}</span>,
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
      </Answer>
      {editing && <EditRule rule={editing === "new" ? null : editing} onClose={() => setEditing(null)} />}
      <Dialog
        open={lifting !== null}
        onClose={() => setLifting(null)}
        title={lifting ? storageText.liftTitle(ruleTold(lifting)) : ""}
        note={storageText.liftNote}
        foot={
          <>
            <Button onClick={() => setLifting(null)}>{storageText.cancel}</Button>
            <Button tone="danger" busy={lift.isPending} onClick={() => lifting && lift.mutate(lifting)}>
              {storageText.liftNow}
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
      say(storageText.ruleSaved, ruleTold(made));
      void client.invalidateQueries({ queryKey: ["retention"] });
      void client.invalidateQueries({ queryKey: ["garbage"] });
      onClose();
    },
  });
  return (
    <Dialog
      open
      onClose={onClose}
      title={rule ? storageText.editRule : storageText.newRule}
      foot={
        <>
          <Button onClick={onClose}>{storageText.cancel}</Button>
          <Button tone="primary" busy={act.isPending} disabled={!isRight} onClick={() => act.mutate()}>
            {storageText.save}
          </Button>
        </>
      }
    >
      <div className="grid gap-3 sm:grid-cols-2">
        <Field label={storageText.workflow}>
          {(wires) => (
            <>
              <Input {...wires} list="retention-workflows" placeholder={storageText.anyWorkflow} value={workflow} disabled={rule !== null} autoFocus={rule === null} onChange={(event) => setWorkflow(event.target.value)} />
              <datalist id="retention-workflows">
                {(registered.data?.items ?? []).map((one) => (
                  <option key={one.name} value={one.name} />
                ))}
              </datalist>
            </>
          )}
        </Field>
        <Field label={storageText.status}>
          {(wires) => (
            <Select {...wires} value={status} disabled={rule !== null} onChange={(event) => setStatus(event.target.value)}>
              <option value="">{storageText.anyStatus}</option>
              {ends.map((one) => (
                <option key={one} value={one}>
                  {statusText[one]}
                </option>
              ))}
            </Select>
          )}
        </Field>
      </div>
      <div className="flex items-end gap-2">
        {unit !== "ever" && (
          <div className="w-28">
            <Field label={storageText.keep}>{(wires) => <Input {...wires} type="number" min={0} step="any" value={number} autoFocus={rule !== null} onChange={(event) => setNumber(event.target.value)} />}</Field>
          </div>
        )}
        <Field label={unit === "ever" ? storageText.keep : <span className="sr-only">{storageText.unit}</span>}>
          {(wires) => (
            <Select {...wires} value={unit} onChange={(event) => setUnit(event.target.value as Unit)}>
              {(Object.keys(storageText.units) as Unit[]).map((one) => (
                <option key={one} value={one}>
                  {storageText.units[one]}
                </option>
              ))}
            </Select>
          )}
        </Field>
      </div>
      {!workflow.trim() && !status && <p className="text-xs text-faint">{storageText.needsOne}</p>}
      {act.error && <Notice tone="bad">{problemText(act.error)}</Notice>}
    </Dialog>
  );
}

function CleanUp({ kept }: { kept: string }) {
  const client = useQueryClient();
  const [age, setAge] = useState("");
  const [sure, setSure] = useState(false);
  const query = useQuery(garbageQuery(age));
  const act = useMutation({
    mutationFn: () => post<{ runs: number }>("garbage", { older_than: age === "" ? null : Number(age) * 86_400 }),
    onSuccess: ({ runs }) => {
      say(storageText.removed(runs));
      setSure(false);
      void client.invalidateQueries();
    },
    onError: (error) => complain(error),
  });
  const due = query.data;
  const some = due !== undefined && due.runs + due.deliveries + due.logs > 0;
  const more = (key: "runs" | "deliveries" | "logs") => due !== undefined && (due[key] >= 10_000 || (key === "runs" && due.partial));
  return (
    <section aria-label={storageText.clean}>
      <h2 className="font-semibold">{storageText.clean}</h2>
      <p className="mt-1 max-w-prose text-muted">{storageText.cleanNote}</p>
      <div className="mt-3 flex flex-wrap items-end gap-x-6 gap-y-3">
        <Field label={storageText.olderThan}>
          {(wires) => (
            <Select {...wires} value={age} onChange={(event) => setAge(event.target.value)}>
              <option value="">{kept ? storageText.retention(kept) : storageText.forEver}</option>
              {[0, 1, 7, 30, 90].map((days) => (
                <option key={days} value={days}>
                  {storageText.days(days)}
                </option>
              ))}
            </Select>
          )}
        </Field>
        {(["runs", "deliveries", "logs"] as const).map((key) => (
          <div key={key}>
            <div className="text-xs text-faint">{storageText.due[key]}</div>
            <div className="h-8 text-lg font-semibold tabular-nums">{due ? `${count(due[key])}${more(key) ? "+" : ""}` : "–"}</div>
          </div>
        ))}
        <Button tone="danger" icon={<Trash2 />} disabled={!some} onClick={() => setSure(true)}>
          {storageText.remove}
        </Button>
      </div>
      {query.error && <p className="mt-2 text-bad">{problemText(query.error)}</p>}
      {due && (
        <Dialog
          open={sure}
          onClose={() => setSure(false)}
          title={storageText.sure(due.runs, more("runs"))}
          note={storageText.sureNote}
          foot={
            <>
              <Button onClick={() => setSure(false)}>{storageText.cancel}</Button>
              <Button tone="danger" busy={act.isPending} onClick={() => act.mutate()}>
                {storageText.remove}
              </Button>
            </>
          }
        />
      )}
    </section>
  );
}

interface Vacuumed {
  freed_bytes: number;
  database_bytes: number;
  free_bytes: number;
  done: boolean;
  skipped: string[];
}

function Vacuum({ room }: { room: Room }) {
  const client = useQueryClient();
  const session = useSession();
  const [sure, setSure] = useState(false);
  const [freed, setFreed] = useState(0);
  const stopped = useRef(false);
  const isPostgres = session?.database === "postgres";
  const free = room.free_bytes ?? 0;
  const act = useMutation({
    mutationFn: async () => {
      stopped.current = false;
      let given = 0;
      setFreed(0);
      // What becomes free meanwhile is left for the next time, or this might never end.
      let done = await post<Vacuumed>("vacuum");
      const goal = done.freed_bytes + done.free_bytes;
      for (;;) {
        given += done.freed_bytes;
        setFreed(given);
        if (done.done || stopped.current || done.freed_bytes === 0 || given >= goal) return { given, skipped: done.skipped };
        done = await post<Vacuumed>("vacuum");
      }
    },
    onSuccess: ({ given, skipped }) => say(isPostgres ? storageText.vacuumTidied : storageText.vacuumDone(bytes(given)), skipped.length > 0 ? storageText.vacuumSkipped(skipped) : undefined),
    onError: (error) => complain(error),
    onSettled: () => {
      setSure(false);
      void client.invalidateQueries({ queryKey: ["settings"] });
    },
  });
  return (
    <section aria-label={storageText.vacuum}>
      <h2 className="font-semibold">{storageText.vacuum}</h2>
      <p className="mt-1 max-w-prose text-muted">{isPostgres ? storageText.vacuumPostgres : storageText.vacuumSqlite}</p>
      <div className="mt-3 flex flex-wrap items-center gap-x-4 gap-y-2">
        <Button icon={<HardDriveDownload />} disabled={!isPostgres && free === 0} onClick={() => setSure(true)}>
          {isPostgres ? storageText.vacuumTidy : storageText.vacuumDo}
        </Button>
        {!isPostgres && <span className="text-muted">{free === 0 ? storageText.vacuumNothing : storageText.vacuumFree(bytes(free))}</span>}
      </div>
      <Dialog
        open={sure}
        onClose={() => !act.isPending && setSure(false)}
        title={isPostgres ? storageText.vacuumTidySure : storageText.vacuumSure(bytes(free))}
        note={isPostgres ? storageText.vacuumPostgresNote : storageText.vacuumSqliteNote}
        foot={
          <>
            {act.isPending && !isPostgres && <span className="flex-1 text-muted tabular-nums" role="status">{storageText.vacuumGoing(bytes(freed))}</span>}
            {act.isPending && !isPostgres ? (
              <Button onClick={() => (stopped.current = true)}>{storageText.vacuumStop}</Button>
            ) : (
              <Button disabled={act.isPending} onClick={() => setSure(false)}>
                {storageText.cancel}
              </Button>
            )}
            <Button tone="primary" busy={act.isPending} onClick={() => act.mutate()}>
              {isPostgres ? storageText.vacuumTidy : storageText.vacuumDo}
            </Button>
          </>
        }
      />
    </section>
  );
}
