/** What waits for a person: read, fill in, decide; also by thumb. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { Bell, Check, Hand, Link2, X } from "lucide-react";
import { useEffect, useState } from "react";
import { get, part, post } from "@/api/client";
import { useCan, useMayDecide, useSession } from "@/api/session";
import type { Approval, Page } from "@/api/types";
import { Decide, Due } from "@/components/gate";
import { JsonView } from "@/components/json";
import { SearchField } from "@/components/search-field";
import { Answer, Empty, Failed } from "@/components/states";
import { Pill } from "@/components/status";
import { problemText, say } from "@/components/toast";
import { Ago, Button, Checkbox, Copyable, Dialog, Field, Notice, Segments, Select, Sheet, Textarea } from "@/components/ui";
import { usePhone } from "@/lib/media";
import { classes, count, plural } from "@/lib/words";
import { openApprovals, PageHead } from "@/shell/frame";
import { useKeys } from "@/shell/keys";
import { useTitle } from "@/shell/title";

const statusLabels = { open: "Open", approved: "Approved", rejected: "Rejected", expired: "Expired", cancelled: "Cancelled" };
const linkLifetimes: Record<string, string> = { "1": "1 hour", "8": "8 hours", "24": "1 day", "72": "3 days", "168": "7 days" };

const tones = { open: "warn", approved: "ok", rejected: "bad", expired: "idle", cancelled: "idle" } as const;

export function ApprovalsPage() {
  useTitle("Approvals");
  const search = useSearch({ strict: false });
  const navigate = useNavigate();
  const isPhone = usePhone();
  const mayDecide = useMayDecide();
  const me = useSession()?.email;
  const mine = Boolean(me) && search.whose !== "all";
  const view = search.view === "decided" ? "decided" : "open";
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState<Set<string>>(new Set());
  const [bulk, setBulk] = useState<boolean | null>(null);
  const query = useQuery(view === "open" ? openApprovals(mine) : { queryKey: ["approvals", "decided", mine ? "mine" : "all"], queryFn: ({ signal }: { signal: AbortSignal }) => get<Page<Approval>>("approvals", { open: "false", assignee: mine ? "me" : undefined, limit: 500 }, signal) });
  const words = text.toLowerCase();
  const gates = (query.data?.items ?? []).filter((gate) => `${gate.title} ${gate.name} ${gate.summary} ${gate.workflow_id} ${gate.assignees.join(" ")}`.toLowerCase().includes(words)).sort(view === "open" ? byDue : (a, b) => (b.decided_at ?? "").localeCompare(a.decided_at ?? ""));
  const id = typeof search.gate === "string" ? search.gate : null;
  // Beside the list the first gate is shown, and stays: whoever is about to press a button must not find another one
  // under it because a more urgent gate came in, or because somebody else has decided this one.
  const [first, setFirst] = useState<{ of: string; id: string } | null>(null);
  const shownOf = `${view} ${mine ? "mine" : "all"} ${text}`;
  const wanted = id ?? (first?.of === shownOf ? first.id : null);
  const listed = gates.find((gate) => gate.id === wanted);
  const elsewhere = useQuery({ queryKey: ["approvals", "one", wanted], queryFn: ({ signal }) => get<Approval>(`approvals/${part(wanted ?? "")}`, undefined, signal), enabled: wanted !== null && listed === undefined && query.data !== undefined });
  const open = listed ?? (wanted === null ? null : (elsewhere.data ?? null));
  const top = gates[0]?.id;
  useEffect(() => {
    if (!isPhone && wanted === null && top !== undefined) setFirst({ of: shownOf, id: top });
  }, [isPhone, wanted, top, shownOf]);
  const whose = search.whose === "all" ? "all" : undefined;
  const show = (gate: string | null) => void navigate({ to: "/approvals", search: { view: view === "decided" ? view : undefined, whose, gate: gate ?? undefined }, replace: true });
  const move = (by: number) => {
    const at = gates.findIndex((gate) => gate.id === open?.id);
    const next = gates[Math.min(gates.length - 1, Math.max(0, at + by))];
    if (next) show(next.id);
  };
  useKeys({ j: () => move(1), k: () => move(-1) });
  const simple = gates.filter((gate) => !gate.form && mayDecide(gate));
  const detail = open && (
    <Detail
      key={open.id}
      gate={open}
      onDecided={() => {
        const at = gates.findIndex((gate) => gate.id === open.id);
        setFirst(null);
        show(isPhone ? null : (gates[at + 1]?.id ?? gates[at - 1]?.id ?? null));
      }}
    />
  );
  return (
    <>
      <PageHead title="Approvals" note={view === "open" && query.data ? <span className="text-faint">{gates.length}{query.data.next_cursor && "+"}</span> : undefined}>
        {!isPhone && <SearchField value={text} onChange={setText} placeholder="Search approvals" className="w-52" />}
        {me && <Segments label="Assigned to" value={mine ? "mine" : "all"} onChange={(next) => void navigate({ to: "/approvals", search: { view: view === "decided" ? view : undefined, whose: next === "all" ? next : undefined } })} options={[{ key: "mine", label: "Mine" }, { key: "all", label: "All" }]} />}
        <Segments label="Show" value={view} onChange={(next) => void navigate({ to: "/approvals", search: { view: next === "decided" ? next : undefined, whose } })} options={[{ key: "open", label: "Open" }, { key: "decided", label: "Decided" }]} />
        <NoticeButton />
      </PageHead>
      <Answer query={query}>
        {() =>
          gates.length === 0 && (open === null || id === null) ? (
            <Empty icon={<Hand />} title={text ? "No approvals match" : view === "decided" ? "No decisions yet" : me && !mine ? "No open approvals" : "No approvals waiting for you"}>
              {view === "open" && !text ? "Runs that call wait_for_approval() appear here. The window title shows how many are open." : null}
            </Empty>
          ) : (
            <div className="flex min-h-0 flex-1">
              <div className="flex w-[400px] shrink-0 flex-col border-r max-md:w-full max-md:border-r-0">
                {view === "open" && simple.length > 1 && (
                  <div className="flex h-10 shrink-0 items-center gap-2 border-b px-4 text-xs text-muted">
                    <Checkbox label="Select all without a form" checked={chosen.size === 0 ? false : chosen.size === simple.length ? true : "indeterminate"} onChange={(on) => setChosen(on ? new Set(simple.map((gate) => gate.id)) : new Set())} />
                    {chosen.size === 0 ? (
                      "Select several to decide them together"
                    ) : (
                      <>
                        <span className="flex-1">{count(chosen.size)} selected</span>
                        <Button size="sm" icon={<Check />} onClick={() => setBulk(true)}>
                          Approve
                        </Button>
                        <Button size="sm" tone="danger" icon={<X />} onClick={() => setBulk(false)}>
                          Reject
                        </Button>
                      </>
                    )}
                  </div>
                )}
                <ul className="min-h-0 flex-1 overflow-y-auto" aria-label="Approvals">
                  {gates.map((gate) => (
                    <li key={gate.id} className={classes("relative flex items-start gap-3 border-b px-4 py-2.5 [contain-intrinsic-size:auto_78px] [content-visibility:auto]", gate.id === open?.id ? "bg-selected" : "hover:bg-hover")}>
                      {view === "open" && simple.length > 1 && (
                        <span className={classes("relative z-10 mt-0.5", !simple.includes(gate) && "invisible")}>
                          <Checkbox
                            label={`Select ${gate.title ?? gate.name}`}
                            checked={chosen.has(gate.id)}
                            disabled={!simple.includes(gate)}
                            onChange={(on) => setChosen(on ? new Set([...chosen, gate.id]) : new Set([...chosen].filter((one) => one !== gate.id)))}
                          />
                        </span>
                      )}
                      <div className="min-w-0 flex-1">
                        <button type="button" onClick={() => show(gate.id)} className="block w-full text-left font-medium break-words after:absolute after:inset-0">
                          {gate.title ?? `Approval for ${gate.name}`}
                        </button>
                        <div className="truncate text-muted">{gate.summary ?? gate.workflow_id}</div>
                        <div className="mt-0.5 flex items-center gap-3 text-xs text-faint">
                          <Ago at={gate.status === "open" ? gate.created : gate.decided_at} />
                          {gate.status === "open" ? gate.due_at && <Due at={gate.due_at} /> : gate.by && <span className="truncate">by {gate.by}</span>}
                          {gate.status === "open" && gate.assignees.length > 0 && <For emails={gate.assignees} />}
                        </div>
                      </div>
                      {gate.status !== "open" && <Pill tone={tones[gate.status]}>{statusLabels[gate.status]}</Pill>}
                    </li>
                  ))}
                </ul>
              </div>
              {isPhone ? (
                <Sheet open={detail !== null && id !== null} onClose={() => show(null)} title={open?.title ?? "Approvals"}>
                  {detail}
                </Sheet>
              ) : (
                <div className="min-w-0 flex-1 overflow-y-auto">{detail ?? (elsewhere.error && <Failed error={elsewhere.error} />)}</div>
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

/** Whose decision a gate waits for, in a few words; all of them when pointed at. */
function For({ emails }: { emails: string[] }) {
  const me = useSession()?.email;
  const isMine = Boolean(me && emails.includes(me));
  const others = emails.length - 1;
  const words = isMine ? (others === 0 ? "for you" : `for you and ${plural(others, "other")}`) : others === 0 ? `for ${emails[0]!}` : `for ${emails[0]!} and ${plural(others, "other")}`;
  return (
    <span title={emails.join(", ")} className={classes("min-w-0 truncate", isMine && "font-medium text-accent")}>
      {words}
    </span>
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
        <h2 className="text-lg font-semibold break-words">{gate.title ?? `Approval for ${gate.name}`}</h2>
        <div className="mt-1 flex flex-wrap items-center gap-x-3 gap-y-1 text-muted">
          <Link to="/runs/$id" params={{ id: gate.workflow_id }} className="text-accent hover:underline">
            {gate.summary ?? gate.workflow_id}
          </Link>
          <span>{gate.name}</span>
          <span>
            requested <Ago at={gate.created} />
          </span>
          {gate.status === "open" && <Due at={gate.due_at} />}
          {gate.status !== "open" && gate.assignees.length > 0 && <span className="break-words">Assigned to {gate.assignees.join(", ")}</span>}
        </div>
      </div>
      {gate.status === "open" ? (
        <>
          <Decide key={gate.id} gate={gate} onDecided={onDecided} />
          {may && (
            <div className="border-t pt-3">
              <Button tone="ghost" icon={<Link2 />} className="-ml-3" onClick={() => setLinking(true)}>
                Create link
              </Button>
            </div>
          )}
          {linking && <MakeLink gate={gate} onClose={() => setLinking(false)} />}
        </>
      ) : (
        <>
          <div className="rounded-lg px-3 py-2.5 hairline">
            <div className="flex items-center gap-2">
              <Pill tone={tones[gate.status]}>{statusLabels[gate.status]}</Pill>
              {gate.by && <span>by {gate.by}</span>}
              <Ago at={gate.decided_at} className="text-muted" />
            </div>
            {gate.comment && <p className="mt-2 whitespace-pre-wrap">{gate.comment}</p>}
          </div>
          {gate.data !== null && gate.data !== undefined && <JsonView label="Form data" value={gate.data} />}
          {gate.details !== null && gate.details !== undefined && <JsonView label="Details" value={gate.details} />}
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
      say(`${count(gates.length - refused.length)} decided`);
      if (refused.length === 0) onDone();
      else setFailed(refused);
    },
  });
  return (
    <Dialog
      open
      onClose={onClose}
      title={approved ? `Approve ${count(gates.length)}?` : `Reject ${count(gates.length)}?`}
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button tone={approved ? "primary" : "danger"} busy={act.isPending} disabled={failed.length > 0} onClick={() => act.mutate()}>
            {approved ? "Approve" : "Reject"}
          </Button>
        </>
      }
    >
      <ul className="max-h-48 divide-y overflow-y-auto rounded-md hairline">
        {gates.map((gate) => (
          <li key={gate.id} className="truncate px-3 py-1.5">
            {gate.title ?? `Approval for ${gate.name}`}
          </li>
        ))}
      </ul>
      <Field label="Comment for all">{(wires) => <Textarea {...wires} rows={2} value={comment} onChange={(event) => setComment(event.target.value)} />}</Field>
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
      title="Decision link"
      note="Anyone with this link can decide this approval once, without an account. The decision is recorded as made with your link. The link stops working if you lose the operator role."
      foot={
        link ? (
          <Button tone="primary" onClick={onClose}>
            Done
          </Button>
        ) : (
          <>
            <Button onClick={onClose}>Cancel</Button>
            <Button tone="primary" busy={act.isPending} onClick={() => act.mutate()}>
              Create link
            </Button>
          </>
        )
      }
    >
      {link ? (
        <>
          <Notice tone="ok">Copy the link now. It is not shown again.</Notice>
          <Copyable text={link} label="Copy link" className="rounded-md bg-sunken px-3 py-2 font-mono text-xs hairline">
            {link}
          </Copyable>
        </>
      ) : (
        <Field label="Valid for">
          {(wires) => (
            <Select {...wires} value={hours} onChange={(event) => setHours(event.target.value)}>
              {Object.entries(linkLifetimes).map(([key, label]) => (
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
      Notify me
    </Button>
  );
}
