/** What waits for a person: read, fill in, decide; also by thumb. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { Bell, Check, Hand, Link2, X } from "lucide-react";
import { useState } from "react";
import { get, part, post } from "@/api/client";
import { useCan } from "@/api/session";
import type { Approval, Page } from "@/api/types";
import { Decide, Due } from "@/components/gate";
import { JsonView } from "@/components/json";
import { SearchField } from "@/components/search-field";
import { Answer, Empty } from "@/components/states";
import { Pill } from "@/components/status";
import { problemText, say } from "@/components/toast";
import { Ago, Button, Checkbox, Copyable, Dialog, Field, Notice, Segments, Select, Sheet, Textarea } from "@/components/ui";
import { usePhone } from "@/lib/media";
import { classes } from "@/lib/words";
import { openApprovals, PageHead } from "@/shell/frame";
import { useKeys } from "@/shell/keys";
import { useTitle } from "@/shell/title";
import { approvalsText } from "@/text";

const tones = { open: "warn", approved: "ok", rejected: "bad", expired: "idle", cancelled: "idle" } as const;

export function ApprovalsPage() {
  useTitle(approvalsText.title);
  const search = useSearch({ strict: false });
  const navigate = useNavigate();
  const isPhone = usePhone();
  const may = useCan("operator");
  const view = search.view === "decided" ? "decided" : "open";
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState<Set<string>>(new Set());
  const [bulk, setBulk] = useState<boolean | null>(null);
  const query = useQuery(view === "open" ? openApprovals : { queryKey: ["approvals", "decided"], queryFn: ({ signal }: { signal: AbortSignal }) => get<Page<Approval>>("approvals", { open: "false", limit: 200 }, signal) });
  const words = text.toLowerCase();
  const gates = (query.data?.items ?? []).filter((gate) => `${gate.title} ${gate.name} ${gate.summary} ${gate.workflow_id}`.toLowerCase().includes(words)).sort(view === "open" ? byDue : (a, b) => (b.decided_at ?? "").localeCompare(a.decided_at ?? ""));
  const id = typeof search.gate === "string" ? search.gate : null;
  const open = gates.find((gate) => gate.id === id) ?? (isPhone ? null : (gates[0] ?? null));
  const show = (gate: string | null) => void navigate({ to: "/approvals", search: { view: view === "decided" ? view : undefined, gate: gate ?? undefined }, replace: true });
  const move = (by: number) => {
    const at = gates.findIndex((gate) => gate.id === open?.id);
    const next = gates[Math.min(gates.length - 1, Math.max(0, at + by))];
    if (next) show(next.id);
  };
  useKeys({ j: () => move(1), k: () => move(-1) });
  const simple = gates.filter((gate) => !gate.form);
  const detail = open && (
    <Detail
      key={open.id}
      gate={open}
      onDecided={() => {
        const at = gates.findIndex((gate) => gate.id === open.id);
        show(isPhone ? null : (gates[at + 1]?.id ?? null));
      }}
    />
  );
  return (
    <>
      <PageHead title={approvalsText.title} note={view === "open" && query.data ? <span className="text-faint">{gates.length}</span> : undefined}>
        {!isPhone && <SearchField value={text} onChange={setText} placeholder={approvalsText.search} className="w-52" />}
        <Segments label={approvalsText.show} value={view} onChange={(next) => void navigate({ to: "/approvals", search: { view: next === "decided" ? next : undefined } })} options={[{ key: "open", label: approvalsText.open }, { key: "decided", label: approvalsText.decided }]} />
        <NoticeButton />
      </PageHead>
      <Answer query={query}>
        {() =>
          gates.length === 0 ? (
            <Empty icon={<Hand />} title={text ? approvalsText.noneMatch : view === "open" ? approvalsText.none : approvalsText.noneDecided}>
              {view === "open" && !text ? approvalsText.noneNote : null}
            </Empty>
          ) : (
            <div className="flex min-h-0 flex-1">
              <div className="flex w-[400px] shrink-0 flex-col border-r max-md:w-full max-md:border-r-0">
                {view === "open" && may && simple.length > 1 && (
                  <div className="flex h-10 shrink-0 items-center gap-2 border-b px-4 text-xs text-muted">
                    <Checkbox label={approvalsText.pickAll} checked={chosen.size === 0 ? false : chosen.size === simple.length ? true : "indeterminate"} onChange={(on) => setChosen(on ? new Set(simple.map((gate) => gate.id)) : new Set())} />
                    {chosen.size === 0 ? (
                      approvalsText.pickHint
                    ) : (
                      <>
                        <span className="flex-1">{approvalsText.chosen(chosen.size)}</span>
                        <Button size="sm" icon={<Check />} onClick={() => setBulk(true)}>
                          {approvalsText.approve}
                        </Button>
                        <Button size="sm" tone="danger" icon={<X />} onClick={() => setBulk(false)}>
                          {approvalsText.reject}
                        </Button>
                      </>
                    )}
                  </div>
                )}
                <ul className="min-h-0 flex-1 overflow-y-auto" aria-label={approvalsText.title}>
                  {gates.map((gate) => (
                    <li key={gate.id} className={classes("relative flex items-start gap-3 border-b px-4 py-2.5", gate.id === open?.id ? "bg-selected" : "hover:bg-hover")}>
                      {view === "open" && may && simple.length > 1 && (
                        <span className={classes("relative z-10 mt-0.5", gate.form && "invisible")}>
                          <Checkbox
                            label={approvalsText.pick(gate.title ?? gate.name)}
                            checked={chosen.has(gate.id)}
                            disabled={Boolean(gate.form)}
                            onChange={(on) => setChosen(on ? new Set([...chosen, gate.id]) : new Set([...chosen].filter((one) => one !== gate.id)))}
                          />
                        </span>
                      )}
                      <div className="min-w-0 flex-1">
                        <button type="button" onClick={() => show(gate.id)} className="block w-full text-left font-medium break-words after:absolute after:inset-0">
                          {gate.title ?? approvalsText.untitled(gate.name)}
                        </button>
                        <div className="truncate text-muted">{gate.summary ?? gate.workflow_id}</div>
                        <div className="mt-0.5 flex items-center gap-3 text-xs text-faint">
                          <Ago at={gate.status === "open" ? gate.created : gate.decided_at} />
                          {gate.status === "open" ? gate.due_at && <Due at={gate.due_at} /> : gate.by && <span className="truncate">{approvalsText.by(gate.by)}</span>}
                        </div>
                      </div>
                      {gate.status !== "open" && <Pill tone={tones[gate.status]}>{approvalsText.statuses[gate.status]}</Pill>}
                    </li>
                  ))}
                </ul>
              </div>
              {isPhone ? (
                <Sheet open={detail !== null && id !== null} onClose={() => show(null)} title={open?.title ?? approvalsText.title}>
                  {detail}
                </Sheet>
              ) : (
                <div className="min-w-0 flex-1 overflow-y-auto">{detail}</div>
              )}
            </div>
          )
        }
      </Answer>
      {bulk !== null && (
        <Bulk
          approved={bulk}
          gates={gates.filter((gate) => chosen.has(gate.id))}
          onClose={() => setBulk(null)}
          onDone={() => {
            setChosen(new Set());
            setBulk(null);
          }}
        />
      )}
    </>
  );
}

function byDue(a: Approval, b: Approval): number {
  return (a.due_at ?? "9").localeCompare(b.due_at ?? "9") || a.created.localeCompare(b.created);
}

function Detail({ gate, onDecided }: { gate: Approval; onDecided: () => void }) {
  const may = useCan("operator");
  const [linking, setLinking] = useState(false);
  return (
    <div className="mx-auto flex max-w-2xl flex-col gap-4 p-6 max-md:min-h-0 max-md:flex-1 max-md:overflow-y-auto max-md:p-4 max-md:pt-3">
      <div className="max-md:pr-8">
        <h2 className="text-lg font-semibold break-words">{gate.title ?? approvalsText.untitled(gate.name)}</h2>
        <div className="mt-1 flex flex-wrap items-center gap-x-3 gap-y-1 text-muted">
          <Link to="/runs/$id" params={{ id: gate.workflow_id }} className="text-accent hover:underline">
            {gate.summary ?? gate.workflow_id}
          </Link>
          <span>{gate.name}</span>
          <span>
            {approvalsText.asked} <Ago at={gate.created} />
          </span>
          {gate.status === "open" && <Due at={gate.due_at} />}
        </div>
      </div>
      {gate.status === "open" ? (
        <>
          <Decide gate={gate} onDecided={onDecided} />
          {may && (
            <div className="border-t pt-3">
              <Button tone="ghost" icon={<Link2 />} className="-ml-3" onClick={() => setLinking(true)}>
                {approvalsText.link}
              </Button>
            </div>
          )}
          {linking && <MakeLink gate={gate} onClose={() => setLinking(false)} />}
        </>
      ) : (
        <>
          <div className="rounded-lg px-3 py-2.5 hairline">
            <div className="flex items-center gap-2">
              <Pill tone={tones[gate.status]}>{approvalsText.statuses[gate.status]}</Pill>
              {gate.by && <span>{approvalsText.by(gate.by)}</span>}
              <Ago at={gate.decided_at} className="text-muted" />
            </div>
            {gate.comment && <p className="mt-2 whitespace-pre-wrap">{gate.comment}</p>}
          </div>
          {gate.data !== null && gate.data !== undefined && <JsonView label={approvalsText.data} value={gate.data} />}
          {gate.details !== null && gate.details !== undefined && <JsonView label={approvalsText.details} value={gate.details} />}
        </>
      )}
    </div>
  );
}

function Bulk({ approved, gates, onClose, onDone }: { approved: boolean; gates: Approval[]; onClose: () => void; onDone: () => void }) {
  const client = useQueryClient();
  const [comment, setComment] = useState("");
  const [failed, setFailed] = useState<string[]>([]);
  const act = useMutation({
    mutationFn: async () => {
      const refused: string[] = [];
      for (const gate of gates) {
        try {
          await post(`approvals/${part(gate.id)}/decide`, { approved, comment, data: null });
        } catch (error) {
          refused.push(`${gate.title ?? gate.name}: ${error instanceof Error ? error.message : String(error)}`);
        }
      }
      return refused;
    },
    onSuccess: (refused) => {
      void client.invalidateQueries({ queryKey: ["approvals"] });
      say(approvalsText.decidedMany(gates.length - refused.length));
      if (refused.length === 0) onDone();
      else setFailed(refused);
    },
  });
  return (
    <Dialog
      open
      onClose={onClose}
      title={approved ? approvalsText.approveMany(gates.length) : approvalsText.rejectMany(gates.length)}
      foot={
        <>
          <Button onClick={onClose}>{approvalsText.cancel}</Button>
          <Button tone={approved ? "primary" : "danger"} busy={act.isPending} disabled={failed.length > 0} onClick={() => act.mutate()}>
            {approved ? approvalsText.approve : approvalsText.reject}
          </Button>
        </>
      }
    >
      <ul className="max-h-48 divide-y overflow-y-auto rounded-md hairline">
        {gates.map((gate) => (
          <li key={gate.id} className="truncate px-3 py-1.5">
            {gate.title ?? approvalsText.untitled(gate.name)}
          </li>
        ))}
      </ul>
      <Field label={approvalsText.comment}>{(wires) => <Textarea {...wires} rows={2} value={comment} onChange={(event) => setComment(event.target.value)} />}</Field>
      {failed.map((line) => (
        <div key={line} className="text-bad">
          {line}
        </div>
      ))}
    </Dialog>
  );
}

function MakeLink({ gate, onClose }: { gate: Approval; onClose: () => void }) {
  const [hours, setHours] = useState("24");
  const act = useMutation({ mutationFn: () => post<{ path: string; expires: string }>(`approvals/${part(gate.id)}/link`, { hours: Number(hours) }) });
  const link = act.data && `${window.location.origin}${act.data.path}`;
  return (
    <Dialog
      open
      onClose={onClose}
      title={approvalsText.linkTitle}
      note={approvalsText.linkNote}
      foot={
        link ? (
          <Button tone="primary" onClick={onClose}>
            {approvalsText.done}
          </Button>
        ) : (
          <>
            <Button onClick={onClose}>{approvalsText.cancel}</Button>
            <Button tone="primary" busy={act.isPending} onClick={() => act.mutate()}>
              {approvalsText.makeLink}
            </Button>
          </>
        )
      }
    >
      {link ? (
        <>
          <Notice tone="ok">{approvalsText.linkOnce}</Notice>
          <Copyable text={link} label={approvalsText.copyLink} className="rounded-md bg-sunken px-3 py-2 font-mono text-xs hairline">
            {link}
          </Copyable>
        </>
      ) : (
        <Field label={approvalsText.lasts}>
          {(wires) => (
            <Select {...wires} value={hours} onChange={(event) => setHours(event.target.value)}>
              {Object.entries(approvalsText.spans).map(([key, label]) => (
                <option key={key} value={key}>
                  {label}
                </option>
              ))}
            </Select>
          )}
        </Field>
      )}
      {act.error && <Notice tone="bad">{problemText(act.error)}</Notice>}
    </Dialog>
  );
}

function NoticeButton() {
  const [state, setState] = useState(() => ("Notification" in window ? Notification.permission : "denied"));
  if (state !== "default") return null;
  return (
    <Button tone="ghost" icon={<Bell />} className="max-md:hidden" onClick={() => void Notification.requestPermission().then(setState)}>
      {approvalsText.notify}
    </Button>
  );
}
