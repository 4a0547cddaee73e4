-- name: enlist
insert into pt_executors (
    executor_id, application_id, application_version, machine, lock_path, hostname, process_id,
    started_ms, lease_until_ms, names, threads, threads_max, loop_delay_ms, memory_bytes
)
values (
    :executor_id, :application_id, :application_version, :machine, :lock_path, :hostname, :process_id,
    :now, @now + :lease, :names, :threads, :threads_max, :loop_delay_ms, :memory_bytes
)
on conflict (executor_id) do update
set lease_until_ms = excluded.lease_until_ms

-- name: begin_life
insert into pt_lives (executor_id, hostname, process_id, application_version, started_ms)
select executor_id, hostname, process_id, application_version, started_ms
from pt_executors
where executor_id = :executor_id
returning life

-- name: forget_lives
delete from pt_lives where life <= :life

-- name: renew
update pt_executors
set lease_until_ms = @now + :lease,
    threads = :threads,
    threads_max = :threads_max,
    loop_delay_ms = :loop_delay_ms,
    memory_bytes = :memory_bytes
where executor_id = :executor

-- name: roll
select
    executor_id, application_id, application_version, machine, lock_path, hostname, process_id, started_ms,
    lease_until_ms - @now, names, threads, threads_max, loop_delay_ms, memory_bytes
from pt_executors
order by started_ms, executor_id

-- name: exhume [sqlite]
select lease_until_ms - @now from pt_executors where executor_id = :executor_id

-- name: exhume [postgres]
-- The lock waits for the batch that the executor may be committing, and stops its next one.
select lease_until_ms - @now from pt_executors where executor_id = :executor_id for update

-- name: strike
delete from pt_executors where executor_id = :executor_id

-- name: depart
insert into pt_departures (
    executor_id, hostname, process_id, application_version, started_ms, left_ms, taken_by, runs
)
select executor_id, hostname, process_id, application_version, started_ms, @now, :taken_by, :runs
from pt_executors
where executor_id = :executor_id

-- name: forget_departures
delete from pt_departures where departure <= (select max(departure) from pt_departures) - :kept

-- name: departures
select executor_id, hostname, process_id, application_version, started_ms, left_ms, taken_by, runs
from pt_departures
order by departure desc
limit :limit

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
