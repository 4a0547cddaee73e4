-- name: get
select value from pt_kv where key = :key

-- name: upsert
insert into pt_kv (key, value, updated_at_epoch_ms)
values (:key, :value, :now)
on conflict (key) do update
set value = excluded.value,
    updated_at_epoch_ms = excluded.updated_at_epoch_ms

-- name: insert
insert into pt_kv (key, value, updated_at_epoch_ms)
values (:key, :value, :now)
on conflict (key) do nothing

-- name: swap
update pt_kv
set value = :value,
    updated_at_epoch_ms = :now
where key = :key
and value = :expect

-- name: delete
delete from pt_kv where key = :key
