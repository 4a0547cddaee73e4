/** Alert channels: where people hear of what happens. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Bell, Moon, Plus, Send, Trash2 } from "lucide-react";
import { useState } from "react";
import { get, part, patch, post, remove } from "@/api/client";
import { useCan } from "@/api/session";
import type { AlertChannel, Page, QuietHours, Registered } from "@/api/types";
import { EventChips, EventList } from "@/components/event-chips";
import { Pick } from "@/components/pick";
import { freshQuiet, hoursOf, QuietFields, quietFault } from "@/components/quiet-fields";
import { Answer, Empty } from "@/components/states";
import { Table } from "@/components/table";
import { complain, problemText, say } from "@/components/toast";
import { Ago, Button, Dialog, Field, IconButton, Input, Notice, Select, Switch } from "@/components/ui";
import { usePhone } from "@/lib/media";
import { absolute, clock, short, useNow } from "@/lib/time";
import { PageHead } from "@/shell/frame";
import { useTitle } from "@/shell/title";
import { channelText } from "@/text";
import { buildUrl, services } from "./services";

export function NotificationsPage() {
  useTitle(channelText.title);
  const isAdmin = useCan("admin");
  const isPhone = usePhone();
  const client = useQueryClient();
  const [open, setOpen] = useState<AlertChannel | "new" | null>(null);
  const query = useQuery({ queryKey: ["alert-channels"], queryFn: ({ signal }) => get<Page<AlertChannel>>("alert-channels", { limit: 500 }, signal) });
  const enable = useMutation({
    mutationFn: ({ channel, on }: { channel: AlertChannel; on: boolean }) => patch(`alert-channels/${part(channel.id)}`, { enabled: on }),
    onSuccess: () => void client.invalidateQueries({ queryKey: ["alert-channels"] }),
    onError: (error) => complain(error),
  });
  const test = useMutation({
    mutationFn: (channel: AlertChannel) => post(`alert-channels/${part(channel.id)}/test`),
    onSuccess: (_, channel) => say(channelText.tested, channel.name),
    onError: (error) => complain(error, channelText.testFailed),
  });
  const add = (
    <Button tone="primary" icon={<Plus />} onClick={() => setOpen("new")}>
      {channelText.add}
    </Button>
  );
  return (
    <>
      <PageHead title={channelText.title} note={<Link to="/deliveries" search={{ kind: "alert" }} className="hover:text-text hover:underline">{channelText.toDeliveries}</Link>}>
        {isAdmin && add}
      </PageHead>
      <Answer query={query}>
        {(page) =>
          page.items.length === 0 ? (
            <Empty icon={<Bell />} title={channelText.none} action={isAdmin && add}>
              {channelText.noneNote}
            </Empty>
          ) : (
            <Table
              label={channelText.title}
              rows={page.items}
              id={(channel) => channel.id}
              rowHeight={44}
              onOpen={isAdmin ? setOpen : undefined}
              columns={[
                { key: "name", head: channelText.name, cell: (channel) => (
                    <div className="min-w-0">
                      {isAdmin ? <button type="button" className="block max-w-full truncate font-medium hover:underline" onClick={() => setOpen(channel)}>{channel.name}</button> : <span className="block truncate font-medium">{channel.name}</span>}
                      {isPhone && channel.quiet_until && <div className="text-xs text-muted"><Hours channel={channel} /></div>}
                    </div>
                  ), width: "minmax(100px, 1fr)" },
                { key: "service", head: channelText.service, cell: (channel) => <span className="text-muted">{channel.url.split(":")[0]}</span>, width: "90px" },
                { key: "events", head: channelText.events, wide: true, cell: (channel) => <EventList events={channel.events} />, width: "minmax(200px, 2fr)" },
                { key: "workflows", head: channelText.workflows, wide: true, cell: (channel) => <span title={channel.workflows.join(", ")} className={channel.workflows.length > 0 ? "block truncate" : "text-faint"}>{channel.workflows.join(", ") || channelText.allWorkflows}</span>, width: "minmax(80px, 1fr)" },
                { key: "quiet", head: channelText.hours, wide: true, cell: (channel) => <Hours channel={channel} />, width: "150px" },
                { key: "created", head: channelText.created, wide: true, cell: (channel) => <Ago at={channel.created} className="text-muted" />, width: "80px" },
                {
                  key: "test",
                  head: <span className="sr-only">{channelText.test}</span>,
                  cell: (channel) =>
                    isAdmin && (
                      <Button size="sm" icon={<Send />} busy={test.isPending && test.variables.id === channel.id} onClick={() => test.mutate(channel)}>
                        {channelText.test}
                      </Button>
                    ),
                  width: "72px",
                },
                { key: "on", head: channelText.on, cell: (channel) => <span className="inline-flex align-middle"><Switch label={channelText.enable(channel.name)} checked={channel.enabled} disabled={!isAdmin} onCheckedChange={(on) => enable.mutate({ channel, on })} /></span>, width: "36px" },
              ]}
            />
          )
        }
      </Answer>
      {open && <Edit channel={open === "new" ? null : open} onClose={() => setOpen(null)} />}
    </>
  );
}

/** Until when a channel is quiet now, else when it will be. */
function Hours({ channel }: { channel: AlertChannel }) {
  const now = useNow();
  if (!channel.quiet) return <span className="text-faint">{channelText.noHours}</span>;
  const hours = hoursOf(channel.quiet);
  const until = channel.quiet_until ? Date.parse(channel.quiet_until) : 0;
  if (until <= now) return <span title={`${hours} ${channel.quiet.timezone}`} className="block truncate text-muted">{hours}</span>;
  return (
    <span title={`${hours} ${channel.quiet.timezone} · ${absolute(until)}`} className="inline-flex items-center gap-1.5 whitespace-nowrap">
      <Moon className="size-3.5 text-accent" />
      {channelText.quietUntil(until - now < 86_400_000 ? clock(until).slice(0, 5) : short(until))}
    </span>
  );
}

function Edit({ channel, onClose }: { channel: AlertChannel | null; onClose: () => void }) {
  const client = useQueryClient();
  const [name, setName] = useState(channel?.name ?? "");
  const [service, setService] = useState(channel ? "url" : "slack");
  const [parts, setParts] = useState<Record<string, string>>({});
  const [url, setUrl] = useState("");
  const [events, setEvents] = useState(channel?.events ?? ["workflow.ERROR"]);
  const [enabled, setEnabled] = useState(channel?.enabled ?? true);
  const [workflows, setWorkflows] = useState(channel?.workflows ?? []);
  const [quiet, setQuiet] = useState<QuietHours | null>(channel?.quiet ?? null);
  const [sure, setSure] = useState(false);
  const registered = useQuery({ queryKey: ["registered"], queryFn: ({ signal }) => get<Page<Registered>>("registered", { limit: 500 }, signal) }).data?.items ?? [];
  const fault = quiet && quietFault(quiet);
  const chosen = services.find((one) => one.key === service);
  const built = chosen ? buildUrl(chosen, parts) : url.trim();
  const finish = (words: string) => {
    say(words, name);
    void client.invalidateQueries({ queryKey: ["alert-channels"] });
    onClose();
  };
  const save = useMutation({
    mutationFn: () => (channel ? patch(`alert-channels/${part(channel.id)}`, { name, events, enabled, workflows, quiet, ...(built && { url: built }) }) : post("alert-channels", { name, url: built, events, enabled, workflows, quiet })),
    onSuccess: () => finish(channelText.saved),
  });
  const drop = useMutation({ mutationFn: () => remove(`alert-channels/${part(channel!.id)}`), onSuccess: () => finish(channelText.deleted) });
  const error = save.error ?? drop.error;
  return (
    <Dialog
      open
      onClose={onClose}
      title={channel ? channel.name : channelText.add}
      foot={
        <>
          {channel && (
            <IconButton label={sure ? channelText.reallyDelete : channelText.delete} tone="danger" className="mr-auto" busy={drop.isPending} onClick={() => (sure ? drop.mutate() : setSure(true))}>
              <Trash2 />
            </IconButton>
          )}
          {sure && <span className="mr-auto text-bad">{channelText.reallyDelete}</span>}
          <Button onClick={onClose}>{channelText.cancel}</Button>
          <Button tone="primary" busy={save.isPending} disabled={!name || (!channel && !built) || Boolean(fault)} onClick={() => save.mutate()}>
            {channelText.save}
          </Button>
        </>
      }
    >
      <Field label={channelText.name} hint={channelText.nameHint} required>{(wires) => <Input {...wires} value={name} onChange={(event) => setName(event.target.value)} />}</Field>
      <Field label={channelText.service}>
        {(wires) => (
          <Select {...wires} value={service} onChange={(event) => { setService(event.target.value); setParts({}); }}>
            {services.map((one) => (
              <option key={one.key} value={one.key}>
                {one.name}
              </option>
            ))}
            <option value="url">{channelText.otherUrl}</option>
          </Select>
        )}
      </Field>
      {chosen ? (
        <>
          <div className="grid grid-cols-2 gap-3 max-md:grid-cols-1">
            {chosen.parts.map((one) => (
              <Field key={one.key} label={one.label} required={!one.optional}>
                {(wires) => <Input {...wires} type={one.secret ? "password" : "text"} autoComplete="off" placeholder={one.example} value={parts[one.key] ?? ""} onChange={(event) => setParts({ ...parts, [one.key]: event.target.value })} />}
              </Field>
            ))}
          </div>
          {built && <code className="block truncate rounded-md bg-sunken px-2.5 py-1.5 font-mono text-xs text-muted hairline">{buildUrl(chosen, parts, true)}</code>}
        </>
      ) : (
        <Field label={channelText.url} hint={channel ? channelText.keepUrl : channelText.urlHint} required={!channel}>
          {(wires) => <Input {...wires} value={url} autoComplete="off" placeholder={channel?.url ?? "service://…"} onChange={(event) => setUrl(event.target.value)} className="font-mono !text-xs" />}
        </Field>
      )}
      <div className="flex flex-col gap-1.5">
        <span className="text-xs font-medium text-muted">{channelText.events}</span>
        <EventChips value={events} onChange={setEvents} />
        <span className="text-xs text-faint">{channelText.eventsHint}</span>
      </div>
      <div className="flex flex-col items-start gap-1.5">
        <span className="text-xs font-medium text-muted">{channelText.onlyOf}</span>
        <Pick free label={channelText.workflows} value={workflows} onChange={setWorkflows} choices={registered.map((one) => ({ value: one.name }))} />
        <span className="text-xs break-words text-faint">{workflows.length > 1 ? workflows.join(", ") : channelText.onlyOfHint}</span>
      </div>
      <div className="flex flex-col gap-3 border-t pt-3">
        <div className="flex items-start justify-between gap-4">
          <div>
            {channelText.hours}
            <div className="text-xs text-faint">{channelText.hoursHint}</div>
          </div>
          <Switch label={channelText.hours} checked={quiet !== null} onCheckedChange={(on) => setQuiet(on ? (channel?.quiet ?? freshQuiet()) : null)} />
        </div>
        {quiet && <QuietFields quiet={quiet} onChange={setQuiet} fault={fault} />}
      </div>
      <div className="flex items-center justify-between border-t pt-3">
        {channelText.onField}
        <Switch label={channelText.onField} checked={enabled} onCheckedChange={setEnabled} />
      </div>
      {error && <Notice tone="bad">{problemText(error)}</Notice>}
    </Dialog>
  );
}
