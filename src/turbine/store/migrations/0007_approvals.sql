-- Approvals, their assignees and their links.

-- Whose decision a gate waits for: a JSON array of e-mail addresses, null when it is anybody's. The same once more as
-- rows, for the inbox of each of them.
-- Gates at which runs wait for a person: one row for each position, decided at most once.
-- status is open, approved, rejected, expired or cancelled. before_* is the app status to put back afterwards.
create table pt_approvals (
    approval @key,
    id text not null unique,
    run bigint not null,
    workflow_id text not null,
    name text not null,
    position text not null,
    function_id bigint not null,
    title text,
    details text,
    form text,
    status text not null,
    due_ms bigint,
    created_ms bigint not null,
    decided_ms bigint,
    decided_by text,
    comment text not null default '',
    data text,
    before_label text,
    before_color text,
    assignees text
);

create unique index pt_approvals_once on pt_approvals (run, position);

create index pt_approvals_open on pt_approvals (run) where status = 'open';

create index pt_approvals_by_status on pt_approvals (status, approval);

create index pt_approvals_workflow on pt_approvals (workflow_id, approval);

-- Links by which somebody without an account decides one gate, once.
create table pt_approval_links (
    token_hash text primary key,
    approval_id text not null,
    made_by text not null,
    created_ms bigint not null,
    expires_ms bigint not null,
    used_ms bigint
);

create index pt_approval_links_expired on pt_approval_links (expires_ms);

create index pt_approval_links_approval on pt_approval_links (approval_id);

create index pt_approvals_unassigned on pt_approvals (approval) where assignees is null and status <> 'open';

create table pt_approval_assignees (
    email text not null,
    approval bigint not null,
    primary key (email, approval)
)@clustered;

create index pt_approval_assignees_gate on pt_approval_assignees (approval);
