-- name: enlist
insert into pt_executors (
    executor_id, application_id, application_version, machine, lock_path, hostname, process_id,
    started_ms, lease_until_ms, names
)
values (
    :executor_id, :application_id, :application_version, :machine, :lock_path, :hostname, :process_id,
    :now, @now + :lease, :names
)
on conflict (executor_id) do update
set lease_until_ms = excluded.lease_until_ms

-- name: renew
update pt_executors
set lease_until_ms = @now + :lease
where executor_id = :executor

-- name: roll
select
    executor_id, application_id, application_version, machine, lock_path, hostname, process_id, started_ms,
    lease_until_ms - @now, names
from pt_executors
order by started_ms, executor_id

-- name: exhume [sqlite]
select lease_until_ms - @now from pt_executors where executor_id = :executor_id

-- name: exhume [postgres]
-- The lock waits for the batch that the executor may be committing, and stops its next one.
select lease_until_ms - @now from pt_executors where executor_id = :executor_id for update

-- name: strike
delete from pt_executors where executor_id = :executor_id

-- name: orphans
-- A loose index scan would do; the partial index holds open runs only.
select distinct executor_id
from pt_workflow_status
where executor_id is not null
and completed_at_epoch_ms is null
and executor_id not in (select executor_id from pt_executors)

-- name: names_known [sqlite]
select distinct n.value
from pt_executors as e, json_each(e.names) as n
where n.value in (select r.name from @rows(name text) as r)
and e.lease_until_ms > @now

-- name: names_known [postgres]
select distinct n.value
from pt_executors as e, jsonb_array_elements_text(e.names::jsonb) as n(value)
where n.value in (select r.name from @rows(name text) as r)
and e.lease_until_ms > @now
