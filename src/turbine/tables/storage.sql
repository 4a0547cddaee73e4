-- name: old_deliveries
select count(*)
from (
    select 1
    from pt_deliveries as d
    where d.status <> 'pending'
    and d.updated_ms < :before
    and not exists (select 1 from pt_runs as w where w.run = d.run and w.completed_at_epoch_ms is null)
    limit :most
) as counted

-- name: old_logs
select count(*)
from (select 1 from pt_logs where created_ms < :before limit :most) as counted

-- name: measure [sqlite]
insert into pt_sizes (at_ms, bytes, free_bytes)
select :hour, pages.page_count * page.page_size, free.freelist_count * page.page_size
from pragma_page_count() as pages, pragma_page_size() as page, pragma_freelist_count() as free
where true
on conflict (at_ms) do nothing

-- name: measure [postgres]
insert into pt_sizes (at_ms, bytes, free_bytes)
values (:hour, pg_database_size(current_database()), 0)
on conflict (at_ms) do nothing

-- name: delete_old
-- Of older days only the first hour stays, and of the oldest ones nothing.
delete from pt_sizes
where at_ms < :oldest
or (
    at_ms < :hourly
    and exists (
        select 1
        from pt_sizes as earlier
        where earlier.at_ms < pt_sizes.at_ms
        and earlier.at_ms / 86400000 = pt_sizes.at_ms / 86400000
    )
)

-- name: sizes
select at_ms, bytes, free_bytes from pt_sizes order by at_ms

-- name: is_measured
select 1 from pt_sizes where at_ms = :hour
