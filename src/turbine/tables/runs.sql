-- name: deduplication_holder
select id
from pt_runs
where deduplication_scope = :scope
and deduplication_id = :deduplication_id
and deduplication_id is not null
and completed_at_epoch_ms is null

-- name: claim [sqlite]
-- The timeout counts from the first start; a resumed run has none.
update pt_runs
set executor_id = :executor,
    fence = fence + 1,
    recovery_attempts = recovery_attempts + attempt_owed,
    attempt_owed = 0,
    status = case when status = 'ENQUEUED' then 'PENDING' else status end,
    started_at_epoch_ms = coalesce(started_at_epoch_ms, :now),
    workflow_deadline_epoch_ms = coalesce(
        workflow_deadline_epoch_ms, case when started_at_epoch_ms is null then :now + workflow_timeout_ms end
    ),
    updated_at_epoch_ms = :now,
    wake_ms = null
where run in (
    select run
    from pt_runs
    where name in (select r.name from @rows(name text) as r)
    and executor_id is null
    and wake_ms is not null
    and wake_ms <= :now
    and completed_at_epoch_ms is null
    and (queue_name is null or status <> 'ENQUEUED')
    and (slot_executor = :executor or (slot_executor is null and queue_name is null))
    order by wake_ms
    limit :limit
)
and exists (select 1 from pt_executors as e where e.executor_id = :executor and e.incarnation = :incarnation)
returning
    run, id, name, inputs, fence, recovery_attempts, started_at_epoch_ms, workflow_deadline_epoch_ms, queue_name

-- name: claim [postgres]
update pt_runs
set executor_id = :executor,
    fence = fence + 1,
    recovery_attempts = recovery_attempts + attempt_owed,
    attempt_owed = 0,
    status = case when status = 'ENQUEUED' then 'PENDING' else status end,
    started_at_epoch_ms = coalesce(started_at_epoch_ms, :now::bigint),
    workflow_deadline_epoch_ms = coalesce(
        workflow_deadline_epoch_ms, case when started_at_epoch_ms is null then :now::bigint + workflow_timeout_ms end
    ),
    updated_at_epoch_ms = :now::bigint,
    wake_ms = null
where run in (
    select run
    from pt_runs
    where name in (select r.name from @rows(name text) as r)
    and executor_id is null
    and wake_ms is not null
    and wake_ms <= :now::bigint
    and completed_at_epoch_ms is null
    and (queue_name is null or status <> 'ENQUEUED')
    and (slot_executor = :executor or (slot_executor is null and queue_name is null))
    order by wake_ms
    limit :limit
    for update skip locked
)
and exists (select 1 from pt_executors as e where e.executor_id = :executor and e.incarnation = :incarnation)
returning
    run, id, name, inputs, fence, recovery_attempts, started_at_epoch_ms, workflow_deadline_epoch_ms, queue_name

-- name: requeue [sqlite]
-- These gave their slot back while they wait for an approval and have something else to do: they need a slot again.
update pt_runs indexed by pt_runs_slotless
set status = 'ENQUEUED'
where status = 'WAITING_FOR_APPROVAL'
and queue_name is not null
and slot_executor is null
and executor_id is null
and wake_ms <= :now
returning queue_name

-- name: requeue [postgres]
update pt_runs
set status = 'ENQUEUED'
where run in (
    select run
    from pt_runs
    where status = 'WAITING_FOR_APPROVAL'
    and queue_name is not null
    and slot_executor is null
    and executor_id is null
    and wake_ms <= :now
    for update skip locked
)
returning queue_name

-- name: next_requeue [sqlite]
-- Without the named index SQLite would scan all runs that wait for an approval.
select min(wake_ms)
from pt_runs indexed by pt_runs_slotless
where status = 'WAITING_FOR_APPROVAL'
and queue_name is not null
and slot_executor is null
and executor_id is null

-- name: next_requeue [postgres]
select min(wake_ms)
from pt_runs
where status = 'WAITING_FOR_APPROVAL'
and queue_name is not null
and slot_executor is null
and executor_id is null

-- name: next_due
select min(wake_ms)
from pt_runs
where name in (select r.name from @rows(name text) as r)
and executor_id is null
and wake_ms is not null
and completed_at_epoch_ms is null
and (queue_name is null or status <> 'ENQUEUED')
and (slot_executor = :executor or (slot_executor is null and queue_name is null))

-- name: finish
-- The columns of `r` must differ from those of the table: SQLite's `returning` takes no qualified names.
-- `coalesce` makes SQLite look rows up by key instead of scanning all runs of the executor.
update pt_runs
set status = r.new_status,
    output = r.new_output,
    error = r.new_error,
    failed_positions = r.failed,
    completed_at_epoch_ms = r.now,
    updated_at_epoch_ms = r.now,
    wake_ms = null
from @rows(run_key bigint, run_fence bigint, new_status text, new_output text, new_error text, failed text, now bigint) as r
where run = r.run_key
and fence = r.run_fence
and coalesce(executor_id, '') = :executor
and completed_at_epoch_ms is null
returning run, id, name, status, queue_name, executor_id

-- name: delete_waits
delete from pt_waits where run in (select r.run from @rows(run bigint) as r)

-- name: restore_app_status
-- The app status from before the first approval that is still open.
update pt_runs
set app_status = (
        select a.before_label
        from pt_approvals as a
        where a.run = pt_runs.run
        and a.status = 'open'
        order by a.approval
        limit 1
    ),
    app_status_color = (
        select a.before_color
        from pt_approvals as a
        where a.run = pt_runs.run
        and a.status = 'open'
        order by a.approval
        limit 1
    )
where run in (select r.run from @rows(run bigint) as r)
and app_status = :label
and app_status_color = :color
and exists (select 1 from pt_approvals as a where a.run = pt_runs.run and a.status = 'open')

-- name: close_approvals
-- `coalesce` makes SQLite look rows up by run instead of scanning all open approvals.
update pt_approvals
set status = 'cancelled',
    decided_ms = :now
where coalesce(status, '') = 'open'
and run in (select r.run from @rows(run bigint) as r)

-- name: park
-- A wait that was met in the meantime has due_ms 0, so the run is due at once.
update pt_runs
set executor_id = null,
    wake_ms = (select min(due_ms) from pt_waits as p where p.run = pt_runs.run),
    status = case
        when status = 'PENDING'
            and queue_name in (select q.name from pt_queues as q where q.release_while_waiting = 1) then 'ENQUEUED'
        else status
    end,
    slot_executor = case
        when queue_name in (select q.name from pt_queues as q where q.release_while_waiting = 1) then null
        else slot_executor
    end
where (run, fence) in (select r.run, r.fence from @rows(run bigint, fence bigint) as r)
and coalesce(executor_id, '') = :executor
and completed_at_epoch_ms is null
returning run, wake_ms, queue_name, status

-- name: release
-- A queued run returns to its queue, so that continuing it exceeds no limit.
update pt_runs
set executor_id = null,
    slot_executor = null,
    status = case when queue_name is not null then 'ENQUEUED' else status end,
    wake_ms = 0,
    attempt_owed = 1,
    recovery_attempts = case when recovery_attempts > 0 then recovery_attempts - 1 else 0 end
where (run, fence) in (select r.run, r.fence from @rows(run bigint, fence bigint) as r)
and coalesce(executor_id, '') = :executor
and completed_at_epoch_ms is null
returning run, fence

-- name: return_attempts
update pt_runs
set recovery_attempts = case when recovery_attempts > 0 then recovery_attempts - 1 else 0 end
where (run, fence) in (select r.run, r.fence from @rows(run bigint, fence bigint) as r)
and coalesce(executor_id, '') = :executor
and completed_at_epoch_ms is null

-- name: set_aside
-- It gives its slot back: a run that waits for an operator or for other code must not block its queue.
update pt_runs
set executor_id = null,
    slot_executor = null,
    wake_ms = null,
    attention = r.text,
    reason = r.text
from @rows(run_key bigint, run_fence bigint, text text) as r
where run = r.run_key
and fence = r.run_fence
and coalesce(executor_id, '') = :executor
and completed_at_epoch_ms is null
returning run, queue_name

-- name: retry_set_aside [sqlite]
-- A queued run needs a slot again; one that waits for an approval gets it through `requeue`.
update pt_runs
set attention = null,
    reason = null,
    status = case when queue_name is not null and status = 'PENDING' then 'ENQUEUED' else status end,
    wake_ms = 0
where attention is not null
and name in (select r.name from @rows(name text) as r)
and executor_id is null
and completed_at_epoch_ms is null
returning queue_name

-- name: retry_set_aside [postgres]
-- In the order of the keys, because processes that launch at the same time would deadlock otherwise.
update pt_runs
set attention = null,
    reason = null,
    status = case when queue_name is not null and status = 'PENDING' then 'ENQUEUED' else status end,
    wake_ms = 0
where run in (
    select run
    from pt_runs
    where attention is not null
    and name in (select r.name from @rows(name text) as r)
    and executor_id is null
    and completed_at_epoch_ms is null
    order by run
    for no key update
)
and attention is not null
returning queue_name

-- name: dead_letter
-- The limit is the first execution and max_recoveries more.
update pt_runs
set status = 'MAX_RECOVERY_ATTEMPTS_EXCEEDED',
    completed_at_epoch_ms = :now,
    updated_at_epoch_ms = :now,
    wake_ms = null,
    reason = 'recovered too often'
where executor_id = :executor_id
and completed_at_epoch_ms is null
and max_recoveries is not null
and recovery_attempts > max_recoveries
returning run, id, name, status, queue_name, cast(null as text)

-- name: release_slots
-- These get a new slot when they are claimed again.
update pt_runs
set slot_executor = null,
    status = 'ENQUEUED'
where queue_name is not null
and slot_executor = :executor_id
and executor_id is null
and completed_at_epoch_ms is null
and status <> 'ENQUEUED'
returning queue_name

-- name: release_held
update pt_runs
set executor_id = null,
    slot_executor = null,
    wake_ms = 0,
    attempt_owed = 1,
    status = case when queue_name is not null then 'ENQUEUED' else status end
where executor_id = :executor_id
and completed_at_epoch_ms is null
returning run, queue_name

-- name: cancel
-- A cancelled run keeps its executor, and wake_ms is set until that executor has acknowledged the cancellation.
with recursive lineage (run) as (
    select run
    from pt_runs
    where run = :run
    and completed_at_epoch_ms is null
    union
    select child.run
    from pt_runs as child
    join lineage on child.parent_run = lineage.run
    where child.completed_at_epoch_ms is null
    and child.parent_run is not null
)
update pt_runs
set status = 'CANCELLED',
    reason = case when run = :run then :reason else :inherited end,
    completed_at_epoch_ms = :now,
    updated_at_epoch_ms = :now,
    wake_ms = case when executor_id is not null then 0 end
where run in (select run from lineage)
and completed_at_epoch_ms is null
returning run, id, name, status, queue_name, executor_id, fence

-- name: cancel_children
-- Children that were started while their parents were being cancelled.
update pt_runs
set status = 'CANCELLED',
    reason = :inherited,
    completed_at_epoch_ms = :now,
    updated_at_epoch_ms = :now,
    wake_ms = case when executor_id is not null then 0 end
where parent_run in (select r.run from @rows(run bigint) as r)
and parent_run is not null
and completed_at_epoch_ms is null
returning run, id, name, status, queue_name, executor_id, fence

-- name: cancel_unstarted
-- A run that is due in its queue counts as started.
update pt_runs
set status = 'CANCELLED',
    reason = :reason,
    completed_at_epoch_ms = :now,
    updated_at_epoch_ms = :now,
    wake_ms = null
where schedule_id in (select r.id from @rows(id text) as r)
and schedule_id is not null
and started_at_epoch_ms is null
and completed_at_epoch_ms is null
and executor_id is null
and (queue_name is null or wake_ms > :now)
returning run, id, name, status, queue_name, executor_id, fence

-- name: overdue
select run
from pt_runs
where workflow_deadline_epoch_ms <= :now
and workflow_deadline_epoch_ms is not null
and completed_at_epoch_ms is null
order by workflow_deadline_epoch_ms
limit :limit

-- name: next_deadline
select min(workflow_deadline_epoch_ms)
from pt_runs
where workflow_deadline_epoch_ms is not null
and completed_at_epoch_ms is null

-- name: pending_cancellations
select run, fence
from pt_runs
where executor_id = :executor
and wake_ms is not null

-- name: acknowledge_cancellation
update pt_runs
set wake_ms = null
where (run, fence) in (select r.run, r.fence from @rows(run bigint, fence bigint) as r)
and executor_id = :executor
and completed_at_epoch_ms is not null

-- name: resumable
select status, failed_positions, deduplication_scope, deduplication_id, attention
from pt_runs
where run = :run
and (status in ('CANCELLED', 'ERROR', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED') or attention is not null)

-- name: clear_attention
update pt_runs
set attention = null,
    reason = null,
    status = case when queue_name is not null and status = 'PENDING' then 'ENQUEUED' else status end,
    wake_ms = 0,
    updated_at_epoch_ms = :now
where run = :run
and executor_id is null
returning queue_name

-- name: resume
update pt_runs
set status = case when queue_name is not null then 'ENQUEUED' else 'PENDING' end,
    executor_id = null,
    slot_executor = null,
    fence = fence + 1,
    recovery_attempts = 0,
    attempt_owed = 1,
    workflow_deadline_epoch_ms = null,
    completed_at_epoch_ms = null,
    updated_at_epoch_ms = :now,
    wake_ms = 0,
    output = null,
    error = null,
    reason = null,
    failed_positions = null
where run = :run
and status = :status
returning queue_name

-- name: cancelled_children
-- Only those that were cancelled because their parent was.
select run
from pt_runs
where parent_run = :run
and parent_run is not null
and status = 'CANCELLED'
and reason = :inherited

-- name: failed_children
select c.run
from pt_steps as o
join pt_runs as c on c.id = o.child_workflow_id
where o.run = :run
and o.position = :position
and o.error is not null
and c.status in ('CANCELLED', 'ERROR', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED')

-- name: delete_failed_step
delete from pt_steps
where run = :run
and position = :position
and error is not null
and child_workflow_id is null

-- name: reset_expired_approval
-- A resumed run requests an expired approval again.
update pt_approvals
set status = 'cancelled'
where run = :run
and position = :position
and status = 'expired'

-- name: reopen_child
-- The child stays recorded; only its outcome is removed.
update pt_steps
set error = null,
    ended_at_epoch_ms = null
where run = :run
and position = :position
and error is not null
and child_workflow_id is not null

-- name: delete_step_attempts
delete from pt_step_attempts
where run = :run
and position = :position

-- name: run_of
select run from pt_runs where id = :id

-- name: delete
delete from pt_runs
where run in (select r.run from @rows(run bigint) as r)
and completed_at_epoch_ms is not null
returning run

-- name: delete_steps
delete from pt_steps where run in (select r.run from @rows(run bigint) as r)

-- name: delete_attempts
delete from pt_step_attempts where run in (select r.run from @rows(run bigint) as r)

-- name: delete_messages
delete from pt_messages where run in (select r.run from @rows(run bigint) as r)

-- name: delete_values
delete from pt_values where run in (select r.run from @rows(run bigint) as r)

-- name: delete_values_history
delete from pt_values_history where run in (select r.run from @rows(run bigint) as r)

-- name: orphan_children
update pt_runs
set parent_run = null
where parent_run is not null
and parent_run in (select r.run from @rows(run bigint) as r)

-- name: delete_tags
delete from pt_run_tags where run in (select r.run from @rows(run bigint) as r)

-- name: delete_assignees
delete from pt_approval_assignees
where approval in (
    select a.approval from pt_approvals as a where a.run in (select r.run from @rows(run bigint) as r)
)

-- name: delete_approvals
delete from pt_approvals where run in (select r.run from @rows(run bigint) as r)
