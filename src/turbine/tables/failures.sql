-- name: failed_steps
-- The step at the position that ended each run.
select r.run, o.function_name, o.error
from @rows(run bigint, position text) as r
cross join pt_steps as o
where o.run = r.run
and o.position = r.position

-- name: record_groups
-- A resolved group that is seen again is open again.
insert into pt_failure_groups as g (fingerprint, workflow, step, type, message, place, first_ms, last_ms, state)
select r.fingerprint, r.workflow, r.step, r.type, r.message, r.place, r.at_ms, r.at_ms, 'open'
from @rows(
    fingerprint text, workflow text, step text, type text, message text, place text, at_ms bigint
) as r
where true
order by r.fingerprint
on conflict (fingerprint) do update
set message = excluded.message,
    last_ms = excluded.last_ms,
    state = case when g.state = 'resolved' then 'open' else g.state end

-- name: record
insert into pt_failures (run, fingerprint)
select r.run, r.fingerprint
from @rows(run bigint, fingerprint text) as r
where true
on conflict (run) do update
set fingerprint = excluded.fingerprint

-- name: forget_runs
delete from pt_failures where run in (select r.run from @rows(run bigint) as r)

-- name: delete_unused_groups
-- An ignored group is kept, so that it stays ignored.
delete from pt_failure_groups
where fingerprint in (
    select g.fingerprint
    from pt_failure_groups as g
    where g.last_ms < :before
    and g.state <> 'ignored'
    and not exists (select 1 from pt_failures as f where f.fingerprint = g.fingerprint)
    order by g.last_ms
    limit :limit
)

-- name: groups
select fingerprint, workflow, step, type, message, place, first_ms, last_ms, state, state_by, state_ms
from pt_failure_groups as g
where (last_ms, fingerprint) < (:last, :fingerprint)
and last_ms >= :since
and first_ms <= :until
and (state <> 'open' or exists (select 1 from pt_failures as f where f.fingerprint = g.fingerprint))
order by last_ms desc, fingerprint desc
limit :limit

-- name: groups_in
select fingerprint, workflow, step, type, message, place, first_ms, last_ms, state, state_by, state_ms
from pt_failure_groups as g
where state = :state
and (last_ms, fingerprint) < (:last, :fingerprint)
and last_ms >= :since
and first_ms <= :until
and (state <> 'open' or exists (select 1 from pt_failures as f where f.fingerprint = g.fingerprint))
order by last_ms desc, fingerprint desc
limit :limit

-- name: group
select fingerprint, workflow, step, type, message, place, first_ms, last_ms, state, state_by, state_ms
from pt_failure_groups
where fingerprint = :fingerprint

-- name: counts
select r.fingerprint, (
    select count(*)
    from (select 1 from pt_failures as f where f.fingerprint = r.fingerprint limit :most) as counted
)
from @rows(fingerprint text) as r

-- name: newest_runs
select w.id
from pt_failures as f
join pt_runs as w on w.run = f.run
where f.fingerprint = :fingerprint
order by f.run desc
limit :limit

-- name: set_state
update pt_failure_groups
set state = :state,
    state_by = :actor,
    state_ms = :now
where fingerprint = :fingerprint
and state <> :state

-- name: exists
select 1 from pt_failure_groups where fingerprint = :fingerprint
