/** Webhooks: signed requests to other services. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Dices, Plus, Send, Trash2, Webhook as WebhookIcon } from "lucide-react";
import { useState } from "react";
import { get, part, patch, post, remove } from "@/api/client";
import { useCan } from "@/api/session";
import type { Page, Webhook } from "@/api/types";
import { EventChips, EventList } from "@/components/event-chips";
import { Empty, Loaded } from "@/components/states";
import { Table } from "@/components/table";
import { problemText, showError, showToast } from "@/components/toast";
import { Ago, Button, Copyable, Dialog, Field, IconButton, Input, Notice, Switch } from "@/components/ui";
import { PageHead } from "@/shell/frame";
import { useTitle } from "@/shell/title";

const verifyCode = `import hashlib, hmac

def is_genuine(body: bytes, header: str, secret: str) -> bool:
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, header)   # X-Turbine-Signature`;

export function WebhooksPage() {
  useTitle("Webhooks");
  const isAdmin = useCan("admin");
  const client = useQueryClient();
  const [open, setOpen] = useState<Webhook | "new" | null>(null);
  const query = useQuery({ queryKey: ["webhooks"], queryFn: ({ signal }) => get<Page<Webhook>>("webhooks", { limit: 500 }, signal) });
  const enable = useMutation({
    mutationFn: ({ hook, on }: { hook: Webhook; on: boolean }) => patch(`webhooks/${part(hook.id)}`, { enabled: on }),
    onSuccess: () => void client.invalidateQueries({ queryKey: ["webhooks"] }),
    onError: (error) => showError(error),
  });
  const test = useMutation({
    mutationFn: (hook: Webhook) => post(`webhooks/${part(hook.id)}/test`),
    onSuccess: (_, hook) => showToast("Test request delivered", hook.url),
    onError: (error) => showError(error, "Test request failed"),
  });
  const add = (
    <Button tone="primary" icon={<Plus />} onClick={() => setOpen("new")}>
      Add webhook
    </Button>
  );
  return (
    <>
      <PageHead title="Webhooks" note={<Link to="/deliveries" search={{ kind: "webhook" }} className="hover:text-text hover:underline">Deliveries</Link>}>
        {isAdmin && add}
      </PageHead>
      <Loaded query={query}>
        {(page) =>
          page.items.length === 0 ? (
            <Empty icon={<WebhookIcon />} title="No webhooks yet" action={isAdmin && add}>
              A webhook sends a signed request to another service when a run changes.
            </Empty>
          ) : (
            <Table
              label="Webhooks"
              rows={page.items}
              id={(hook) => hook.id}
              rowHeight={44}
              onOpen={isAdmin ? setOpen : undefined}
              columns={[
                { key: "url", head: "URL", cell: (hook) => (isAdmin ? <button type="button" className="max-w-full truncate font-medium hover:underline" onClick={() => setOpen(hook)}>{hook.url}</button> : hook.url), width: "minmax(160px, 1.6fr)" },
                { key: "events", head: "Events", wide: true, cell: (hook) => <EventList events={hook.events} />, width: "minmax(180px, 1.4fr)" },
                { key: "secret", head: "Secret", wide: true, cell: (hook) => <span className={hook.secret_set ? "text-muted" : "text-warn"}>{hook.secret_set ? "set" : "none"}</span>, width: "80px" },
                { key: "created", head: "Created", wide: true, cell: (hook) => <Ago at={hook.created} className="text-muted" />, width: "80px" },
                {
                  key: "test",
                  head: <span className="sr-only">Test</span>,
                  cell: (hook) =>
                    isAdmin && (
                      <Button size="sm" icon={<Send />} busy={test.isPending && test.variables.id === hook.id} onClick={() => test.mutate(hook)}>
                        Test
                      </Button>
                    ),
                  width: "72px",
                },
                { key: "on", head: "On", cell: (hook) => <span className="inline-flex align-middle"><Switch label={`Turn ${hook.url} on or off`} checked={hook.enabled} disabled={!isAdmin} onCheckedChange={(on) => enable.mutate({ hook, on })} /></span>, width: "36px" },
              ]}
            />
          )
        }
      </Loaded>
      {open && <Edit hook={open === "new" ? null : open} onClose={() => setOpen(null)} />}
    </>
  );
}

function freshSecret(): string {
  return `whsec_${btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(32))))}`;
}

function Edit({ hook, onClose }: { hook: Webhook | null; onClose: () => void }) {
  const client = useQueryClient();
  const [url, setUrl] = useState(hook?.url ?? "https://");
  const [events, setEvents] = useState(hook?.events ?? ["workflow.*"]);
  const [secret, setSecret] = useState(() => (hook ? "" : freshSecret()));
  const [enabled, setEnabled] = useState(hook?.enabled ?? true);
  const [confirming, setConfirming] = useState(false);
  const finish = (words: string) => {
    showToast(words, url);
    void client.invalidateQueries({ queryKey: ["webhooks"] });
    onClose();
  };
  const save = useMutation({
    mutationFn: () => {
      const body = { url, events, enabled, ...(secret && { secret }) };
      return hook ? patch(`webhooks/${part(hook.id)}`, body) : post("webhooks", body);
    },
    onSuccess: () => finish("Webhook saved"),
  });
  const drop = useMutation({ mutationFn: () => remove(`webhooks/${part(hook!.id)}`), onSuccess: () => finish("Webhook deleted") });
  const isUrl = /^https?:\/\/[^\s/]+/.test(url);
  const error = save.error ?? drop.error;
  return (
    <Dialog
      open
      onClose={onClose}
      title={hook ? "Edit webhook" : "Add webhook"}
      foot={
        <>
          {hook && (
            <IconButton label={confirming ? "Confirm delete" : "Delete webhook"} tone="danger" className="mr-auto" busy={drop.isPending} onClick={() => (confirming ? drop.mutate() : setConfirming(true))}>
              <Trash2 />
            </IconButton>
          )}
          {confirming && <span className="mr-auto text-bad">Confirm delete</span>}
          <Button onClick={onClose}>Cancel</Button>
          <Button tone="primary" busy={save.isPending} disabled={!isUrl || events.length === 0} onClick={() => save.mutate()}>
            Save
          </Button>
        </>
      }
    >
      <Field label="URL" hint="Private addresses are rejected unless the server allows them." error={url.length > 8 && !isUrl ? "Must start with https:// or http://" : undefined} required>
        {(wires) => <Input {...wires} type="url" value={url} onChange={(event) => setUrl(event.target.value)} />}
      </Field>
      <div className="flex flex-col gap-1.5">
        <span className="text-xs font-medium text-muted">Events</span>
        <EventChips value={events} onChange={setEvents} />
        {events.length === 0 && <span className="text-xs text-bad">Select at least one event.</span>}
      </div>
      <Field label="Secret" hint={hook?.secret_set ? "Leave empty to keep the current secret." : "Signs each request. Copy it now; it is not shown again."}>
        {(wires) => (
          <span className="flex gap-2">
            <Input {...wires} autoComplete="off" value={secret} placeholder={hook?.secret_set ? "••••••••" : ""} onChange={(event) => setSecret(event.target.value)} className="font-mono !text-xs" />
            <IconButton label="Generate secret" tone="plain" onClick={() => setSecret(freshSecret())}>
              <Dices />
            </IconButton>
            {secret && <Copyable text={secret} label="Copy secret" className="px-1" />}
          </span>
        )}
      </Field>
      <details className="rounded-md px-3 py-2 hairline">
        <summary className="text-muted">How to verify the signature</summary>
        <pre className="mt-2 overflow-x-auto font-mono text-2xs leading-4">{verifyCode}</pre>
      </details>
      <div className="flex items-center justify-between">
        Enabled
        <Switch label="Enabled" checked={enabled} onCheckedChange={setEnabled} />
      </div>
      {error && <Notice tone="bad">{problemText(error)}</Notice>}
    </Dialog>
  );
}
