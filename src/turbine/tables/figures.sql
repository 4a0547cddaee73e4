-- name: ping
select 1

-- name: last_run
select (select min(run) from pt_workflow_status), (select max(run) from pt_workflow_status)

-- name: made_at
-- When the run at or after a key was made: keys are given out in the order of time, so this finds a time's key.
select
    r.place,
    (
        select w.created_at_epoch_ms
        from pt_workflow_status as w
        where w.run >= r.mid
        order by w.run
        limit 1
    )
from @rows(place bigint, mid bigint) as r

-- name: by_status
select
    r.bucket, r.status,
    (
        select count(*)
        from pt_workflow_status as w
        where w.status = r.status
        and w.run >= r.first
        and w.run < r.last
    )
from @rows(bucket bigint, status text, first bigint, last bigint) as r

-- name: by_status_of_name
select w.created_at_epoch_ms, w.status, w.tags
from pt_workflow_status as w
where w.name = :name
and w.run >= :first
and w.run < :last
order by w.run desc
limit :limit

-- name: by_status_of_tag
select w.created_at_epoch_ms, w.status, w.tags
from pt_workflow_status as w
where w.run >= :first
and w.run < :last
and w.tags is not null
order by w.run desc
limit :limit

-- name: failures
select w.id, w.name, w.error, w.status, w.completed_at_epoch_ms, o.function_name
from pt_workflow_status as w
left join pt_operation_outputs as o on o.run = w.run and o.position = w.failed_positions
where w.status = :status
and w.run >= :first
and w.run < :last
order by w.run desc
limit :limit

-- name: ended_since
select completed_at_epoch_ms, started_at_epoch_ms, status
from pt_workflow_status
where completed_at_epoch_ms >= :since
and completed_at_epoch_ms is not null
order by completed_at_epoch_ms desc
limit :limit

-- name: tags
select tags
from pt_workflow_status
where run > :first
and tags is not null

-- name: oldest_enqueued
select created_at_epoch_ms
from pt_workflow_status
where queue_name = :queue
and queue_name is not null
and status = 'ENQUEUED'
order by run
limit 1

-- name: ended_of_queue
select count(*)
from pt_workflow_status
where completed_at_epoch_ms >= :since
and completed_at_epoch_ms is not null
and queue_name = :queue

-- name: holders
select id, name, coalesce(executor_id, slot_executor), started_at_epoch_ms
from pt_workflow_status
where queue_name = :queue
and queue_name is not null
and completed_at_epoch_ms is null
and status <> 'ENQUEUED'
order by started_at_epoch_ms
limit :limit

-- name: partitions_waiting
select queue_partition_key, count(*)
from pt_workflow_status
where queue_name = :queue
and queue_name is not null
and status = 'ENQUEUED'
and queue_partition_key is not null
group by queue_partition_key
order by count(*) desc
limit :limit

-- name: partitions_running
select queue_partition_key, count(*)
from pt_workflow_status
where queue_name = :queue
and queue_name is not null
and completed_at_epoch_ms is null
and status <> 'ENQUEUED'
and queue_partition_key is not null
group by queue_partition_key
order by count(*) desc
limit :limit

-- name: deliveries
select r.status, (select count(*) from pt_deliveries as d where d.status = r.status)
from @rows(status text) as r

-- name: open_approvals
select count(*) from pt_approvals where status = 'open'

-- name: live_executors
select count(*) from pt_executors where lease_until_ms > @now

-- name: held
select count(*)
from pt_workflow_status
where executor_id = :executor
and executor_id is not null
and completed_at_epoch_ms is null

-- name: last_log
select max(log) from pt_logs

-- name: versions_open
select application_version, count(*), count(attention)
from pt_workflow_status
where name = :name
and run > :first
and completed_at_epoch_ms is null
group by application_version

-- name: newest_of_name
select status, started_at_epoch_ms, completed_at_epoch_ms
from pt_workflow_status
where name = :name
order by run desc
limit :limit
