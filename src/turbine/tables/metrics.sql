-- name: ping
select 1

-- name: by_status
select
    r.bucket, r.status,
    (
        select count(*)
        from pt_runs as w
        where w.status = r.status
        and w.run >= r.first
        and w.run < r.last
    )
from @rows(bucket bigint, status text, first bigint, last bigint) as r

-- name: by_status_of_name
select
    r.bucket, r.status,
    (
        select count(*)
        from pt_runs as w
        where w.name = :name
        and w.status = r.status
        and w.run >= r.first
        and w.run < r.last
    )
from @rows(bucket bigint, status text, first bigint, last bigint) as r

-- name: of_status
select run
from pt_runs
where status = :status
and run >= :first
and run < :last
limit :limit

-- name: of_status_and_name
select run
from pt_runs
where name = :name
and status = :status
and run >= :first
and run < :last
limit :limit

-- name: by_status_of_tag
select t.run, w.status, w.name
from pt_run_tags as t
cross join pt_runs as w
where t.tag = :tag
and t.run >= :first
and t.run < :last
and w.run = t.run
order by t.run desc
limit :limit

-- name: ended_since
select completed_at_epoch_ms, started_at_epoch_ms, status
from pt_runs
where completed_at_epoch_ms >= :since
and completed_at_epoch_ms is not null
order by completed_at_epoch_ms desc
limit :limit

-- name: tags
-- `|| ''` keeps SQLite from scanning all tags in their order.
select tag || '', count(*)
from pt_run_tags
where run > :first
group by tag || ''
order by count(*) desc, tag || ''
limit :limit

-- name: oldest_enqueued
select created_at_epoch_ms
from pt_runs
where queue_name = :queue
and queue_name is not null
and status = 'ENQUEUED'
order by run
limit 1

-- name: ended_of_queue
-- Few runs have ended in the last minutes; `coalesce` rules out the index of the queue, which has all its runs.
select count(*)
from pt_runs
where completed_at_epoch_ms >= :since
and completed_at_epoch_ms is not null
and coalesce(queue_name, '') = :queue

-- name: holders
select id, name, coalesce(executor_id, slot_executor), started_at_epoch_ms
from pt_runs
where queue_name = :queue
and queue_name is not null
and status in ('PENDING', 'WAITING_FOR_APPROVAL')
order by started_at_epoch_ms
limit :limit

-- name: partitions_waiting
select queue_partition_key, count(*)
from pt_runs
where queue_name = :queue
and queue_name is not null
and status = 'ENQUEUED'
and queue_partition_key is not null
group by queue_partition_key
order by count(*) desc
limit :limit

-- name: partitions_running
select queue_partition_key, count(*)
from pt_runs
where queue_name = :queue
and queue_name is not null
and status in ('PENDING', 'WAITING_FOR_APPROVAL')
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

-- name: held_runs
select count(*)
from pt_runs
where executor_id = :executor
and executor_id is not null
and completed_at_epoch_ms is null

-- name: last_log
select max(log) from pt_logs

-- name: versions_open
select application_version, count(*), count(attention)
from pt_runs
where name = :name
and status in ('PENDING', 'ENQUEUED', 'WAITING_FOR_APPROVAL')
and run > :first
group by application_version

-- name: run_times
select w.status, w.started_at_epoch_ms, w.completed_at_epoch_ms
from pt_runs as w
where w.run in (select r.run from @rows(run bigint) as r)
