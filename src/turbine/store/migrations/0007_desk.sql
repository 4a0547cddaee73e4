-- What people at the dashboard work with: failures by their kind, what keys held before, links for one decision.

-- A run that ended in an error, and which kind of failure that was. It leaves when the run is taken up again.
create table pt_failures (
    run bigint primary key,
    fingerprint text not null
)@clustered;

create index pt_failures_group on pt_failures (fingerprint, run);

-- A kind of failure: where, in which step, of which type. state is open, resolved or ignored; a resolved one that is
-- seen again is open, and state_by still tells who had resolved it.
create table pt_failure_groups (
    fingerprint text primary key,
    workflow text not null,
    step text,
    type text not null,
    message text not null,
    place text,
    first_ms bigint not null,
    last_ms bigint not null,
    state text not null,
    state_by text,
    state_ms bigint
);

create index pt_failure_groups_last on pt_failure_groups (last_ms, fingerprint);

create index pt_failure_groups_state on pt_failure_groups (state, last_ms, fingerprint);

-- What a key held, each value with who wrote it; the newest row is the value of now. value is null where the key was
-- deleted.
create table pt_kv_history (
    entry @key,
    key text not null,
    value text,
    actor text,
    at_ms bigint not null
);

create index pt_kv_history_key on pt_kv_history (key, entry);

create index pt_kv_history_deleted on pt_kv_history (at_ms) where value is null;

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

-- Who made a link is looked up by name.
create index pt_tokens_name on pt_tokens (name);

create index pt_approval_links_approval on pt_approval_links (approval_id);

-- Whose decision a gate waits for: a JSON array of e-mail addresses, null when it is anybody's. The same once more as
-- rows, for the inbox of each of them.
alter table pt_approvals add column assignees text;

create index pt_approvals_unassigned on pt_approvals (approval) where assignees is null and status <> 'open';

create table pt_approval_assignees (
    email text not null,
    approval bigint not null,
    primary key (email, approval)
)@clustered;

create index pt_approval_assignees_gate on pt_approval_assignees (approval);

-- What is announced of a gate names them too.
alter table pt_deliveries add column assignees text;

-- When a channel is not to be disturbed (JSON), and of which workflows it hears (a JSON array of names, in which `*` is
-- anything); null: never, and of all.
alter table pt_alert_channels add column quiet text;

alter table pt_alert_channels add column workflows text;

-- How long runs are kept once they are over: those of a workflow, of a status, or of both; an empty text stands for
-- any. keep_ms is null where they are kept for ever. What no row speaks of the settings of the runtime decide.
create table pt_retention (
    workflow text not null,
    status text not null,
    keep_ms bigint,
    updated_ms bigint not null,
    primary key (workflow, status)
)@clustered;

-- How large the database was in an hour, and how much of that was free for what comes next.
create table pt_sizes (
    at_ms bigint primary key,
    bytes bigint not null,
    free_bytes bigint not null
);

-- Which process an executor was, for each launch; steps and their attempts name the one that recorded them.
create table pt_lives (
    life @key,
    executor_id text not null,
    hostname text not null,
    process_id bigint not null,
    application_version text not null,
    started_ms bigint not null
);

alter table pt_operation_outputs add column life bigint;

alter table pt_step_attempts add column life bigint;
