-- name: add
insert into pt_approval_links (token_hash, approval_id, made_by, created_ms, expires_ms)
values (:token_hash, :approval_id, :made_by, :now, :expires)

-- name: delete_expired
delete from pt_approval_links where expires_ms <= :now

-- name: is_open
select 1 from pt_approvals where id = :approval_id and status = 'open'

-- name: exists
select 1 from pt_approvals where id = :approval_id

-- name: unused
select approval_id, made_by, expires_ms
from pt_approval_links
where token_hash = :token_hash
and used_ms is null
and expires_ms > :now

-- name: use
update pt_approval_links
set used_ms = :now
where token_hash = :token_hash
and used_ms is null

-- name: account_may_decide
select 1 from pt_accounts where email = :email and enabled = 1 and role in ('operator', 'admin')

-- name: token_may_decide
-- Names need not be unique: any valid token of this name will do.
select 1
from pt_tokens
where name = :name
and role in ('operator', 'admin')
and (expires_ms is null or expires_ms > :now)
limit 1

-- name: workflow_of
select workflow_id from pt_approvals where id = :approval_id
