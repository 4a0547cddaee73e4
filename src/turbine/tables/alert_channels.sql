-- columns: channel
channel, id, name, url, events, enabled, created_ms, updated_ms, workflows, quiet

-- name: create
insert into pt_alert_channels (id, name, url, events, enabled, workflows, quiet, created_ms, updated_ms)
values (:id, :name, :url, :events, :enabled, nullif(:workflows, '[]'), nullif(:quiet, 'null'), :now, :now)
on conflict (name) do nothing

-- name: update
update pt_alert_channels
set name = coalesce(:name, name),
    url = coalesce(:url, url),
    events = coalesce(:events, events),
    enabled = coalesce(:enabled, enabled),
    workflows = nullif(coalesce(:workflows, workflows), '[]'),
    quiet = nullif(coalesce(:quiet, quiet), 'null'),
    updated_ms = :now
where id = :id

-- name: delete
delete from pt_alert_channels where id = :id

-- name: get
select @columns(channel)
from pt_alert_channels
where id = :id

-- name: by_name
select id, enabled from pt_alert_channels where name = :name

-- name: page
select @columns(channel)
from pt_alert_channels
where channel < :before
order by channel desc
limit :limit
