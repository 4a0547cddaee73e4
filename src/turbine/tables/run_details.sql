-- name: member
select
    run, id, name, status, parent_workflow_id, parent_position, created_at_epoch_ms, completed_at_epoch_ms, parent_run
from pt_runs
where run = :run

-- name: children
select
    w.run, w.id, w.name, w.status, w.parent_workflow_id, w.parent_position, w.created_at_epoch_ms,
    w.completed_at_epoch_ms, w.parent_run
from pt_runs as w
where w.parent_run in (select r.run from @rows(run bigint) as r)
and w.parent_run is not null
order by w.run
limit :limit

-- name: statuses_of
select w.id, w.status
from pt_runs as w
where w.id in (select r.id from @rows(id text) as r)

-- name: messages
select message, topic, body, created_at_epoch_ms, consumed_position
from pt_messages
where run = :run
and message > :after
order by message
limit :limit

-- name: values
select key, value, updated_ms from pt_values where run = :run order by key

-- name: steps
select o.position, o.kind, o.follows, o.error
from pt_steps as o
where o.run = :run
and o.position in (select r.position from @rows(position text) as r)

-- name: failed_attempts
select a.position, a.number, a.error
from pt_step_attempts as a
where a.run = :run
and a.position in (select r.position from @rows(position text) as r)
and a.error is not null

-- name: incarnations
-- Number 0 stands for the outcome of a step.
select o.position, 0, l.executor_id, l.hostname, l.process_id, l.application_version
from pt_steps as o
join pt_incarnations as l on l.incarnation = o.incarnation
where o.run = :run
and o.position in (select r.position from @rows(position text) as r)
union all
select a.position, a.number, l.executor_id, l.hostname, l.process_id, l.application_version
from pt_step_attempts as a
join pt_incarnations as l on l.incarnation = a.incarnation
where a.run = :run
and a.position in (select r.position from @rows(position text) as r)

-- name: expedite
update pt_waits
set deadline_ms = :now
where run = :run
and kind in ('sleep', 'retry')
and deadline_ms > :now
and exists (
    select 1
    from pt_runs as w
    where w.run = pt_waits.run
    and w.completed_at_epoch_ms is null
    and w.attention is null
)
returning position

-- name: start_now
-- A delayed start. A run that waits for something is due by its waits instead.
update pt_runs
set wake_ms = :now
where run = :run
and executor_id is null
and completed_at_epoch_ms is null
and attention is null
and wake_ms > :now
and not exists (select 1 from pt_waits as p where p.run = pt_runs.run)
returning status, queue_name

-- name: summaries
select w.id, w.summary
from pt_runs as w
where w.id in (select r.id from @rows(id text) as r)
