-- What is durable of runs: their rows, steps, waits, messages, values, tags and failures.

-- The schedule whose tick a run is: those that have not begun are called back when it is disabled.
-- One run of a workflow. `run` is its key inside, in the order of creation; `id` is what users see.
-- Nobody works on a run whose executor_id is null: it is due for any executor that knows its name at wake_ms.
-- wake_ms of an owned run is a letter to its owner: the run was cancelled under its hands.
-- slot_executor is who claimed it from its queue: a parked run keeps its slot there.
-- failed_positions are the steps whose failure ended the run; a resume forgets just these.
create table pt_runs (
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
    failed_positions text,
    schedule_id text
);

-- What may be claimed, per name, the longest due first.
create index pt_runs_due on pt_runs (name, wake_ms)
    where executor_id is null and wake_ms is not null and completed_at_epoch_ms is null
    and (queue_name is null or status <> 'ENQUEUED');

-- What an executor holds.
create index pt_runs_held on pt_runs (executor_id)
    where executor_id is not null and completed_at_epoch_ms is null;

-- Letters to owners.
create index pt_runs_letters on pt_runs (executor_id)
    where executor_id is not null and wake_ms is not null;

-- What ends when its time is up.
create index pt_runs_deadlines on pt_runs (workflow_deadline_epoch_ms)
    where workflow_deadline_epoch_ms is not null and completed_at_epoch_ms is null;

-- One unfinished run for each deduplication id.
create unique index pt_runs_deduplication on pt_runs (deduplication_scope, deduplication_id)
    where deduplication_id is not null and completed_at_epoch_ms is null;

-- Runs that wait for a person and gave their slot back.
create index pt_runs_slotless on pt_runs (wake_ms)
    where status = 'WAITING_FOR_APPROVAL' and queue_name is not null and slot_executor is null and executor_id is null;

-- Queues: who waits, in order, and who holds a slot.
create index pt_runs_queued on pt_runs (queue_name, priority, run)
    where status = 'ENQUEUED' and queue_name is not null;

-- only: sqlite
create index pt_runs_queue_age on pt_runs (queue_name, run)
    where status = 'ENQUEUED' and queue_name is not null;

-- only: postgres
-- By an expression, which the primary key does not know: it would be taken for the order of its keys, and lead past all
-- runs that are over.
create index pt_runs_queue_age on pt_runs (queue_name, (run + 0))
    where status = 'ENQUEUED' and queue_name is not null;

create index pt_runs_queue_keys on pt_runs (queue_name, queue_partition_key, run)
    where status = 'ENQUEUED' and queue_name is not null and queue_partition_key is not null;

-- What waits in a queue for its time; most runs there wait for their turn only.
create index pt_runs_delayed on pt_runs (queue_name, wake_ms)
    where status = 'ENQUEUED' and queue_name is not null and wake_ms > created_at_epoch_ms;

create index pt_runs_slots on pt_runs (queue_name, slot_executor)
    where queue_name is not null and completed_at_epoch_ms is null and status <> 'ENQUEUED';

create index pt_runs_by_queue on pt_runs (queue_name, status, run) where queue_name is not null;

create index pt_runs_children on pt_runs (parent_run) where parent_run is not null;

create index pt_runs_by_status on pt_runs (status, run);

create index pt_runs_by_name on pt_runs (name, status, run);

create index pt_runs_by_version on pt_runs (application_version, status, run);

-- What an executor held once. An expression, so that nobody who looks for what it holds now is led here.
create index pt_runs_by_executor on pt_runs ((executor_id || ''), run)
    where completed_at_epoch_ms is not null;

create index pt_runs_by_parent on pt_runs (parent_workflow_id, run)
    where parent_workflow_id is not null;

-- With what figures over the last hours tell, so that they read no run.
create index pt_runs_completed on pt_runs (completed_at_epoch_ms, started_at_epoch_ms, status)
    where completed_at_epoch_ms is not null;

create index pt_runs_duration on pt_runs ((completed_at_epoch_ms - started_at_epoch_ms))
    where completed_at_epoch_ms is not null;

create index pt_runs_attention on pt_runs (name) where attention is not null;

-- One row for each position that was reached; ended_at is null while the step runs. The outcome is written once.
-- kind: 0 a step, 1 a wait, 2 a child, 3 a step without checkpoint, 4 a mark (patched).
-- follows: the highest function_id of the steps whose outcomes the body had when this step began, -1 for none of them.
-- null where nobody looked. Steps that began beside each other are told apart by it, which times cannot do.
create table pt_steps (
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
    incarnation bigint,
    primary key (run, position)
)@clustered;

-- Who has started a run, or asked for its result: while that one is open, the other is kept.
create index pt_steps_child on pt_steps (child_workflow_id)
    where child_workflow_id is not null;

-- Attempts of steps that were tried more than once.
create table pt_step_attempts (
    run bigint not null,
    position text not null,
    number bigint not null,
    started_at_epoch_ms bigint not null,
    ended_at_epoch_ms bigint,
    error text,
    incarnation bigint,
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
create table pt_messages (
    message @key,
    run bigint not null,
    topic text not null,
    body text not null,
    created_at_epoch_ms bigint not null,
    consumed_position text
);

create index pt_messages_unread on pt_messages (run, topic, message) where consumed_position is null;

create index pt_messages_run on pt_messages (run);

-- Published values: the last one for each key, and every one that was set, by position (a fork rebuilds from these).
create table pt_values (
    run bigint not null,
    key text not null,
    value text not null,
    updated_ms bigint not null,
    primary key (run, key)
)@clustered;

create table pt_values_history (
    run bigint not null,
    position text not null,
    key text not null,
    value text not null,
    created_ms bigint not null,
    primary key (run, position)
)@clustered;

create index pt_runs_not_begun on pt_runs (schedule_id)
    where schedule_id is not null and started_at_epoch_ms is null and completed_at_epoch_ms is null;

create table pt_run_tags (
    tag text not null,
    run bigint not null,
    primary key (tag, run)
)@clustered;

create index pt_run_tags_run on pt_run_tags (run);

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
