-- name: announce [sqlite]
-- The targets lead the join, so without subscriptions this costs nothing. A `_` in an event is a wildcard of `like`, but
-- no two events differ in just one such character.
insert into pt_deliveries (
    id, kind, target, event, run, workflow_id, name, run_status, output, error, assignees, status, next_ms,
    created_ms, updated_ms
)
select
    'msg_' || lower(hex(randomblob(16))), t.kind, t.id, r.event, w.run, w.id, w.name, r.run_status, w.output, w.error,
    r.assignees, 'pending', 0, r.now, r.now
from (
    select 'webhook' as kind, id, events, null as workflows from pt_webhooks where enabled = 1
    union all
    select 'alert', id, events, workflows from pt_alert_channels where enabled = 1
) as t
cross join @rows(run_key bigint, event text, run_status text, now bigint, assignees text) as r
cross join pt_runs as w
where w.run = r.run_key
and (t.events like '%"' || r.event || '"%' or t.events like '%"workflow.*"%')
and (
    t.workflows is null
    or exists (
        select 1
        from json_each(t.workflows) as p
        where w.name glob replace(replace(p.value, '[', '[[]'), '?', '[?]')
    )
)

-- name: announce [postgres]
insert into pt_deliveries (
    id, kind, target, event, run, workflow_id, name, run_status, output, error, assignees, status, next_ms,
    created_ms, updated_ms
)
select
    'msg_' || replace(gen_random_uuid()::text, '-', ''), t.kind, t.id, r.event, w.run, w.id, w.name, r.run_status,
    w.output, w.error, r.assignees, 'pending', 0, r.now, r.now
from (
    select 'webhook' as kind, id, events, null as workflows from pt_webhooks where enabled = 1
    union all
    select 'alert', id, events, workflows from pt_alert_channels where enabled = 1
) as t
cross join @rows(run_key bigint, event text, run_status text, now bigint, assignees text) as r
cross join pt_runs as w
where w.run = r.run_key
and (t.events like '%"' || r.event || '"%' or t.events like '%"workflow.*"%')
and (
    t.workflows is null
    or exists (
        select 1
        from json_array_elements_text(t.workflows::json) as p(pattern)
        where w.name like replace(replace(replace(replace(p.pattern, '\', '\\'), '%', '\%'), '_', '\_'), '*', '%')
    )
)

-- name: add
insert into pt_deliveries (
    id, kind, target, event, run, workflow_id, name, message, status, next_ms, created_ms, updated_ms
)
select r.id, r.kind, r.target, r.event, r.run, r.workflow_id, r.name, r.message, 'pending', 0, r.now, r.now
from @rows(id text, kind text, target text, event text, run bigint, workflow_id text, name text, message text, now bigint) as r
where true
on conflict (id) do nothing

-- name: next_due
select next_ms
from pt_deliveries
where kind = :kind
and status = 'pending'
and executor_id is null
order by next_ms
limit 1

-- name: claim [sqlite]
update pt_deliveries
set executor_id = :executor
where delivery in (
    select delivery
    from pt_deliveries
    where kind = :kind
    and status = 'pending'
    and executor_id is null
    and next_ms <= :now
    order by next_ms, delivery
    limit :limit
)
returning
    delivery, id, kind, target, event, workflow_id, name, run_status, output, error, message, attempts,
    attempts_before, created_ms, assignees

-- name: claim [postgres]
update pt_deliveries
set executor_id = :executor
where delivery in (
    select delivery
    from pt_deliveries
    where kind = :kind
    and status = 'pending'
    and executor_id is null
    and next_ms <= :now
    order by next_ms, delivery
    limit :limit
    for update skip locked
)
returning
    delivery, id, kind, target, event, workflow_id, name, run_status, output, error, message, attempts,
    attempts_before, created_ms, assignees

-- name: settle
-- `coalesce` makes SQLite look rows up by key instead of scanning all pending ones.
-- The number is a fence: an attempt from before this executor lost the row and claimed it again settles nothing.
update pt_deliveries
set status = r.state,
    attempts = r.number,
    executor_id = null,
    next_ms = r.next,
    updated_ms = r.now
from @rows(key bigint, number bigint, at bigint, duration bigint, code bigint, text text, state text, next bigint, now bigint) as r
where delivery = r.key
and coalesce(status, '') = 'pending'
and executor_id = :executor
and attempts = r.number - 1
returning delivery, id, kind

-- name: add_attempts
insert into pt_delivery_attempts (delivery, number, at_ms, duration_ms, status_code, error)
select r.delivery, r.number, r.at, r.duration, r.code, r.error
from @rows(delivery bigint, number bigint, at bigint, duration bigint, code bigint, error text) as r

-- name: give_back
update pt_deliveries
set executor_id = null,
    next_ms = r.next
from @rows(key bigint, next bigint) as r
where delivery = r.key
and coalesce(status, '') = 'pending'
and executor_id = :executor

-- name: expedite
update pt_deliveries
set next_ms = :now
where kind = 'alert'
and status = 'pending'
and executor_id is null
and next_ms > :now
and target = :target

-- name: release_all
update pt_deliveries
set executor_id = null
where executor_id = :executor_id

-- name: unregistered_holders
-- The partial index has only the deliveries that are claimed at this moment.
select distinct executor_id
from pt_deliveries
where executor_id is not null
and executor_id not in (select executor_id from pt_executors)

-- name: attempt_result
select
    d.status,
    d.attempts,
    (select a.error from pt_delivery_attempts as a where a.delivery = d.delivery and a.number = d.attempts)
from pt_deliveries as d
where d.id = :id

-- name: resend
update pt_deliveries
set status = 'pending',
    attempts_before = attempts,
    executor_id = null,
    next_ms = :now,
    updated_ms = :now
where id = :id
and status <> 'pending'
returning
    delivery, id, kind, target, event, workflow_id, name, run_status, output, error, message, attempts,
    attempts_before, created_ms, assignees

-- name: get
select delivery, id, kind, target, event, workflow_id, status, next_ms, created_ms
from pt_deliveries
where id = :id

-- name: attempts_of
select a.delivery, a.number, a.at_ms, a.duration_ms, a.status_code, a.error
from pt_delivery_attempts as a
where a.delivery in (select r.delivery from @rows(delivery bigint) as r)
order by a.delivery, a.number

-- name: settled_before
-- An open run may still ask for the result of its message, and would send it again if the delivery were gone.
select d.delivery, d.updated_ms
from pt_deliveries as d
where d.status <> 'pending'
and (d.updated_ms, d.delivery) > (:after_ms, :after)
and d.updated_ms < :before
and not exists (select 1 from pt_runs as w where w.run = d.run and w.completed_at_epoch_ms is null)
order by d.updated_ms, d.delivery
limit :limit

-- name: delete
-- A delivery that was resent in the meantime stays.
delete from pt_deliveries
where delivery in (select r.delivery from @rows(delivery bigint) as r)
and status <> 'pending'
returning delivery

-- name: delete_attempts
delete from pt_delivery_attempts where delivery in (select r.delivery from @rows(delivery bigint) as r)
