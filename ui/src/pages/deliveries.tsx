/** Outgoing deliveries with their attempts, and resend. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { RotateCcw, Send } from "lucide-react";
import { get, part, post } from "@/api/client";
import { useCan } from "@/api/session";
import type { AlertChannel, Delivery, Page, Webhook } from "@/api/types";
import { JsonView } from "@/components/json";
import { MultiSelect } from "@/components/multi-select";
import { Empty, Loaded } from "@/components/states";
import { Pill } from "@/components/status";
import { Table } from "@/components/table";
import { showError, showToast } from "@/components/toast";
import { Ago, Button, Notice, Segments, Sentinel, Sheet } from "@/components/ui";
import { usePages } from "@/components/use-pages";
import { eventLabels } from "@/lib/labels";
import { seconds } from "@/lib/time";
import { PageHead } from "@/shell/frame";
import { useTitle } from "@/shell/title";

const kindLabels = { webhook: "Webhook", alert: "Notification", product: "Product" };
const statusLabels = { pending: "Pending", delivered: "Delivered", dead: "Dead" };

const tones = { pending: "info", delivered: "ok", dead: "bad" } as const;

function useTargets(): Map<string, string> {
  const hooks = useQuery({ queryKey: ["webhooks"], queryFn: ({ signal }) => get<Page<Webhook>>("webhooks", { limit: 500 }, signal) }).data?.items ?? [];
  const channels = useQuery({ queryKey: ["alert-channels"], queryFn: ({ signal }) => get<Page<AlertChannel>>("alert-channels", { limit: 500 }, signal) }).data?.items ?? [];
  return new Map([...hooks.map((hook) => [hook.id, hook.url] as const), ...channels.map((channel) => [channel.id, channel.name] as const)]);
}

export function DeliveriesPage() {
  useTitle("Deliveries");
  const search = useSearch({ strict: false });
  const navigate = useNavigate();
  const targets = useTargets();
  const status = typeof search.status === "string" ? search.status : "";
  const kind = typeof search.kind === "string" ? search.kind : "";
  const open = typeof search.open === "string" ? search.open : null;
  const { answer, rows, more } = usePages<Delivery>(["deliveries"], "deliveries", { status, kind });
  const go = (change: Record<string, string | undefined>) => void navigate({ to: "/deliveries", search: { ...search, ...change }, replace: true });
  return (
    <>
      <PageHead title="Deliveries">
        <MultiSelect single label="Kind" value={kind ? [kind] : []} onChange={([next]) => go({ kind: next })} choices={(["webhook", "alert", "product"] as const).map((value) => ({ value, label: kindLabels[value] }))} />
        <Segments label="Status" value={status} onChange={(next) => go({ status: next || undefined })} options={[{ key: "", label: "All" }, ...(["pending", "delivered", "dead"] as const).map((key) => ({ key: key as string, label: statusLabels[key] }))]} />
      </PageHead>
      <Loaded query={answer}>
        {() =>
          rows.length === 0 ? (
            <Empty icon={<Send />} title={status || kind ? "No deliveries match" : "No deliveries yet"}>
              {!status && !kind && "Webhooks, notifications and products sent to other services appear here with every attempt."}
            </Empty>
          ) : (
            <Table
              label="Deliveries"
              rows={rows}
              id={(item) => item.id}
              onOpen={(item) => go({ open: item.id })}
              columns={[
                { key: "status", head: "Status", cell: (item) => <Pill tone={tones[item.status]}>{statusLabels[item.status]}</Pill>, width: "84px" },
                { key: "event", head: "Event", cell: (item) => <button type="button" className="font-medium hover:underline" onClick={() => go({ open: item.id })}>{item.event ? (eventLabels[item.event] ?? item.event) : kindLabels[item.kind]}</button>, width: "minmax(90px, 1fr)" },
                { key: "target", head: "To", cell: (item) => <span className="text-muted">{targets.get(item.target) ?? item.target}</span>, width: "minmax(120px, 1.6fr)" },
                { key: "run", head: "Run", wide: true, cell: (item) => item.workflow_id && <Link to="/runs/$id" params={{ id: item.workflow_id }} className="font-mono text-xs text-muted hover:text-accent">{item.workflow_id}</Link>, width: "minmax(120px, 1.2fr)" },
                { key: "attempts", head: "Attempts", wide: true, cell: (item) => (Array.isArray(item.attempts) ? item.attempts.length : item.attempts), width: "72px", end: true },
                { key: "created", head: "Created", cell: (item) => <Ago at={item.created} className="text-muted" />, width: "76px", end: true },
              ]}
              foot={answer.hasNextPage && <Sentinel key={rows.length} onSeen={more} />}
            />
          )
        }
      </Loaded>
      <Sheet open={open !== null} onClose={() => go({ open: undefined })} title="Delivery">
        {open && <Detail id={open} targets={targets} />}
      </Sheet>
    </>
  );
}

function Detail({ id, targets }: { id: string; targets: Map<string, string> }) {
  const may = useCan("operator");
  const client = useQueryClient();
  const query = useQuery({ queryKey: ["deliveries", id], queryFn: ({ signal }) => get<Delivery>(`deliveries/${part(id)}`, undefined, signal), refetchInterval: (query) => (query.state.data?.status === "pending" ? 2000 : false) });
  const act = useMutation({
    mutationFn: () => post(`deliveries/${part(id)}/resend`),
    onSuccess: () => {
      showToast("Queued for resending");
      void client.invalidateQueries({ queryKey: ["deliveries"] });
    },
    onError: (error) => showError(error),
  });
  return (
    <Loaded query={query}>
      {(item) => (
        <div className="flex min-h-0 flex-1 flex-col">
          <div className="flex h-12 shrink-0 items-center gap-2 border-b pr-12 pl-4">
            <h2 className="truncate font-semibold">{item.event ? (eventLabels[item.event] ?? item.event) : kindLabels[item.kind]}</h2>
            <Pill tone={tones[item.status]}>{statusLabels[item.status]}</Pill>
          </div>
          <div className="flex min-h-0 flex-1 flex-col gap-4 overflow-y-auto p-4">
            <dl className="grid grid-cols-[88px_minmax(0,1fr)] gap-y-1.5">
              <dt className="text-faint">To</dt>
              <dd className="break-words">{targets.get(item.target) ?? item.target}</dd>
              {item.workflow_id && (
                <>
                  <dt className="text-faint">Run</dt>
                  <dd className="truncate">
                    <Link to="/runs/$id" params={{ id: item.workflow_id }} className="font-mono text-xs text-accent hover:underline">
                      {item.workflow_id}
                    </Link>
                  </dd>
                </>
              )}
              <dt className="text-faint">Created</dt>
              <dd>
                <Ago at={item.created} />
              </dd>
              {item.next_at && (
                <>
                  <dt className="text-faint">Next attempt</dt>
                  <dd>
                    <Ago at={item.next_at} />
                  </dd>
                </>
              )}
            </dl>
            <section>
              <h3 className="mb-1.5 text-xs font-medium text-muted">Attempts</h3>
              {Array.isArray(item.attempts) && item.attempts.length > 0 ? (
                <ol className="divide-y rounded-md hairline">
                  {item.attempts.map((attempt) => (
                    <li key={attempt.number} className="px-3 py-1.5">
                      <div className="flex gap-3">
                        <span className="w-4 text-muted">{attempt.number}</span>
                        <Ago at={attempt.at} className="text-muted" />
                        <span className="flex-1" />
                        {attempt.status_code !== null && <span className={attempt.status_code < 300 ? "text-ok" : "text-bad"}>{attempt.status_code}</span>}
                        <span className="text-muted">{seconds(attempt.duration)}</span>
                      </div>
                      {attempt.error && <div className="pl-7 text-xs break-words text-bad">{attempt.error}</div>}
                    </li>
                  ))}
                </ol>
              ) : (
                <Notice>{item.kind === "alert" && item.status === "pending" && item.next_at && Date.parse(item.next_at) > Date.now() + 60_000 ? "Held until the channel's quiet hours end." : "No attempts yet."}</Notice>
              )}
            </section>
            {item.payload !== undefined && item.payload !== null && <JsonView label="Payload" value={item.payload} />}
          </div>
          {may && item.status !== "pending" && (
            <div className="shrink-0 border-t px-4 py-3">
              <Button icon={<RotateCcw />} busy={act.isPending} onClick={() => act.mutate()}>
                Resend
              </Button>
            </div>
          )}
        </div>
      )}
    </Loaded>
  );
}
