-- The processes that carry runs out, now and before.

-- Processes that hold runs. incarnation is the launch that the id belongs to now; lock_token is what its lock file holds.
-- lease_until_ms is in the database's own time. How a process fares (threads, loop_delay_ms, memory_bytes) is written
-- when it renews its lease.
create table pt_executors (
    executor_id text primary key,
    incarnation bigint not null default 0,
    application_id text not null,
    application_version text not null,
    machine text not null,
    lock_path text,
    lock_token text,
    hostname text not null,
    process_id bigint not null,
    started_ms bigint not null,
    lease_ms bigint not null,
    lease_until_ms bigint not null,
    names text not null,
    threads bigint,
    threads_max bigint,
    loop_delay_ms bigint,
    memory_bytes bigint
);

-- The last batch that each connection (lane) of a launch has committed. Evicting an executor closes its rows, which waits
-- for a batch that is being committed and lets no later one pass. On SQLite one process writes at a time, and it has none.
create table pt_batches (
    incarnation bigint not null,
    lane bigint not null,
    executor_id text not null,
    batch bigint not null default 0,
    is_open bigint not null default 1,
    primary key (incarnation, lane)
)@clustered;

-- Executors that are gone: taken_by says who found them dead and set so many of their runs free; null when they left by
-- themselves. Only the newest are kept.
create table pt_past_executors (
    number @key,
    executor_id text not null,
    hostname text not null,
    process_id bigint not null,
    application_version text not null,
    started_ms bigint not null,
    left_ms bigint not null,
    taken_by text,
    runs bigint not null
);

-- Which process an executor was, for each launch; steps and their attempts name the one that recorded them.
create table pt_incarnations (
    incarnation @key,
    executor_id text not null,
    hostname text not null,
    process_id bigint not null,
    application_version text not null,
    started_ms bigint not null
);
