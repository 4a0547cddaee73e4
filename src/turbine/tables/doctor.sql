-- name: database_time
select @now

-- name: schema
select max(version) from pt_migrations

-- name: set_aside
select count(*)
from (select 1 from pt_runs where attention is not null limit :limit) as found

-- name: open_runs
select count(*)
from (
    select 1
    from pt_runs
    where status in ('PENDING', 'ENQUEUED', 'WAITING_FOR_APPROVAL')
    limit :limit
) as found

-- name: names
select name from pt_workflows order by name

-- name: longest_due
-- The run of each name that is due for the longest time and that nobody holds.
select r.name, (
    select min(wake_ms)
    from pt_runs
    where name = r.name
    and executor_id is null
    and wake_ms is not null
    and completed_at_epoch_ms is null
    and (queue_name is null or status <> 'ENQUEUED')
)
from @rows(name text) as r

-- name: known_alive
select distinct n.value
from pt_executors as e, @elements(e.names, n)
where e.lease_until_ms > @now
