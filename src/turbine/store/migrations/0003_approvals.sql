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
    before_color text
);

create unique index pt_approvals_once on pt_approvals (run, position);

create index pt_approvals_open on pt_approvals (run) where status = 'open';

create index pt_approvals_by_status on pt_approvals (status, approval);

create index pt_approvals_workflow on pt_approvals (workflow_id, approval);
