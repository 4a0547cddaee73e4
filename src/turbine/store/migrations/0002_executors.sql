-- Executors: the processes that run workflows.

-- Live executors. incarnation is the launch that uses the id now; lock_token is the text in its lock file.
-- lease_until_ms is in the time of the database. The metrics of the process (threads, loop_delay_ms, memory_bytes) are
-- written when it renews its lease.
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

-- The last batch that each connection (lane) of a launch has committed. An eviction closes the rows of an executor: it
-- waits for a batch that is being committed, and every later batch fails. SQLite, where one process writes at a time,
-- needs no rows.
create table pt_batches (
    incarnation bigint not null,
    lane bigint not null,
    executor_id text not null,
    batch bigint not null default 0,
    is_open bigint not null default 1,
    primary key (incarnation, lane)
)@clustered;

-- Executors that have ended. taken_by is the executor that evicted it and released its runs (their number is in runs);
-- null for one that was shut down in order. Only the newest rows are kept.
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

-- The process of each launch of an executor; steps and their attempts name the launch that recorded them.
create table pt_incarnations (
    incarnation @key,
    executor_id text not null,
    hostname text not null,
    process_id bigint not null,
    application_version text not null,
    started_ms bigint not null
);
