-- name: start
-- On any clash, of ids or of deduplication ids, or for a queue that does not take it, nothing is written for that row;
-- the function tells which it was. An executor that was evicted starts runs, and leaves them to others.
insert into pt_runs (
    id, status, name, inputs, executor_id, fence, application_version, application_id, recovery_attempts,
    attempt_owed, max_recoveries, created_at_epoch_ms, updated_at_epoch_ms, started_at_epoch_ms,
    completed_at_epoch_ms, wake_ms, queue_name, queue_partition_key, deduplication_scope, deduplication_id, priority,
    workflow_timeout_ms, workflow_deadline_epoch_ms, parent_run, parent_workflow_id, parent_position,
    forked_from_workflow_id, summary, tags, reason, schedule_id
)
select
    r.id, r.status, r.name, r.inputs, case when r.direct = 1 and me.is_registered then :executor end, r.fence,
    r.version, r.application_id, r.attempts, r.owed, r.max_recoveries, r.created, r.created, r.started, r.completed,
    case when r.direct = 1 and not me.is_registered then r.created else r.wake end,
    r.queue, r.part, r.scope, r.deduplication, r.priority, r.timeout, r.deadline, r.parent, r.parent_id,
    r.parent_position, r.forked_from, r.summary, r.tags, r.reason, r.schedule_id
from @rows(id text, status text, name text, inputs text, direct bigint, fence bigint, version text, application_id text, attempts bigint, owed bigint, max_recoveries bigint, created bigint, started bigint, completed bigint, wake bigint, queue text, part text, scope text, deduplication text, priority bigint, timeout bigint, deadline bigint, parent bigint, parent_id text, parent_position text, forked_from text, summary text, tags text, reason text, schedule_id text) as r
cross join (
    select exists (
        select 1 from pt_executors as e where e.executor_id = :executor and e.incarnation = :incarnation
    ) as is_registered
) as me
where r.queue is null
or exists (select 1 from pt_queues as q where q.name = r.queue and (q.partitioned = 1) = (r.part is not null))
on conflict do nothing
returning run, id, executor_id is not null

-- name: known
select w.id, w.run, w.name, w.queue_name, w.inputs
from pt_runs as w
where w.id in (select r.id from @rows(id text) as r)

-- name: queues_known
select q.name, q.partitioned
from pt_queues as q
where q.name in (select r.name from @rows(name text) as r)

-- name: holder
select id
from pt_runs
where deduplication_scope = :scope
and deduplication_id = :deduplication_id
and deduplication_id is not null
and completed_at_epoch_ms is null

-- name: claim
-- The timeout counts from the first start; a run that was resumed has none any more.
update pt_runs
set executor_id = :executor,
    fence = fence + 1,
    recovery_attempts = recovery_attempts + attempt_owed,
    attempt_owed = 0,
    status = case when status = 'ENQUEUED' then 'PENDING' else status end,
    started_at_epoch_ms = coalesce(started_at_epoch_ms, cast(:now as bigint)),
    workflow_deadline_epoch_ms = coalesce(
        workflow_deadline_epoch_ms, case when started_at_epoch_ms is null then cast(:now as bigint) + workflow_timeout_ms end
    ),
    updated_at_epoch_ms = cast(:now as bigint),
    wake_ms = null
where run in (
    select run
    from pt_runs
    where name in (select r.name from @rows(name text) as r)
    and executor_id is null
    and wake_ms is not null
    and wake_ms <= cast(:now as bigint)
    and completed_at_epoch_ms is null
    and (queue_name is null or status <> 'ENQUEUED')
    and (slot_executor = :executor or (slot_executor is null and queue_name is null))
    order by wake_ms
    limit :limit
    @for_update @skip_locked
)
and exists (select 1 from pt_executors as e where e.executor_id = :executor and e.incarnation = :incarnation)
returning
    run, id, name, inputs, fence, recovery_attempts, started_at_epoch_ms, workflow_deadline_epoch_ms, queue_name

-- name: requeue
-- Runs that gave their slot back while they wait for a person, and have something else to do now: they queue for one.
update pt_runs
set status = 'ENQUEUED'
where run in (
    select run
    from pt_runs @indexed_by(pt_runs_slotless)
    where status = 'WAITING_FOR_APPROVAL'
    and queue_name is not null
    and slot_executor is null
    and executor_id is null
    and wake_ms <= :now
    @for_update @skip_locked
)
returning queue_name

-- name: next_requeue
-- The index is named: SQLite would go through all runs that wait for a person.
select min(wake_ms)
from pt_runs @indexed_by(pt_runs_slotless)
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
-- The rows' columns have names of their own: `returning` takes no qualified names in SQLite.
-- `coalesce` keeps SQLite from going through all runs of the executor instead of by key.
update pt_runs
set status = r.new_status,
    output = r.new_output,
    error = r.new_error,
    failed_positions = r.failed,
    completed_at_epoch_ms = r.now,
    updated_at_epoch_ms = r.now,
    wake_ms = null
from @rows(run_key bigint, mark bigint, new_status text, new_output text, new_error text, failed text, now bigint) as r
where run = r.run_key
and fence = r.mark
and coalesce(executor_id, '') = :executor
and completed_at_epoch_ms is null
returning run, id, name, status, queue_name, executor_id

-- name: forget_waits
delete from pt_waits where run in (select r.run from @rows(run bigint) as r)

-- name: put_labels_back
-- What the app status was before the first gate that is still open.
update pt_runs
set app_status = (
        select g.before_label
        from pt_approvals as g
        where g.run = pt_runs.run
        and g.status = 'open'
        order by g.approval
        limit 1
    ),
    app_status_color = (
        select g.before_color
        from pt_approvals as g
        where g.run = pt_runs.run
        and g.status = 'open'
        order by g.approval
        limit 1
    )
where run in (select r.run from @rows(run bigint) as r)
and app_status = :label
and app_status_color = :color
and exists (select 1 from pt_approvals as a where a.run = pt_runs.run and a.status = 'open')

-- name: close_gates
-- `coalesce` keeps SQLite from going through all open gates instead of by run.
update pt_approvals
set status = 'cancelled',
    decided_ms = :now
where coalesce(status, '') = 'open'
and run in (select r.run from @rows(run bigint) as r)

-- name: park
-- A wait that was met while the run was being put down makes it due at once.
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
-- A queued run goes back to its queue, so that no limit is passed when it goes on.
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
-- It gives its slot back: a run that waits for a person or for other code must not stop its queue.
update pt_runs
set executor_id = null,
    slot_executor = null,
    wake_ms = null,
    attention = r.text,
    reason = r.text
from @rows(run_key bigint, mark bigint, text text) as r
where run = r.run_key
and fence = r.mark
and coalesce(executor_id, '') = :executor
and completed_at_epoch_ms is null
returning run, queue_name

-- name: retry_set_aside
-- A queued run queues for a slot again; one that waits for an approval does so by `requeue`. In the order of the keys: processes that are launched together do this together.
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
    @for_no_key_update
)
and attention is not null
returning queue_name

-- name: dead_letter
-- The first execution and max_recoveries more were granted; this would be one too many.
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

-- name: free_slots
-- Parked runs that held a slot of an executor which is gone: they get a new one when they wake.
update pt_runs
set slot_executor = null,
    status = 'ENQUEUED'
where queue_name is not null
and slot_executor = :executor_id
and executor_id is null
and completed_at_epoch_ms is null
and status <> 'ENQUEUED'
returning queue_name

-- name: free
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
-- The run and its open descendants. A cancelled run keeps its executor: the letter in wake_ms is for it.
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
-- Children that were being started while their parents were cancelled.
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

-- name: recall
-- A run that waits in its queue is the queue's by now.
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

-- name: letters
select run, fence
from pt_runs
where executor_id = :executor
and wake_ms is not null

-- name: take_letters
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
returning run

-- name: cancelled_children
-- Those that were cancelled only because their parent was.
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

-- name: forget_failure
delete from pt_steps
where run = :run
and position = :position
and error is not null
and child_workflow_id is null

-- name: forget_misread_value
-- A value or result that its reader could not take is looked at again. A message is not: it is consumed.
update pt_steps
set error = output,
    output = null
where run = :run
and position = :position
and output is not null
and exists (
    select 1 from pt_steps as n
    where n.run = :run
    and n.position = 'note:read:' || :position
    and n.error is not null
)

-- name: forget_reading
delete from pt_steps
where run = :run
and position = 'note:read:' || :position

-- name: forget_expired_gate
-- A resumed run asks again where it had waited in vain.
update pt_approvals
set status = 'cancelled'
where run = :run
and position = :position
and status = 'expired'

-- name: reopen_child
-- A child that was started stays started; only its outcome is forgotten.
update pt_steps
set error = null,
    ended_at_epoch_ms = null
where run = :run
and position = :position
and error is not null
and child_workflow_id is not null

-- name: forget_attempts
delete from pt_step_attempts
where run = :run
and position = :position

-- name: queue_of
select queue_name from pt_runs where run = :run

-- name: run_of
select run from pt_runs where id = :id

-- name: positions_of
select position, ended_at_epoch_ms from pt_steps where run = :run

-- name: copy_steps
insert into pt_steps (
    run, position, function_id, function_name, kind, output, error, child_workflow_id, attempts,
    started_at_epoch_ms, ended_at_epoch_ms, follows, incarnation
)
select
    :target, o.position, o.function_id, o.function_name, o.kind, o.output, o.error, o.child_workflow_id, o.attempts,
    o.started_at_epoch_ms, coalesce(o.ended_at_epoch_ms, :now), o.follows, o.incarnation
from pt_steps as o
where o.run = :source
and o.position in (select r.position from @rows(position text) as r)

-- name: copy_attempts
insert into pt_step_attempts (run, position, number, started_at_epoch_ms, ended_at_epoch_ms, error, incarnation)
select :target, a.position, a.number, a.started_at_epoch_ms, a.ended_at_epoch_ms, a.error, a.incarnation
from pt_step_attempts as a
where a.run = :source
and a.position in (select r.position from @rows(position text) as r)

-- name: copy_values_history
insert into pt_values_history (run, position, key, value, created_ms)
select :target, h.position, h.key, h.value, h.created_ms
from pt_values_history as h
where h.run = :source
and h.position in (select r.position from @rows(position text) as r)

-- name: rebuild_values
-- The last value that the copied steps had set for each key.
insert into pt_values (run, key, value, updated_ms)
select h.run, h.key, h.value, h.created_ms
from pt_values_history as h
join pt_steps as o on o.run = h.run and o.position = h.position
where h.run = :target
and o.function_id = (
    select max(newest.function_id)
    from pt_values_history as same
    join pt_steps as newest on newest.run = same.run and newest.position = same.position
    where same.run = h.run
    and same.key = h.key
)

-- name: edit_step
update pt_steps
set output = :output,
    error = :error
where run = :target
and position = :position

-- name: delete
delete from pt_runs
where run in (select r.run from @rows(run bigint) as r)
and completed_at_epoch_ms is not null
returning run

-- name: delete_steps
delete from pt_steps where run in (select r.run from @rows(run bigint) as r)

-- name: delete_attempts
delete from pt_step_attempts where run in (select r.run from @rows(run bigint) as r)

-- name: delete_waits
delete from pt_waits where run in (select r.run from @rows(run bigint) as r)

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

-- name: add_tags
insert into pt_run_tags (tag, run)
select r.tag, r.run
from @rows(tag text, run bigint) as r
where true
on conflict do nothing

-- name: delete_tags
delete from pt_run_tags where run in (select r.run from @rows(run bigint) as r)

-- name: delete_assignees
delete from pt_approval_assignees
where approval in (
    select a.approval from pt_approvals as a where a.run in (select r.run from @rows(run bigint) as r)
)

-- name: delete_approvals
delete from pt_approvals where run in (select r.run from @rows(run bigint) as r)
