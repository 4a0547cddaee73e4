-- name: lock [sqlite]
select 1

-- name: lock [postgres]
-- An advisory lock, because the key may have no row yet.
select pg_advisory_xact_lock(hashtextextended(:key, 7845630222))

-- name: get
select value from pt_kv where key = :key and value is not null

-- name: record
select key, value, json_schema, updated_at_epoch_ms from pt_kv where key = :key

-- name: set
insert into pt_kv (key, value, updated_at_epoch_ms)
values (:key, :value, :now)
on conflict (key) do update
set value = excluded.value,
    updated_at_epoch_ms = excluded.updated_at_epoch_ms

-- name: set_schema
insert into pt_kv (key, json_schema, updated_at_epoch_ms)
values (:key, :schema, :now)
on conflict (key) do update
set json_schema = excluded.json_schema,
    updated_at_epoch_ms = excluded.updated_at_epoch_ms

-- name: delete_empty
delete from pt_kv where key = :key and value is null and json_schema is null

-- name: delete
delete from pt_kv where key = :key

-- name: add_history
insert into pt_kv_history (key, value, actor, at_ms) values (:key, :value, :actor, :now)

-- name: trim_history
delete from pt_kv_history
where key = :key
and entry <= (
    select o.entry
    from pt_kv_history as o
    where o.key = :key
    order by o.entry desc
    limit 1 offset :kept
)

-- name: delete_old_history
-- A key whose last write is its deletion.
delete from pt_kv_history
where key in (
    select h.key
    from pt_kv_history as h
    where h.value is null
    and h.at_ms < :before
    and not exists (select 1 from pt_kv as k where k.key = h.key)
    order by h.at_ms
    limit :limit
)

-- name: history
select entry, value, actor, at_ms
from pt_kv_history
where key = :key
order by entry desc
limit :limit

-- name: page
select key, value, json_schema, updated_at_epoch_ms
from pt_kv
where key >= :low
order by key
limit :limit

-- name: page_below
select key, value, json_schema, updated_at_epoch_ms
from pt_kv
where key >= :low
and key < :high
order by key
limit :limit
