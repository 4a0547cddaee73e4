-- name: declare
-- Changes at run time stay as long as the declaration is the same as at the last launch.
insert into pt_queues as q (
    name, worker_concurrency, global_concurrency, rate_limit, rate_period_ms, priority, partitioned, batch_max,
    release_while_waiting, paused, updated_ms, declared
)
values (
    :name, :worker_concurrency, :global_concurrency, :rate_limit, :rate_period_ms, :priority, :partitioned,
    :batch_max, :release_while_waiting, :paused, :now, :declared
)
on conflict (name) do update
set worker_concurrency = excluded.worker_concurrency,
    global_concurrency = excluded.global_concurrency,
    rate_limit = excluded.rate_limit,
    rate_period_ms = excluded.rate_period_ms,
    priority = excluded.priority,
    partitioned = excluded.partitioned,
    batch_max = excluded.batch_max,
    release_while_waiting = excluded.release_while_waiting,
    updated_ms = excluded.updated_ms,
    declared = excluded.declared
where q.declared <> excluded.declared

-- name: save
update pt_queues
set worker_concurrency = :worker_concurrency,
    global_concurrency = :global_concurrency,
    rate_limit = :rate_limit,
    rate_period_ms = :rate_period_ms,
    priority = :priority,
    partitioned = :partitioned,
    batch_max = :batch_max,
    release_while_waiting = :release_while_waiting,
    paused = :paused,
    updated_ms = :now
where name = :name

-- name: get
select
    name, worker_concurrency, global_concurrency, rate_limit, rate_period_ms, priority, partitioned, batch_max,
    release_while_waiting, paused
from pt_queues
where name = :name

-- name: listing
select
    name, worker_concurrency, global_concurrency, rate_limit, rate_period_ms, priority, partitioned, batch_max,
    release_while_waiting, paused
from pt_queues
order by name

-- name: lock [sqlite]
select
    name, worker_concurrency, global_concurrency, rate_limit, rate_period_ms, priority, partitioned, batch_max,
    release_while_waiting, paused
from pt_queues
where name = :name

-- name: lock [postgres]
-- Claims of one queue exclude each other, so the counts below cannot change before the commit.
select
    name, worker_concurrency, global_concurrency, rate_limit, rate_period_ms, priority, partitioned, batch_max,
    release_while_waiting, paused
from pt_queues
where name = :name
for no key update

-- name: slots
-- All slots, and those of this executor. A parked run keeps its slot unless the queue has `release_while_waiting`. A run
-- that was set aside has no slot.
select
    count(*),
    coalesce(sum(case when slot_executor = :executor then 1 else 0 end), 0)
from pt_runs
where queue_name = :queue
and queue_name is not null
and completed_at_epoch_ms is null
and status <> 'ENQUEUED'
and slot_executor is not null

-- name: slots_of_key
select
    count(*),
    coalesce(sum(case when slot_executor = :executor then 1 else 0 end), 0)
from pt_runs
where queue_name = :queue
and queue_name is not null
and queue_partition_key = :key
and completed_at_epoch_ms is null
and status <> 'ENQUEUED'
and slot_executor is not null

-- name: keys
-- Keys with due runs and a free slot, those with the oldest runs first.
select queue_partition_key
from pt_runs
where queue_name = :queue
and queue_name is not null
and status = 'ENQUEUED'
and wake_ms <= :now
and name in (select r.name from @rows(name text) as r)
and queue_partition_key not in (
    select s.queue_partition_key
    from pt_runs as s
    where s.queue_name = :queue
    and s.queue_name is not null
    and s.queue_partition_key is not null
    and s.completed_at_epoch_ms is null
    and s.status <> 'ENQUEUED'
    and s.slot_executor is not null
    group by s.queue_partition_key
    having count(*) >= :total
    or sum(case when s.slot_executor = :executor then 1 else 0 end) >= :own
)
group by queue_partition_key
order by min(run)
limit :limit

-- name: oldest_runs [sqlite]
select run
from pt_runs
where queue_name = :queue
and queue_name is not null
and status = 'ENQUEUED'
and wake_ms <= :now
and name in (select r.name from @rows(name text) as r)
order by run
limit :limit

-- name: oldest_runs [postgres]
select run
from pt_runs
where queue_name = :queue
and queue_name is not null
and status = 'ENQUEUED'
and wake_ms <= :now
and name = any (array(select r.name from @rows(name text) as r))
order by run + 0
limit :limit
for update skip locked

-- name: most_urgent_runs [sqlite]
select run
from pt_runs
where queue_name = :queue
and queue_name is not null
and status = 'ENQUEUED'
and wake_ms <= :now
and name in (select r.name from @rows(name text) as r)
order by priority, run
limit :limit

-- name: most_urgent_runs [postgres]
select run
from pt_runs
where queue_name = :queue
and queue_name is not null
and status = 'ENQUEUED'
and wake_ms <= :now
and name = any (array(select r.name from @rows(name text) as r))
order by priority, run
limit :limit
for update skip locked

-- name: oldest_runs_of_key [sqlite]
-- Without the named index SQLite would scan all waiting runs of the queue, whatever their key.
select run
from pt_runs indexed by pt_runs_queue_keys
where queue_name = :queue
and queue_name is not null
and queue_partition_key = :key
and status = 'ENQUEUED'
and wake_ms <= :now
and name in (select r.name from @rows(name text) as r)
order by run
limit :limit

-- name: oldest_runs_of_key [postgres]
select run
from pt_runs
where queue_name = :queue
and queue_name is not null
and queue_partition_key = :key
and status = 'ENQUEUED'
and wake_ms <= :now
and name = any (array(select r.name from @rows(name text) as r))
order by run
limit :limit
for update skip locked

-- name: most_urgent_runs_of_key [sqlite]
select run
from pt_runs indexed by pt_runs_queue_keys
where queue_name = :queue
and queue_name is not null
and queue_partition_key = :key
and status = 'ENQUEUED'
and wake_ms <= :now
and name in (select r.name from @rows(name text) as r)
order by priority, run
limit :limit

-- name: most_urgent_runs_of_key [postgres]
select run
from pt_runs
where queue_name = :queue
and queue_name is not null
and queue_partition_key = :key
and status = 'ENQUEUED'
and wake_ms <= :now
and name = any (array(select r.name from @rows(name text) as r))
order by priority, run
limit :limit
for update skip locked

-- name: claim
update pt_runs
set executor_id = :executor,
    slot_executor = :executor,
    fence = fence + 1,
    recovery_attempts = recovery_attempts + attempt_owed,
    attempt_owed = 0,
    status = 'PENDING',
    started_at_epoch_ms = coalesce(started_at_epoch_ms, :now),
    workflow_deadline_epoch_ms = coalesce(
        workflow_deadline_epoch_ms, case when started_at_epoch_ms is null then :now + workflow_timeout_ms end
    ),
    updated_at_epoch_ms = :now,
    wake_ms = null
where run in (select r.run from @rows(run bigint) as r)
and status = 'ENQUEUED'
and completed_at_epoch_ms is null
and exists (select 1 from pt_executors as e where e.executor_id = :executor and e.incarnation = :incarnation)
returning
    run, id, name, inputs, fence, recovery_attempts, started_at_epoch_ms, workflow_deadline_epoch_ms, queue_name,
    forked_from_workflow_id

-- name: next_delayed
select min(wake_ms)
from pt_runs
where queue_name = :queue
and queue_name is not null
and status = 'ENQUEUED'
and wake_ms > created_at_epoch_ms
and wake_ms > :now

-- name: has_due
select 1
from pt_runs
where queue_name = :queue
and queue_name is not null
and status = 'ENQUEUED'
and wake_ms <= :now
limit 1

-- name: add_starts
insert into pt_queue_starts (queue, partition_key, started_ms)
select :queue, coalesce(w.queue_partition_key, ''), :now
from pt_runs as w
where w.run in (select r.run from @rows(run bigint) as r)

-- name: delete_old_starts
delete from pt_queue_starts
where queue = :queue
and started_ms <= :since

-- name: rate_clock
-- The time by which a rate is measured, and the newest start. It is the time of the database, the same for all machines;
-- tests pass `:at`.
select coalesce(cast(:at as bigint), @now), (select max(started_ms) from pt_queue_starts where queue = :queue)

-- name: clamp_starts
-- For a clock that was set back: starts in the future count as starts of now.
update pt_queue_starts
set started_ms = :now
where queue = :queue
and started_ms > :now

-- name: starts
select count(*), min(started_ms)
from pt_queue_starts
where queue = :queue
and partition_key = :key
and started_ms > :since

-- name: counts_open
select status, count(*)
from pt_runs
where queue_name = :queue
and queue_name is not null
and status in ('ENQUEUED', 'PENDING', 'WAITING_FOR_APPROVAL')
group by status

-- name: counts
select status, count(*)
from pt_runs
where queue_name = :queue
and queue_name is not null
group by status

-- name: holders
select run, id, name, slot_executor, started_at_epoch_ms
from pt_runs
where queue_name = :queue
and queue_name is not null
and completed_at_epoch_ms is null
and status <> 'ENQUEUED'
and slot_executor is not null
and (:any_key = 1 or queue_partition_key = :key)
order by run
limit :limit

-- name: waits_for
-- Those of these runs that wait for the result of a run.
select w.run
from pt_waits as w
where w.kind = 'result'
and w.kind in ('value', 'result')
and w.subject = :workflow_id
and w.run in (select r.run from @rows(run bigint) as r)
