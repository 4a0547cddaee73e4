/** Accounts, tokens, and how this runtime is set. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { LogOut, Plus, Trash2 } from "lucide-react";
import { useState } from "react";
import { address, get, part, patch, post, remove } from "@/api/client";
import { useCan, useSession } from "@/api/session";
import type { Account, Page, Role, Token } from "@/api/types";
import { Answer, Empty } from "@/components/states";
import { Table } from "@/components/table";
import { complain, problemText, say } from "@/components/toast";
import { Ago, Button, Copyable, Dialog, Field, IconButton, Input, Notice, Segments, Select, Switch, Tabs } from "@/components/ui";
import { day } from "@/lib/time";
import { PageHead } from "@/shell/frame";
import { useTitle } from "@/shell/title";
import { settingsText } from "@/text";
import { settingsQuery, Storage } from "./storage";

const roles: Role[] = ["viewer", "approver", "operator", "admin"];

interface SessionRow {
  id: string;
  email: string;
  address: string | null;
  agent: string | null;
  created: string;
  seen: string;
}

export function SettingsPage() {
  useTitle(settingsText.title);
  const search = useSearch({ strict: false });
  const navigate = useNavigate();
  const isAdmin = useCan("admin");
  const session = useSession();
  const tab = typeof search.tab === "string" ? search.tab : "general";
  return (
    <>
      <PageHead title={settingsText.title} />
      <Tabs
        label={settingsText.title}
        value={tab}
        onChange={(key) => void navigate({ to: "/settings", search: { tab: key === "general" ? undefined : key } })}
        tabs={[
          { key: "general", label: settingsText.general },
          { key: "storage", label: settingsText.storage },
          ...(isAdmin
            ? [
                { key: "accounts", label: settingsText.accounts },
                { key: "tokens", label: settingsText.tokens },
                ...(session?.auth === "accounts" ? [{ key: "sessions", label: settingsText.sessions }] : []),
              ]
            : []),
        ]}
      />
      <div className="flex min-h-0 flex-1 flex-col overflow-y-auto" tabIndex={0} role="tabpanel" aria-label={settingsText.title}>
        {tab === "general" && <General />}
        {tab === "storage" && <Storage />}
        {tab === "accounts" && isAdmin && <Accounts />}
        {tab === "tokens" && isAdmin && <Tokens />}
        {tab === "sessions" && isAdmin && <Sessions />}
      </div>
    </>
  );
}

function General() {
  const query = useQuery(settingsQuery);
  return (
    <Answer query={query}>
      {(settings) => (
        <div className="max-w-3xl p-4">
          <h2 className="mb-2 font-semibold">{settingsText.versions}</h2>
          <Facts facts={settings.versions} />
          <p className="mt-2 flex gap-4">
            <Link to="/api" className="text-accent hover:underline">
              {settingsText.apiDocs}
            </Link>
            <a href={address("openapi.json")} target="_blank" rel="noreferrer" className="text-accent hover:underline">
              {settingsText.openApi}
            </a>
          </p>
          <h2 className="mt-6 font-semibold">{settingsText.config}</h2>
          <p className="mb-2 text-faint">{settingsText.configNote}</p>
          <Facts facts={settings.config} env />
        </div>
      )}
    </Answer>
  );
}

function Facts({ facts, env }: { facts: Record<string, unknown>; env?: boolean }) {
  return (
    <dl className="rounded-md hairline">
      {Object.entries(facts).map(([name, value]) => (
        <div key={name} className="grid grid-cols-[220px_minmax(0,1fr)] gap-3 border-b px-3 py-1.5 last:border-b-0 max-md:grid-cols-1 max-md:gap-0">
          <dt className="text-muted" title={env ? `TURBINE_${name.toUpperCase()}` : undefined}>
            {name.replaceAll("_", " ")}
          </dt>
          <dd className="break-words">{value === null || value === "" ? <span className="text-faint">–</span> : String(value)}</dd>
        </div>
      ))}
    </dl>
  );
}

function RoleSelect({ value, onChange, id }: { value: Role; onChange: (role: Role) => void; id?: string }) {
  return <Segments label={id ?? settingsText.role} value={value} onChange={onChange} options={roles.map((key) => ({ key, label: settingsText.roles[key] }))} />;
}

function Accounts() {
  const client = useQueryClient();
  const me = useSession()?.email;
  const [adding, setAdding] = useState(false);
  const [dropping, setDropping] = useState<Account | null>(null);
  const [resetting, setResetting] = useState<Account | null>(null);
  const query = useQuery({ queryKey: ["accounts"], queryFn: ({ signal }) => get<Page<Account>>("accounts", { limit: 500 }, signal) });
  const change = useMutation({
    mutationFn: ({ account, body }: { account: Account; body: Partial<{ role: Role; enabled: boolean; password: string }> }) => patch(`accounts/${part(account.id)}`, body),
    onSuccess: (_, { account }) => {
      say(settingsText.saved, account.email);
      setResetting(null);
      void client.invalidateQueries({ queryKey: ["accounts"] });
    },
    onError: (error) => complain(error),
  });
  const drop = useMutation({
    mutationFn: (account: Account) => remove(`accounts/${part(account.id)}`),
    onSuccess: () => {
      setDropping(null);
      void client.invalidateQueries({ queryKey: ["accounts"] });
    },
    onError: (error) => complain(error),
  });
  return (
    <>
      <div className="flex items-center justify-between px-4 py-3">
        <p className="text-muted">{settingsText.accountsNote}</p>
        <Button tone="primary" icon={<Plus />} onClick={() => setAdding(true)}>
          {settingsText.addAccount}
        </Button>
      </div>
      <Answer query={query}>
        {(page) => (
          <Table
            inline
            label={settingsText.accounts}
            rows={page.items}
            id={(account) => account.id}
            rowHeight={44}
            columns={[
              { key: "email", head: settingsText.email, cell: (account) => <span className={account.enabled ? "font-medium" : "text-faint line-through"}>{account.email}{account.email === me && <span className="ml-2 font-normal text-faint">{settingsText.you}</span>}</span>, width: "minmax(140px, 1.4fr)" },
              {
                key: "role",
                head: settingsText.role,
                cell: (account) => (
                  <Select aria-label={settingsText.roleOf(account.email)} value={account.role} disabled={account.email === me} onChange={(event) => change.mutate({ account, body: { role: event.target.value as Role } })}>
                    {roles.map((role) => (
                      <option key={role} value={role}>
                        {settingsText.roles[role]}
                      </option>
                    ))}
                  </Select>
                ),
                width: "130px",
              },
              { key: "login", head: settingsText.lastLogin, wide: true, cell: (account) => (account.last_login ? <Ago at={account.last_login} className="text-muted" /> : <span className="text-faint">{settingsText.never}</span>), width: "100px" },
              { key: "created", head: settingsText.created, wide: true, cell: (account) => <Ago at={account.created} className="text-muted" />, width: "80px" },
              {
                key: "act",
                head: settingsText.enabled,
                cell: (account) => (
                  <span className="flex items-center justify-end gap-1">
                    <Button size="sm" tone="ghost" className="max-md:hidden" onClick={() => setResetting(account)}>
                      {settingsText.setPassword}
                    </Button>
                    <Switch label={settingsText.enableAccount(account.email)} checked={account.enabled} disabled={account.email === me} onCheckedChange={(enabled) => change.mutate({ account, body: { enabled } })} />
                    <IconButton label={settingsText.deleteAccount(account.email)} size="sm" disabled={account.email === me} onClick={() => setDropping(account)}>
                      <Trash2 />
                    </IconButton>
                  </span>
                ),
                width: "minmax(80px, 190px)",
                end: true,
              },
            ]}
          />
        )}
      </Answer>
      {adding && <AddAccount onClose={() => setAdding(false)} />}
      {resetting && <SetPassword account={resetting} busy={change.isPending} onClose={() => setResetting(null)} onSave={(password) => change.mutate({ account: resetting, body: { password } })} />}
      <Dialog
        open={dropping !== null}
        onClose={() => setDropping(null)}
        title={settingsText.deleteTitle(dropping?.email ?? "")}
        note={settingsText.deleteNote}
        foot={
          <>
            <Button onClick={() => setDropping(null)}>{settingsText.cancel}</Button>
            <Button tone="danger" busy={drop.isPending} onClick={() => dropping && drop.mutate(dropping)}>
              {settingsText.delete}
            </Button>
          </>
        }
      />
    </>
  );
}

function SetPassword({ account, busy, onClose, onSave }: { account: Account; busy: boolean; onClose: () => void; onSave: (password: string) => void }) {
  const [password, setPassword] = useState("");
  return (
    <Dialog
      open
      onClose={onClose}
      title={settingsText.setPasswordTitle(account.email)}
      foot={
        <Button tone="primary" busy={busy} disabled={password.length < 8} onClick={() => onSave(password)}>
          {settingsText.setPassword}
        </Button>
      }
    >
      <Field label={settingsText.password} hint={settingsText.passwordHint}>
        {(wires) => <Input {...wires} type="password" autoComplete="new-password" value={password} onChange={(event) => setPassword(event.target.value)} />}
      </Field>
    </Dialog>
  );
}

function AddAccount({ onClose }: { onClose: () => void }) {
  const client = useQueryClient();
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [role, setRole] = useState<Role>("operator");
  const act = useMutation({
    mutationFn: () => post("accounts", { email, password, role }),
    onSuccess: () => {
      say(settingsText.added, email);
      void client.invalidateQueries({ queryKey: ["accounts"] });
      onClose();
    },
  });
  return (
    <Dialog
      open
      onClose={onClose}
      title={settingsText.addAccount}
      foot={
        <>
          <Button onClick={onClose}>{settingsText.cancel}</Button>
          <Button tone="primary" busy={act.isPending} disabled={!/.+@.+/.test(email) || password.length < 8} onClick={() => act.mutate()}>
            {settingsText.add}
          </Button>
        </>
      }
    >
      <Field label={settingsText.email} required>{(wires) => <Input {...wires} type="email" autoFocus value={email} onChange={(event) => setEmail(event.target.value)} />}</Field>
      <Field label={settingsText.password} hint={settingsText.passwordHint} required>
        {(wires) => <Input {...wires} type="password" autoComplete="new-password" value={password} onChange={(event) => setPassword(event.target.value)} />}
      </Field>
      <div className="flex flex-col items-start gap-1">
        <span className="text-xs font-medium text-muted">{settingsText.role}</span>
        <RoleSelect value={role} onChange={setRole} />
        <span className="text-xs text-faint">{settingsText.roleNotes[role]}</span>
      </div>
      {act.error && <Notice tone="bad">{problemText(act.error)}</Notice>}
    </Dialog>
  );
}

function Tokens() {
  const client = useQueryClient();
  const [adding, setAdding] = useState(false);
  const query = useQuery({ queryKey: ["tokens"], queryFn: ({ signal }) => get<Page<Token>>("tokens", { limit: 500 }, signal) });
  const drop = useMutation({
    mutationFn: (token: Token) => remove(`tokens/${part(token.id)}`),
    onSuccess: (_, token) => {
      say(settingsText.revoked, token.name);
      void client.invalidateQueries({ queryKey: ["tokens"] });
    },
    onError: (error) => complain(error),
  });
  return (
    <>
      <div className="flex items-center justify-between px-4 py-3">
        <p className="text-muted">{settingsText.tokensNote}</p>
        <Button tone="primary" icon={<Plus />} onClick={() => setAdding(true)}>
          {settingsText.addToken}
        </Button>
      </div>
      <Answer query={query}>
        {(page) =>
          page.items.length === 0 ? (
            <Empty title={settingsText.noTokens}>{settingsText.noTokensNote}</Empty>
          ) : (
            <Table
              inline
              label={settingsText.tokens}
              rows={page.items}
              id={(token) => token.id}
              columns={[
                { key: "name", head: settingsText.name, cell: (token) => <span className="font-medium">{token.name}</span>, width: "minmax(120px, 1fr)" },
                { key: "role", head: settingsText.role, cell: (token) => settingsText.roles[token.role], width: "90px" },
                { key: "expires", head: settingsText.expires, cell: (token) => (token.expires ? <Ago at={token.expires} className="text-muted" /> : <span className="text-faint">{settingsText.never}</span>), width: "90px" },
                { key: "created", head: settingsText.created, wide: true, cell: (token) => <Ago at={token.created} className="text-muted" />, width: "90px" },
                { key: "drop", head: <span className="sr-only">{settingsText.revoke}</span>, cell: (token) => <Button size="sm" tone="danger" busy={drop.isPending && drop.variables.id === token.id} onClick={() => drop.mutate(token)}>{settingsText.revoke}</Button>, width: "80px", end: true },
              ]}
            />
          )
        }
      </Answer>
      {adding && <AddToken onClose={() => setAdding(false)} />}
    </>
  );
}

function AddToken({ onClose }: { onClose: () => void }) {
  const client = useQueryClient();
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("operator");
  const [days, setDays] = useState("90");
  const act = useMutation({
    mutationFn: () => post<Token>("tokens", { name, role, expires: days ? new Date(Date.now() + Number(days) * day).toISOString() : null }),
    onSuccess: () => void client.invalidateQueries({ queryKey: ["tokens"] }),
  });
  return (
    <Dialog
      open
      onClose={onClose}
      title={settingsText.addToken}
      foot={
        act.data ? (
          <Button tone="primary" onClick={onClose}>
            {settingsText.done}
          </Button>
        ) : (
          <>
            <Button onClick={onClose}>{settingsText.cancel}</Button>
            <Button tone="primary" busy={act.isPending} disabled={!name} onClick={() => act.mutate()}>
              {settingsText.add}
            </Button>
          </>
        )
      }
    >
      {act.data?.token ? (
        <>
          <Notice tone="ok">{settingsText.tokenOnce}</Notice>
          <Copyable text={act.data.token} label={settingsText.copyToken} className="rounded-md bg-sunken px-3 py-2 font-mono text-xs hairline">
            {act.data.token}
          </Copyable>
        </>
      ) : (
        <>
          <Field label={settingsText.name} hint={settingsText.tokenNameHint} required>{(wires) => <Input {...wires} autoFocus value={name} onChange={(event) => setName(event.target.value)} />}</Field>
          <div className="flex flex-col items-start gap-1">
            <span className="text-xs font-medium text-muted">{settingsText.role}</span>
            <RoleSelect value={role} onChange={setRole} />
            <span className="text-xs text-faint">{settingsText.roleNotes[role]}</span>
          </div>
          <Field label={settingsText.expires}>
            {(wires) => (
              <Select {...wires} value={days} onChange={(event) => setDays(event.target.value)}>
                {["7", "30", "90", "365", ""].map((one) => (
                  <option key={one} value={one}>
                    {one ? settingsText.inDays(Number(one)) : settingsText.never}
                  </option>
                ))}
              </Select>
            )}
          </Field>
          {act.error && <Notice tone="bad">{problemText(act.error)}</Notice>}
        </>
      )}
    </Dialog>
  );
}

function Sessions() {
  const client = useQueryClient();
  const query = useQuery({ queryKey: ["sessions"], queryFn: ({ signal }) => get<Page<SessionRow>>("sessions", { limit: 200 }, signal) });
  const drop = useMutation({
    mutationFn: (row: SessionRow) => remove(`sessions/${part(row.id)}`),
    onSuccess: () => void client.invalidateQueries({ queryKey: ["sessions"] }),
    onError: (error) => complain(error),
  });
  return (
    <>
      <p className="px-4 py-3 text-muted">{settingsText.sessionsNote}</p>
      <Answer query={query}>
        {(page) => (
          <Table
            inline
            label={settingsText.sessions}
            rows={page.items}
            id={(row) => row.id}
            columns={[
              { key: "email", head: settingsText.email, cell: (row) => <span className="font-medium">{row.email}</span>, width: "minmax(120px, 1fr)" },
              { key: "agent", head: settingsText.browser, wide: true, cell: (row) => <span className="text-muted" title={row.agent ?? ""}>{row.agent}</span>, width: "minmax(120px, 2fr)" },
              { key: "address", head: settingsText.address, wide: true, cell: (row) => <span className="text-muted">{row.address}</span>, width: "120px" },
              { key: "seen", head: settingsText.seen, cell: (row) => <Ago at={row.seen} className="text-muted" />, width: "80px" },
              { key: "drop", head: <span className="sr-only">{settingsText.endSession}</span>, cell: (row) => <IconButton size="sm" label={settingsText.endSession} onClick={() => drop.mutate(row)}><LogOut /></IconButton>, width: "32px" },
            ]}
          />
        )}
      </Answer>
    </>
  );
}
