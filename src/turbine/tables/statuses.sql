-- name: outcome
select completed_at_epoch_ms, status, output, error, reason
from pt_workflow_status
where id = :id

-- name: facts
select
    run, status, name, executor_id, wake_ms, queue_name, attention, reason, updated_at_epoch_ms,
    workflow_deadline_epoch_ms
from pt_workflow_status
where id = :id

-- name: open_waits
select position, kind, subject, since_ms, deadline_ms
from pt_waits
where run = :run
order by since_ms, position
