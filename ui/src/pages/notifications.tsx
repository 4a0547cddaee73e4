/** Alert channels: notifications for people. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Bell, Moon, Plus, Send, Trash2 } from "lucide-react";
import { useState } from "react";
import { get, part, patch, post, remove } from "@/api/client";
import { useCan } from "@/api/session";
import type { AlertChannel, Page, QuietHours, Registered } from "@/api/types";
import { EventChips, EventList } from "@/components/event-chips";
import { MultiSelect } from "@/components/multi-select";
import { hoursOf, newQuietHours, quietHoursError, QuietHoursFields } from "@/components/quiet-hours";
import { Empty, Loaded } from "@/components/states";
import { Table } from "@/components/table";
import { problemText, showError, showToast } from "@/components/toast";
import { Ago, Button, Dialog, Field, IconButton, Input, Notice, Select, Switch } from "@/components/ui";
import { usePhone } from "@/lib/media-query";
import { absolute, clock, short, useNow } from "@/lib/time";
import { PageHead } from "@/shell/frame";
import { useTitle } from "@/shell/title";
import { buildUrl, services } from "./services";

export function NotificationsPage() {
  useTitle("Notifications");
  const isAdmin = useCan("admin");
  const isPhone = usePhone();
  const client = useQueryClient();
  const [open, setOpen] = useState<AlertChannel | "new" | null>(null);
  const query = useQuery({ queryKey: ["alert-channels"], queryFn: ({ signal }) => get<Page<AlertChannel>>("alert-channels", { limit: 500 }, signal) });
  const enable = useMutation({
    mutationFn: ({ channel, on }: { channel: AlertChannel; on: boolean }) => patch(`alert-channels/${part(channel.id)}`, { enabled: on }),
    onSuccess: () => void client.invalidateQueries({ queryKey: ["alert-channels"] }),
    onError: (error) => showError(error),
  });
  const test = useMutation({
    mutationFn: (channel: AlertChannel) => post(`alert-channels/${part(channel.id)}/test`),
    onSuccess: (_, channel) => showToast("Test message delivered", channel.name),
    onError: (error) => showError(error, "Test message failed"),
  });
  const add = (
    <Button tone="primary" icon={<Plus />} onClick={() => setOpen("new")}>
      Add channel
    </Button>
  );
  return (
    <>
      <PageHead title="Notifications" note={<Link to="/deliveries" search={{ kind: "alert" }} className="hover:text-text hover:underline">Deliveries</Link>}>
        {isAdmin && add}
      </PageHead>
      <Loaded query={query}>
        {(page) =>
          page.items.length === 0 ? (
            <Empty icon={<Bell />} title="No channels yet" action={isAdmin && add}>
              A channel notifies people by chat, e-mail or phone when runs fail or need approval.
            </Empty>
          ) : (
            <Table
              label="Notifications"
              rows={page.items}
              id={(channel) => channel.id}
              rowHeight={44}
              onOpen={isAdmin ? setOpen : undefined}
              columns={[
                { key: "name", head: "Name", cell: (channel) => (
                    <div className="min-w-0">
                      {isAdmin ? <button type="button" className="block max-w-full truncate font-medium hover:underline" onClick={() => setOpen(channel)}>{channel.name}</button> : <span className="block truncate font-medium">{channel.name}</span>}
                      {isPhone && channel.quiet_until && <div className="text-xs text-muted"><Hours channel={channel} /></div>}
                    </div>
                  ), width: "minmax(100px, 1fr)" },
                { key: "service", head: "Service", cell: (channel) => <span className="text-muted">{channel.url.split(":")[0]}</span>, width: "90px" },
                { key: "events", head: "Events", wide: true, cell: (channel) => <EventList events={channel.events} />, width: "minmax(200px, 2fr)" },
                { key: "workflows", head: "Workflows", wide: true, cell: (channel) => <span title={channel.workflows.join(", ")} className={channel.workflows.length > 0 ? "block truncate" : "text-faint"}>{channel.workflows.join(", ") || "all"}</span>, width: "minmax(80px, 1fr)" },
                { key: "quiet", head: "Quiet hours", wide: true, cell: (channel) => <Hours channel={channel} />, width: "150px" },
                { key: "created", head: "Created", wide: true, cell: (channel) => <Ago at={channel.created} className="text-muted" />, width: "80px" },
                {
                  key: "test",
                  head: <span className="sr-only">Test</span>,
                  cell: (channel) =>
                    isAdmin && (
                      <Button size="sm" icon={<Send />} busy={test.isPending && test.variables.id === channel.id} onClick={() => test.mutate(channel)}>
                        Test
                      </Button>
                    ),
                  width: "72px",
                },
                { key: "on", head: "On", cell: (channel) => <span className="inline-flex align-middle"><Switch label={`Turn ${channel.name} on or off`} checked={channel.enabled} disabled={!isAdmin} onCheckedChange={(on) => enable.mutate({ channel, on })} /></span>, width: "36px" },
              ]}
            />
          )
        }
      </Loaded>
      {open && <Edit channel={open === "new" ? null : open} onClose={() => setOpen(null)} />}
    </>
  );
}

/** The end of the current quiet hours, or else the configured hours. */
function Hours({ channel }: { channel: AlertChannel }) {
  const now = useNow();
  if (!channel.quiet) return <span className="text-faint">none</span>;
  const hours = hoursOf(channel.quiet);
  const until = channel.quiet_until ? Date.parse(channel.quiet_until) : 0;
  if (until <= now) return <span title={`${hours} ${channel.quiet.timezone}`} className="block truncate text-muted">{hours}</span>;
  return (
    <span title={`${hours} ${channel.quiet.timezone} · ${absolute(until)}`} className="inline-flex items-center gap-1.5 whitespace-nowrap">
      <Moon className="size-3.5 text-accent" />
      quiet until {(until - now < 86_400_000 ? clock(until).slice(0, 5) : short(until))}
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
  const [confirming, setConfirming] = useState(false);
  const registered = useQuery({ queryKey: ["registered"], queryFn: ({ signal }) => get<Page<Registered>>("registered", { limit: 500 }, signal) }).data?.items ?? [];
  const quietError = quiet && quietHoursError(quiet);
  const chosen = services.find((item) => item.key === service);
  const built = chosen ? buildUrl(chosen, parts) : url.trim();
  const finish = (words: string) => {
    showToast(words, name);
    void client.invalidateQueries({ queryKey: ["alert-channels"] });
    onClose();
  };
  const save = useMutation({
    mutationFn: () => (channel ? patch(`alert-channels/${part(channel.id)}`, { name, events, enabled, workflows, quiet, ...(built && { url: built }) }) : post("alert-channels", { name, url: built, events, enabled, workflows, quiet })),
    onSuccess: () => finish("Channel saved"),
  });
  const drop = useMutation({ mutationFn: () => remove(`alert-channels/${part(channel!.id)}`), onSuccess: () => finish("Channel deleted") });
  const error = save.error ?? drop.error;
  return (
    <Dialog
      open
      onClose={onClose}
      title={channel ? channel.name : "Add channel"}
      foot={
        <>
          {channel && (
            <IconButton label={confirming ? "Confirm delete" : "Delete channel"} tone="danger" className="mr-auto" busy={drop.isPending} onClick={() => (confirming ? drop.mutate() : setConfirming(true))}>
              <Trash2 />
            </IconButton>
          )}
          {confirming && <span className="mr-auto text-bad">Confirm delete</span>}
          <Button onClick={onClose}>Cancel</Button>
          <Button tone="primary" busy={save.isPending} disabled={!name || (!channel && !built) || Boolean(quietError)} onClick={() => save.mutate()}>
            Save
          </Button>
        </>
      }
    >
      <Field label="Name" hint="Used in code: send_notification(name, …)" required>{(wires) => <Input {...wires} value={name} onChange={(event) => setName(event.target.value)} />}</Field>
      <Field label="Service">
        {(wires) => (
          <Select {...wires} value={service} onChange={(event) => { setService(event.target.value); setParts({}); }}>
            {services.map((service) => (
              <option key={service.key} value={service.key}>
                {service.name}
              </option>
            ))}
            <option value="url">Other URL</option>
          </Select>
        )}
      </Field>
      {chosen ? (
        <>
          <div className="grid grid-cols-2 gap-3 max-md:grid-cols-1">
            {chosen.parts.map((part) => (
              <Field key={part.key} label={part.label} required={!part.optional}>
                {(wires) => <Input {...wires} type={part.secret ? "password" : "text"} autoComplete="off" placeholder={part.example} value={parts[part.key] ?? ""} onChange={(event) => setParts({ ...parts, [part.key]: event.target.value })} />}
              </Field>
            ))}
          </div>
          {built && <code className="block truncate rounded-md bg-sunken px-2.5 py-1.5 font-mono text-xs text-muted hairline">{buildUrl(chosen, parts, true)}</code>}
        </>
      ) : (
        <Field label="URL" hint={channel ? "Leave empty to keep the current URL." : "An Apprise URL."} required={!channel}>
          {(wires) => <Input {...wires} value={url} autoComplete="off" placeholder={channel?.url ?? "service://…"} onChange={(event) => setUrl(event.target.value)} className="font-mono !text-xs" />}
        </Field>
      )}
      <div className="flex flex-col gap-1.5">
        <span className="text-xs font-medium text-muted">Events</span>
        <EventChips value={events} onChange={setEvents} />
        <span className="text-xs text-faint">Select none to send only messages addressed to this channel in code.</span>
      </div>
      <div className="flex flex-col items-start gap-1.5">
        <span className="text-xs font-medium text-muted">Only for workflows</span>
        <MultiSelect free label="Workflows" value={workflows} onChange={setWorkflows} choices={registered.map((item) => ({ value: item.name }))} />
        <span className="text-xs break-words text-faint">{workflows.length > 1 ? workflows.join(", ") : "Leave empty for all. Type a name; * matches anything."}</span>
      </div>
      <div className="flex flex-col gap-3 border-t pt-3">
        <div className="flex items-start justify-between gap-4">
          <div>
            Quiet hours
            <div className="text-xs text-faint">Alerts are held until quiet hours end. Test messages and messages sent by code are not held.</div>
          </div>
          <Switch label="Quiet hours" checked={quiet !== null} onCheckedChange={(on) => setQuiet(on ? (channel?.quiet ?? newQuietHours()) : null)} />
        </div>
        {quiet && <QuietHoursFields quiet={quiet} onChange={setQuiet} error={quietError} />}
      </div>
      <div className="flex items-center justify-between border-t pt-3">
        Enabled
        <Switch label="Enabled" checked={enabled} onCheckedChange={setEnabled} />
      </div>
      {error && <Notice tone="bad">{problemText(error)}</Notice>}
    </Dialog>
  );
}
