-- name: bounds
select (select min(run) from pt_workflow_status), (select max(run) from pt_workflow_status)

-- name: made_at
-- When the run at or after a key was made.
select
    r.place,
    (
        select w.created_at_epoch_ms
        from pt_workflow_status as w
        where w.run >= r.mid
        order by w.run
        limit 1
    )
from @rows(place bigint, mid bigint) as r
