-- name: upsert
insert into pt_workflows (
    name, fqn, triggerable, takes_tick, cron_schedule, input_schema, parameters, signature, source, tags, docstring,
    queue_name, timeout_ms, max_recoveries, executor_id, updated_ms
)
select
    r.name, r.fqn, r.triggerable, r.takes_tick, r.cron_schedule, r.input_schema, r.parameters, r.signature, r.source,
    r.tags, r.docstring, r.queue, r.timeout, r.recoveries, :executor, :now
from @rows(name text, fqn text, triggerable bigint, takes_tick bigint, cron_schedule text, input_schema text, parameters text, signature text, source text, tags text, docstring text, queue text, timeout bigint, recoveries bigint) as r
where true
on conflict (name) do update
set fqn = excluded.fqn,
    triggerable = excluded.triggerable,
    takes_tick = excluded.takes_tick,
    cron_schedule = excluded.cron_schedule,
    input_schema = excluded.input_schema,
    parameters = excluded.parameters,
    signature = excluded.signature,
    source = excluded.source,
    tags = excluded.tags,
    docstring = excluded.docstring,
    queue_name = excluded.queue_name,
    timeout_ms = excluded.timeout_ms,
    max_recoveries = excluded.max_recoveries,
    executor_id = excluded.executor_id,
    updated_ms = excluded.updated_ms

-- name: names
select name from pt_workflows

-- name: delete
delete from pt_workflows where name in (select r.name from @rows(name text) as r)

-- name: by_name
select
    name, fqn, triggerable, takes_tick, cron_schedule, input_schema, parameters, signature, source, tags, docstring,
    queue_name, timeout_ms, max_recoveries
from pt_workflows
where name = :name

-- name: by_fqn
select
    name, fqn, triggerable, takes_tick, cron_schedule, input_schema, parameters, signature, source, tags, docstring,
    queue_name, timeout_ms, max_recoveries
from pt_workflows
where fqn = :fqn
order by name

-- name: version
select e.application_version
from pt_workflows as w
join pt_executors as e on e.executor_id = w.executor_id
where w.name = :name

-- name: listing
select
    name, fqn, triggerable, takes_tick, cron_schedule, input_schema, parameters, signature, source, tags, docstring,
    queue_name, timeout_ms, max_recoveries
from pt_workflows
order by name
