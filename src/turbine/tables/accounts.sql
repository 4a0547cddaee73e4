-- name: add
insert into pt_accounts (id, email, password, role, enabled, created_ms, updated_ms)
values (:id, :email, :password, :role, 1, :now, :now)
on conflict (email) do nothing
returning account

-- name: any
select 1 from pt_accounts limit 1

-- name: lock_all [sqlite]
select account from pt_accounts

-- name: lock_all [postgres]
-- Otherwise two transactions could demote the last two admins at the same time.
select account from pt_accounts for update

-- name: get
select account, id, email, role, enabled, created_ms, last_login_ms from pt_accounts where id = :id

-- name: listing
select account, id, email, role, enabled, created_ms, last_login_ms
from pt_accounts
where account > :after
order by account
limit :limit

-- name: password_of
select account, id, password, role, enabled from pt_accounts where email = :email

-- name: change
update pt_accounts
set role = :role,
    enabled = :enabled,
    password = coalesce(:password, password),
    updated_ms = :now
where account = :account

-- name: remove
delete from pt_accounts where account = :account

-- name: other_admins
select count(*) from pt_accounts where role = 'admin' and enabled = 1 and account <> :account

-- name: note_login
update pt_accounts set last_login_ms = :now where account = :account

-- name: add_session
insert into pt_sessions (id, account, token_hash, address, agent, created_ms, seen_ms, expires_ms)
values (:id, :account, :token_hash, :address, :agent, :now, :now, :expires)

-- name: delete_expired_sessions
delete from pt_sessions where expires_ms <= :now

-- name: by_session
select s.id, s.seen_ms, a.email, a.role
from pt_sessions as s
join pt_accounts as a on a.account = s.account
where s.token_hash = :token_hash
and s.expires_ms > :now
and s.seen_ms > :idle_since
and a.enabled = 1

-- name: touch_session
update pt_sessions set seen_ms = :now where id = :id

-- name: sessions
select s.id, a.id, a.email, s.address, s.agent, s.created_ms, s.seen_ms, s.expires_ms
from pt_sessions as s
join pt_accounts as a on a.account = s.account
where s.expires_ms > :now
order by s.session desc
limit 1000

-- name: remove_session
delete from pt_sessions where id = :id

-- name: remove_sessions_of
delete from pt_sessions where account = :account and id <> :kept

-- name: add_token
insert into pt_tokens (id, name, role, token_hash, created_ms, expires_ms)
values (:id, :name, :role, :token_hash, :now, :expires)

-- name: by_token
select name, role
from pt_tokens
where token_hash = :token_hash
and (expires_ms is null or expires_ms > :now)

-- name: token
select token, id, name, role, expires_ms, created_ms from pt_tokens where id = :id

-- name: tokens
select token, id, name, role, expires_ms, created_ms
from pt_tokens
where token < :before
order by token desc
limit :limit

-- name: remove_token
delete from pt_tokens where id = :id

-- name: add_link
insert into pt_setup_links (token_hash, executor_id, expires_ms) values (:token_hash, :executor, :expires)

-- name: delete_links
delete from pt_setup_links

-- name: use_link
-- The delete decides: of two concurrent uses only one finds the row.
delete from pt_setup_links
where token_hash = :token_hash
and expires_ms > :now
and executor_id in (select executor_id from pt_executors)

-- name: link_of_other_process
select 1
from pt_setup_links as l
join pt_executors as e on e.executor_id = l.executor_id
where l.expires_ms > :now
and l.executor_id <> :executor
and e.lease_until_ms > @now
limit 1

-- name: delete_old_attempts
delete from pt_login_attempts where at_ms <= :since

-- name: attempts
-- The count, and the time of the oldest attempt that counts towards the limit.
select count(*), min(at_ms)
from (
    select at_ms
    from pt_login_attempts
    where kind = :kind
    and subject = :subject
    and at_ms > :since
    order by at_ms desc
    limit :limit
) as recent

-- name: add_attempt
insert into pt_login_attempts (kind, subject, at_ms) values (:kind, :subject, :now)

-- name: delete_attempts
delete from pt_login_attempts where kind = :kind and subject = :subject

-- name: delete_last_attempt
delete from pt_login_attempts
where attempt = (select max(attempt) from pt_login_attempts where kind = :kind and subject = :subject)
