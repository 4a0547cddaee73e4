-- Approvals, their assignees and their links.

-- Approvals that runs wait for: one row for each position, decided at most once. status is open, approved, rejected,
-- expired or cancelled. assignees is a JSON array of e-mail addresses, null when any approver may decide.
-- before_label and before_color are the app status to restore afterwards.
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
    assignees text,
    status text not null,
    due_ms bigint,
    created_ms bigint not null,
    decided_ms bigint,
    decided_by text,
    comment text not null default '',
    data text,
    before_label text,
    before_color text
);

create unique index pt_approvals_once on pt_approvals (run, position);

create index pt_approvals_open on pt_approvals (run) where status = 'open';

create index pt_approvals_by_status on pt_approvals (status, approval);

create index pt_approvals_workflow on pt_approvals (workflow_id, approval);

create index pt_approvals_unassigned on pt_approvals (approval) where assignees is null and status <> 'open';

-- Links by which a person without an account decides one approval, once.
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

-- The assignees of approvals, one row each, for their inboxes.
create table pt_approval_assignees (
    email text not null,
    approval bigint not null,
    primary key (email, approval)
)@clustered;

create index pt_approval_assignees_approval on pt_approval_assignees (approval);
