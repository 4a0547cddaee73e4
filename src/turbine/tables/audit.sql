-- name: add
insert into pt_audit (at_ms, actor, role, action, target, workflow_id, detail)
values (:at, :actor, :role, :action, :target, :workflow_id, :detail)
