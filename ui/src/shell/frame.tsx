/** The frame of every page: sidebar, palette, shortcuts, toasts, account menu. */

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, Outlet, useNavigate, useRouterState } from "@tanstack/react-router";
import { CircleHelp, Command, LogOut, Menu as MenuIcon, Monitor, Moon, PanelLeft, Plus, Search, Sun, UserRound } from "lucide-react";
import { type ReactNode, useEffect, useState } from "react";
import { get, post } from "@/api/client";
import { queryClient, useCan, useSession } from "@/api/session";
import { closeStream, openStream, streamState, useStreamState } from "@/api/stream";
import type { Approval, Page } from "@/api/types";
import { Logo } from "@/components/logo";
import { showError, showToast } from "@/components/toast";
import { Button, Dialog, Field, IconButton, Input, Kbd, Menu, Sheet, Tip } from "@/components/ui";
import { classes, plural } from "@/lib/format";
import { useStored } from "@/lib/local-storage";
import { usePhone } from "@/lib/media-query";
import { useApprovalNotifications } from "./browser-notifications";
import { navGroups } from "./navigation";
import { Palette } from "./palette";
import { Help } from "./shortcut-help";
import { useKeys } from "./shortcuts";
import { setTheme, useTheme } from "./theme";
import { useTitleCount } from "./title";

const streamTips = {
  connecting: "Connecting to the event stream.",
  live: "Changes appear as they happen.",
  polling: "The event stream is interrupted. Refreshing every 5 seconds instead.",
};
const streamLabels = { connecting: "Connecting", live: "Live", polling: "Polling" };

const approvalsPerRequest = 500;
const approvalsMax = 2000;

/** Open approvals: all, or only those assigned to this account or unassigned. The oldest are on the last page. */
export const openApprovals = (mine: boolean) => ({
  queryKey: ["approvals", "open", mine ? "mine" : "all"],
  queryFn: async ({ signal }: { signal: AbortSignal }): Promise<Page<Approval>> => {
    const items: Approval[] = [];
    let cursor: string | null = null;
    do {
      const page: Page<Approval> = await get<Page<Approval>>("approvals", { open: "true", assignee: mine ? "me" : undefined, limit: approvalsPerRequest, cursor }, signal);
      items.push(...page.items);
      cursor = page.next_cursor;
    } while (cursor !== null && items.length < approvalsMax);
    return { items, next_cursor: cursor };
  },
});

export function Frame() {
  const isPhone = usePhone();
  const [slim, setSlim] = useStored("sidebar.slim", false);
  const [drawer, setDrawer] = useState(false);
  const [palette, setPalette] = useState(false);
  const [help, setHelp] = useState(false);
  const navigate = useNavigate();
  const queries = useQueryClient();
  const path = useRouterState({ select: (state) => state.location.pathname });
  useEffect(() => {
    openStream(queries);
    return closeStream;
  }, [queries]);
  useEffect(() => setDrawer(false), [path]);
  useKeys({
    "mod+k": () => setPalette(true),
    "?": () => setHelp(true),
    c: () => void navigate({ to: "/start" }),
    "[": () => setSlim(!slim),
  });
  const session = useSession();
  // Also while hidden: the title counts approvals, and notifications announce new ones.
  const approvals = useQuery({ ...openApprovals(Boolean(session?.email)), enabled: session !== undefined, refetchIntervalInBackground: true, refetchInterval: () => (streamState() === "live" ? false : document.hidden ? 60_000 : 5000) }).data?.items;
  const waiting = approvals?.length ?? 0;
  useApprovalNotifications(approvals);
  useTitleCount(waiting);
  return (
    <div className="flex h-dvh max-md:flex-col">
      <a href="#main" onClick={(event) => { event.preventDefault(); document.getElementById("main")?.focus(); }} className="sr-only focus:not-sr-only focus:absolute focus:top-2 focus:left-2 focus:z-50 focus:rounded-md focus:bg-bg focus:px-3 focus:py-2 focus:shadow-pop">
        Skip to content
      </a>
      {isPhone ? (
        <header className="flex h-12 shrink-0 items-center gap-1 border-b bg-side px-2">
          <IconButton label="Pages" onClick={() => setDrawer(true)}>
            <MenuIcon />
          </IconButton>
          <Link to="/runs" className="flex flex-1 items-center gap-2 font-semibold">
            <Logo className="size-5" /> Turbine
          </Link>
          {waiting > 0 && (
            <Link to="/approvals" className="flex h-7 items-center gap-1.5 rounded-md bg-warn-soft px-2 text-xs font-medium text-warn">
              {plural(waiting, "approval")}
            </Link>
          )}
          <IconButton label="Search or jump to…" onClick={() => setPalette(true)}>
            <Search />
          </IconButton>
        </header>
      ) : (
        <aside className={classes("flex shrink-0 flex-col border-r bg-side", slim ? "w-[52px]" : "w-[212px]")}>
          <SideBar slim={slim} waiting={waiting} onPalette={() => setPalette(true)} onSlim={() => setSlim(!slim)} onHelp={() => setHelp(true)} />
        </aside>
      )}
      {isPhone && (
        <Sheet open={drawer} onClose={() => setDrawer(false)} title="Pages" side="left" bare>
          <div className="flex h-full flex-col bg-side">
            <SideBar waiting={waiting} onPalette={() => { setDrawer(false); setPalette(true); }} onHelp={() => { setDrawer(false); setHelp(true); }} />
          </div>
        </Sheet>
      )}
      <main id="main" tabIndex={-1} className="flex min-h-0 min-w-0 flex-1 flex-col outline-none">
        <Outlet />
      </main>
      <Palette open={palette} onClose={() => setPalette(false)} onHelp={() => setHelp(true)} />
      <Help open={help} onClose={() => setHelp(false)} />
    </div>
  );
}

function SideBar({ slim, waiting, onPalette, onSlim, onHelp }: { slim?: boolean; waiting: number; onPalette: () => void; onSlim?: () => void; onHelp: () => void }) {
  const session = useSession();
  const isAdmin = useCan("admin");
  const mayStart = useCan("operator");
  const state = useStreamState();
  return (
    <>
      <div className={classes("flex h-12 shrink-0 items-center gap-2", slim ? "justify-center" : "pr-2 pl-4")}>
        {slim ? (
          <IconButton label="Expand sidebar" onClick={onSlim}>
            <Logo className="!size-5 text-accent" />
          </IconButton>
        ) : (
          <>
            <Link to="/runs" className="flex min-w-0 flex-1 items-center gap-2 font-semibold">
              <Logo className="size-5 text-accent" />
              <span className="truncate">{session && session.application_id !== "turbine" ? session.application_id : "Turbine"}</span>
            </Link>
            {onSlim && (
              <IconButton label="Collapse sidebar" size="sm" onClick={onSlim}>
                <PanelLeft />
              </IconButton>
            )}
          </>
        )}
      </div>
      <div className={classes("flex gap-1.5 pb-2", slim ? "flex-col items-center" : "px-2.5")}>
        {slim ? (
          <IconButton label={`Search or jump to… (${commandKey}K)`} onClick={onPalette}>
            <Search />
          </IconButton>
        ) : (
          <button type="button" onClick={onPalette} className="flex h-8 min-w-0 flex-1 items-center gap-2 rounded-md bg-bg px-2 text-faint hairline hover:text-text">
            <Search className="size-4 shrink-0" />
            <span className="flex-1 text-left">Search</span>
            <Kbd>{commandKey}K</Kbd>
          </button>
        )}
        {mayStart && (
          <Tip text="Start a run" side={slim ? "right" : "bottom"}>
            <Link to="/start" aria-label="Start a run" className="flex size-8 shrink-0 items-center justify-center rounded-md bg-accent text-on-accent hover:bg-accent-hover">
              <Plus className="size-4" />
            </Link>
          </Tip>
        )}
      </div>
      <nav aria-label="Pages" className={classes("min-h-0 flex-1 overflow-y-auto pb-2", slim ? "px-2" : "px-2.5")}>
        {navGroups.map((group, index) => (
          <div key={index} className={index > 0 ? "mt-3" : ""}>
            {group.group && (slim ? <div className="mx-2 mb-2 h-px bg-line" /> : <div className="px-2 pb-1 text-2xs font-medium text-faint">{group.group}</div>)}
            {group.items
              .filter((item) => item.role !== "admin" || isAdmin)
              .map((item) => (
                <NavLink key={item.to} to={item.to} label={item.label} slim={slim} icon={<item.icon className="size-4 shrink-0" strokeWidth={1.75} />} badge={item.to === "/approvals" ? waiting : 0} />
              ))}
          </div>
        ))}
      </nav>
      <div className={classes("flex shrink-0 items-center border-t py-2", slim ? "flex-col gap-1" : "gap-1 px-2.5")}>
        {!slim && <StreamDot state={state} />}
        <span className="flex-1" />
        <IconButton label="Keyboard shortcuts" size="sm" onClick={onHelp}>
          <CircleHelp />
        </IconButton>
        <ThemeMenu />
        <AccountMenu />
      </div>
    </>
  );
}

const commandKey = /mac|iphone|ipad/i.test(navigator.platform) ? "⌘" : "Ctrl ";

function NavLink({ to, label, icon, slim, badge }: { to: string; label: string; icon: ReactNode; slim?: boolean; badge: number }) {
  const link = (
    <Link
      to={to}
      aria-label={slim ? label : undefined}
      className={classes("relative flex h-7 items-center gap-2 rounded-md px-2 text-muted hover:bg-hover hover:text-text max-md:h-9", slim && "justify-center")}
      activeProps={{ className: "bg-selected !text-text font-medium [&_svg]:text-accent hover:!bg-selected", "aria-current": "page" }}
    >
      {icon}
      {!slim && <span className="flex-1 truncate">{label}</span>}
      {badge > 0 && (slim ? <span className="absolute top-1 right-1.5 size-1.5 rounded-full bg-warn-fill" /> : <span className="rounded-sm bg-warn-soft px-1.5 text-xs font-medium text-warn">{badge}</span>)}
    </Link>
  );
  return slim ? <Tip text={label} side="right">{link}</Tip> : link;
}

function StreamDot({ state }: { state: "connecting" | "live" | "polling" }) {
  return (
    <Tip text={streamTips[state]} side="top">
      <span tabIndex={0} className="flex items-center gap-1.5 rounded-sm px-2 text-xs text-faint" data-stream={state}>
        <span className={classes("size-1.5 rounded-full", state === "live" ? "bg-ok-fill" : state === "polling" ? "bg-warn-fill" : "bg-idle-fill")} />
        {streamLabels[state]}
      </span>
    </Tip>
  );
}

function ThemeMenu() {
  const theme = useTheme();
  const icon = theme === "light" ? <Sun /> : theme === "dark" ? <Moon /> : <Monitor />;
  return (
    <Menu
      trigger={<Button tone="ghost" size="sm" aria-label="Theme" icon={icon} />}
      items={[
        { label: "System", icon: <Monitor />, onSelect: () => setTheme("system"), note: theme === "system" ? "✓" : undefined },
        { label: "Light", icon: <Sun />, onSelect: () => setTheme("light"), note: theme === "light" ? "✓" : undefined },
        { label: "Dark", icon: <Moon />, onSelect: () => setTheme("dark"), note: theme === "dark" ? "✓" : undefined },
      ]}
    />
  );
}

function AccountMenu() {
  const session = useSession();
  const [changing, setChanging] = useState(false);
  if (!session || session.auth !== "accounts") return null;
  const signOut = async () => {
    try {
      await post("logout");
    } catch (error) {
      showError(error);
      return;
    }
    closeStream();
    queryClient.clear();
    window.location.reload();
  };
  return (
    <>
      <Menu
        trigger={<Button tone="ghost" size="sm" aria-label="Account" icon={<UserRound />} />}
        items={[
          { label: session.email ?? "", note: session.role, disabled: true },
          { label: "Change password", icon: <Command />, onSelect: () => setChanging(true), separated: true },
          { label: "Sign out", icon: <LogOut />, onSelect: () => void signOut() },
        ]}
      />
      <ChangePassword open={changing} onClose={() => setChanging(false)} />
    </>
  );
}

function ChangePassword({ open, onClose }: { open: boolean; onClose: () => void }) {
  const [current, setCurrent] = useState("");
  const [fresh, setFresh] = useState("");
  const [busy, setBusy] = useState(false);
  const save = async () => {
    setBusy(true);
    try {
      await post("password", { current, new: fresh });
      showToast("Password changed");
      setCurrent("");
      setFresh("");
      onClose();
    } catch (error) {
      showError(error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Dialog
      open={open}
      onClose={onClose}
      title="Change password"
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button tone="primary" busy={busy} disabled={!current || fresh.length < 8} onClick={() => void save()}>
            Save
          </Button>
        </>
      }
    >
      <Field label="Current password">{(wires) => <Input {...wires} type="password" autoComplete="current-password" value={current} onChange={(event) => setCurrent(event.target.value)} />}</Field>
      <Field label="New password" hint="At least 8 characters.">
        {(wires) => <Input {...wires} type="password" autoComplete="new-password" value={fresh} onChange={(event) => setFresh(event.target.value)} />}
      </Field>
    </Dialog>
  );
}

/** Page header with title and actions. */
export function PageHead({ title, note, children }: { title: ReactNode; note?: ReactNode; children?: ReactNode }) {
  return (
    <div className="flex min-h-[49px] shrink-0 flex-wrap items-center gap-x-3 gap-y-2 border-b px-4 py-2">
      <h1 className="max-w-full min-w-0 text-base font-semibold [overflow-wrap:anywhere]">{title}</h1>
      {note && <div className="min-w-0 truncate text-muted">{note}</div>}
      <div className="flex-1" />
      {children}
    </div>
  );
}

