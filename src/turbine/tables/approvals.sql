-- columns: approval
approval, id, workflow_id, name, function_id, position, title, details, form, status, due_ms, created_ms,
decided_ms, decided_by, comment, data, assignees

-- name: gates
-- The gates at which runs ask, if they are there already.
select a.run, a.position, a.approval, a.status, a.decided_by, a.comment, a.data, a.decided_ms
from pt_approvals as a
where (a.run, a.position) in (select r.run, r.position from @rows(run bigint, position text) as r)

-- name: before
-- What the app status was before the first open gate of the run.
select before_label, before_color
from pt_approvals
where run = :run
and status = 'open'
order by approval
limit 1

-- name: own_status
select app_status, app_status_color, id, name from pt_runs where run = :run

-- name: open
-- A gate that a cancellation had closed opens again when its run is resumed.
insert into pt_approvals as a (
    id, run, workflow_id, name, position, function_id, title, details, form, assignees, status, due_ms, created_ms,
    before_label, before_color
)
values (
    :id, :run, :workflow_id, :name, :position, :function_id, :title, :details, :form, :assignees, 'open', :due, :now,
    :before_label, :before_color
)
on conflict (run, position) do update
set status = 'open',
    title = excluded.title,
    details = excluded.details,
    form = excluded.form,
    assignees = excluded.assignees,
    due_ms = excluded.due_ms,
    decided_ms = null,
    decided_by = null,
    comment = '',
    data = null,
    before_label = excluded.before_label,
    before_color = excluded.before_color
where a.status = 'cancelled'

-- name: assign
insert into pt_approval_assignees (email, approval)
select r.email, a.approval
from @rows(email text) as r
cross join pt_approvals as a
where a.run = :run
and a.position = :position
on conflict do nothing

-- name: unassign
delete from pt_approval_assignees
where approval in (select a.approval from pt_approvals as a where a.run = :run and a.position = :position)

-- name: show_waiting
update pt_runs
set status = 'WAITING_FOR_APPROVAL',
    app_status = :label,
    app_status_color = :color,
    updated_at_epoch_ms = :now
where run = :run
and completed_at_epoch_ms is null

-- name: still_waits
-- A run that was recovered stands at its gate again.
update pt_runs
set status = 'WAITING_FOR_APPROVAL'
where run = :run
and status = 'PENDING'

-- name: close
update pt_approvals
set status = :status,
    decided_ms = :now,
    decided_by = :decided_by,
    comment = :comment,
    data = :data
where approval = :approval
and status = 'open'
returning run, position, before_label, before_color

-- name: put_back
-- Only after the last open gate. A run whose slot was released while it waited goes back into its queue.
update pt_runs
set status = case
        when status <> 'WAITING_FOR_APPROVAL' then status
        when queue_name is not null and executor_id is null and slot_executor is null then 'ENQUEUED'
        else 'PENDING'
    end,
    app_status = case
        when app_status = :label and app_status_color = :color then :before_label
        else app_status
    end,
    app_status_color = case
        when app_status = :label and app_status_color = :color then :before_color
        else app_status_color
    end,
    updated_at_epoch_ms = :now
where run = :run
and completed_at_epoch_ms is null
and not exists (select 1 from pt_approvals as g where g.run = :run and g.status = 'open')

-- name: run_of
select run from pt_runs where id = :id

-- name: open_of_run
select approval, form, assignees from pt_approvals where run = :run and status = 'open' order by approval

-- name: one_of_run
select approval, form, assignees, status from pt_approvals where id = :id and run = :run

-- name: get
select @columns(approval)
from pt_approvals
where id = :id

-- name: open_gates
select @columns(approval)
from pt_approvals
where status = 'open'
and approval < :after
order by approval desc
limit :limit

-- name: decided_gates
select @columns(approval)
from pt_approvals
where status <> 'open'
and approval < :after
order by approval desc
limit :limit

-- name: all_gates
select @columns(approval)
from pt_approvals
where approval < :after
order by approval desc
limit :limit

-- name: gates_of_workflow
select @columns(approval)
from pt_approvals
where workflow_id = :workflow_id
and approval < :after
and (:is_open = -1 or (:is_open = 1 and status = 'open') or (:is_open = 0 and status <> 'open'))
and (
    :email = '*'
    or assignees is null
    or exists (
        select 1 from pt_approval_assignees as s where s.email = :email and s.approval = pt_approvals.approval
    )
)
order by approval desc
limit :limit

-- name: open_to_all
-- Open gates that are assigned to nobody; below, those that were.
select @columns(approval)
from pt_approvals
where status = 'open'
and assignees is null
and approval < :after
order by approval desc
limit :limit

-- name: unassigned
select @columns(approval)
from pt_approvals
where status <> 'open'
and assignees is null
and approval < :after
order by approval desc
limit :limit

-- name: assigned
-- All, or those that are decided.
select @columns(approval, a)
from pt_approval_assignees as s
cross join pt_approvals as a
where s.email = :email
and s.approval < :after
and a.approval = s.approval
and (:is_open = -1 or a.status <> 'open')
order by s.approval desc
limit :limit

-- name: open_assigned
-- By the gates that are open, which are few: the list of a person goes back to the beginning.
select @columns(approval, a)
from pt_approvals as a
cross join pt_approval_assignees as s
where a.status = 'open'
and a.approval < :after
and s.email = :email
and s.approval = a.approval
order by a.approval desc
limit :limit
