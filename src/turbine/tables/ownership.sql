-- name: owned
-- A run that was cancelled keeps its executor and fence, so its owner can tell that from a loss.
select w.run, w.fence, w.status
from @rows(run bigint, fence bigint) as r
join pt_workflow_status as w on w.run = r.run and w.fence = r.fence
where w.executor_id = :executor

-- name: lock
-- In the order of the keys, so that two batches do not wait for each other in a circle.
select w.run
from pt_workflow_status as w
where w.run in (select r.run from @rows(run bigint) as r)
order by w.run
for no key update

-- name: share
select w.run
from pt_workflow_status as w
where w.run in (select r.run from @rows(run bigint) as r)
order by w.run
for share
