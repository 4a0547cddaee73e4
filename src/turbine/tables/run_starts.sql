-- name: start
-- A row is skipped when its id or deduplication id exists, or when its queue does not exist or does not fit; the
-- function finds out why. Runs started by an evicted executor are left to others.
insert into pt_runs (
    id, status, name, inputs, executor_id, fence, application_version, application_id, recovery_attempts,
    attempt_owed, max_recoveries, created_at_epoch_ms, updated_at_epoch_ms, started_at_epoch_ms,
    completed_at_epoch_ms, wake_ms, queue_name, queue_partition_key, deduplication_scope, deduplication_id, priority,
    workflow_timeout_ms, workflow_deadline_epoch_ms, parent_run, parent_workflow_id, parent_position,
    forked_from_workflow_id, summary, tags, reason, schedule_id
)
select
    r.id, r.status, r.name, r.inputs, case when r.direct = 1 and me.is_registered then :executor end, r.fence,
    r.version, r.application_id, r.attempts, r.owed, r.max_recoveries, r.created, r.created, r.started, r.completed,
    case when r.direct = 1 and not me.is_registered then r.created else r.wake end,
    r.queue, r.part, r.scope, r.deduplication, r.priority, r.timeout, r.deadline, r.parent, r.parent_id,
    r.parent_position, r.forked_from, r.summary, r.tags, r.reason, r.schedule_id
from @rows(id text, status text, name text, inputs text, direct bigint, fence bigint, version text, application_id text, attempts bigint, owed bigint, max_recoveries bigint, created bigint, started bigint, completed bigint, wake bigint, queue text, part text, scope text, deduplication text, priority bigint, timeout bigint, deadline bigint, parent bigint, parent_id text, parent_position text, forked_from text, summary text, tags text, reason text, schedule_id text) as r
cross join (
    select exists (
        select 1 from pt_executors as e where e.executor_id = :executor and e.incarnation = :incarnation
    ) as is_registered
) as me
where r.queue is null
or exists (select 1 from pt_queues as q where q.name = r.queue and (q.partitioned = 1) = (r.part is not null))
on conflict do nothing
returning run, id, executor_id is not null

-- name: existing
select w.id, w.run, w.name, w.queue_name, w.inputs
from pt_runs as w
where w.id in (select r.id from @rows(id text) as r)

-- name: existing_queues
select q.name, q.partitioned
from pt_queues as q
where q.name in (select r.name from @rows(name text) as r)

-- name: add_tags
insert into pt_run_tags (tag, run)
select r.tag, r.run
from @rows(tag text, run bigint) as r
where true
on conflict do nothing
