-- Rows that belong to a run name it without a foreign key: each insert already joins the run to check its ownership,
-- and Postgres would lock and look up the parent once more for every row. Deleting a run deletes them by name.

-- One run of a workflow. `run` is its key inside, in the order of creation; `id` is what users see.
-- Nobody works on a run whose executor_id is null: it is due for any executor that knows its name at wake_ms.
-- wake_ms of an owned run is a letter to its owner: the run was cancelled under its hands.
-- slot_executor is who claimed it from its queue: a parked run keeps its slot there.
-- failed_positions are the steps whose failure ended the run; a resume forgets just these.
create table pt_workflow_status (
    run @key,
    id text not null unique,
    status text not null,
    name text not null,
    inputs text not null,
    output text,
    error text,
    executor_id text,
    slot_executor text,
    fence bigint not null default 0,
    application_version text not null,
    application_id text not null,
    recovery_attempts bigint not null,
    attempt_owed bigint not null default 0,
    max_recoveries bigint,
    created_at_epoch_ms bigint not null,
    updated_at_epoch_ms bigint not null,
    started_at_epoch_ms bigint,
    completed_at_epoch_ms bigint,
    wake_ms bigint,
    queue_name text,
    queue_partition_key text,
    deduplication_scope text,
    deduplication_id text,
    priority bigint not null default 0,
    workflow_timeout_ms bigint,
    workflow_deadline_epoch_ms bigint,
    parent_run bigint,
    parent_workflow_id text,
    parent_position text,
    forked_from_workflow_id text,
    app_status text,
    app_status_color text,
    summary text,
    tags text,
    reason text,
    attention text,
    failed_positions text
);

-- What may be claimed, per name, the longest due first.
create index pt_workflow_due on pt_workflow_status (name, wake_ms)
    where executor_id is null and wake_ms is not null and completed_at_epoch_ms is null
    and (queue_name is null or status <> 'ENQUEUED');

-- What an executor holds.
create index pt_workflow_held on pt_workflow_status (executor_id)
    where executor_id is not null and completed_at_epoch_ms is null;

-- Letters to owners.
create index pt_workflow_letters on pt_workflow_status (executor_id)
    where executor_id is not null and wake_ms is not null;


-- What ends when its time is up.
create index pt_workflow_deadlines on pt_workflow_status (workflow_deadline_epoch_ms)
    where workflow_deadline_epoch_ms is not null and completed_at_epoch_ms is null;

-- One unfinished run for each deduplication id.
create unique index pt_workflow_deduplication on pt_workflow_status (deduplication_scope, deduplication_id)
    where deduplication_id is not null and completed_at_epoch_ms is null;

-- Runs that wait for a person and gave their slot back.
create index pt_workflow_slotless on pt_workflow_status (wake_ms)
    where status = 'WAITING_FOR_APPROVAL' and queue_name is not null and slot_executor is null and executor_id is null;

-- Queues: who waits, in order, and who holds a slot.
create index pt_workflow_queued on pt_workflow_status (queue_name, priority, run)
    where status = 'ENQUEUED' and queue_name is not null;

-- only: sqlite
create index pt_workflow_queue_age on pt_workflow_status (queue_name, run)
    where status = 'ENQUEUED' and queue_name is not null;

-- only: postgres
-- By an expression, which the primary key does not know: it would be taken for the order of its keys, and lead past all
-- runs that are over.
create index pt_workflow_queue_age on pt_workflow_status (queue_name, (run + 0))
    where status = 'ENQUEUED' and queue_name is not null;

create index pt_workflow_queue_keys on pt_workflow_status (queue_name, queue_partition_key, run)
    where status = 'ENQUEUED' and queue_name is not null and queue_partition_key is not null;

-- What waits in a queue for its time; most runs there wait for their turn only.
create index pt_workflow_delayed on pt_workflow_status (queue_name, wake_ms)
    where status = 'ENQUEUED' and queue_name is not null and wake_ms > created_at_epoch_ms;

create index pt_workflow_slots on pt_workflow_status (queue_name, slot_executor)
    where queue_name is not null and completed_at_epoch_ms is null and status <> 'ENQUEUED';

create index pt_workflow_by_queue on pt_workflow_status (queue_name, status, run) where queue_name is not null;

create index pt_workflow_children on pt_workflow_status (parent_run) where parent_run is not null;

create index pt_workflow_by_status on pt_workflow_status (status, run);

create index pt_workflow_by_name on pt_workflow_status (name, status, run);

create index pt_workflow_by_version on pt_workflow_status (application_version, status, run);

-- What an executor held once. An expression, so that nobody who looks for what it holds now is led here.
create index pt_workflow_by_executor on pt_workflow_status ((executor_id || ''), run)
    where completed_at_epoch_ms is not null;

create index pt_workflow_by_parent on pt_workflow_status (parent_workflow_id, run)
    where parent_workflow_id is not null;

-- With what figures over the last hours tell, so that they read no run.
create index pt_workflow_completed on pt_workflow_status (completed_at_epoch_ms, started_at_epoch_ms, status)
    where completed_at_epoch_ms is not null;

create index pt_workflow_duration on pt_workflow_status ((completed_at_epoch_ms - started_at_epoch_ms))
    where completed_at_epoch_ms is not null;

create index pt_workflow_attention on pt_workflow_status (name) where attention is not null;

-- One row for each position that was reached; ended_at is null while the step runs. The outcome is written once.
-- kind: 0 a step, 1 a wait, 2 a child, 3 a step without checkpoint, 4 a mark (patched).
-- follows: the highest function_id of the steps whose outcomes the body had when this step began, -1 for none of them;
-- null where nobody looked. Steps that began beside each other are told apart by it, which times cannot do.
create table pt_operation_outputs (
    run bigint not null,
    position text not null,
    function_id bigint not null,
    function_name text not null,
    kind bigint not null default 0,
    output text,
    error text,
    child_workflow_id text,
    attempts bigint not null default 1,
    started_at_epoch_ms bigint not null,
    ended_at_epoch_ms bigint,
    follows bigint,
    primary key (run, position)
)@clustered;

-- Who has started a run, or asked for its result: while that one is open, the other is kept.
create index pt_operation_outputs_child on pt_operation_outputs (child_workflow_id)
    where child_workflow_id is not null;

-- Attempts of steps that were tried more than once.
create table pt_step_attempts (
    run bigint not null,
    position text not null,
    number bigint not null,
    started_at_epoch_ms bigint not null,
    ended_at_epoch_ms bigint,
    error text,
    primary key (run, position, number)
)@clustered;

-- What a run waits for at a position: kind is sleep, retry, message, value or result; subject says which one.
-- due_ms is when to look again: the deadline, or 0 once the awaited thing has happened.
create table pt_waits (
    run bigint not null,
    position text not null,
    kind text not null,
    subject text not null default '',
    since_ms bigint not null,
    deadline_ms bigint,
    due_ms bigint,
    primary key (run, position)
)@clustered;

-- only: postgres
-- Whoever waits for any value of a run is a range of subjects, so subjects sort by their bytes here too.
alter table pt_waits alter column subject type text collate "C";

create index pt_waits_subject on pt_waits (kind, subject) where kind in ('value', 'result');

-- Waits that were met and not yet looked at.
create index pt_waits_met on pt_waits (run) where due_ms = 0;

-- Messages, in the order in which they were sent; consumed by the position of a receive.
create table pt_notifications (
    message @key,
    run bigint not null,
    topic text not null,
    body text not null,
    created_at_epoch_ms bigint not null,
    consumed_position text
);

create index pt_notifications_unread on pt_notifications (run, topic, message) where consumed_position is null;

create index pt_notifications_run on pt_notifications (run);

-- Published values: the last one for each key, and every one that was set, by position (a fork rebuilds from these).
create table pt_workflow_events (
    run bigint not null,
    key text not null,
    value text not null,
    updated_ms bigint not null,
    primary key (run, key)
)@clustered;

create table pt_workflow_events_history (
    run bigint not null,
    position text not null,
    key text not null,
    value text not null,
    created_ms bigint not null,
    primary key (run, position)
)@clustered;

-- Processes that hold runs. life is the launch that the id belongs to now; lock_token is what its lock file holds;
-- lease_until_ms is in the database's own time. How a process fares (threads, loop_delay_ms, memory_bytes) is written
-- when it renews its lease.
create table pt_executors (
    executor_id text primary key,
    life bigint not null default 0,
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
    life bigint not null,
    lane bigint not null,
    executor_id text not null,
    batch bigint not null default 0,
    is_open bigint not null default 1,
    primary key (life, lane)
)@clustered;

-- Executors that are gone: taken_by says who found them dead and set so many of their runs free; null when they left by
-- themselves. Only the newest are kept.
create table pt_departures (
    departure @key,
    executor_id text not null,
    hostname text not null,
    process_id bigint not null,
    application_version text not null,
    started_ms bigint not null,
    left_ms bigint not null,
    taken_by text,
    runs bigint not null
);

-- A key may have a schema before it has a value.
create table pt_kv (
    key text primary key,
    value text,
    json_schema text,
    updated_at_epoch_ms bigint not null
);

-- only: postgres
-- Prefixes are ranges of keys, so keys sort by their bytes here too.
alter table pt_kv alter column key type text collate "C";

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

-- Starts of the last period of queues with a rate limit; partition_key is empty where there is none.
create table pt_queue_starts (
    start @key,
    queue text not null,
    partition_key text not null,
    started_ms bigint not null
);

create index pt_queue_starts_window on pt_queue_starts (queue, partition_key, started_ms);

create index pt_queue_starts_age on pt_queue_starts (queue, started_ms);

-- What runs wrote into their logs. source is user, or system for what Turbine says about a run.
create table pt_logs (
    log @key,
    workflow_id text,
    position text,
    level bigint not null,
    logger text not null,
    message text not null,
    source text not null,
    created_ms bigint not null
);

create index pt_logs_workflow on pt_logs (workflow_id, log) where workflow_id is not null;

create index pt_logs_severe on pt_logs (log) where level >= 30;

create index pt_logs_created on pt_logs (created_ms);
