-- name: runs_over
-- As `workflows.finished_before` would take them.
select count(*)
from (
    select 1
    from pt_workflow_status as w
    where w.completed_at_epoch_ms is not null
    and w.completed_at_epoch_ms <= :before
    and not exists (
        select 1 from pt_deliveries as d where d.run = w.run and d.run is not null and d.status = 'pending'
    )
    limit :most
) as counted

-- name: deliveries_over
select count(*)
from (select 1 from pt_deliveries where status <> 'pending' and updated_ms < :before limit :most) as counted

-- name: logs_over
select count(*)
from (select 1 from pt_logs where created_ms < :before limit :most) as counted
