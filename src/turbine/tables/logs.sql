-- name: add
insert into pt_logs (workflow_id, position, level, logger, message, source, created_ms)
select r.workflow_id, r.position, r.level, r.logger, r.message, r.source, r.created
from @rows(workflow_id text, position text, level bigint, logger text, message text, source text, created bigint) as r

-- name: bounds
select (select min(log) from pt_logs), (select max(log) from pt_logs)

-- name: delete
delete from pt_logs
where log in (
    select l.log
    from pt_logs as l
    where l.created_ms < :before
    order by l.created_ms
    limit :limit
)
