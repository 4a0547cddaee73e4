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
