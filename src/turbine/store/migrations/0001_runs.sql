-- Runs: their rows, steps, waits, messages, values, tags and failures.

-- One run of a workflow. `run` is its internal key, in the order of creation; `id` is the id that users see. A run with
-- an executor_id is in progress there. Without one it is due at wake_ms, for any executor that registers its workflow.
-- A run that has both was cancelled, and its executor does not know yet. slot_executor is the executor that claimed the
-- run from its queue: a parked run keeps its slot there. attempt_owed is 1 when the next claim counts as a recovery
-- attempt. attention is the reason why the run is set aside, failed_positions are the steps whose failure ended the run
-- (a resume deletes only these), and schedule_id is the schedule that started the run: disabling it cancels those not
-- begun.
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
    schedule_id text,
    app_status text,
    app_status_color text,
    summary text,
    tags text,
    reason text,
    attention text,
    failed_positions text
);

-- Runs to be claimed, by workflow and due time.
create index pt_runs_due on pt_runs (name, wake_ms)
    where executor_id is null and wake_ms is not null and completed_at_epoch_ms is null
    and (queue_name is null or status <> 'ENQUEUED');

-- Runs in progress, by executor.
create index pt_runs_held on pt_runs (executor_id)
    where executor_id is not null and completed_at_epoch_ms is null;

-- Runs that were cancelled while they are in progress.
create index pt_runs_cancelled on pt_runs (executor_id)
    where executor_id is not null and wake_ms is not null;

-- Runs with a deadline.
create index pt_runs_deadlines on pt_runs (workflow_deadline_epoch_ms)
    where workflow_deadline_epoch_ms is not null and completed_at_epoch_ms is null;

-- Each deduplication id has at most one unfinished run.
create unique index pt_runs_deduplication on pt_runs (deduplication_scope, deduplication_id)
    where deduplication_id is not null and completed_at_epoch_ms is null;

-- Runs that wait for an approval and gave their slot back.
create index pt_runs_slotless on pt_runs (wake_ms)
    where status = 'WAITING_FOR_APPROVAL' and queue_name is not null and slot_executor is null and executor_id is null;

-- Queued runs, in the order of their claims.
create index pt_runs_queued on pt_runs (queue_name, priority, run)
    where status = 'ENQUEUED' and queue_name is not null;

-- By an expression on Postgres, which would read the primary key in its order otherwise, past all runs that are over.
create index pt_runs_queue_age on pt_runs (queue_name, @no_key(run))
    where status = 'ENQUEUED' and queue_name is not null;

create index pt_runs_queue_keys on pt_runs (queue_name, queue_partition_key, run)
    where status = 'ENQUEUED' and queue_name is not null and queue_partition_key is not null;

-- Queued runs with a delay; most queued runs have none.
create index pt_runs_delayed on pt_runs (queue_name, wake_ms)
    where status = 'ENQUEUED' and queue_name is not null and wake_ms > created_at_epoch_ms;

-- Runs that hold a slot of a queue.
create index pt_runs_slots on pt_runs (queue_name, slot_executor)
    where queue_name is not null and completed_at_epoch_ms is null and status <> 'ENQUEUED';

create index pt_runs_by_queue on pt_runs (queue_name, status, run) where queue_name is not null;

create index pt_runs_children on pt_runs (parent_run) where parent_run is not null;

create index pt_runs_by_status on pt_runs (status, run);

create index pt_runs_by_name on pt_runs (name, status, run);

create index pt_runs_by_version on pt_runs (application_version, status, run);

-- Finished runs by executor. An expression, so that queries for runs in progress do not use this index.
create index pt_runs_by_executor on pt_runs ((executor_id || ''), run)
    where completed_at_epoch_ms is not null;

create index pt_runs_by_parent on pt_runs (parent_workflow_id, run)
    where parent_workflow_id is not null;

-- With the columns of metrics over the last hours, so that these read no rows.
create index pt_runs_completed on pt_runs (completed_at_epoch_ms, started_at_epoch_ms, status)
    where completed_at_epoch_ms is not null;

create index pt_runs_duration on pt_runs ((completed_at_epoch_ms - started_at_epoch_ms))
    where completed_at_epoch_ms is not null;

create index pt_runs_attention on pt_runs (name) where attention is not null;

-- Runs of schedules that have not begun.
create index pt_runs_not_begun on pt_runs (schedule_id)
    where schedule_id is not null and started_at_epoch_ms is null and completed_at_epoch_ms is null;

-- One row for each position that a run has reached; ended_at_epoch_ms is null while the step runs. The outcome is
-- written once. kind: 0 a step, 1 a wait, 2 a child, 3 a step without checkpoint, 4 a patch marker. follows: the
-- highest function_id of the steps whose outcomes the body had when this step began, -1 if it had none, null if that
-- was not recorded. It tells parallel steps from sequential ones, which times cannot do.
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

-- The runs that have started a run, or have waited for its result: while they are open, it is kept.
create index pt_steps_child on pt_steps (child_workflow_id)
    where child_workflow_id is not null;

-- The attempts of steps that were retried.
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

-- The wait of a run at a position: kind is sleep, retry, message, value or result; subject says which one.
-- due_ms is the time to check it: the deadline, or 0 once the awaited event has happened. Waits for any value of a run
-- are found as a range of subjects, so subjects are sorted by their bytes.
create table pt_waits (
    run bigint not null,
    position text not null,
    kind text not null,
    subject text@bytewise not null default '',
    since_ms bigint not null,
    deadline_ms bigint,
    due_ms bigint,
    primary key (run, position)
)@clustered;

create index pt_waits_subject on pt_waits (kind, subject) where kind in ('value', 'result');

-- Waits whose event has happened and whose run has not gone on yet.
create index pt_waits_met on pt_waits (run) where due_ms = 0;

-- Messages, in the order in which they were sent; consumed_position is the receive that got the message.
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

-- Published values: the last one of each key.
create table pt_values (
    run bigint not null,
    key text not null,
    value text not null,
    updated_ms bigint not null,
    primary key (run, key)
)@clustered;

-- Every value that was published, by position; a fork restores values from these.
create table pt_values_history (
    run bigint not null,
    position text not null,
    key text not null,
    value text not null,
    created_ms bigint not null,
    primary key (run, position)
)@clustered;

create table pt_run_tags (
    tag text not null,
    run bigint not null,
    primary key (tag, run)
)@clustered;

create index pt_run_tags_run on pt_run_tags (run);

-- A run that ended in an error, and the group of its failure. The row is deleted when the run is resumed.
create table pt_failures (
    run bigint primary key,
    fingerprint text not null
)@clustered;

create index pt_failures_group on pt_failures (fingerprint, run);

-- A group of like failures: same workflow, step, type and place in the code. state is open, resolved or ignored; a
-- resolved group that occurs again is open, and state_by still names the person who had resolved it.
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
