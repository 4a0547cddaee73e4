-- name: announce [sqlite]
-- The targets come first: while nobody listens this costs nothing. A `_` in an event matches itself, and more; no two
-- events differ in only that.
insert into pt_deliveries (
    id, kind, target, event, run, workflow_id, name, run_status, output, error, status, next_ms, created_ms, updated_ms
)
select
    'msg_' || lower(hex(randomblob(16))), t.kind, t.id, r.event, w.run, w.id, w.name, r.run_status, w.output, w.error,
    'pending', 0, r.now, r.now
from (
    select 'webhook' as kind, id, events from pt_webhooks where enabled = 1
    union all
    select 'alert', id, events from pt_alert_channels where enabled = 1
) as t
cross join @rows(run_key bigint, event text, run_status text, now bigint) as r
cross join pt_workflow_status as w
where w.run = r.run_key
and (t.events like '%"' || r.event || '"%' or t.events like '%"workflow.*"%')

-- name: announce [postgres]
insert into pt_deliveries (
    id, kind, target, event, run, workflow_id, name, run_status, output, error, status, next_ms, created_ms, updated_ms
)
select
    'msg_' || replace(gen_random_uuid()::text, '-', ''), t.kind, t.id, r.event, w.run, w.id, w.name, r.run_status,
    w.output, w.error, 'pending', 0, r.now, r.now
from (
    select 'webhook' as kind, id, events from pt_webhooks where enabled = 1
    union all
    select 'alert', id, events from pt_alert_channels where enabled = 1
) as t
cross join @rows(run_key bigint, event text, run_status text, now bigint) as r
cross join pt_workflow_status as w
where w.run = r.run_key
and (t.events like '%"' || r.event || '"%' or t.events like '%"workflow.*"%')

-- name: add
insert into pt_deliveries (
    id, kind, target, event, run, workflow_id, name, message, status, next_ms, created_ms, updated_ms
)
select r.id, r.kind, r.target, r.event, r.run, r.workflow_id, r.name, r.message, 'pending', 0, r.now, r.now
from @rows(id text, kind text, target text, event text, run bigint, workflow_id text, name text, message text, now bigint) as r
