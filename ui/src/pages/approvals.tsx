/** Inbox of approvals: read, fill in the form, decide. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { Bell, Check, Hand, Link2, X } from "lucide-react";
import { useEffect, useState } from "react";
import { get, part, post } from "@/api/client";
import { useCan, useMayDecide, useSession } from "@/api/session";
import type { Approval, Page } from "@/api/types";
import { Decide, Due } from "@/components/approval";
import { JsonView } from "@/components/json";
import { SearchField } from "@/components/search-field";
import { Empty, Failed, Loaded } from "@/components/states";
import { Pill } from "@/components/status";
import { problemText, showToast } from "@/components/toast";
import { Ago, Button, Checkbox, Copyable, Dialog, Field, Notice, Segments, Select, Sheet, Textarea } from "@/components/ui";
import { classes, count, plural } from "@/lib/format";
import { usePhone } from "@/lib/media-query";
import { openApprovals, PageHead } from "@/shell/frame";
import { useKeys } from "@/shell/shortcuts";
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
  const approvals = (query.data?.items ?? []).filter((approval) => `${approval.title} ${approval.name} ${approval.summary} ${approval.workflow_id} ${approval.assignees.join(" ")}`.toLowerCase().includes(words)).sort(view === "open" ? byDue : (a, b) => (b.decided_at ?? "").localeCompare(a.decided_at ?? ""));
  const id = typeof search.approval === "string" ? search.approval : null;
  // Next to the list the first approval is opened, and stays open: a more urgent approval or a decision by another
  // person must not replace it under the pointer.
  const [first, setFirst] = useState<{ of: string; id: string } | null>(null);
  const shownOf = `${view} ${mine ? "mine" : "all"} ${text}`;
  const openId = id ?? (first?.of === shownOf ? first.id : null);
  const listed = approvals.find((approval) => approval.id === openId);
  const unlisted = useQuery({ queryKey: ["approvals", "one", openId], queryFn: ({ signal }) => get<Approval>(`approvals/${part(openId ?? "")}`, undefined, signal), enabled: openId !== null && listed === undefined && query.data !== undefined });
  const open = listed ?? (openId === null ? null : (unlisted.data ?? null));
  const top = approvals[0]?.id;
  useEffect(() => {
    if (!isPhone && openId === null && top !== undefined) setFirst({ of: shownOf, id: top });
  }, [isPhone, openId, top, shownOf]);
  const whose = search.whose === "all" ? "all" : undefined;
  const show = (approval: string | null) => void navigate({ to: "/approvals", search: { view: view === "decided" ? view : undefined, whose, approval: approval ?? undefined }, replace: true });
  const move = (by: number) => {
    const at = approvals.findIndex((approval) => approval.id === open?.id);
    const next = approvals[Math.min(approvals.length - 1, Math.max(0, at + by))];
    if (next) show(next.id);
  };
  useKeys({ j: () => move(1), k: () => move(-1) });
  const simple = approvals.filter((approval) => !approval.form && mayDecide(approval));
  const detail = open && (
    <Detail
      key={open.id}
      approval={open}
      onDecided={() => {
        const at = approvals.findIndex((approval) => approval.id === open.id);
        setFirst(null);
        show(isPhone ? null : (approvals[at + 1]?.id ?? approvals[at - 1]?.id ?? null));
      }}
    />
  );
  return (
    <>
      <PageHead title="Approvals" note={view === "open" && query.data ? <span className="text-faint">{approvals.length}{query.data.next_cursor && "+"}</span> : undefined}>
        {!isPhone && <SearchField value={text} onChange={setText} placeholder="Search approvals" className="w-52" />}
        {me && <Segments label="Assigned to" value={mine ? "mine" : "all"} onChange={(next) => void navigate({ to: "/approvals", search: { view: view === "decided" ? view : undefined, whose: next === "all" ? next : undefined } })} options={[{ key: "mine", label: "Mine" }, { key: "all", label: "All" }]} />}
        <Segments label="Show" value={view} onChange={(next) => void navigate({ to: "/approvals", search: { view: next === "decided" ? next : undefined, whose } })} options={[{ key: "open", label: "Open" }, { key: "decided", label: "Decided" }]} />
        <NoticeButton />
      </PageHead>
      <Loaded query={query}>
        {() =>
          approvals.length === 0 && (open === null || id === null) ? (
            <Empty icon={<Hand />} title={text ? "No approvals match" : view === "decided" ? "No decisions yet" : me && !mine ? "No open approvals" : "No approvals waiting for you"}>
              {view === "open" && !text ? "Runs that call wait_for_approval() appear here. The window title shows how many are open." : null}
            </Empty>
          ) : (
            <div className="flex min-h-0 flex-1">
              <div className="flex w-[400px] shrink-0 flex-col border-r max-md:w-full max-md:border-r-0">
                {view === "open" && simple.length > 1 && (
                  <div className="flex h-10 shrink-0 items-center gap-2 border-b px-4 text-xs text-muted">
                    <Checkbox label="Select all without a form" checked={chosen.size === 0 ? false : chosen.size === simple.length ? true : "indeterminate"} onChange={(on) => setChosen(on ? new Set(simple.map((approval) => approval.id)) : new Set())} />
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
                  {approvals.map((approval) => (
                    <li key={approval.id} className={classes("relative flex items-start gap-3 border-b px-4 py-2.5 [contain-intrinsic-size:auto_78px] [content-visibility:auto]", approval.id === open?.id ? "bg-selected" : "hover:bg-hover")}>
                      {view === "open" && simple.length > 1 && (
                        <span className={classes("relative z-10 mt-0.5", !simple.includes(approval) && "invisible")}>
                          <Checkbox
                            label={`Select ${approval.title ?? approval.name}`}
                            checked={chosen.has(approval.id)}
                            disabled={!simple.includes(approval)}
                            onChange={(on) => setChosen(on ? new Set([...chosen, approval.id]) : new Set([...chosen].filter((item) => item !== approval.id)))}
                          />
                        </span>
                      )}
                      <div className="min-w-0 flex-1">
                        <button type="button" onClick={() => show(approval.id)} className="block w-full text-left font-medium break-words after:absolute after:inset-0">
                          {approval.title ?? `Approval for ${approval.name}`}
                        </button>
                        <div className="truncate text-muted">{approval.summary ?? approval.workflow_id}</div>
                        <div className="mt-0.5 flex items-center gap-3 text-xs text-faint">
                          <Ago at={approval.status === "open" ? approval.created : approval.decided_at} />
                          {approval.status === "open" ? approval.due_at && <Due at={approval.due_at} /> : approval.by && <span className="truncate">by {approval.by}</span>}
                          {approval.status === "open" && approval.assignees.length > 0 && <For emails={approval.assignees} />}
                        </div>
                      </div>
                      {approval.status !== "open" && <Pill tone={tones[approval.status]}>{statusLabels[approval.status]}</Pill>}
                    </li>
                  ))}
                </ul>
              </div>
              {isPhone ? (
                <Sheet open={detail !== null && id !== null} onClose={() => show(null)} title={open?.title ?? "Approvals"}>
                  {detail}
                </Sheet>
              ) : (
                <div className="min-w-0 flex-1 overflow-y-auto">{detail ?? (unlisted.error && <Failed error={unlisted.error} />)}</div>
              )}
            </div>
          )
        }
      </Loaded>
      {bulk !== null && (
        <Bulk
          approved={bulk}
          approvals={approvals.filter((approval) => chosen.has(approval.id))}
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

/** Assignees of an approval in short; all of them on hover. */
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

function Detail({ approval, onDecided }: { approval: Approval; onDecided: () => void }) {
  const may = useCan("operator");
  const [linking, setLinking] = useState(false);
  return (
    <div className="mx-auto flex max-w-2xl flex-col gap-4 p-6 max-md:min-h-0 max-md:flex-1 max-md:overflow-y-auto max-md:p-4 max-md:pt-3">
      <div className="max-md:pr-8">
        <h2 className="text-lg font-semibold break-words">{approval.title ?? `Approval for ${approval.name}`}</h2>
        <div className="mt-1 flex flex-wrap items-center gap-x-3 gap-y-1 text-muted">
          <Link to="/runs/$id" params={{ id: approval.workflow_id }} className="text-accent hover:underline">
            {approval.summary ?? approval.workflow_id}
          </Link>
          <span>{approval.name}</span>
          <span>
            requested <Ago at={approval.created} />
          </span>
          {approval.status === "open" && <Due at={approval.due_at} />}
          {approval.status !== "open" && approval.assignees.length > 0 && <span className="break-words">Assigned to {approval.assignees.join(", ")}</span>}
        </div>
      </div>
      {approval.status === "open" ? (
        <>
          <Decide key={approval.id} approval={approval} onDecided={onDecided} />
          {may && (
            <div className="border-t pt-3">
              <Button tone="ghost" icon={<Link2 />} className="-ml-3" onClick={() => setLinking(true)}>
                Create link
              </Button>
            </div>
          )}
          {linking && <MakeLink approval={approval} onClose={() => setLinking(false)} />}
        </>
      ) : (
        <>
          <div className="rounded-lg px-3 py-2.5 hairline">
            <div className="flex items-center gap-2">
              <Pill tone={tones[approval.status]}>{statusLabels[approval.status]}</Pill>
              {approval.by && <span>by {approval.by}</span>}
              <Ago at={approval.decided_at} className="text-muted" />
            </div>
            {approval.comment && <p className="mt-2 whitespace-pre-wrap">{approval.comment}</p>}
          </div>
          {approval.data !== null && approval.data !== undefined && <JsonView label="Form data" value={approval.data} />}
          {approval.details !== null && approval.details !== undefined && <JsonView label="Details" value={approval.details} />}
        </>
      )}
    </div>
  );
}

function Bulk({ approved, approvals, onClose, onDone }: { approved: boolean; approvals: Approval[]; onClose: () => void; onDone: () => void }) {
  const client = useQueryClient();
  const [comment, setComment] = useState("");
  const [failed, setFailed] = useState<string[]>([]);
  const act = useMutation({
    mutationFn: async () => {
      const refused: string[] = [];
      for (const approval of approvals) {
        try {
          await post(`approvals/${part(approval.id)}/decide`, { approved, comment, data: null });
        } catch (error) {
          refused.push(`${approval.title ?? approval.name}: ${error instanceof Error ? error.message : String(error)}`);
        }
      }
      return refused;
    },
    onSuccess: (refused) => {
      void client.invalidateQueries({ queryKey: ["approvals"] });
      showToast(`${count(approvals.length - refused.length)} decided`);
      if (refused.length === 0) onDone();
      else setFailed(refused);
    },
  });
  return (
    <Dialog
      open
      onClose={onClose}
      title={approved ? `Approve ${count(approvals.length)}?` : `Reject ${count(approvals.length)}?`}
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
        {approvals.map((approval) => (
          <li key={approval.id} className="truncate px-3 py-1.5">
            {approval.title ?? `Approval for ${approval.name}`}
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

function MakeLink({ approval, onClose }: { approval: Approval; onClose: () => void }) {
  const [hours, setHours] = useState("24");
  const act = useMutation({ mutationFn: () => post<{ path: string; expires: string }>(`approvals/${part(approval.id)}/link`, { hours: Number(hours) }) });
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
