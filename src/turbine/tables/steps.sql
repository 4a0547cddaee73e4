-- name: record
-- The join is the fence: for a run that was lost or has ended nothing is written. An outcome is never overwritten.
-- `cross join` keeps SQLite from scanning all runs of the executor for each row.
insert into pt_steps as o (
    run, position, function_id, function_name, kind, output, error, child_workflow_id, attempts,
    started_at_epoch_ms, ended_at_epoch_ms, follows, incarnation
)
select
    r.run, r.position, r.function_id, r.name, r.kind, r.output, r.error, r.child, r.attempts, r.started, r.ended,
    r.follows, :incarnation
from @rows(run bigint, fence bigint, position text, function_id bigint, name text, kind bigint, output text, error text, child text, attempts bigint, started bigint, ended bigint, follows bigint) as r
cross join pt_runs as w
where w.run = r.run
and w.fence = r.fence
and w.executor_id = :executor
and w.completed_at_epoch_ms is null
on conflict (run, position) do update
set output = excluded.output,
    error = excluded.error,
    kind = excluded.kind,
    attempts = excluded.attempts,
    child_workflow_id = coalesce(excluded.child_workflow_id, o.child_workflow_id),
    ended_at_epoch_ms = excluded.ended_at_epoch_ms,
    incarnation = excluded.incarnation
where o.ended_at_epoch_ms is null
returning run, position

-- name: begin
insert into pt_steps (
    run, position, function_id, function_name, kind, started_at_epoch_ms, incarnation
)
select r.run, r.position, r.function_id, r.name, r.kind, r.started, :incarnation
from @rows(run bigint, fence bigint, position text, function_id bigint, name text, kind bigint, started bigint) as r
cross join pt_runs as w
where w.run = r.run
and w.fence = r.fence
and w.executor_id = :executor
and w.completed_at_epoch_ms is null
on conflict (run, position) do nothing

-- name: begin_retried
insert into pt_steps as o (
    run, position, function_id, function_name, kind, attempts, started_at_epoch_ms, incarnation
)
select r.run, r.position, r.function_id, r.name, 0, r.number, r.started, :incarnation
from @rows(run bigint, fence bigint, position text, function_id bigint, name text, number bigint, started bigint, ended bigint, error text, due bigint) as r
where true
on conflict (run, position) do update
set attempts = excluded.attempts,
    incarnation = excluded.incarnation
where o.ended_at_epoch_ms is null

-- name: add_attempt
insert into pt_step_attempts (
    run, position, number, started_at_epoch_ms, ended_at_epoch_ms, error, incarnation
)
select r.run, r.position, r.number, r.started, r.ended, r.error, :incarnation
from @rows(run bigint, fence bigint, position text, function_id bigint, name text, number bigint, started bigint, ended bigint, error text, due bigint) as r
where true
on conflict (run, position, number) do nothing

-- name: add_last_attempt
-- The attempt that gave the outcome. If it failed, `fail_attempt` has recorded it already.
insert into pt_step_attempts (
    run, position, number, started_at_epoch_ms, ended_at_epoch_ms, error, incarnation
)
select r.run, r.position, r.attempts, r.started, r.ended, r.error, :incarnation
from @rows(run bigint, fence bigint, position text, function_id bigint, name text, kind bigint, output text, error text, child text, attempts bigint, started bigint, ended bigint, follows bigint) as r
where true
on conflict (run, position, number) do nothing

-- name: wait_for_retry
insert into pt_waits (run, position, kind, subject, since_ms, deadline_ms, due_ms)
select r.run, r.position, 'retry', r.name, r.ended, r.due, r.due
from @rows(run bigint, fence bigint, position text, function_id bigint, name text, number bigint, started bigint, ended bigint, error text, due bigint) as r
where true
on conflict (run, position) do update
set since_ms = excluded.since_ms,
    deadline_ms = excluded.deadline_ms,
    due_ms = excluded.due_ms

-- name: delete_waits [sqlite]
delete from pt_waits
where (run, position) in (select r.run, r.position from @rows(run bigint, position text) as r)

-- name: delete_waits [postgres]
delete from pt_waits as w
using @rows(run bigint, position text) as r
where w.run = r.run
and w.position = r.position

-- name: history
select
    o.run, o.position, o.function_id, o.function_name, o.kind, o.output, o.error, o.child_workflow_id,
    o.started_at_epoch_ms, o.ended_at_epoch_ms
from pt_steps as o
where o.run in (select r.run from @rows(run bigint) as r)

-- name: history_waits
select w.run, w.position, w.kind, w.subject, w.since_ms, w.deadline_ms, w.due_ms
from pt_waits as w
where w.run in (select r.run from @rows(run bigint) as r)

-- name: history_failures
-- Only of positions without an outcome: a step with an outcome is never retried.
select a.run, a.position, a.number, a.error
from pt_step_attempts as a
join pt_steps as o on o.run = a.run and o.position = a.position
where a.run in (select r.run from @rows(run bigint) as r)
and o.ended_at_epoch_ms is null
and a.error is not null
order by a.run, a.position, a.number

-- name: of_run
select
    position, function_id, function_name, output, error, child_workflow_id, attempts,
    started_at_epoch_ms, ended_at_epoch_ms
from pt_steps
where run = :run
and kind <> 5
and (function_id, position) > (:after, :position)
order by function_id, position
limit :limit

-- name: attempts_of
select a.position, a.number, a.started_at_epoch_ms, a.ended_at_epoch_ms, a.error
from pt_step_attempts as a
where a.run = :run
and a.position in (select r.position from @rows(position text) as r)
order by a.position, a.number

-- name: output_of
select output from pt_steps where run = :run and position = :position and kind <> 5
