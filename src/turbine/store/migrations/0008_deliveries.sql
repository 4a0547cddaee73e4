-- Webhooks, alert channels, and what is delivered to them.

-- Signed URLs for machines. events is a JSON array of names; the secret is never read out again.
create table pt_webhooks (
    webhook @key,
    id text not null unique,
    url text not null,
    events text not null,
    enabled bigint not null,
    secret text,
    secret_before text,
    secret_before_until_ms bigint,
    created_ms bigint not null,
    updated_ms bigint not null
);

-- When a channel is not to be disturbed (JSON), and of which workflows it hears (a JSON array of names, in which `*` is
-- anything); null: never, and of all.
-- Notification URLs for people (Apprise).
create table pt_alert_channels (
    channel @key,
    id text not null unique,
    name text not null unique,
    url text not null,
    events text not null,
    enabled bigint not null,
    created_ms bigint not null,
    updated_ms bigint not null,
    quiet text,
    workflows text
);

-- What is announced of a gate names them too.
-- The outbox: one row for each target of each announcement, written in the transaction of what it announces.
-- It carries what it announces, so that it can be delivered after its run is gone. kind is webhook, alert or product.
-- target is the id of the webhook, the channel or the product. executor_id is the courier that makes an attempt right
-- now; only pending ones are held.
-- attempts_before counts those that were made before it was last sent again; they are kept and count no more.
create table pt_deliveries (
    delivery @key,
    id text not null unique,
    kind text not null,
    target text not null,
    event text,
    run bigint,
    workflow_id text,
    name text,
    run_status text,
    output text,
    error text,
    message text,
    status text not null,
    attempts bigint not null default 0,
    attempts_before bigint not null default 0,
    executor_id text,
    next_ms bigint,
    created_ms bigint not null,
    updated_ms bigint not null,
    assignees text
);

create index pt_deliveries_due on pt_deliveries (kind, next_ms, delivery) where status = 'pending' and executor_id is null;

create index pt_deliveries_held on pt_deliveries (executor_id) where executor_id is not null;

create index pt_deliveries_by_status on pt_deliveries (status, delivery);

create index pt_deliveries_by_kind on pt_deliveries (kind, delivery);

create index pt_deliveries_target on pt_deliveries (target, delivery);

create index pt_deliveries_event on pt_deliveries (event, delivery) where event is not null;

create index pt_deliveries_run on pt_deliveries (run) where run is not null;

create index pt_deliveries_workflow on pt_deliveries (workflow_id, delivery) where workflow_id is not null;

create index pt_deliveries_over on pt_deliveries (updated_ms) where status <> 'pending';

create table pt_delivery_attempts (
    delivery bigint not null,
    number bigint not null,
    at_ms bigint not null,
    duration_ms bigint not null,
    status_code bigint,
    error text,
    primary key (delivery, number)
)@clustered;
