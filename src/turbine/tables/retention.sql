-- name: set_
insert into pt_retention (workflow, status, keep_ms, updated_ms)
values (:workflow, :status, :keep, :now)
on conflict (workflow, status) do update
set keep_ms = excluded.keep_ms,
    updated_ms = excluded.updated_ms

-- name: delete
delete from pt_retention where workflow = :workflow and status = :status

-- name: get
select workflow, status, keep_ms, updated_ms
from pt_retention
where workflow = :workflow
and status = :status

-- name: count
select count(*) from pt_retention

-- name: listing
select workflow, status, keep_ms, updated_ms
from pt_retention
where (workflow, status) > (:workflow, :status)
order by workflow, status
limit :limit

-- name: shortest_rule
select min(keep_ms) from pt_retention

-- name: batch_end
-- The end time at which a batch of this size stops.
select completed_at_epoch_ms
from pt_runs
where completed_at_epoch_ms is not null
and completed_at_epoch_ms > :after
and completed_at_epoch_ms <= :before
order by completed_at_epoch_ms
limit 1
offset :size

-- name: ended
-- The runs of a batch, in the order of their ends.
select run
from pt_runs
where completed_at_epoch_ms is not null
and completed_at_epoch_ms > :after
and completed_at_epoch_ms <= :until
order by completed_at_epoch_ms

-- name: expired
-- A run with pending deliveries is kept, because the receiver may want to read it.
select w.run
from @rows(run bigint) as r
cross join pt_runs as w
where w.run = r.run
and w.completed_at_epoch_ms is not null
and w.completed_at_epoch_ms + coalesce(
    (
        select coalesce(p.keep_ms, 1000000000000000)
        from pt_retention as p
        where p.workflow = w.name and p.status = w.status
    ),
    (select coalesce(p.keep_ms, 1000000000000000) from pt_retention as p where p.workflow = w.name and p.status = ''),
    (select coalesce(p.keep_ms, 1000000000000000) from pt_retention as p where p.workflow = '' and p.status = w.status),
    :usual
) <= :now
and not exists (select 1 from pt_deliveries as d where d.run = w.run and d.run is not null and d.status = 'pending')

-- name: lineage
-- These runs with their ancestors, up to the first open one. is_needed: it is open itself, or an open run has started it
-- (also by joining an existing id, or in the run that it was forked from), has asked for its result, or waits for one of
-- its values. `limit` instead of `exists`, for which Postgres might scan the steps of all open runs.
with recursive lineage (run, id, parent, is_open) as (
    select w.run, w.id, w.parent_run, 0
    from @rows(run bigint) as r
    cross join pt_runs as w
    where w.run = r.run
    union
    select p.run, p.id, p.parent_run, case when p.completed_at_epoch_ms is null then 1 else 0 end
    from lineage as l
    cross join pt_runs as p
    where p.run = l.parent
    and l.is_open = 0
)
select
    l.run,
    l.parent,
    case
        when l.is_open = 1 then 1
        else coalesce(
            (
                select 1
                from pt_steps as o
                cross join pt_runs as a
                where o.child_workflow_id = l.id
                and o.child_workflow_id is not null
                and a.run = o.run
                and a.completed_at_epoch_ms is null
                limit 1
            ),
            (
                select 1
                from pt_waits as v
                where v.kind = 'value'
                and v.kind in ('value', 'result')
                and v.subject >= l.run || '/'
                and v.subject < l.run || '0'
                limit 1
            ),
            0
        )
    end as is_needed
from lineage as l

-- name: counts
select w.name, w.status, count(*)
from @rows(run bigint) as r
cross join pt_runs as w
where w.run = r.run
group by w.name, w.status
