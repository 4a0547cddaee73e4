-- name: begin_steps
insert into pt_steps (
    run, position, function_id, function_name, kind, child_workflow_id, started_at_epoch_ms
)
select r.run, r.position, r.function_id, r.name, r.step_kind, r.child, r.since
from @rows(run bigint, fence bigint, position text, function_id bigint, name text, step_kind bigint, child text, kind text, subject text, since bigint, deadline bigint) as r
where true
on conflict (run, position) do nothing

-- name: begin_waits
-- A wait that begins again after it was met in vain is due at its deadline again.
insert into pt_waits as w (run, position, kind, subject, since_ms, deadline_ms, due_ms)
select r.run, r.position, r.kind, r.subject, r.since, r.deadline, r.deadline
from @rows(run bigint, fence bigint, position text, function_id bigint, name text, step_kind bigint, child text, kind text, subject text, since bigint, deadline bigint) as r
where true
on conflict (run, position) do update
set due_ms = w.deadline_ms,
    subject = excluded.subject

-- name: run_of_id
select run from pt_runs where id = :id

-- name: runs_of_ids [sqlite]
select w.id, w.completed_at_epoch_ms, w.status, w.output, w.error, w.reason
from pt_runs as w
where w.id in (select r.id from @rows(id text) as r)

-- name: runs_of_ids [postgres]
-- Locked, so that none of them ends before the wait for it is committed.
select w.id, w.completed_at_epoch_ms, w.status, w.output, w.error, w.reason
from pt_runs as w
where w.id in (select r.id from @rows(id text) as r)
order by w.run
for no key update

-- name: value_of
select value from pt_values where run = :run and key = :key

-- name: waiting_for
select w.run, w.position
from pt_waits as w
where w.kind = :kind
and w.kind in ('value', 'result')
and w.subject in (select r.subject from @rows(subject text) as r)

-- name: meet [sqlite]
update pt_waits
set due_ms = 0
where (run, position) in (select r.run, r.position from @rows(run bigint, position text) as r)

-- name: meet [postgres]
update pt_waits as w
set due_ms = 0
from @rows(run bigint, position text) as r
where w.run = r.run
and w.position = r.position

-- name: wake_parked
update pt_runs
set wake_ms = 0
where run in (select r.run from @rows(run bigint) as r)
and executor_id is null
and completed_at_epoch_ms is null
and attention is null
returning status, queue_name

-- name: met_of
select w.run, w.position
from pt_waits as w
cross join pt_runs as s
where w.due_ms = 0
and s.run = w.run
and s.executor_id = :executor
and s.completed_at_epoch_ms is null

-- name: open_waits
select position, kind, subject, since_ms, deadline_ms
from pt_waits
where run = :run
order by since_ms, position
