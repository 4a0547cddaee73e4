"""Filtered lists of runs: the shortest way through the indexes to the keys of the runs that are wanted.

Every index whose columns a filter fixes tells keys in their order, newest or oldest first. Of these *leads* the one
with the fewest entries is taken; what it does not hold is asked of the rows. So a page costs what it shows, not what
there is.
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
_LENGTH = "completed_at_epoch_ms is not null and (completed_at_epoch_ms - started_at_epoch_ms)"
"""How long a run took, as its index has it."""
_STATUSES = tuple(str(status) for status in WorkflowStatus)
FEW = 5000
"""Runs whose text is read one by one rather than looked for in the index of texts."""
MANY = 60_000
"""Runs from which on a way to them counts as long; it is not measured any further."""
NEWEST = 10_000
"""Runs in which a text is looked for that is too short for the index."""
SKEW_MS = 10 * 60 * 1000
"""Keys are given out in the order of time; that far clocks and commits may be off."""
SAMPLE = 2000
"""The newest texts, which tell about how many runs contain one."""
FREQUENT = 33
"""One in so many is frequent."""
AT_ONCE = 100
"""Sources that are asked in one statement."""
_SEARCHED = ("id", "name", "summary", "tags", "inputs")
_ERROR_PARTS = {
    "sqlite": ("json_extract(error, '$.type')", "json_extract(error, '$.message')"),
    "postgres": ("error::json->>'type'", "error::json->>'message'"),
}
"""What is searched of an error: its type and text, not the lines of its traceback."""
_FOUND_IN_SAMPLE = Statement.of(
    "select count(*) from (select s.text from pt_search as s order by s.run desc limit :sample) as newest"
    " where text like lower(:pattern) escape '!'"
)
_OFTEN = " etaoinsrhldcumfpgwybvkxjqz"
"""Letters by how often they are written, the most frequent first."""


def keys(tx: Tx, *, wanted: RunFilter, limit: int, after: int | None = None, ascending: bool = False) -> list[int]:
    """The keys of the runs that a filter lets through, newest first (or oldest), starting after a key."""
    runs: list[int] = []
    for asked in _asked(tx, wanted, after, ascending):
        # Where the page is full only what comes before its last run is of interest.
        edge = runs[-1] if len(runs) == limit else None
        parameters = asked.parameters if edge is None else {**asked.parameters, "edge": edge}
        rows = tx.rows(asked.keys(ascending, has_edge=edge is not None), limit=limit, **parameters)
        runs = sorted({*runs, *(row[0] for row in rows)}, reverse=not ascending)[:limit]
    return runs


def count(tx: Tx, *, wanted: RunFilter, limit: int) -> int:
    """How many runs a filter lets through, counted up to a limit."""
    statements = _asked(tx, wanted, None, False)
    if all(asked.is_disjoint for asked in statements):
        counted = 0
        for asked in statements:
            if counted < limit:
                rows = tx.rows(asked.counts(), limit=limit - counted, **asked.parameters)
                counted += sum(row[0] for row in rows)
        return min(counted, limit)
    if len(statements) == 1:
        return tx.rows(statements[0].counts_any(), limit=limit, **statements[0].parameters)[0][0]
    found: set[int] = set()
    for asked in statements:
        if len(found) < limit:
            found.update(row[0] for row in tx.rows(asked.any_keys(), limit=limit, **asked.parameters))
    return min(len(found), limit)


class _Source(NamedTuple):
    """Where to look for runs: `key` is the run's key in the table that leads, `clauses` what they look for there.

    A filter may need several; together they hold every run that it can let through.
    """

    table: str
    key: str
    clauses: tuple[str, ...] = ()
    parameters: tuple[tuple[str, Any], ...] = ()
    holds: frozenset[str] = frozenset()
    """The fields of the filter that need no further look here."""
    is_disjoint: bool = True
    """Whether no run is in two sources of one lead."""


class _Asked(NamedTuple):
    """Some sources, with all that a run must fulfil, as the parts of one statement."""

    parts: tuple[tuple[str, str, str], ...]
    """Of each its tables, its key and its clauses."""
    parameters: dict[str, Any]
    is_disjoint: bool

    def keys(self, ascending: bool, *, has_edge: bool = False) -> Statement:
        order, sign = ("asc", "<") if ascending else ("desc", ">")
        edges = [f" and {key} {sign} :edge" if has_edge else "" for _, key, _ in self.parts]
        each = [
            f"select run from (select {key} as run from {tables} where {clauses}{edge}"  # noqa: S608 - what users say is a parameter
            f" order by {key} {order} limit :limit) as x"
            for (tables, key, clauses), edge in zip(self.parts, edges, strict=True)
        ]
        return Statement.of(self._union().join(each) + f"\norder by run {order} limit :limit", "keys")

    def any_keys(self) -> Statement:
        return Statement.of(self._any_keys(), "any_keys")

    def counts_any(self) -> Statement:
        return Statement.of(f"select count(*) from (\n{self._any_keys()}) as y", "counts_any")  # noqa: S608 - as above

    def _any_keys(self) -> str:
        each = [
            f"select run from (select {key} as run from {tables} where {clauses} limit :limit) as x"  # noqa: S608 - as above
            for tables, key, clauses in self.parts
        ]
        return self._union().join(each) + "\nlimit :limit"

    def _union(self) -> str:
        return "\nunion all\n" if self.is_disjoint else "\nunion\n"

    def counts(self) -> Statement:
        each = [
            f"select count(*) from (select {key} from {tables} where {clauses} limit :limit) as x"  # noqa: S608 - as above
            for tables, key, clauses in self.parts
        ]
        return Statement.of("\nunion all\n".join(each), "counts")


_RUNS = _Source("pt_runs as w", "w.run")


def _asked(tx: Tx, wanted: RunFilter, after: int | None, ascending: bool) -> list[_Asked]:
    """The statements that find the runs of a filter."""
    parameters: dict[str, Any] = {}
    span = _span(tx, wanted, parameters)
    if after is not None:
        span = [*span, "{key} > :after" if ascending else "{key} < :after"]
        parameters["after"] = after
    sources = _sources(tx, wanted, span, parameters)
    found: list[_Asked] = []
    at_once = 1 if any("search" in source.holds for source in sources) else AT_ONCE
    for first in range(0, len(sources), at_once):
        some = sources[first : first + at_once]
        own = dict(parameters)
        parts = tuple(_part(wanted, tx.dialect, source, span, own, place) for place, source in enumerate(some))
        found.append(_Asked(parts, own, all(source.is_disjoint for source in sources)))
    return found


def _part(
    wanted: RunFilter, dialect: str, source: _Source, span: Sequence[str], parameters: dict[str, Any], place: int
) -> tuple[str, str, str]:
    tables, *own = _own(source, place, parameters)
    clauses = [*own, *(clause.format(key=source.key) for clause in span)]
    further = _clauses(wanted, dialect, source, parameters)
    if further and source.table != _RUNS.table:
        tables = f"{tables} cross join {_RUNS.table}"
        clauses.append(f"w.run = {source.key}")
    return tables, source.key, _all([*clauses, *further])


def _own(source: _Source, place: int, parameters: dict[str, Any]) -> list[str]:
    """The table of a source and its clauses, the parameters named after its place."""
    texts = [source.table, *source.clauses]
    for name, value in source.parameters:
        if name == "rows":
            parameters[name] = value
            continue
        parameters[f"{name}_{place}"] = value
        texts = [re.sub(rf":{name}\b", f":{name}_{place}", text) for text in texts]
    return texts


def _span(tx: Tx, wanted: RunFilter, parameters: dict[str, Any]) -> list[str]:
    """What a filter's times ask of a key. Only near the edges the row itself is asked when it was made."""
    clauses: list[str] = []
    made = "(select c.created_at_epoch_ms from pt_runs as c where c.run = {key})"
    moments: list[int] = []
    if wanted.created_after_ms is not None:
        moments += [wanted.created_after_ms - SKEW_MS, wanted.created_after_ms + SKEW_MS]
        clauses += ["{key} >= :low", f"({{key}} >= :sure_low or {made} >= :created_after)"]
        parameters["created_after"] = wanted.created_after_ms
    if wanted.created_before_ms is not None:
        moments += [wanted.created_before_ms + SKEW_MS, wanted.created_before_ms - SKEW_MS]
        clauses += ["{key} < :high", f"({{key}} < :sure_high or {made} <= :created_before)"]
        parameters["created_before"] = wanted.created_before_ms
    if moments:
        keys = iter(first_runs(tx, moments=moments))
        if wanted.created_after_ms is not None:
            parameters["low"], parameters["sure_low"] = next(keys), next(keys)
        if wanted.created_before_ms is not None:
            parameters["high"], parameters["sure_high"] = next(keys), next(keys)
    if wanted.search and len(wanted.search) < search.SHORTEST:
        clauses.append("{key} > :newest")
        parameters["newest"] = last_run(tx) - NEWEST
    return clauses


def _sources(tx: Tx, wanted: RunFilter, span: Sequence[str], parameters: dict[str, Any]) -> list[_Source]:
    """The shortest way to what is wanted: of all indexes that lead there the one with the fewest entries."""
    if wanted.matches_nothing:
        return []
    leads = _leads(wanted)
    is_searched = wanted.search is not None and len(wanted.search) >= search.SHORTEST
    best, least = [_RUNS], MANY
    for lead in leads:
        is_ordered = "duration" not in lead[0].holds
        if len(leads) == 1 and is_ordered and not is_searched:
            return lead
        size = _size(tx, lead, span, parameters, least)
        if size < least or (best == [_RUNS] and is_ordered):
            best, least = lead, size
        if least == 0:
            return []
    if is_searched and least > FEW:
        assert wanted.search is not None
        if not _is_frequent(tx, wanted.search):
            return _searched(tx, wanted.search)
    return best


def _size(tx: Tx, sources: Sequence[_Source], span: Sequence[str], parameters: dict[str, Any], most: int) -> int:
    """How many entries a lead has, up to so many."""
    size = 0
    for first in range(0, len(sources), AT_ONCE):
        own = dict(parameters)
        parts: list[tuple[str, str, str]] = []
        for place, source in enumerate(sources[first : first + AT_ONCE]):
            table, *clauses = _own(source, place, own)
            parts.append((table, source.key, _all([*clauses, *(one.format(key=source.key) for one in span)])))
        if size < most:
            size += sum(row[0] for row in tx.rows(_Asked(tuple(parts), own, True).counts(), limit=most - size, **own))
    return min(size, most)


def _leads(wanted: RunFilter) -> list[list[_Source]]:
    """Indexes that lead to what is wanted, the narrowest kinds first; each is in the order of keys, or short."""
    leads: list[list[_Source]] = []
    if wanted.ids is not None:
        # Many at once: all in one parameter, which keeps its name, because this source is alone.
        named = "w.id in (select r.id from @rows(id text) as r)"
        rows = (("rows", rows_json([[str(id_)] for id_ in wanted.ids])),)
        leads.append([_Source(_RUNS.table, _RUNS.key, (named,), rows, frozenset({"ids"}))])
    if wanted.fingerprint is not None:
        leads.append(
            _each("f.fingerprint = :{}", {"fingerprint": wanted.fingerprint}, table="pt_failures as f", key="f.run")
        )
    if wanted.error_class is not None:
        kinds = "f.fingerprint in (select g.fingerprint from pt_failure_groups as g where g.type = :{})"
        leads.append(_each(kinds, {"error_class": wanted.error_class}, table="pt_failures as f", key="f.run"))
    if wanted.parent_id is not None:
        leads.append(_each("w.parent_workflow_id = :{}", {"parent_id": wanted.parent_id}))
    if wanted.tag is not None:
        tagged = _each("t.tag = :{}", {"tag": wanted.tag}, table="pt_run_tags as t", key="t.run")
        leads.append([source._replace(is_disjoint=len(tagged) == 1) for source in tagged])
    statuses = _STATUSES if wanted.status is None else wanted.status
    if wanted.queue is not None:
        leads.append(_each("w.queue_name = :{} and w.status = :{}", {"queue": wanted.queue, "status": statuses}))
    if wanted.name is not None:
        leads.append(_each("w.name = :{} and w.status = :{}", {"name": wanted.name, "status": statuses}))
    lengths, bounds = _lengths(wanted)
    if lengths:
        # The `limit` of the inner list has the index lead; SQLite would walk along the keys that it is to put in order.
        led = f"(select d.run from pt_runs as d where {lengths} limit {2**62}) as l"  # noqa: S608 - all ours
        leads.append([_Source(led, "l.run", (), tuple(bounds.items()), frozenset({"duration"}))])
    if wanted.executor_id is not None:
        held = "w.executor_id = :{} and w.executor_id is not null and w.completed_at_epoch_ms is null"
        over = "w.executor_id || '' = :{} and w.completed_at_epoch_ms is not null"
        named = {"executor_id": wanted.executor_id}
        leads.append(_each(held, named) + _each(over, named))
    if wanted.version is not None:
        named = {"version": wanted.version, "status": statuses}
        leads.append(_each("w.application_version = :{} and w.status = :{}", named))
    if wanted.status is not None and wanted.queue is None and wanted.name is None and wanted.version is None:
        leads.append(_each("w.status = :{}", {"status": wanted.status}))
    return leads


def _each(
    clause: str, values: dict[str, Sequence[str]], *, table: str = _RUNS.table, key: str = _RUNS.key
) -> list[_Source]:
    """A source for each combination of values: where all its columns are fixed an index tells keys in their order."""
    text = clause.format(*values)
    fields = frozenset(values)
    combinations = product(*(dict.fromkeys(str(value) for value in several) for several in values.values()))
    return [_Source(table, key, (text,), tuple(zip(values, one, strict=True)), fields) for one in combinations]


def _lengths(wanted: RunFilter, column: str = _LENGTH) -> tuple[str, dict[str, int]]:
    """What a filter asks of the time that a run took; empty when it asks nothing."""
    bounds = {"duration_min": wanted.duration_min_ms, "duration_max": wanted.duration_max_ms}
    given = {name: value for name, value in bounds.items() if value is not None}
    signs = {"duration_min": ">=", "duration_max": "<="}
    return " and ".join(f"{column} {signs[name]} :{name}" for name in given), given


def _searched(tx: Tx, text: str) -> list[_Source]:
    """The index of texts, what is not in it yet, and what stands apart from it."""
    found = [
        _indexed(text, tx.dialect),
        _Source(_RUNS.table, _RUNS.key, ("w.run > :mark",), (("mark", search.mark(tx)),)),
        _Source("pt_reindex_queue as a", "a.run"),
    ]
    return [source._replace(is_disjoint=False) for source in found]


def _is_frequent(tx: Tx, text: str) -> bool:
    """Whether so many runs contain a text that going through them finds some sooner than the index finds them all.

    SQLite's index tells them one by one, in order, so there it never matters.
    """
    if tx.dialect == "sqlite":
        return False
    row = tx.row(_FOUND_IN_SAMPLE, pattern=search.within(text), sample=SAMPLE)
    return row is not None and row[0] * FREQUENT > SAMPLE


def _indexed(text: str, dialect: str) -> _Source:
    """Runs whose indexed text contains this; the leading table tells them in the order of their keys.

    The row itself is not asked again. (Postgres would believe that hardly any fit, and read all rows for these.)
    """
    holds = frozenset({"search"})
    if dialect == "sqlite":
        clauses = ("s.pt_search match :match", "instr(s.text, lower(:part)) > 0")
        return _Source("pt_search as s", "s.rowid", clauses, (("match", _match(text)), ("part", text)), holds)
    # `offset 0`: the index finds them all and then they are put in order. Postgres would rather go through all texts.
    led = "select i.run, i.text from pt_search as i where pt_trigrams(i.text) @> pt_trigrams(lower(:part))"
    table = f"({led} offset 0) as s"
    clauses = ("s.text like lower(:pattern) escape '!'",)
    return _Source(table, "s.run", clauses, (("part", text), ("pattern", search.within(text))), holds)


def _match(text: str) -> str:
    """The groups of three letters by which the index is asked: the rarest four, as far as one can guess."""
    rarity = {letter: place for place, letter in enumerate(_OFTEN)}
    groups = {text[place : place + 3]: None for place in range(len(text) - 2)}
    ranked = sorted(groups, key=lambda group: -sum(rarity.get(letter, 15) for letter in group.lower()))
    return " AND ".join('"{}"'.format(group.replace('"', '""')) for group in ranked[:4])


def _all(clauses: Sequence[str]) -> str:
    return "\nand ".join(clauses) or "true"


def _clauses(wanted: RunFilter, dialect: str, source: _Source, parameters: dict[str, Any]) -> list[str]:
    """What a run of a source must fulfil further. In SQLite a `+` keeps any other index from leading."""
    clauses: list[str] = []
    aside = "+" if dialect == "sqlite" else ""
    for field, column in _COLUMN_OF.items():
        values = getattr(wanted, field)
        if values is not None and field not in source.holds:
            clauses.append(f"{aside}w.{column} in ({_marks(field, values, parameters)})")
    if wanted.tag is not None and "tag" not in source.holds:
        marks = _marks("tag", wanted.tag, parameters)
        # Not `exists`: Postgres would join all runs that have the tag.
        tagged = f"select 1 from pt_run_tags as g where g.tag in ({marks}) and g.run = w.run limit 1"  # noqa: S608 - as above
        clauses.append(f"({tagged}) is not null")
    if wanted.fingerprint is not None and "fingerprint" not in source.holds:
        marks = _marks("fingerprint", wanted.fingerprint, parameters)
        failed = f"select 1 from pt_failures as f where f.run = w.run and f.fingerprint in ({marks})"  # noqa: S608 - as above
        clauses.append(f"exists ({failed})")
    if wanted.error_class is not None and "error_class" not in source.holds:
        marks = _marks("error_class", wanted.error_class, parameters)
        failed = (
            "select 1 from pt_failures as f"  # noqa: S608 - as above
            f" join pt_failure_groups as g on g.fingerprint = f.fingerprint where f.run = w.run and g.type in ({marks})"
        )
        clauses.append(f"exists ({failed})")
    # Not as its index has it: a list that goes through the newest runs would be put in order by their length.
    lengths, bounds = _lengths(wanted, f"{_LENGTH} + 0")
    if lengths and "duration" not in source.holds:
        clauses.append(lengths)
        parameters |= bounds
    if wanted.search and "search" not in source.holds:
        parameters["search"] = search.within(wanted.search)
        clauses.append(_contains(wanted.search, dialect))
    return clauses


def _contains(text: str, dialect: str) -> str:
    """Whether a row itself contains the text. Each database knows other letters that have a small form."""
    columns = (*_SEARCHED, *_ERROR_PARTS[dialect])
    if dialect == "sqlite":  # its `like` takes no notice of case
        each = [f"{column} like :search escape '!'" for column in columns]
        return f"({' or '.join(each)})"
    # Only where the text has other letters than ASCII's are those of the row worth their many times longer way.
    letters = 'collate "C"' if text.isascii() else ""
    each = [f"lower(({column}) {letters}) like lower(:search) escape '!'" for column in columns]
    # `coalesce`: Postgres takes it for likely, and goes through the newest runs instead of putting all in order.
    return f"coalesce({' or '.join(each)}, false)"


def _marks(field: str, values: Sequence[str], parameters: dict[str, Any]) -> str:
    for index, value in enumerate(values):
        parameters[f"{field}{index}"] = str(value)
    return ", ".join(f":{field}{index}" for index in range(len(values)))
