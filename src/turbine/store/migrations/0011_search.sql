-- The search index over runs.

-- The searched text of a run, by the groups of three letters in it. Filled a moment after the start of a run, beside
-- the writes of runs, so that it costs them nothing; what is not in it yet is read row by row.

-- only: sqlite
create virtual table pt_search using fts5(text, tokenize = 'trigram', detail = none);

-- only: sqlite
-- Fewer merges of the index, so that a write of it seldom takes long; a search costs a little more for it.
insert into pt_search (pt_search, rank) values ('automerge', 8);

-- only: postgres
create table pt_search (
    run bigint primary key,
    text text not null
);

-- only: postgres
-- Every three bytes of a text, as numbers. pg_trgm would do; but that is an extension, which not every server has and
-- not every user may make. (With characters instead of bytes it takes three times as long.)
create function pt_trigrams(text) returns integer[] language sql immutable strict parallel safe cost 10000 as
$$ select coalesce(array_agg((get_byte(b, i) << 16) | (get_byte(b, i + 1) << 8) | get_byte(b, i + 2)), '{}')
from (select convert_to($1, 'UTF8') as b) as bytes, generate_series(0, octet_length(b) - 3) as i $$;

-- only: postgres
create index pt_search_trigrams on pt_search using gin (pt_trigrams(text));

-- How far the filling has come: every run up to this key is in the index, or in the table below.
create table pt_search_mark (
    name text primary key,
    run bigint not null
);

-- Runs whose text has changed since, because they failed; and (is_long = 1, for good) those with too long a text.
create table pt_reindex_queue (
    run bigint primary key,
    is_long bigint not null
);

create index pt_search_changed on pt_reindex_queue (run) where is_long = 0;
