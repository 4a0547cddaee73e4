-- name: mailboxes [sqlite]
select w.id, w.run
from pt_runs as w
where w.id in (select r.id from @rows(id text) as r)

-- name: mailboxes [postgres]
-- Locked until the commit; most are locked since the beginning of the batch.
select w.id, w.run
from pt_runs as w
where w.id in (select r.id from @rows(id text) as r)
order by w.run
for no key update

-- name: add
insert into pt_messages (run, topic, body, created_at_epoch_ms)
select r.run, r.topic, r.body, r.created
from @rows(run bigint, topic text, body text, created bigint) as r
where true

-- name: receivers
-- Every receive that waits for one of these topics; those that find the message taken keep waiting.
select distinct p.run, p.position, p.subject, w.executor_id
from @rows(id text, topic text) as r
cross join pt_runs as w
cross join pt_waits as p
where w.id = r.id
and p.run = w.run
and p.kind = 'message'
and p.subject = r.topic

-- name: oldest
select message, body
from pt_messages
where run = :run
and topic = :topic
and consumed_position is null
order by message
limit 1

-- name: consume
update pt_messages
set consumed_position = :position
where message = :message

-- name: set_value
insert into pt_values (run, key, value, updated_ms)
values (:run, :key, :value, :now)
on conflict (run, key) do update
set value = excluded.value,
    updated_ms = excluded.updated_ms

-- name: remember_value
insert into pt_values_history (run, position, key, value, created_ms)
values (:run, :position, :key, :value, :now)
on conflict (run, position) do nothing

-- name: value
select value from pt_values where run = :run and key = :key

-- name: values
select key, value from pt_values where run = :run order by key
