-- name: marks
-- Numbers that change when a list of the dashboard does.
select
    (select max(run) from pt_runs),
    (select max(completed_at_epoch_ms) from pt_runs where completed_at_epoch_ms is not null),
    (select max(approval) from pt_approvals),
    (select count(*) from pt_approvals where status = 'open'),
    (select max(product) from pt_products),
    (select max(delivery) from pt_deliveries),
    (select max(updated_ms) from pt_deliveries where status <> 'pending'),
    (select max(updated_ms) from pt_queues),
    (select max(updated_ms) from pt_schedules),
    (select count(*) from pt_schedules),
    (select max(updated_at_epoch_ms) from pt_kv),
    (select count(*) from pt_executors),
    (select max(started_ms) from pt_executors),
    (select max(log) from pt_logs)

-- name: created
select run, id, name, status, updated_at_epoch_ms
from pt_runs
where run > :after
order by run desc
limit :limit

-- name: ended
select run, id, name, status, completed_at_epoch_ms
from pt_runs
where completed_at_epoch_ms >= :since
and completed_at_epoch_ms is not null
order by completed_at_epoch_ms desc
limit :limit

-- name: approvals_opened
select w.run, w.id, w.name, w.status, w.updated_at_epoch_ms
from pt_approvals as a
cross join pt_runs as w
where a.approval > :after
and w.run = a.run
order by a.approval desc
limit :limit
