-- Log lines of runs.

-- Log lines. source is user, or system for lines that Turbine writes about a run.
create table pt_logs (
    log @key,
    workflow_id text,
    position text,
    level bigint not null,
    logger text not null,
    message text not null,
    source text not null,
    created_ms bigint not null
);

create index pt_logs_workflow on pt_logs (workflow_id, log) where workflow_id is not null;

create index pt_logs_severe on pt_logs (log) where level >= 30;

create index pt_logs_created on pt_logs (created_ms);
