"""One run in detail, as the page about it shows it: its family, mailbox, values, and what lies behind its steps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from turbine.codec import error_facts
from turbine.store import Statements, Tx
from turbine.store.tx import rows_json
from turbine.tables import waits
from turbine.tables.ownership import lock

SQL = Statements(Path(__file__))

FAMILY_MAX = 2000
ANCESTORS_MAX = 100


class Member(NamedTuple):
    """A run among its relatives."""

    run: int
    id: str
    name: str
    status: str
    parent_id: str | None
    position: str | None
    created_ms: int
    completed_ms: int | None
    parent_run: int | None


class Incarnation(NamedTuple):
    """A process that an executor was."""

    executor_id: str
    hostname: str
    process_id: int
    application_version: str


class Behind(NamedTuple):
    """What the steps of a run do not tell themselves."""

    kinds: dict[str, int]
    follows: dict[str, int]
    """By position, where it is known: the last step whose outcome the body had when this step began."""
    child_statuses: dict[str, str]
    tracebacks: dict[tuple[str, int], str]
    """By position and number of the attempt."""
    last_tracebacks: dict[str, str]
    """By position: of the failure that was recorded."""
    incarnations: dict[tuple[str, int], Incarnation]
    """By position and number of the attempt: who carried it out, if that is still known; 0 is who gave the outcome."""

    def traceback(self, position: str, number: int, *, is_last: bool) -> str | None:
        """Of a failed attempt; of the last one it may stand with the failure that was recorded."""
        found = self.tracebacks.get((position, number))
        return self.last_tracebacks.get(position) if found is None and is_last else found

    def incarnation(self, position: str, number: int, *, is_last: bool) -> Incarnation | None:
        """Who carried out an attempt: only steps that were tried more than once have rows of their attempts."""
        return self.incarnations.get((position, number)) or (self.incarnations.get((position, 0)) if is_last else None)


def lineage(tx: Tx, *, run: int) -> list[Member]:
    """The runs that a run belongs with, its oldest ancestor first; at most two thousand."""
    row = tx.row(SQL.member, run=run)
    for _ in range(ANCESTORS_MAX):
        if row is None or row[8] is None:
            break
        above = tx.row(SQL.member, run=row[8])
        if above is None:
            break
        row = above
    if row is None:
        return []
    members = [Member(*row)]
    generation = members
    while generation and len(members) < FAMILY_MAX:
        parents = rows_json([[one.run] for one in generation])
        found = tx.rows(SQL.children, rows=parents, limit=FAMILY_MAX - len(members))
        generation = [Member(*child) for child in found]
        members += generation
    return members


def messages(tx: Tx, *, run: int, after: int, limit: int) -> list[tuple[int, str, str, int, str | None]]:
    """The mailbox of a run: (key, topic, body, sent at, position that received it)."""
    return [
        (key, topic, body, created, position)
        for key, topic, body, created, position in tx.rows(SQL.messages, run=run, after=after, limit=limit)
    ]


def values(tx: Tx, *, run: int) -> list[tuple[str, str, int]]:
    """What a run has published: (key, value, when)."""
    return [(key, value, updated) for key, value, updated in tx.rows(SQL.values, run=run)]


def behind(tx: Tx, *, run: int, positions: Sequence[str], children: Sequence[str]) -> Behind:
    """What lies behind steps of a run."""
    places = rows_json([[position] for position in positions])
    kinds: dict[str, int] = {}
    follows: dict[str, int] = {}
    for position, kind, last_step in tx.rows(SQL.kinds, run=run, rows=places):
        kinds[position] = kind
        if last_step is not None:
            follows[position] = last_step
    statuses: dict[str, str] = {}
    if children:
        statuses = dict(tx.rows(SQL.statuses_of, rows=rows_json([[child] for child in children])))
    tried: dict[tuple[str, int], str] = {}
    for position, number, error in tx.rows(SQL.tracebacks, run=run, rows=places):
        _keep(tried, (position, number), error)
    last: dict[str, str] = {}
    for position, error in tx.rows(SQL.errors, run=run, rows=places):
        _keep(last, position, error)
    incarnations = {(row[0], row[1]): Incarnation(*row[2:]) for row in tx.rows(SQL.incarnations, run=run, rows=places)}
    return Behind(kinds, follows, statuses, tried, last, incarnations)


def _keep(found: dict[Any, str], key: Any, error: str) -> None:
    text = error_facts(error).traceback
    if text:
        found[key] = text


def expedite(tx: Tx, *, run: int, now_ms: int) -> bool:
    """End the sleeps and pauses of a run now, or the delay of its start; False when there are none.

    The deadline in the row is over from now on, so every later life sees that too. Whoever holds the run is told by the
    wake of a wait that was met, or finds it among his letters.
    """
    lock(tx, [run])
    positions = [row[0] for row in tx.rows(SQL.expedite, run=run, now=now_ms)]
    waits.met(tx, [(run, position) for position in positions])
    if positions:
        return True
    started = tx.row(SQL.start_now, run=run, now=now_ms)
    if started is None:
        return False
    status, queue = started
    if status == "ENQUEUED" and queue is not None:
        tx.wake("queue", queue)
    else:
        tx.wake("due", 0)
    return True


def summaries(tx: Tx, *, ids: Sequence[str]) -> dict[str, str | None]:
    """The summaries of runs."""
    return dict(tx.rows(SQL.summaries, rows=rows_json([[id_] for id_ in ids]))) if ids else {}
