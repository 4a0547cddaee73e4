/** Settings: configuration, storage, accounts, tokens. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { LogOut, Plus, Trash2 } from "lucide-react";
import { useState } from "react";
import { address, get, part, patch, post, remove } from "@/api/client";
import { useCan, useSession } from "@/api/session";
import type { Account, AccountSession, NewToken, Page, Role, Token } from "@/api/types";
import { Empty, Loaded } from "@/components/states";
import { Table } from "@/components/table";
import { problemText, showError, showToast } from "@/components/toast";
import { Ago, Button, Copyable, Dialog, Field, IconButton, Input, Notice, Segments, Select, Switch, Tabs } from "@/components/ui";
import { day } from "@/lib/time";
import { PageHead } from "@/shell/frame";
import { useTitle } from "@/shell/title";
import { settingsQuery, Storage } from "./storage";

const roleLabels = { viewer: "Viewer", approver: "Approver", operator: "Operator", admin: "Admin" };
const roleNotes = {
  viewer: "Can see everything except secrets.",
  approver: "Can also decide approvals that are assigned to them or unassigned.",
  operator: "Can also manage runs, approvals, queues, schedules, values and products.",
  admin: "Can also manage accounts, tokens, webhooks and notifications.",
};
const lifetimeLabel = (days: number) => (days === 365 ? "In 1 year" : `In ${days} days`);

const roles: Role[] = ["viewer", "approver", "operator", "admin"];

export function SettingsPage() {
  useTitle("Settings");
  const search = useSearch({ strict: false });
  const navigate = useNavigate();
  const isAdmin = useCan("admin");
  const session = useSession();
  const tab = typeof search.tab === "string" ? search.tab : "general";
  return (
    <>
      <PageHead title="Settings" />
      <Tabs
        label="Settings"
        value={tab}
        onChange={(key) => void navigate({ to: "/settings", search: { tab: key === "general" ? undefined : key } })}
        tabs={[
          { key: "general", label: "General" },
          { key: "storage", label: "Storage" },
          ...(isAdmin
            ? [
                { key: "accounts", label: "Accounts" },
                { key: "tokens", label: "API tokens" },
                ...(session?.auth === "accounts" ? [{ key: "sessions", label: "Sessions" }] : []),
              ]
            : []),
        ]}
      />
      <div className="flex min-h-0 flex-1 flex-col overflow-y-auto" tabIndex={0} role="tabpanel" aria-label="Settings">
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
    <Loaded query={query}>
      {(settings) => (
        <div className="max-w-3xl p-4">
          <h2 className="mb-2 font-semibold">Versions</h2>
          <Facts facts={settings.versions} />
          <p className="mt-2 flex gap-4">
            <Link to="/api" className="text-accent hover:underline">
              API reference
            </Link>
            <a href={address("openapi.json")} target="_blank" rel="noreferrer" className="text-accent hover:underline">
              OpenAPI document
            </a>
          </p>
          <h2 className="mt-6 font-semibold">Configuration</h2>
          <p className="mb-2 text-faint">Set in code when the runtime is created, or with environment variables.</p>
          <Facts facts={settings.config} env />
        </div>
      )}
    </Loaded>
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
  return <Segments label={id ?? "Role"} value={value} onChange={onChange} options={roles.map((key) => ({ key, label: roleLabels[key] }))} />;
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
      showToast("Saved", account.email);
      setResetting(null);
      void client.invalidateQueries({ queryKey: ["accounts"] });
    },
    onError: (error) => showError(error),
  });
  const drop = useMutation({
    mutationFn: (account: Account) => remove(`accounts/${part(account.id)}`),
    onSuccess: () => {
      setDropping(null);
      void client.invalidateQueries({ queryKey: ["accounts"] });
    },
    onError: (error) => showError(error),
  });
  return (
    <>
      <div className="flex items-center justify-between px-4 py-3">
        <p className="text-muted">People who can sign in, and their roles.</p>
        <Button tone="primary" icon={<Plus />} onClick={() => setAdding(true)}>
          Add account
        </Button>
      </div>
      <Loaded query={query}>
        {(page) => (
          <Table
            inline
            label="Accounts"
            rows={page.items}
            id={(account) => account.id}
            rowHeight={44}
            columns={[
              { key: "email", head: "E-mail", cell: (account) => <span className={account.enabled ? "font-medium" : "text-faint line-through"}>{account.email}{account.email === me && <span className="ml-2 font-normal text-faint">you</span>}</span>, width: "minmax(140px, 1.4fr)" },
              {
                key: "role",
                head: "Role",
                cell: (account) => (
                  <Select aria-label={`Role of ${account.email}`} value={account.role} disabled={account.email === me} onChange={(event) => change.mutate({ account, body: { role: event.target.value as Role } })}>
                    {roles.map((role) => (
                      <option key={role} value={role}>
                        {roleLabels[role]}
                      </option>
                    ))}
                  </Select>
                ),
                width: "130px",
              },
              { key: "login", head: "Last sign-in", wide: true, cell: (account) => (account.last_login ? <Ago at={account.last_login} className="text-muted" /> : <span className="text-faint">never</span>), width: "100px" },
              { key: "created", head: "Created", wide: true, cell: (account) => <Ago at={account.created} className="text-muted" />, width: "80px" },
              {
                key: "act",
                head: "Enabled",
                cell: (account) => (
                  <span className="flex items-center justify-end gap-1">
                    <Button size="sm" tone="ghost" className="max-md:hidden" onClick={() => setResetting(account)}>
                      Set password
                    </Button>
                    <Switch label={`Allow ${account.email} to sign in`} checked={account.enabled} disabled={account.email === me} onCheckedChange={(enabled) => change.mutate({ account, body: { enabled } })} />
                    <IconButton label={`Delete ${account.email}`} size="sm" disabled={account.email === me} onClick={() => setDropping(account)}>
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
      </Loaded>
      {adding && <AddAccount onClose={() => setAdding(false)} />}
      {resetting && <SetPassword account={resetting} busy={change.isPending} onClose={() => setResetting(null)} onSave={(password) => change.mutate({ account: resetting, body: { password } })} />}
      <Dialog
        open={dropping !== null}
        onClose={() => setDropping(null)}
        title={`Delete ${dropping?.email ?? ""}?`}
        note="Their sessions end immediately. Their name stays in the audit log."
        foot={
          <>
            <Button onClick={() => setDropping(null)}>Cancel</Button>
            <Button tone="danger" busy={drop.isPending} onClick={() => dropping && drop.mutate(dropping)}>
              Delete
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
      title={`New password for ${account.email}`}
      foot={
        <Button tone="primary" busy={busy} disabled={password.length < 8} onClick={() => onSave(password)}>
          Set password
        </Button>
      }
    >
      <Field label="Password" hint="At least 8 characters.">
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
      showToast("Account added", email);
      void client.invalidateQueries({ queryKey: ["accounts"] });
      onClose();
    },
  });
  return (
    <Dialog
      open
      onClose={onClose}
      title="Add account"
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button tone="primary" busy={act.isPending} disabled={!/.+@.+/.test(email) || password.length < 8} onClick={() => act.mutate()}>
            Create
          </Button>
        </>
      }
    >
      <Field label="E-mail" required>{(wires) => <Input {...wires} type="email" autoFocus value={email} onChange={(event) => setEmail(event.target.value)} />}</Field>
      <Field label="Password" hint="At least 8 characters." required>
        {(wires) => <Input {...wires} type="password" autoComplete="new-password" value={password} onChange={(event) => setPassword(event.target.value)} />}
      </Field>
      <div className="flex flex-col items-start gap-1">
        <span className="text-xs font-medium text-muted">Role</span>
        <RoleSelect value={role} onChange={setRole} />
        <span className="text-xs text-faint">{roleNotes[role]}</span>
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
      showToast("Token revoked", token.name);
      void client.invalidateQueries({ queryKey: ["tokens"] });
    },
    onError: (error) => showError(error),
  });
  return (
    <>
      <div className="flex items-center justify-between px-4 py-3">
        <p className="text-muted">Access keys for programs and the command line.</p>
        <Button tone="primary" icon={<Plus />} onClick={() => setAdding(true)}>
          Create token
        </Button>
      </div>
      <Loaded query={query}>
        {(page) =>
          page.items.length === 0 ? (
            <Empty title="No tokens">A token gives a program access to the API with its own role.</Empty>
          ) : (
            <Table
              inline
              label="API tokens"
              rows={page.items}
              id={(token) => token.id}
              columns={[
                { key: "name", head: "Name", cell: (token) => <span className="font-medium">{token.name}</span>, width: "minmax(120px, 1fr)" },
                { key: "role", head: "Role", cell: (token) => roleLabels[token.role], width: "90px" },
                { key: "expires", head: "Expires", cell: (token) => (token.expires ? <Ago at={token.expires} className="text-muted" /> : <span className="text-faint">never</span>), width: "90px" },
                { key: "created", head: "Created", wide: true, cell: (token) => <Ago at={token.created} className="text-muted" />, width: "90px" },
                { key: "drop", head: <span className="sr-only">Revoke</span>, cell: (token) => <Button size="sm" tone="danger" busy={drop.isPending && drop.variables.id === token.id} onClick={() => drop.mutate(token)}>Revoke</Button>, width: "80px", end: true },
              ]}
            />
          )
        }
      </Loaded>
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
    mutationFn: () => post<NewToken>("tokens", { name, role, expires: days ? new Date(Date.now() + Number(days) * day).toISOString() : null }),
    onSuccess: () => void client.invalidateQueries({ queryKey: ["tokens"] }),
  });
  return (
    <Dialog
      open
      onClose={onClose}
      title="Create token"
      foot={
        act.data ? (
          <Button tone="primary" onClick={onClose}>
            Done
          </Button>
        ) : (
          <>
            <Button onClick={onClose}>Cancel</Button>
            <Button tone="primary" busy={act.isPending} disabled={!name} onClick={() => act.mutate()}>
              Create
            </Button>
          </>
        )
      }
    >
      {act.data ? (
        <>
          <Notice tone="ok">Copy the token now. It is not shown again.</Notice>
          <Copyable text={act.data.token} label="Copy token" className="rounded-md bg-sunken px-3 py-2 font-mono text-xs hairline">
            {act.data.token}
          </Copyable>
        </>
      ) : (
        <>
          <Field label="Name" hint="Shown in the audit log." required>{(wires) => <Input {...wires} autoFocus value={name} onChange={(event) => setName(event.target.value)} />}</Field>
          <div className="flex flex-col items-start gap-1">
            <span className="text-xs font-medium text-muted">Role</span>
            <RoleSelect value={role} onChange={setRole} />
            <span className="text-xs text-faint">{roleNotes[role]}</span>
          </div>
          <Field label="Expires">
            {(wires) => (
              <Select {...wires} value={days} onChange={(event) => setDays(event.target.value)}>
                {["7", "30", "90", "365", ""].map((item) => (
                  <option key={item} value={item}>
                    {item ? lifetimeLabel(Number(item)) : "never"}
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
  const query = useQuery({ queryKey: ["sessions"], queryFn: ({ signal }) => get<Page<AccountSession>>("sessions", { limit: 200 }, signal) });
  const drop = useMutation({
    mutationFn: (row: AccountSession) => remove(`sessions/${part(row.id)}`),
    onSuccess: () => void client.invalidateQueries({ queryKey: ["sessions"] }),
    onError: (error) => showError(error),
  });
  return (
    <>
      <p className="px-4 py-3 text-muted">Signed-in browsers.</p>
      <Loaded query={query}>
        {(page) => (
          <Table
            inline
            label="Sessions"
            rows={page.items}
            id={(row) => row.id}
            columns={[
              { key: "email", head: "E-mail", cell: (row) => <span className="font-medium">{row.email}</span>, width: "minmax(120px, 1fr)" },
              { key: "agent", head: "Browser", wide: true, cell: (row) => <span className="text-muted" title={row.agent ?? ""}>{row.agent}</span>, width: "minmax(120px, 2fr)" },
              { key: "address", head: "IP address", wide: true, cell: (row) => <span className="text-muted">{row.address}</span>, width: "120px" },
              { key: "seen", head: "Last seen", cell: (row) => <Ago at={row.seen} className="text-muted" />, width: "80px" },
              { key: "drop", head: <span className="sr-only">Sign out this browser</span>, cell: (row) => <IconButton size="sm" label="Sign out this browser" onClick={() => drop.mutate(row)}><LogOut /></IconButton>, width: "32px" },
            ]}
          />
        )}
      </Loaded>
    </>
  );
}
