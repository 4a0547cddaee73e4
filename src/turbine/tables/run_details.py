"""Details of one run: its lineage, messages, values, and further facts about its steps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from turbine.codec import error_facts
from turbine.store import Statements, Tx
from turbine.store.tx import rows_json
from turbine.tables import waits
from turbine.tables.ownership import lock

SQL = Statements(Path(__file__))

LINEAGE_MAX = 2000
ANCESTORS_MAX = 100


class LineageRun(NamedTuple):
    """A run in its lineage."""

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
    """One launch of an executor."""

    executor_id: str
    hostname: str
    process_id: int
    application_version: str


class StepDetails(NamedTuple):
    """Facts about the steps of a run that `StepInfo` does not have."""

    kinds: dict[str, int]
    follows: dict[str, int]
    """By position, where it is recorded: the last step whose outcome the body had when this step began."""
    child_statuses: dict[str, str]
    tracebacks: dict[tuple[str, int], str]
    """By position and number of the attempt."""
    last_tracebacks: dict[str, str]
    """By position: of the error that was recorded."""
    incarnations: dict[tuple[str, int], Incarnation]
    """By position and number of the attempt, where it is recorded; number 0 stands for the outcome."""

    def traceback(self, position: str, number: int, *, is_last: bool) -> str | None:
        """The traceback of a failed attempt; that of the last one may be stored with the recorded error."""
        text = self.tracebacks.get((position, number))
        return self.last_tracebacks.get(position) if text is None and is_last else text

    def incarnation(self, position: str, number: int, *, is_last: bool) -> Incarnation | None:
        """The launch that executed an attempt. Only steps with several attempts have rows of their attempts."""
        return self.incarnations.get((position, number)) or (self.incarnations.get((position, 0)) if is_last else None)


def lineage(tx: Tx, *, run: int) -> list[LineageRun]:
    """The ancestors and descendants of a run with itself, its oldest ancestor first; at most two thousand."""
    row = tx.row(SQL.member, run=run)
    if row is None:
        return []
    for _ in range(ANCESTORS_MAX):
        parent = None if row[8] is None else tx.row(SQL.member, run=row[8])
        if parent is None:
            break
        row = parent
    members = generation = [LineageRun(*row)]
    while generation and len(members) < LINEAGE_MAX:
        parents = rows_json([[member.run] for member in generation])
        rows = tx.rows(SQL.children, rows=parents, limit=LINEAGE_MAX - len(members))
        generation = [LineageRun(*child) for child in rows]
        members = members + generation
    return members


def messages(tx: Tx, *, run: int, after: int, limit: int) -> list[tuple[int, str, str, int, str | None]]:
    """The messages of a run: (key, topic, body, sent at, position that received it)."""
    return [
        (key, topic, body, created, position)
        for key, topic, body, created, position in tx.rows(SQL.messages, run=run, after=after, limit=limit)
    ]


def values(tx: Tx, *, run: int) -> list[tuple[str, str, int]]:
    """The values that a run has published: (key, value, time)."""
    return [(key, value, updated) for key, value, updated in tx.rows(SQL.values, run=run)]


def step_details(tx: Tx, *, run: int, positions: Sequence[str], children: Sequence[str]) -> StepDetails:
    """Further facts about steps of a run, and the statuses of the children that they started."""
    rows = rows_json([[position] for position in positions])
    steps = tx.rows(SQL.steps, run=run, rows=rows)
    attempts = tx.rows(SQL.failed_attempts, run=run, rows=rows)
    incarnations = tx.rows(SQL.incarnations, run=run, rows=rows)
    statuses = tx.rows(SQL.statuses_of, rows=rows_json([[child] for child in children])) if children else []
    tracebacks = {(position, number): error_facts(error).traceback for position, number, error in attempts}
    last = {position: error_facts(error).traceback for position, _, _, error in steps if error is not None}
    return StepDetails(
        kinds={position: kind for position, kind, _, _ in steps},
        follows={position: follows for position, _, follows, _ in steps if follows is not None},
        child_statuses=dict(statuses),
        tracebacks={key: text for key, text in tracebacks.items() if text},
        last_tracebacks={position: text for position, text in last.items() if text},
        incarnations={(row[0], row[1]): Incarnation(*row[2:]) for row in incarnations},
    )


def expedite(tx: Tx, *, run: int, now_ms: int) -> bool:
    """End the sleeps and retry pauses of a run now, or the delay of its start; False when there are none.

    Their deadlines become now, so every later pass of the run finds them over. The executor of the run learns of it by
    a wake, or finds the met waits in its next poll.
    """
    lock(tx, [run])
    positions = [position for (position,) in tx.rows(SQL.expedite, run=run, now=now_ms)]
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
    """The summaries of runs by id."""
    return dict(tx.rows(SQL.summaries, rows=rows_json([[id_] for id_ in ids]))) if ids else {}
