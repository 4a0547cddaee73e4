-- name: take
-- The process that advances next_ms takes the tick. After a change or a disable in the meantime no row matches.
update pt_schedules
set next_ms = :next,
    last_ms = coalesce(:last, last_ms),
    enabled = case when :over = 1 then 0 else enabled end
where schedule = :schedule
and enabled = 1
and next_ms = :expected
and updated_ms = :seen

-- name: unfinished
-- The last run of a schedule, if it is open.
select w.id
from pt_schedules as s
cross join pt_runs as w
where s.schedule = :schedule
and w.id = s.last_workflow_id
and w.completed_at_epoch_ms is null

-- name: record_last_run
update pt_schedules
set last_workflow_id = coalesce(:workflow_id, last_workflow_id),
    last_error = :error
where schedule = :schedule

-- name: existing_ids
select w.id
from pt_runs as w
where w.id in (select r.id from @rows(id text) as r)

-- name: due
select
    schedule, id, run_name, workflow, workflow_fqn, kind, input, cron_expression, timezone, jitter_ms, catch_up,
    overlap, scheduled_ms, enabled, reason, next_ms, last_ms, last_workflow_id, last_error, created_ms, updated_ms
from pt_schedules
where workflow in (select r.name from @rows(name text) as r)
and enabled = 1
and next_ms is not null
and next_ms <= :now
order by next_ms
limit :limit

-- name: next_due
select min(next_ms)
from pt_schedules
where workflow in (select r.name from @rows(name text) as r)
and enabled = 1
and next_ms is not null
and next_ms > :after

-- name: get
select
    schedule, id, run_name, workflow, workflow_fqn, kind, input, cron_expression, timezone, jitter_ms, catch_up,
    overlap, scheduled_ms, enabled, reason, next_ms, last_ms, last_workflow_id, last_error, created_ms, updated_ms
from pt_schedules
where id = :id

-- name: page
select
    schedule, id, run_name, workflow, workflow_fqn, kind, input, cron_expression, timezone, jitter_ms, catch_up,
    overlap, scheduled_ms, enabled, reason, next_ms, last_ms, last_workflow_id, last_error, created_ms, updated_ms
from pt_schedules
where schedule < :before
and workflow = coalesce(:workflow, workflow)
and kind = coalesce(:kind, kind)
and enabled = coalesce(:enabled, enabled)
order by schedule desc
limit :limit

-- name: insert
insert into pt_schedules (
    id, run_name, workflow, workflow_fqn, kind, input, cron_expression, timezone, jitter_ms, catch_up, overlap,
    scheduled_ms, enabled, reason, next_ms, created_ms, updated_ms
)
values (
    :id, :run_name, :workflow, :workflow_fqn, :kind, :input, :cron_expression, :timezone, :jitter_ms, :catch_up,
    :overlap, :scheduled_ms, :enabled, :reason, :next_ms, :created_ms, :updated_ms
)
on conflict (run_name) do nothing
returning id

-- name: by_run_name
select id from pt_schedules where run_name = :run_name

-- name: save
-- updated_ms grows with each change, even with two in one millisecond, because it is the version of the row.
update pt_schedules
set run_name = :run_name,
    workflow = :workflow,
    workflow_fqn = :workflow_fqn,
    kind = :kind,
    input = :input,
    cron_expression = :cron_expression,
    timezone = :timezone,
    jitter_ms = :jitter_ms,
    catch_up = :catch_up,
    overlap = :overlap,
    scheduled_ms = :scheduled_ms,
    enabled = :enabled,
    reason = :reason,
    next_ms = case when :rescheduled = 1 then :next_ms else next_ms end,
    updated_ms = case when :updated_ms > updated_ms then :updated_ms else updated_ms + 1 end
where id = :id
and updated_ms = :seen

-- name: delete
-- A schedule that code declared before, but no longer does, may be deleted.
delete from pt_schedules
where id = :id
and (kind <> 'compile' or workflow not in (select w.name from pt_workflows as w where w.cron_schedule is not null))

-- name: taken_names
select s.run_name
from pt_schedules as s
where s.run_name in (select r.name from @rows(name text) as r)
and s.kind <> 'compile'

-- name: upsert_declared
-- A new expression or time zone counts from now on; otherwise next_ms stays, so that missed ticks can be caught up.
insert into pt_schedules (
    id, run_name, workflow, workflow_fqn, kind, cron_expression, timezone, jitter_ms, catch_up, overlap, enabled,
    next_ms, created_ms, updated_ms
)
select r.id, r.name, r.name, r.fqn, 'compile', r.cron, r.zone, r.jitter, r.catch_up, r.overlap, 1, r.next, :now, :now
from @rows(id text, name text, fqn text, cron text, zone text, jitter bigint, catch_up text, overlap text, next bigint) as r
where true
on conflict (workflow) where kind = 'compile' do update
set workflow_fqn = excluded.workflow_fqn,
    cron_expression = excluded.cron_expression,
    timezone = excluded.timezone,
    jitter_ms = excluded.jitter_ms,
    catch_up = excluded.catch_up,
    overlap = excluded.overlap,
    next_ms = case
        when pt_schedules.enabled = 0 then null
        when pt_schedules.cron_expression = excluded.cron_expression and pt_schedules.timezone = excluded.timezone
        then pt_schedules.next_ms
        else excluded.next_ms
    end,
    updated_ms = case
        when excluded.updated_ms > pt_schedules.updated_ms then excluded.updated_ms
        else pt_schedules.updated_ms + 1
    end
where pt_schedules.cron_expression <> excluded.cron_expression
or pt_schedules.timezone <> excluded.timezone
or pt_schedules.jitter_ms <> excluded.jitter_ms
or pt_schedules.catch_up <> excluded.catch_up
or pt_schedules.overlap <> excluded.overlap
or pt_schedules.workflow_fqn <> excluded.workflow_fqn

-- name: rescheduled
-- Schedules whose expression or time zone has changed in the code.
select s.id
from @rows(name text, cron text, zone text) as r
cross join pt_schedules as s
where s.workflow = r.name
and s.kind = 'compile'
and (s.cron_expression <> r.cron or s.timezone <> r.zone)

-- name: delete_undeclared
delete from pt_schedules
where kind = 'compile'
and workflow in (select r.name from @rows(name text) as r)
returning id
