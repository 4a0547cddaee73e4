-- Schedules, and the registered workflows.

-- kind is compile (declared in code), cron or once. next_ms is the next nominal tick, null when there is none. A tick
-- starts the run sched-<run_name>-<nominal tick UTC>, in the transaction that moves next_ms on; with overlap skip only
-- if the previous run is over. reason is given by the person who disabled the schedule.
create table pt_schedules (
    schedule @key,
    id text not null unique,
    run_name text not null,
    workflow text not null,
    workflow_fqn text not null,
    kind text not null,
    input text,
    cron_expression text,
    timezone text,
    jitter_ms bigint not null default 0,
    catch_up text not null default 'last',
    scheduled_ms bigint,
    overlap text not null default 'start',
    enabled bigint not null,
    reason text,
    next_ms bigint,
    last_ms bigint,
    last_workflow_id text,
    last_error text,
    created_ms bigint not null,
    updated_ms bigint not null
);

create unique index pt_schedules_name on pt_schedules (run_name);

create unique index pt_schedules_compiled on pt_schedules (workflow) where kind = 'compile';

create index pt_schedules_due on pt_schedules (workflow, next_ms) where enabled = 1 and next_ms is not null;

create index pt_schedules_workflow on pt_schedules (workflow);

create index pt_schedules_updated on pt_schedules (updated_ms);

-- The workflows that executors have registered, for other processes. parameters is the JSON Schema of the parameters by
-- name, input_schema a schema given in the code, signature the parameters in Python, source the place as file:line.
create table pt_workflows (
    name text primary key,
    fqn text not null,
    triggerable bigint not null,
    takes_tick bigint not null,
    cron_schedule text,
    input_schema text,
    parameters text,
    signature text,
    source text,
    tags text,
    docstring text,
    queue_name text,
    timeout_ms bigint,
    max_recoveries bigint,
    executor_id text not null,
    updated_ms bigint not null
);

create index pt_workflows_fqn on pt_workflows (fqn);
