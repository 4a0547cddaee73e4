-- Queues and their limits.

-- declared is the declaration in the code at the last launch: limits that were changed at run time stay while it does
-- not change.
create table pt_queues (
    name text primary key,
    worker_concurrency bigint,
    global_concurrency bigint,
    rate_limit bigint,
    rate_period_ms bigint,
    priority bigint not null,
    partitioned bigint not null,
    batch_max bigint not null,
    release_while_waiting bigint not null default 0,
    paused bigint not null default 0,
    updated_ms bigint not null,
    declared text not null
);

-- The starts of the last period of queues with a rate limit; partition_key is empty for a queue without partitions.
create table pt_queue_starts (
    start @key,
    queue text not null,
    partition_key text not null,
    started_ms bigint not null
);

create index pt_queue_starts_window on pt_queue_starts (queue, partition_key, started_ms);

create index pt_queue_starts_age on pt_queue_starts (queue, started_ms);
