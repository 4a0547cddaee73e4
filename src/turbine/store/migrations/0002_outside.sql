-- What leaves the process: who hears of runs, what was announced to whom, and the files that steps make.

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

-- Notification URLs for people (Apprise).
create table pt_alert_channels (
    channel @key,
    id text not null unique,
    name text not null unique,
    url text not null,
    events text not null,
    enabled bigint not null,
    created_ms bigint not null,
    updated_ms bigint not null
);

-- The outbox: one row for each target of each announcement, written in the transaction of what it announces.
-- It carries what it announces, so that it can be delivered after its run is gone. kind is webhook, alert or product;
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

-- Files that steps made. storage says where the bytes are, under the product's id: 'database', 'beside' (the folder
-- beside the SQLite file, which moves with it), or the URL of a folder or bucket.
create table pt_products (
    product @key,
    id text not null unique,
    run bigint not null,
    workflow_id text not null,
    position text not null,
    function_id bigint not null,
    function_name text not null,
    file_name text not null,
    size bigint not null,
    sha256 text not null,
    metadata text,
    status text not null,
    error text,
    storage text not null,
    created_ms bigint not null,
    updated_ms bigint not null
);

create unique index pt_products_once on pt_products (run, position, file_name);

-- With their sizes, so that all together are summed up without reading them.
create index pt_products_by_status on pt_products (status, product, size);

create index pt_products_workflow on pt_products (workflow_id, product);

-- The bytes of products that are kept in the database, by the id of their upload (which becomes the product's id).
create table pt_product_chunks (
    upload text not null,
    number bigint not null,
    bytes @blob not null,
    primary key (upload, number)
);

-- Bytes that belong to no product: uploads that have begun, and what deleted products have left. Swept unless the
-- executor that uploads is alive.
create table pt_product_uploads (
    upload text primary key,
    storage text not null,
    executor_id text,
    started_ms bigint not null
);
