-- name: plan
insert into pt_maintenance (name, next_ms)
values (:name, :next)
on conflict (name) do update
set next_ms = excluded.next_ms
where pt_maintenance.next_ms > excluded.next_ms

-- name: next
select next_ms from pt_maintenance where name = :name

-- name: take
update pt_maintenance
set next_ms = :next
where name = :name
and next_ms <= :now
