-- Webhooks, alert channels, and the deliveries to them.

-- URLs of programs, called with a signature. events is a JSON array of names; the secret is never shown again.
-- secret_before signs too, until secret_before_until_ms: the secret before the last rotation.
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

-- Notification URLs for people (Apprise). workflows is a JSON array of names, in which `*` matches anything; null for
-- all workflows. quiet holds the quiet hours (JSON), null for none.
create table pt_alert_channels (
    channel @key,
    id text not null unique,
    name text not null unique,
    url text not null,
    events text not null,
    workflows text,
    quiet text,
    enabled bigint not null,
    created_ms bigint not null,
    updated_ms bigint not null
);

-- The outbox: one row for each target of each event, written in the transaction of the event. It holds all that is
-- sent, so that it can be delivered after its run was deleted. kind is webhook, alert or product; target is the id of
-- the webhook, the channel or the product. executor_id is the executor that is making an attempt; only pending
-- deliveries have one. attempts_before is the number of attempts before the delivery was last sent again by hand.
-- assignees are those of the approval that the event is about.
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
    assignees text,
    message text,
    status text not null,
    attempts bigint not null default 0,
    attempts_before bigint not null default 0,
    executor_id text,
    next_ms bigint,
    created_ms bigint not null,
    updated_ms bigint not null
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
