-- name: add
insert into pt_audit (at_ms, actor, role, action, target, workflow_id, detail)
values (:at_ms, :actor, :role, :action, :target, :workflow_id, :detail)

-- name: first_since
select audit from pt_audit where at_ms >= :at order by at_ms limit 1

-- name: last_until
select audit from pt_audit where at_ms <= :at order by at_ms desc limit 1
