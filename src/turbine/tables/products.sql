-- name: find
select
    product, id, workflow_id, function_id, function_name, file_name, size, sha256, metadata, status, error,
    storage, created_ms
from pt_products
where run = :run
and position = :position
and file_name = :file_name

-- name: get
select
    product, id, workflow_id, function_id, function_name, file_name, size, sha256, metadata, status, error,
    storage, created_ms
from pt_products
where id = :id

-- name: begin_upload
insert into pt_product_uploads (upload, storage, executor_id, started_ms)
values (:upload, :storage, :executor, :now)

-- name: take_upload
-- An upload that was marked for removal cannot become a product.
delete from pt_product_uploads
where upload = :upload
and executor_id = :executor

-- name: abandon_upload
update pt_product_uploads
set executor_id = null
where upload = :upload

-- name: forget_upload
delete from pt_product_uploads where upload = :upload

-- name: abandoned_uploads
-- Uploads of `:executor` are included, because only that process knows which of them it is writing.
select u.upload, u.storage
from pt_product_uploads as u
where u.upload > :after
and (
    u.executor_id is null
    or u.executor_id = :executor
    or not exists (select 1 from pt_executors as e where e.executor_id = u.executor_id)
)
order by u.upload
limit :limit

-- name: add
insert into pt_products (
    id, run, workflow_id, position, function_id, function_name, file_name, size, sha256, metadata, status, storage,
    created_ms, updated_ms
)
values (
    :id, :run, :workflow_id, :position, :function_id, :function_name, :file_name, :size, :sha256, :metadata, 'stored',
    :storage, :now_ms, :now_ms
)

-- name: add_chunk
insert into pt_product_chunks (upload, number, bytes)
values (:upload, :number, :bytes)

-- name: chunk
select bytes
from pt_product_chunks
where upload = :upload
and number = :number

-- name: remove_chunks
delete from pt_product_chunks
where upload = :upload
and number in (
    select c.number
    from pt_product_chunks as c
    where c.upload = :upload
    order by c.number
    limit :limit
)

-- name: mark_sent
update pt_products
set status = 'sent',
    error = null,
    updated_ms = :now
where id = :id

-- name: mark_failed
-- A product that was sent stays sent when another delivery of it fails.
update pt_products
set status = 'failed',
    error = :error,
    updated_ms = :now
where id = :id
and status <> 'sent'

-- name: reopen
update pt_products
set status = 'stored',
    error = null,
    updated_ms = :now
where id = :id
and status = 'failed'

-- name: owner
select w.run, w.id, w.name
from pt_products as p
join pt_runs as w on w.run = p.run
where p.id = :id

-- name: abandon_bytes
-- A sweep removes the bytes after the commit.
insert into pt_product_uploads (upload, storage, executor_id, started_ms)
select p.id, p.storage, null, p.created_ms
from pt_products as p
where p.run in (select r.run from @rows(run bigint) as r)

-- name: delete
delete from pt_products
where run in (select r.run from @rows(run bigint) as r)
