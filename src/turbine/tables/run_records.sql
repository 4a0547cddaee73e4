-- name: result
select completed_at_epoch_ms, status, output, error, reason
from pt_runs
where id = :id

-- name: facts
select
    run, status, name, executor_id, wake_ms, queue_name, attention, reason, updated_at_epoch_ms,
    workflow_deadline_epoch_ms, queue_partition_key
from pt_runs
where id = :id

-- name: set_app_status
update pt_runs
set app_status = r.label,
    app_status_color = r.color,
    updated_at_epoch_ms = r.now
from @rows(run_key bigint, run_fence bigint, label text, color text, now bigint) as r
where run = r.run_key
and fence = r.run_fence
and coalesce(executor_id, '') = :executor
and completed_at_epoch_ms is null
