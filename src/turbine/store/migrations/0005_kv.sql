-- Keys and values, and their history.

-- A key may have a schema before it has a value. Prefixes are ranges of keys, so keys are sorted by their bytes.
create table pt_kv (
    key text@bytewise primary key,
    value text,
    json_schema text,
    updated_at_epoch_ms bigint not null
);

-- The dashboard looks for keys that have changed.
create index pt_kv_updated on pt_kv (updated_at_epoch_ms);

-- Every value of a key, and the actor who wrote it; the newest row is the present value. value is null for a deletion.
create table pt_kv_history (
    entry @key,
    key text not null,
    value text,
    actor text,
    at_ms bigint not null
);

create index pt_kv_history_key on pt_kv_history (key, entry);

create index pt_kv_history_deleted on pt_kv_history (at_ms) where value is null;
