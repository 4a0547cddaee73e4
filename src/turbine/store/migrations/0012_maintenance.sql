-- Maintenance, retention, and the size of the database.

-- Periodic maintenance, such as garbage collection: next_ms is its next tick.
create table pt_maintenance (
    name text primary key,
    next_ms bigint not null
);

-- How long finished runs are kept, by workflow and status; an empty text stands for any. keep_ms is null for ever. The
-- settings of the runtime decide for runs that match no row.
create table pt_retention (
    workflow text not null,
    status text not null,
    keep_ms bigint,
    updated_ms bigint not null,
    primary key (workflow, status)
)@clustered;

-- The size of the database at each hour, and how much of it was free for new rows.
create table pt_sizes (
    at_ms bigint primary key,
    bytes bigint not null,
    free_bytes bigint not null
);
