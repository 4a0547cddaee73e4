-- name: bounds
select (select min(run) from pt_runs), (select max(run) from pt_runs)

-- name: made_at
-- When the run at or after a key was made.
select
    r.mid,
    (
        select w.created_at_epoch_ms
        from pt_runs as w
        where w.run >= r.mid
        order by w.run
        limit 1
    )
from @rows(mid bigint) as r

-- name: first_made
-- Between two keys the first run that was made at a time or later.
select
    r.place,
    (
        select w.run
        from pt_runs as w
        where w.run >= r.low
        and w.run < r.high
        and w.created_at_epoch_ms >= r.moment
        order by w.run
        limit 1
    )
from @rows(place bigint, moment bigint, low bigint, high bigint) as r
