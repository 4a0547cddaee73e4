-- name: bounds
select (select min(run) from pt_runs), (select max(run) from pt_runs)

-- name: created_at
-- When the first run at or after a key was created.
select
    r.key,
    (
        select w.created_at_epoch_ms
        from pt_runs as w
        where w.run >= r.key
        order by w.run
        limit 1
    )
from @rows(key bigint) as r

-- name: first_created
-- The first run in a range of keys that was created at a time or later.
select
    r.number,
    (
        select w.run
        from pt_runs as w
        where w.run >= r.low
        and w.run < r.high
        and w.created_at_epoch_ms >= r.time_ms
        order by w.run
        limit 1
    )
from @rows(number bigint, time_ms bigint, low bigint, high bigint) as r
