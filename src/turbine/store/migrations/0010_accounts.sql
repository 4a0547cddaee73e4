-- Accounts, sessions, tokens and the audit log.

create table pt_accounts (
    account @key,
    id text not null unique,
    email text not null unique,
    password text not null,
    role text not null,
    enabled bigint not null,
    created_ms bigint not null,
    updated_ms bigint not null,
    last_login_ms bigint
);

create table pt_sessions (
    session @key,
    id text not null unique,
    account bigint not null,
    token_hash text not null unique,
    address text,
    agent text,
    created_ms bigint not null,
    seen_ms bigint not null,
    expires_ms bigint not null
);

create index pt_sessions_account on pt_sessions (account);

create index pt_sessions_expired on pt_sessions (expires_ms);

create table pt_tokens (
    token @key,
    id text not null unique,
    name text not null,
    role text not null,
    token_hash text not null unique,
    created_ms bigint not null,
    expires_ms bigint
);

-- Approval links are checked by the name of the token that made them.
create index pt_tokens_name on pt_tokens (name);

-- Links for creating the first account. A link is valid only while the executor that printed it lives.
create table pt_setup_links (
    token_hash text primary key,
    executor_id text not null,
    expires_ms bigint not null
);

-- Failed sign-ins, by address and by account, so that a restart does not reset the limit.
create table pt_login_attempts (
    attempt @key,
    kind text not null,
    subject text not null,
    at_ms bigint not null
);

create index pt_login_attempts_subject on pt_login_attempts (kind, subject, at_ms);

create index pt_login_attempts_age on pt_login_attempts (at_ms);

-- Every change over HTTP or the command line, written in the transaction of the change.
create table pt_audit (
    audit @key,
    at_ms bigint not null,
    actor text not null,
    role text not null,
    action text not null,
    target text not null,
    workflow_id text,
    detail text
);

create index pt_audit_at on pt_audit (at_ms);

create index pt_audit_actor on pt_audit (actor, audit);

create index pt_audit_action on pt_audit (action, audit);

create index pt_audit_target on pt_audit (target, audit);

create index pt_audit_workflow on pt_audit (workflow_id, audit) where workflow_id is not null;
