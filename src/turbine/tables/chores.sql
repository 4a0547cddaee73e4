-- name: plan
insert into pt_chores (name, next_ms)
values (:name, :next)
on conflict (name) do update
set next_ms = excluded.next_ms
where pt_chores.next_ms > excluded.next_ms

-- name: next
select next_ms from pt_chores where name = :name

-- name: take
update pt_chores
set next_ms = :next
where name = :name
and next_ms <= :now
