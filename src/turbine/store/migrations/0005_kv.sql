-- Keys and values, and what they held before.

-- A key may have a schema before it has a value.
create table pt_kv (
    key text primary key,
    value text,
    json_schema text,
    updated_at_epoch_ms bigint not null
);

-- only: postgres
-- Prefixes are ranges of keys, so keys sort by their bytes here too.
alter table pt_kv alter column key type text collate "C";

-- For those who watch: whether keys and schedules changed since they looked.
create index pt_kv_updated on pt_kv (updated_at_epoch_ms);

-- What a key held, each value with who wrote it; the newest row is the value of now. value is null where the key was
-- deleted.
create table pt_kv_history (
    entry @key,
    key text not null,
    value text,
    actor text,
    at_ms bigint not null
);

create index pt_kv_history_key on pt_kv_history (key, entry);

create index pt_kv_history_deleted on pt_kv_history (at_ms) where value is null;
