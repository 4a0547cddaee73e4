/** Webhooks: where machines hear of what happens. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Dices, Plus, Send, Trash2, Webhook as WebhookIcon } from "lucide-react";
import { useState } from "react";
import { get, part, patch, post, remove } from "@/api/client";
import { useCan } from "@/api/session";
import type { Page, Webhook } from "@/api/types";
import { EventChips, EventList } from "@/components/event-chips";
import { Answer, Empty } from "@/components/states";
import { Table } from "@/components/table";
import { complain, problemText, say } from "@/components/toast";
import { Ago, Button, Copyable, Dialog, Field, IconButton, Input, Notice, Switch } from "@/components/ui";
import { PageHead } from "@/shell/frame";
import { useTitle } from "@/shell/title";
import { webhookText } from "@/text";

export function WebhooksPage() {
  useTitle(webhookText.title);
  const isAdmin = useCan("admin");
  const client = useQueryClient();
  const [open, setOpen] = useState<Webhook | "new" | null>(null);
  const query = useQuery({ queryKey: ["webhooks"], queryFn: ({ signal }) => get<Page<Webhook>>("webhooks", { limit: 500 }, signal) });
  const enable = useMutation({
    mutationFn: ({ hook, on }: { hook: Webhook; on: boolean }) => patch(`webhooks/${part(hook.id)}`, { enabled: on }),
    onSuccess: () => void client.invalidateQueries({ queryKey: ["webhooks"] }),
    onError: (error) => complain(error),
  });
  const test = useMutation({
    mutationFn: (hook: Webhook) => post(`webhooks/${part(hook.id)}/test`),
    onSuccess: (_, hook) => say(webhookText.tested, hook.url),
    onError: (error) => complain(error, webhookText.testFailed),
  });
  const add = (
    <Button tone="primary" icon={<Plus />} onClick={() => setOpen("new")}>
      {webhookText.add}
    </Button>
  );
  return (
    <>
      <PageHead title={webhookText.title} note={<Link to="/deliveries" search={{ kind: "webhook" }} className="hover:text-text hover:underline">{webhookText.toDeliveries}</Link>}>
        {isAdmin && add}
      </PageHead>
      <Answer query={query}>
        {(page) =>
          page.items.length === 0 ? (
            <Empty icon={<WebhookIcon />} title={webhookText.none} action={isAdmin && add}>
              {webhookText.noneNote}
            </Empty>
          ) : (
            <Table
              label={webhookText.title}
              rows={page.items}
              id={(hook) => hook.id}
              rowHeight={44}
              onOpen={isAdmin ? setOpen : undefined}
              columns={[
                { key: "url", head: webhookText.url, cell: (hook) => (isAdmin ? <button type="button" className="max-w-full truncate font-medium hover:underline" onClick={() => setOpen(hook)}>{hook.url}</button> : hook.url), width: "minmax(160px, 1.6fr)" },
                { key: "events", head: webhookText.events, wide: true, cell: (hook) => <EventList events={hook.events} />, width: "minmax(180px, 1.4fr)" },
                { key: "secret", head: webhookText.secret, wide: true, cell: (hook) => <span className={hook.secret_set ? "text-muted" : "text-warn"}>{hook.secret_set ? webhookText.secretSet : webhookText.noSecret}</span>, width: "80px" },
                { key: "created", head: webhookText.created, wide: true, cell: (hook) => <Ago at={hook.created} className="text-muted" />, width: "80px" },
                {
                  key: "test",
                  head: <span className="sr-only">{webhookText.test}</span>,
                  cell: (hook) =>
                    isAdmin && (
                      <Button size="sm" icon={<Send />} busy={test.isPending && test.variables.id === hook.id} onClick={() => test.mutate(hook)}>
                        {webhookText.test}
                      </Button>
                    ),
                  width: "72px",
                },
                { key: "on", head: webhookText.on, cell: (hook) => <span className="inline-flex align-middle"><Switch label={webhookText.enable(hook.url)} checked={hook.enabled} disabled={!isAdmin} onCheckedChange={(on) => enable.mutate({ hook, on })} /></span>, width: "36px" },
              ]}
            />
          )
        }
      </Answer>
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
  const [sure, setSure] = useState(false);
  const finish = (words: string) => {
    say(words, url);
    void client.invalidateQueries({ queryKey: ["webhooks"] });
    onClose();
  };
  const save = useMutation({
    mutationFn: () => {
      const body = { url, events, enabled, ...(secret && { secret }) };
      return hook ? patch(`webhooks/${part(hook.id)}`, body) : post("webhooks", body);
    },
    onSuccess: () => finish(webhookText.saved),
  });
  const drop = useMutation({ mutationFn: () => remove(`webhooks/${part(hook!.id)}`), onSuccess: () => finish(webhookText.deleted) });
  const isUrl = /^https?:\/\/[^\s/]+/.test(url);
  const error = save.error ?? drop.error;
  return (
    <Dialog
      open
      onClose={onClose}
      title={hook ? webhookText.edit : webhookText.add}
      foot={
        <>
          {hook && (
            <IconButton label={sure ? webhookText.reallyDelete : webhookText.delete} tone="danger" className="mr-auto" busy={drop.isPending} onClick={() => (sure ? drop.mutate() : setSure(true))}>
              <Trash2 />
            </IconButton>
          )}
          {sure && <span className="mr-auto text-bad">{webhookText.reallyDelete}</span>}
          <Button onClick={onClose}>{webhookText.cancel}</Button>
          <Button tone="primary" busy={save.isPending} disabled={!isUrl || events.length === 0} onClick={() => save.mutate()}>
            {webhookText.save}
          </Button>
        </>
      }
    >
      <Field label={webhookText.url} hint={webhookText.urlHint} error={url.length > 8 && !isUrl ? webhookText.badUrl : undefined} required>
        {(wires) => <Input {...wires} type="url" value={url} onChange={(event) => setUrl(event.target.value)} />}
      </Field>
      <div className="flex flex-col gap-1.5">
        <span className="text-xs font-medium text-muted">{webhookText.events}</span>
        <EventChips value={events} onChange={setEvents} />
        {events.length === 0 && <span className="text-xs text-bad">{webhookText.needEvent}</span>}
      </div>
      <Field label={webhookText.secret} hint={hook?.secret_set ? webhookText.keepSecret : webhookText.secretHint}>
        {(wires) => (
          <span className="flex gap-2">
            <Input {...wires} autoComplete="off" value={secret} placeholder={hook?.secret_set ? "••••••••" : ""} onChange={(event) => setSecret(event.target.value)} className="font-mono !text-xs" />
            <IconButton label={webhookText.newSecret} tone="plain" onClick={() => setSecret(freshSecret())}>
              <Dices />
            </IconButton>
            {secret && <Copyable text={secret} label={webhookText.copySecret} className="px-1" />}
          </span>
        )}
      </Field>
      <details className="rounded-md px-3 py-2 hairline">
        <summary className="text-muted">{webhookText.verify}</summary>
        <pre className="mt-2 overflow-x-auto font-mono text-2xs leading-4">{webhookText.verifyCode}</pre>
      </details>
      <div className="flex items-center justify-between">
        {webhookText.onField}
        <Switch label={webhookText.onField} checked={enabled} onCheckedChange={setEnabled} />
      </div>
      {error && <Notice tone="bad">{problemText(error)}</Notice>}
    </Dialog>
  );
}
