-- What Turbine does by the clock, how long runs are kept, and how large the database is.

-- What the house does for itself by the clock, such as garbage collection: next_ms is the tick that nobody has taken.
create table pt_maintenance (
    name text primary key,
    next_ms bigint not null
);

-- How long runs are kept once they are over: those of a workflow, of a status, or of both; an empty text stands for
-- any. keep_ms is null where they are kept for ever. What no row speaks of the settings of the runtime decide.
create table pt_retention (
    workflow text not null,
    status text not null,
    keep_ms bigint,
    updated_ms bigint not null,
    primary key (workflow, status)
)@clustered;

-- How large the database was in an hour, and how much of that was free for what comes next.
create table pt_sizes (
    at_ms bigint primary key,
    bytes bigint not null,
    free_bytes bigint not null
);
