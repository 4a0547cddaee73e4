-- The search index over runs.

-- The searchable text of runs, indexed by groups of three letters. It is filled a moment after the start of a run, in
-- transactions of its own, so that it does not slow down runs; a search reads later runs row by row.

-- only: sqlite
create virtual table pt_search using fts5(text, tokenize = 'trigram', detail = none);

-- only: sqlite
-- Fewer merges of the index, so that long writes are rare; searches cost a little more.
insert into pt_search (pt_search, rank) values ('automerge', 8);

-- only: postgres
create table pt_search (
    run bigint primary key,
    text text not null
);

-- only: postgres
-- All groups of three bytes in a text, as numbers. pg_trgm is an extension, which not every server has and not every
-- user may create. (Characters instead of bytes would take three times as long.)
create function pt_trigrams(text) returns integer[] language sql immutable strict parallel safe cost 10000 as
$$ select coalesce(array_agg((get_byte(b, i) << 16) | (get_byte(b, i + 1) << 8) | get_byte(b, i + 2)), '{}')
from (select convert_to($1, 'UTF8') as b) as bytes, generate_series(0, octet_length(b) - 3) as i $$;

-- only: postgres
create index pt_search_trigrams on pt_search using gin (pt_trigrams(text));

-- The progress of the index: every run up to this key is in it, or in the table below.
create table pt_search_mark (
    name text primary key,
    run bigint not null
);

-- Runs that are not in the index: those whose text has changed, because they failed, until they are indexed again; and
-- (is_long = 1, for good) those whose text is too long.
create table pt_reindex_queue (
    run bigint primary key,
    is_long bigint not null
);

create index pt_search_changed on pt_reindex_queue (run) where is_long = 0;
