"""Filtered lists of runs: the shortest way through the indexes to the keys of the runs that match a filter.

Where a filter fixes all columns of an index, the index returns keys in order, newest or oldest first. The index with
the fewest entries leads the search, and the other conditions are checked on the rows. So the cost of a page depends on
the page, not on the number of runs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import product
from typing import Any, NamedTuple

from turbine.model.run_filter import RunFilter
from turbine.model.workflows import WorkflowStatus
from turbine.store import Statement, Tx
from turbine.store.tx import rows_json
from turbine.tables import search
from turbine.tables.clauses import in_list, within
from turbine.tables.run_ids_by_time import first_runs, last_run

_COLUMN_OF = {
    "status": "status",
    "name": "name",
    "executor_id": "executor_id",
    "version": "application_version",
    "ids": "id",
    "queue": "queue_name",
    "parent_id": "parent_workflow_id",
}
_DURATION = "completed_at_epoch_ms is not null and (completed_at_epoch_ms - started_at_epoch_ms)"
"""The duration of a run, written as in its index."""
_STATUSES = tuple(str(status) for status in WorkflowStatus)
FEW = 5000
"""Up to so many runs are searched for a text one by one rather than through the text index."""
MANY = 60_000
"""Index entries are counted up to this number."""
NEWEST = 10_000
"""The newest runs, in which a text is searched that is too short for the text index."""
SKEW_MS = 10 * 60 * 1000
"""Keys are assigned in the order of time, give or take this skew of clocks and commits."""
SAMPLE = 2000
"""The newest texts, from which the frequency of a text is estimated."""
FREQUENT = 33
"""A text is frequent when one in so many runs contains it."""
SOURCES_MAX = 100
"""Sources in one statement, at most."""
_SEARCHED = ("id", "name", "summary", "tags", "inputs")
_ERROR_PARTS = {
    "sqlite": ("json_extract(error, '$.type')", "json_extract(error, '$.message')"),
    "postgres": ("error::json->>'type'", "error::json->>'message'"),
}
"""The parts of an error that are searched: its type and message, not its traceback."""
_MATCHES_IN_SAMPLE = Statement.of(
    "select count(*) from (select s.text from pt_search as s order by s.run desc limit :sample) as newest"
    " where text like lower(:pattern) escape '!'"
)
_LETTERS_BY_FREQUENCY = " etaoinsrhldcumfpgwybvkxjqz"


def keys(tx: Tx, *, filter: RunFilter, limit: int, after: int | None = None, ascending: bool = False) -> list[int]:
    """The keys of the runs that match a filter, newest first (or oldest), starting after a key."""
    runs: list[int] = []
    for query in _queries(tx, filter, after, ascending):
        # Once the page is full only runs before its last one matter.
        edge = runs[-1] if len(runs) == limit else None
        parameters = query.parameters if edge is None else {**query.parameters, "edge": edge}
        rows = tx.rows(query.keys(ascending, has_edge=edge is not None), limit=limit, **parameters)
        runs = sorted({*runs, *(row[0] for row in rows)}, reverse=not ascending)[:limit]
    return runs


def count(tx: Tx, *, filter: RunFilter, limit: int) -> int:
    """The number of runs that match a filter, counted up to a limit."""
    queries = _queries(tx, filter, None, False)
    if all(query.is_disjoint for query in queries):
        counted = 0
        for query in queries:
            if counted < limit:
                rows = tx.rows(query.counts(), limit=limit - counted, **query.parameters)
                counted += sum(row[0] for row in rows)
        return min(counted, limit)
    if len(queries) == 1:
        return tx.rows(queries[0].count_of_union(), limit=limit, **queries[0].parameters)[0][0]
    runs: set[int] = set()
    for query in queries:
        if len(runs) < limit:
            runs.update(row[0] for row in tx.rows(query.any_keys(), limit=limit, **query.parameters))
    return min(len(runs), limit)


class _Source(NamedTuple):
    """An index to search: `key` is the key of the run in the leading table, `clauses` fix the columns of the index.

    A filter may need several sources. Together they have every run that can match it.
    """

    table: str
    key: str
    clauses: tuple[str, ...] = ()
    parameters: tuple[tuple[str, Any], ...] = ()
    fields: frozenset[str] = frozenset()
    """The fields of the filter that hold for all runs of the source."""
    is_disjoint: bool = True
    """Whether no run is in two of the sources."""


class _Query(NamedTuple):
    """Some sources with all conditions on their runs, as the parts of one statement."""

    parts: tuple[tuple[str, str, str], ...]
    """For each source its tables, its key and its clauses."""
    parameters: dict[str, Any]
    is_disjoint: bool

    def keys(self, ascending: bool, *, has_edge: bool = False) -> Statement:
        order, sign = ("asc", "<") if ascending else ("desc", ">")
        edges = [f" and {key} {sign} :edge" if has_edge else "" for _, key, _ in self.parts]
        parts = [
            f"select run from (select {key} as run from {tables} where {clauses}{edge}"  # noqa: S608 - values are parameters
            f" order by {key} {order} limit :limit) as x"
            for (tables, key, clauses), edge in zip(self.parts, edges, strict=True)
        ]
        return Statement.of(self._union().join(parts) + f"\norder by run {order} limit :limit", "keys")

    def any_keys(self) -> Statement:
        return Statement.of(self._any_keys(), "any_keys")

    def count_of_union(self) -> Statement:
        return Statement.of(f"select count(*) from (\n{self._any_keys()}) as y", "count_of_union")  # noqa: S608 - as above

    def _any_keys(self) -> str:
        parts = [
            f"select run from (select {key} as run from {tables} where {clauses} limit :limit) as x"  # noqa: S608 - as above
            for tables, key, clauses in self.parts
        ]
        return self._union().join(parts) + "\nlimit :limit"

    def _union(self) -> str:
        return "\nunion all\n" if self.is_disjoint else "\nunion\n"

    def counts(self) -> Statement:
        parts = [
            f"select count(*) from (select {key} from {tables} where {clauses} limit :limit) as x"  # noqa: S608 - as above
            for tables, key, clauses in self.parts
        ]
        return Statement.of("\nunion all\n".join(parts), "counts")


_RUNS = _Source("pt_runs as w", "w.run")


def _queries(tx: Tx, filter: RunFilter, after: int | None, ascending: bool) -> list[_Query]:
    """The statements that find the runs of a filter."""
    parameters: dict[str, Any] = {}
    span = _key_range(tx, filter, parameters)
    if after is not None:
        span = [*span, "{key} > :after" if ascending else "{key} < :after"]
        parameters["after"] = after
    sources = _sources(tx, filter, span, parameters)
    is_disjoint = all(source.is_disjoint for source in sources)
    step = 1 if any("search" in source.fields for source in sources) else SOURCES_MAX
    queries: list[_Query] = []
    for first in range(0, len(sources), step):
        own = dict(parameters)
        some = enumerate(sources[first : first + step])
        parts = tuple(_part(filter, tx.dialect, source, span, own, number) for number, source in some)
        queries.append(_Query(parts, own, is_disjoint))
    return queries


def _part(
    filter: RunFilter, dialect: str, source: _Source, span: Sequence[str], parameters: dict[str, Any], number: int
) -> tuple[str, str, str]:
    tables, *own = _numbered(source, number, parameters)
    clauses = [*own, *(clause.format(key=source.key) for clause in span)]
    further = _clauses(filter, dialect, source, parameters)
    if further and source.table != _RUNS.table:
        tables = f"{tables} cross join {_RUNS.table}"
        clauses.append(f"w.run = {source.key}")
    return tables, source.key, _all([*clauses, *further])


def _numbered(source: _Source, number: int, parameters: dict[str, Any]) -> list[str]:
    """The table of a source and its clauses, with parameters that are unique in the statement."""
    texts = [source.table, *source.clauses]
    for name, value in source.parameters:
        if name == "rows":
            parameters[name] = value
            continue
        parameters[f"{name}_{number}"] = value
        texts = [re.sub(rf":{name}\b", f":{name}_{number}", text) for text in texts]
    return texts


def _key_range(tx: Tx, filter: RunFilter, parameters: dict[str, Any]) -> list[str]:
    """The range of keys of a filter's times. Only near its ends the time in the row itself decides."""
    clauses: list[str] = []
    created = "(select c.created_at_epoch_ms from pt_runs as c where c.run = {key})"
    times_ms: list[int] = []
    if filter.created_after_ms is not None:
        times_ms += [filter.created_after_ms - SKEW_MS, filter.created_after_ms + SKEW_MS]
        clauses += ["{key} >= :low", f"({{key}} >= :sure_low or {created} >= :created_after)"]
        parameters["created_after"] = filter.created_after_ms
    if filter.created_before_ms is not None:
        times_ms += [filter.created_before_ms + SKEW_MS, filter.created_before_ms - SKEW_MS]
        clauses += ["{key} < :high", f"({{key}} < :sure_high or {created} <= :created_before)"]
        parameters["created_before"] = filter.created_before_ms
    if times_ms:
        ends = iter(first_runs(tx, times_ms=times_ms))
        if filter.created_after_ms is not None:
            parameters["low"], parameters["sure_low"] = next(ends), next(ends)
        if filter.created_before_ms is not None:
            parameters["high"], parameters["sure_high"] = next(ends), next(ends)
    if filter.search and len(filter.search) < search.SHORTEST:
        clauses.append("{key} > :newest")
        parameters["newest"] = last_run(tx) - NEWEST
    return clauses


def _sources(tx: Tx, filter: RunFilter, span: Sequence[str], parameters: dict[str, Any]) -> list[_Source]:
    """The sources to search: of all usable indexes the one with the fewest entries."""
    if filter.matches_nothing:
        return []
    candidates = _candidates(filter)
    is_searched = filter.search is not None and len(filter.search) >= search.SHORTEST
    best, fewest = [_RUNS], MANY
    for candidate in candidates:
        is_ordered = "duration" not in candidate[0].fields
        if len(candidates) == 1 and is_ordered and not is_searched:
            return candidate
        size = _size(tx, candidate, span, parameters, fewest)
        if size < fewest or (best == [_RUNS] and is_ordered):
            best, fewest = candidate, size
        if fewest == 0:
            return []
    if is_searched and fewest > FEW:
        assert filter.search is not None
        if not _is_frequent(tx, filter.search):
            return _text_sources(tx, filter.search)
    return best


def _size(tx: Tx, sources: Sequence[_Source], span: Sequence[str], parameters: dict[str, Any], most: int) -> int:
    """The number of index entries in some sources, counted up to `most`."""
    size = 0
    for first in range(0, len(sources), SOURCES_MAX):
        own = dict(parameters)
        parts: list[tuple[str, str, str]] = []
        for number, source in enumerate(sources[first : first + SOURCES_MAX]):
            table, *clauses = _numbered(source, number, own)
            in_span = [clause.format(key=source.key) for clause in span]
            parts.append((table, source.key, _all([*clauses, *in_span])))
        if size < most:
            size += sum(row[0] for row in tx.rows(_Query(tuple(parts), own, True).counts(), limit=most - size, **own))
    return min(size, most)


def _candidates(filter: RunFilter) -> list[list[_Source]]:
    """The usable indexes, the most selective kinds first. Each returns keys in order, or few of them."""
    candidates: list[list[_Source]] = []
    if filter.ids is not None:
        # All ids are in one parameter, which keeps its name because this source is alone.
        clause = "w.id in (select r.id from @rows(id text) as r)"
        rows = (("rows", rows_json([[str(id_)] for id_ in filter.ids])),)
        candidates.append([_Source(_RUNS.table, _RUNS.key, (clause,), rows, frozenset({"ids"}))])
    if filter.fingerprint is not None:
        values = {"fingerprint": filter.fingerprint}
        candidates.append(_combinations("f.fingerprint = :{}", values, table="pt_failures as f", key="f.run"))
    if filter.error_class is not None:
        values = {"error_class": filter.error_class}
        groups = "f.fingerprint in (select g.fingerprint from pt_failure_groups as g where g.type = :{})"
        candidates.append(_combinations(groups, values, table="pt_failures as f", key="f.run"))
    if filter.parent_id is not None:
        candidates.append(_combinations("w.parent_workflow_id = :{}", {"parent_id": filter.parent_id}))
    if filter.tag is not None:
        tagged = _combinations("t.tag = :{}", {"tag": filter.tag}, table="pt_run_tags as t", key="t.run")
        candidates.append([source._replace(is_disjoint=len(tagged) == 1) for source in tagged])
    statuses = _STATUSES if filter.status is None else filter.status
    for field in ("queue", "name"):
        if getattr(filter, field) is not None:
            values = {field: getattr(filter, field), "status": statuses}
            candidates.append(_combinations(f"w.{_COLUMN_OF[field]} = :{{}} and w.status = :{{}}", values))
    duration, bounds = _duration_clause(filter)
    if duration:
        # The inner `limit` makes this index lead; SQLite would scan all keys to avoid sorting.
        table = f"(select d.run from pt_runs as d where {duration} limit {2**62}) as l"  # noqa: S608 - all ours
        candidates.append([_Source(table, "l.run", (), tuple(bounds.items()), frozenset({"duration"}))])
    if filter.executor_id is not None:
        held = "w.executor_id = :{} and w.executor_id is not null and w.completed_at_epoch_ms is null"
        ended = "w.executor_id || '' = :{} and w.completed_at_epoch_ms is not null"
        values = {"executor_id": filter.executor_id}
        candidates.append(_combinations(held, values) + _combinations(ended, values))
    if filter.version is not None:
        values = {"version": filter.version, "status": statuses}
        candidates.append(_combinations("w.application_version = :{} and w.status = :{}", values))
    if filter.status is not None and filter.queue is None and filter.name is None and filter.version is None:
        candidates.append(_combinations("w.status = :{}", {"status": filter.status}))
    return candidates


def _combinations(
    clause: str, values: dict[str, Sequence[str]], *, table: str = _RUNS.table, key: str = _RUNS.key
) -> list[_Source]:
    """A source for each combination of values, so that each one fixes all columns of its index."""
    clauses = (clause.format(*values),)
    fields = frozenset(values)
    combinations = product(*(dict.fromkeys(str(value) for value in several) for several in values.values()))
    return [
        _Source(table, key, clauses, tuple(zip(values, combination, strict=True)), fields)
        for combination in combinations
    ]


def _duration_clause(filter: RunFilter, column: str = _DURATION) -> tuple[str, dict[str, int]]:
    """The condition of a filter on the duration of runs, empty if there is none."""
    bounds = {"duration_min": filter.duration_min_ms, "duration_max": filter.duration_max_ms}
    given = {name: value for name, value in bounds.items() if value is not None}
    signs = {"duration_min": ">=", "duration_max": "<="}
    return " and ".join(f"{column} {signs[name]} :{name}" for name in given), given


def _text_sources(tx: Tx, text: str) -> list[_Source]:
    """The text index, the runs that are not in it yet, and those that are queued to be indexed again."""
    sources = [
        _text_index(text, tx.dialect),
        _Source(_RUNS.table, _RUNS.key, ("w.run > :mark",), (("mark", search.mark(tx)),)),
        _Source("pt_reindex_queue as a", "a.run"),
    ]
    return [source._replace(is_disjoint=False) for source in sources]


def _is_frequent(tx: Tx, text: str) -> bool:
    """Whether so many runs contain a text that scanning runs fills a page sooner than the index finds all matches.

    The index of SQLite returns matches one by one, in order, so there it never matters.
    """
    if tx.dialect == "sqlite":
        return False
    row = tx.row(_MATCHES_IN_SAMPLE, pattern=within(text), sample=SAMPLE)
    return row is not None and row[0] * FREQUENT > SAMPLE


def _text_index(text: str, dialect: str) -> _Source:
    """The runs whose indexed text contains this one; the leading table returns them in the order of their keys.

    The row itself is not checked again: Postgres would estimate few matches and read all rows for them.
    """
    fields = frozenset({"search"})
    if dialect == "sqlite":
        clauses = ("s.pt_search match :match", "instr(s.text, lower(:part)) > 0")
        return _Source("pt_search as s", "s.rowid", clauses, (("match", _match(text)), ("part", text)), fields)
    # `offset 0`: the index finds all matches, which are then sorted. Postgres would rather scan all texts.
    matches = "select i.run, i.text from pt_search as i where pt_trigrams(i.text) @> pt_trigrams(lower(:part))"
    clauses = ("s.text like lower(:pattern) escape '!'",)
    parameters = (("part", text), ("pattern", within(text)))
    return _Source(f"({matches} offset 0) as s", "s.run", clauses, parameters, fields)


def _match(text: str) -> str:
    """The query of SQLite's index: the four trigrams of the text that are probably the rarest."""
    rarity = {letter: rank for rank, letter in enumerate(_LETTERS_BY_FREQUENCY)}
    trigrams = {text[start : start + 3]: None for start in range(len(text) - 2)}
    ranked = sorted(trigrams, key=lambda trigram: -sum(rarity.get(letter, 15) for letter in trigram.lower()))
    return " AND ".join('"{}"'.format(trigram.replace('"', '""')) for trigram in ranked[:4])


def _all(clauses: Sequence[str]) -> str:
    return "\nand ".join(clauses) or "true"


def _clauses(filter: RunFilter, dialect: str, source: _Source, parameters: dict[str, Any]) -> list[str]:
    """The conditions that a source does not fulfil already. In SQLite a `+` keeps other indexes from leading."""
    clauses: list[str] = []
    no_index = "+" if dialect == "sqlite" else ""
    for field, column in _COLUMN_OF.items():
        values = getattr(filter, field)
        if values is not None and field not in source.fields:
            clauses.append(in_list(f"{no_index}w.{column}", field, values, parameters))
    if filter.tag is not None and "tag" not in source.fields:
        tagged = in_list("g.tag", "tag", filter.tag, parameters)
        # Not `exists`: Postgres would join all runs that have the tag.
        clauses.append(f"(select 1 from pt_run_tags as g where {tagged} and g.run = w.run limit 1) is not null")  # noqa: S608 - as above
    failures = "exists (select 1 from pt_failures as f"
    if filter.fingerprint is not None and "fingerprint" not in source.fields:
        in_groups = in_list("f.fingerprint", "fingerprint", filter.fingerprint, parameters)
        clauses.append(f"{failures} where f.run = w.run and {in_groups})")
    if filter.error_class is not None and "error_class" not in source.fields:
        of_type = in_list("g.type", "error_class", filter.error_class, parameters)
        groups = "join pt_failure_groups as g on g.fingerprint = f.fingerprint"
        clauses.append(f"{failures} {groups} where f.run = w.run and {of_type})")
    # `+ 0` rules out the index on durations, by which the newest runs would have to be sorted.
    duration, bounds = _duration_clause(filter, f"{_DURATION} + 0")
    if duration and "duration" not in source.fields:
        clauses.append(duration)
        parameters |= bounds
    if filter.search and "search" not in source.fields:
        parameters["search"] = within(filter.search)
        clauses.append(_contains(filter.search, dialect))
    return clauses


def _contains(text: str, dialect: str) -> str:
    """The condition that the row itself contains the text, ignoring case."""
    columns = (*_SEARCHED, *_ERROR_PARTS[dialect])
    if dialect == "sqlite":  # its `like` ignores case
        conditions = [f"{column} like :search escape '!'" for column in columns]
        return f"({' or '.join(conditions)})"
    # For an ASCII text the collation "C" is enough, and many times faster.
    collation = 'collate "C"' if text.isascii() else ""
    conditions = [f"lower(({column}) {collation}) like lower(:search) escape '!'" for column in columns]
    # `coalesce` makes Postgres expect many matches and scan the newest runs instead of sorting all of them.
    return f"coalesce({' or '.join(conditions)}, false)"
