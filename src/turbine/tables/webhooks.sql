-- name: create
insert into pt_webhooks (id, url, events, enabled, secret, created_ms, updated_ms)
values (:id, :url, :events, :enabled, :secret, :now, :now)

-- name: update
update pt_webhooks
set url = coalesce(:url, url),
    events = coalesce(:events, events),
    enabled = coalesce(:enabled, enabled),
    updated_ms = :now
where id = :id

-- name: rotate_secret
-- Setting the first secret, or the same one again, replaces nothing.
update pt_webhooks
set secret_before = secret,
    secret_before_until_ms = case when secret is not null then cast(:until as bigint) end,
    secret = :secret
where id = :id
and (secret is null or secret <> :secret)

-- name: remove_secret
update pt_webhooks
set secret = null,
    secret_before = null,
    secret_before_until_ms = null
where id = :id

-- name: delete
delete from pt_webhooks where id = :id

-- name: get
select
    webhook, id, url, events, enabled, case when secret is null then 0 else 1 end, created_ms, updated_ms
from pt_webhooks
where id = :id

-- name: page
select
    webhook, id, url, events, enabled, case when secret is null then 0 else 1 end, created_ms, updated_ms
from pt_webhooks
where webhook < :before
order by webhook desc
limit :limit

-- name: receiver
select url, enabled, secret, secret_before, secret_before_until_ms
from pt_webhooks
where id = :id
