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

-- name: shortest
select min(keep_ms) from pt_retention

-- name: until
-- Where a stretch of this many runs, in the order of their ends, is over.
select completed_at_epoch_ms
from pt_workflow_status
where completed_at_epoch_ms is not null
and completed_at_epoch_ms > :after
and completed_at_epoch_ms <= :before
order by completed_at_epoch_ms
limit 1
offset :stretch

-- name: due
-- What is still to be announced is left: who hears of it wants to look.
select w.run
from pt_workflow_status as w
where w.completed_at_epoch_ms is not null
and w.completed_at_epoch_ms > :after
and w.completed_at_epoch_ms <= :until
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
order by w.completed_at_epoch_ms

-- name: still_due
-- As `due`, of these runs: they may have been resumed since, or a rule may have changed.
select w.run
from @rows(run bigint) as r
cross join pt_workflow_status as w
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

-- name: kinds
select w.name, w.status, count(*)
from @rows(run bigint) as r
cross join pt_workflow_status as w
where w.run = r.run
group by w.name, w.status
