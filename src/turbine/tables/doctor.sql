-- name: database_time
select @now

-- name: schema_version
select max(version) from pt_migrations

-- name: set_aside
select count(*)
from (select 1 from pt_runs where attention is not null limit :limit) as counted

-- name: open_runs
select count(*)
from (
    select 1
    from pt_runs
    where status in ('PENDING', 'ENQUEUED', 'WAITING_FOR_APPROVAL')
    limit :limit
) as counted

-- name: names
select name from pt_workflows order by name

-- name: longest_due
-- For each name the time since which a run has been due without being held.
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

-- name: registered_names [sqlite]
select distinct n.value
from pt_executors as e, json_each(e.names) as n
where e.lease_until_ms > @now

-- name: registered_names [postgres]
select distinct n.value
from pt_executors as e, jsonb_array_elements_text(e.names::jsonb) as n(value)
where e.lease_until_ms > @now
