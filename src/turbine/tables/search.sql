-- name: mark
select run from pt_search_mark where name = 'runs'

-- name: lock_mark [sqlite]
select run from pt_search_mark where name = 'runs'

-- name: lock_mark [postgres]
select run from pt_search_mark where name = 'runs' for update

-- name: create_mark
insert into pt_search_mark (name, run) values ('runs', 0) on conflict (name) do nothing

-- name: move_mark
update pt_search_mark set run = :run where name = 'runs'

-- name: is_waiting
-- Runs after the mark, or queued ones that are not just too long to index.
select 1 where exists (select 1 from pt_runs where run > :mark)
or exists (select 1 from pt_reindex_queue where is_long = 0)

-- name: next_runs
select run, created_at_epoch_ms
from pt_runs
where run > :mark
order by run
limit :limit

-- name: changed
select run from pt_reindex_queue where is_long = 0 order by run limit :limit

-- name: queue_reindex
insert into pt_reindex_queue (run, is_long)
select r.run, 0
from @rows(run bigint) as r
where true
on conflict (run) do nothing

-- name: queue_long
insert into pt_reindex_queue (run, is_long)
select w.run, 1
from pt_runs as w
where w.run in (select r.run from @rows(run bigint) as r)
and length(w.inputs) + coalesce(length(w.error), 0) > :longest
on conflict (run) do update
set is_long = 1

-- name: unqueue_reindex
delete from pt_reindex_queue
where run in (select r.run from @rows(run bigint) as r)

-- name: add [sqlite]
insert into pt_search (rowid, text)
select
    w.run,
    lower(
        w.id || char(10) || w.name || char(10) || coalesce(w.summary, '') || char(10) || coalesce(w.tags, '')
        || char(10) || w.inputs || char(10) || coalesce(json_extract(w.error, '$.type'), '')
        || char(10) || coalesce(json_extract(w.error, '$.message'), '')
    )
from pt_runs as w
where w.run in (select r.run from @rows(run bigint) as r)
and length(w.inputs) + coalesce(length(w.error), 0) <= :longest

-- name: add [postgres]
insert into pt_search (run, text)
select
    w.run,
    lower(
        w.id || chr(10) || w.name || chr(10) || coalesce(w.summary, '') || chr(10) || coalesce(w.tags, '')
        || chr(10) || w.inputs || chr(10) || coalesce(w.error::json->>'type', '')
        || chr(10) || coalesce(w.error::json->>'message', '')
    )
from pt_runs as w
where w.run in (select r.run from @rows(run bigint) as r)
and length(w.inputs) + coalesce(length(w.error), 0) <= :longest
on conflict (run) do nothing

-- name: remove [sqlite]
delete from pt_search where rowid in (select r.run from @rows(run bigint) as r)

-- name: remove [postgres]
delete from pt_search where run in (select r.run from @rows(run bigint) as r)
