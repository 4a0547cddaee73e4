-- name: register
-- Returns no row while another launch holds the id.
insert into pt_executors (
    executor_id, incarnation, application_id, application_version, machine, lock_path, lock_token, hostname, process_id,
    started_ms, lease_ms, lease_until_ms, names, threads, threads_max, loop_delay_ms, memory_bytes
)
values (
    :executor_id, :incarnation, :application_id, :application_version, :machine, :lock_path, :lock_token, :hostname,
    :process_id, :now, :lease, @now + :lease, :names, :threads, :threads_max, :loop_delay_ms, :memory_bytes
)
on conflict (executor_id) do nothing
returning incarnation

-- name: start_incarnation
insert into pt_incarnations (executor_id, hostname, process_id, application_version, started_ms)
values (:executor_id, :hostname, :process_id, :application_version, :now)
returning incarnation

-- name: delete_old_incarnations
delete from pt_incarnations where incarnation <= :incarnation

-- name: open_batches [sqlite]
-- One process writes at a time, so no executor can be evicted in the middle of a batch.
select 1

-- name: open_batches [postgres]
insert into pt_batches (incarnation, lane, executor_id)
select :incarnation, lane, :executor_id
from generate_series(0, :lanes::bigint - 1) as lane

-- name: close_batches [sqlite]
select 1

-- name: close_batches [postgres]
-- Waits for the batches that the executor is committing, and makes later ones fail.
update pt_batches set is_open = 0 where incarnation = :incarnation

-- name: delete_old_batches [sqlite]
select 1

-- name: delete_old_batches [postgres]
delete from pt_batches where incarnation <= :incarnation and is_open = 0

-- name: renew
update pt_executors
set lease_until_ms = @now + :lease,
    threads = :threads,
    threads_max = :threads_max,
    loop_delay_ms = :loop_delay_ms,
    memory_bytes = :memory_bytes
where executor_id = :executor_id
and incarnation = :incarnation

-- name: registered
select
    executor_id, incarnation, application_id, application_version, machine, lock_path, lock_token, hostname, process_id,
    started_ms, lease_ms, lease_until_ms, lease_until_ms - @now, names, threads, threads_max, loop_delay_ms,
    memory_bytes
from pt_executors
order by started_ms, executor_id

-- name: get
select
    executor_id, incarnation, application_id, application_version, machine, lock_path, lock_token, hostname, process_id,
    started_ms, lease_ms, lease_until_ms, lease_until_ms - @now, names, threads, threads_max, loop_delay_ms,
    memory_bytes
from pt_executors
where executor_id = :executor_id

-- name: lock [sqlite]
select incarnation, lease_until_ms from pt_executors where executor_id = :executor_id

-- name: lock [postgres]
select incarnation, lease_until_ms from pt_executors where executor_id = :executor_id for update

-- name: held_runs
-- For a search for runs that no process executes any more.
select run, fence
from pt_runs
where executor_id = :executor_id
and completed_at_epoch_ms is null

-- name: deregister
delete from pt_executors where executor_id = :executor_id

-- name: add_past
insert into pt_past_executors (
    executor_id, hostname, process_id, application_version, started_ms, left_ms, taken_by, runs
)
select executor_id, hostname, process_id, application_version, started_ms, @now, :taken_by, :runs
from pt_executors
where executor_id = :executor_id

-- name: delete_old_past
delete from pt_past_executors where number <= (select max(number) from pt_past_executors) - :kept

-- name: past_executors
select executor_id, hostname, process_id, application_version, started_ms, left_ms, taken_by, runs
from pt_past_executors
order by number desc
limit :limit

-- name: orphans
-- The partial index has open runs only.
select distinct executor_id
from pt_runs
where executor_id is not null
and completed_at_epoch_ms is null
and executor_id not in (select executor_id from pt_executors)

-- name: known_workflows [sqlite]
select distinct n.value
from pt_executors as e, json_each(e.names) as n
where n.value in (select r.name from @rows(name text) as r)
and e.lease_until_ms > @now

-- name: known_workflows [postgres]
select distinct n.value
from pt_executors as e, jsonb_array_elements_text(e.names::jsonb) as n(value)
where n.value in (select r.name from @rows(name text) as r)
and e.lease_until_ms > @now
