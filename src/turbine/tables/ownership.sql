-- name: owned
-- A cancelled run keeps its executor and fence, so its owner can tell a cancellation from a loss.
select w.run, w.fence, w.status
from @rows(run bigint, fence bigint) as r
join pt_runs as w on w.run = r.run and w.fence = r.fence
where w.executor_id = :executor

-- name: lock
-- In the order of the keys, so that two batches cannot deadlock.
select w.run
from pt_runs as w
where w.run in (select r.run from @rows(run bigint) as r)
order by w.run
for no key update

-- name: lock_all
with locks as materialized (
    select r.run, r.id, r.ended, r.value from @rows(run bigint, id text, ended bigint, value text) as r
)
select w.run
from pt_runs as w
where w.run in (
    select r.run from locks as r where r.run is not null
    union
    select i.run from locks as r join pt_runs as i on i.id = r.id
    union
    select p.run
    from locks as r
    join pt_runs as e on e.run = r.ended
    join pt_waits as p on p.kind = 'result' and p.subject = e.id
    where p.kind in ('value', 'result')
    union
    select p.run
    from locks as r
    join pt_waits as p on p.kind = 'value' and p.subject = r.value
    where p.kind in ('value', 'result')
)
order by w.run
for no key update

-- name: lock_lineages
with recursive lineage (run) as (
    select r.run from @rows(run bigint) as r
    union
    select child.run
    from pt_runs as child
    join lineage on child.parent_run = lineage.run
    where child.completed_at_epoch_ms is null
    and child.parent_run is not null
)
select w.run
from pt_runs as w
where w.run in (
    select l.run from lineage as l
    union
    select p.run
    from lineage as l
    join pt_runs as e on e.run = l.run
    join pt_waits as p on p.kind = 'result' and p.subject = e.id
    where p.kind in ('value', 'result')
)
order by w.run
for no key update

-- name: lock_held
select w.run
from pt_runs as w
where w.executor_id = :executor_id
and w.completed_at_epoch_ms is null
order by w.run
for no key update
