-- Products: files that steps have stored.

-- One row for each file. storage is the place of the bytes, which are named by the product's id: 'database', 'beside'
-- (the folder beside the SQLite file, which moves with it), or the URL of a folder or bucket.
create table pt_products (
    product @key,
    id text not null unique,
    run bigint not null,
    workflow_id text not null,
    position text not null,
    function_id bigint not null,
    function_name text not null,
    file_name text not null,
    size bigint not null,
    sha256 text not null,
    metadata text,
    status text not null,
    error text,
    storage text not null,
    created_ms bigint not null,
    updated_ms bigint not null
);

create unique index pt_products_once on pt_products (run, position, file_name);

-- With the sizes, which are summed up without reading the rows.
create index pt_products_by_status on pt_products (status, product, size);

create index pt_products_workflow on pt_products (workflow_id, product);

-- The bytes of products that are kept in the database, by the id of their upload (which becomes the product's id).
create table pt_product_chunks (
    upload text not null,
    number bigint not null,
    bytes @blob not null,
    primary key (upload, number)
);

-- Bytes without a product: unfinished uploads, and the files of deleted products. They are deleted unless the executor
-- that uploads them is alive.
create table pt_product_uploads (
    upload text primary key,
    storage text not null,
    executor_id text,
    started_ms bigint not null
);
