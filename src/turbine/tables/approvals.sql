-- name: at_positions
select a.run, a.position, a.approval, a.status, a.decided_by, a.comment, a.data, a.decided_ms
from pt_approvals as a
where (a.run, a.position) in (select r.run, r.position from @rows(run bigint, position text) as r)

-- name: status_before
-- The app status from before the first open approval of the run.
select before_label, before_color
from pt_approvals
where run = :run
and status = 'open'
order by approval
limit 1

-- name: current_status
select app_status, app_status_color, id, name from pt_runs where run = :run

-- name: open
-- An approval that was cancelled with its run opens again when the run is resumed.
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

-- name: wait_again
-- A recovered run is PENDING until it reaches its approval again.
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

-- name: restore_status
-- Only after the last open approval. A run whose slot was released while it waited returns to its queue.
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
and not exists (select 1 from pt_approvals as a where a.run = :run and a.status = 'open')

-- name: open_of_run
select approval, id, form, assignees from pt_approvals where run = :run and status = 'open' order by approval

-- name: one_of_run
select approval, id, form, assignees, status from pt_approvals where id = :id and run = :run

-- name: get
select
    approval, id, workflow_id, name, function_id, position, title, details, form, status, due_ms, created_ms,
    decided_ms, decided_by, comment, data, assignees
from pt_approvals
where id = :id

-- name: page_open
select
    approval, id, workflow_id, name, function_id, position, title, details, form, status, due_ms, created_ms,
    decided_ms, decided_by, comment, data, assignees
from pt_approvals
where status = 'open'
and approval < :after
order by approval desc
limit :limit

-- name: page_decided
select
    approval, id, workflow_id, name, function_id, position, title, details, form, status, due_ms, created_ms,
    decided_ms, decided_by, comment, data, assignees
from pt_approvals
where status <> 'open'
and approval < :after
order by approval desc
limit :limit

-- name: page
select
    approval, id, workflow_id, name, function_id, position, title, details, form, status, due_ms, created_ms,
    decided_ms, decided_by, comment, data, assignees
from pt_approvals
where approval < :after
order by approval desc
limit :limit

-- name: page_of_workflow
select
    approval, id, workflow_id, name, function_id, position, title, details, form, status, due_ms, created_ms,
    decided_ms, decided_by, comment, data, assignees
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

-- name: page_open_unassigned
select
    approval, id, workflow_id, name, function_id, position, title, details, form, status, due_ms, created_ms,
    decided_ms, decided_by, comment, data, assignees
from pt_approvals
where status = 'open'
and assignees is null
and approval < :after
order by approval desc
limit :limit

-- name: page_decided_unassigned
select
    approval, id, workflow_id, name, function_id, position, title, details, form, status, due_ms, created_ms,
    decided_ms, decided_by, comment, data, assignees
from pt_approvals
where status <> 'open'
and assignees is null
and approval < :after
order by approval desc
limit :limit

-- name: page_assigned
select
    a.approval, a.id, a.workflow_id, a.name, a.function_id, a.position, a.title, a.details, a.form, a.status, a.due_ms,
    a.created_ms, a.decided_ms, a.decided_by, a.comment, a.data, a.assignees
from pt_approval_assignees as s
cross join pt_approvals as a
where s.email = :email
and s.approval < :after
and a.approval = s.approval
and (:is_open = -1 or a.status <> 'open')
order by s.approval desc
limit :limit

-- name: page_open_assigned
-- Through the open approvals, which are few, rather than through all that were ever assigned to this address.
select
    a.approval, a.id, a.workflow_id, a.name, a.function_id, a.position, a.title, a.details, a.form, a.status, a.due_ms,
    a.created_ms, a.decided_ms, a.decided_by, a.comment, a.data, a.assignees
from pt_approvals as a
cross join pt_approval_assignees as s
where a.status = 'open'
and a.approval < :after
and s.email = :email
and s.approval = a.approval
order by a.approval desc
limit :limit
