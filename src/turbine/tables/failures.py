"""Failures by their kind: each run that ends in an error is noted in the transaction of its end.

A kind is a fingerprint of workflow, step, type and place; where no traceback tells the place, the message stands in for
it, without the numbers and ids in it. So a list of kinds reads no run, and to try again is exact.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from turbine.clock import to_datetime
from turbine.codec import error_facts
from turbine.errors import MaxStepRetriesExceeded, NotFound
from turbine.model.failures import FailureGroup, FailureState
from turbine.store import Statements, Tx
from turbine.store.tx import rows_json

SQL = Statements(Path(__file__))

MESSAGE_MAX = 1000
COUNT_MAX = 10_000
NEWEST = 5
_NO_RETRY_LEFT = f"{MaxStepRetriesExceeded.__module__}.{MaxStepRetriesExceeded.__qualname__}"
RECOVERED = "recovered too often"
_LINE = re.compile(r'File "([^"\n]+)", line (\d+), in (\S+)')
_CHANGING = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|0x[0-9a-f]+|\d+")
_OURS = str(Path(__file__).parents[1])


class Failure(NamedTuple):
    """A run that ended badly; `error` is as it is stored, None for one that was recovered too often."""

    run: int
    workflow: str
    error: str | None
    failed_positions: str | None


def note(tx: Tx, *, failures: Sequence[Failure], now_ms: int) -> None:
    """Say of each run which kind of failure ended it."""
    steps = _steps(tx, failures)
    groups: dict[str, tuple[Any, ...]] = {}
    runs: list[tuple[int, str]] = []
    for failure in failures:
        name, traceback = steps.get(failure.run, (None, None))
        kind, message, place = RECOVERED, "", None
        if failure.error is not None:
            facts = error_facts(failure.error)
            kind, message = _told(failure.error, facts.type_name, facts.message)
            place = place_of(traceback) or place_of(facts.traceback)
        fingerprint = fingerprint_of(failure.workflow, name, kind, place, message)
        groups[fingerprint] = (fingerprint, failure.workflow, name, kind, message[:MESSAGE_MAX], place, now_ms)
        runs.append((failure.run, fingerprint))
    # In one order everywhere: two processes that note the same kinds do not wait for each other crosswise.
    tx.defer(SQL.note_groups, rows=rows_json([groups[one] for one in sorted(groups)]))
    tx.defer(SQL.note, rows=rows_json(runs))


def _steps(tx: Tx, failures: Sequence[Failure]) -> dict[int, tuple[str, str | None]]:
    """Name and traceback of the step that ended each run: recorded once, it tells the same live and on replay."""
    places = [(one.run, one.failed_positions.split()[0]) for one in failures if one.failed_positions]
    if not places:
        return {}
    found = tx.rows(SQL.steps, rows=rows_json(places))
    return {run: (name, None if error is None else error_facts(error).traceback) for run, name, error in found}


def _told(error: str, kind: str, message: str) -> tuple[str, str]:
    """Type and text of what went wrong: that a step has no retry left is no kind of failure, its last error is."""
    if kind == _NO_RETRY_LEFT:
        cause = json.loads(error).get("cause")
        if cause is not None:
            last = error_facts(json.dumps(cause))
            kind, message = last.type_name, last.message
    return kind, message.replace("\0", "")


def place_of(traceback: str | None) -> str | None:
    """File, line and function of the innermost line of user code."""
    lines = _LINE.findall(traceback or "")
    theirs = [line for line in lines if not line[0].startswith(_OURS)] or lines
    if not theirs:
        return None
    path, line, function = theirs[-1]
    place = f"{path.replace(chr(92), '/').rsplit('/', 1)[-1]}:{line} in {function}"
    return place.encode("utf-8", "replace").decode().replace("\0", "")


def fingerprint_of(workflow: str, step: str | None, kind: str, place: str | None, message: str) -> str:
    """The same for failures of one kind."""
    told = place
    if told is None:
        told = _CHANGING.sub("#", message.splitlines()[0] if message else "")
    text = "\n".join((workflow, step or "", kind, told))
    return sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def forget(tx: Tx, *, runs: Sequence[int]) -> None:
    """These runs stand failed no more."""
    tx.defer(SQL.forget, rows=rows_json([[run] for run in runs]))


def collect(tx: Tx, *, before_ms: int, limit: int) -> int:
    """Forget kinds that were last seen before a time and have no run left; how many."""
    return tx.run(SQL.forget_groups, before=before_ms, limit=limit)


def groups(
    tx: Tx,
    *,
    since_ms: int,
    until_ms: int,
    state: FailureState | None,
    after: tuple[int, str] | None,
    limit: int,
) -> list[FailureGroup]:
    """Kinds that were seen in a span of time, the last seen first; an open one needs a run that stands failed."""
    last, fingerprint = (2**62, "") if after is None else after
    span = {"since": since_ms, "until": until_ms, "last": last, "fingerprint": fingerprint, "limit": limit}
    rows = tx.rows(SQL.groups, **span) if state is None else tx.rows(SQL.groups_in, state=state, **span)
    return _with_runs(tx, rows)


def group(tx: Tx, *, fingerprint: str) -> FailureGroup | None:
    """One kind."""
    row = tx.row(SQL.group, fingerprint=fingerprint)
    return None if row is None else _with_runs(tx, [row])[0]


def _with_runs(tx: Tx, rows: Sequence[tuple[Any, ...]]) -> list[FailureGroup]:
    if not rows:
        return []
    names = rows_json([[row[0]] for row in rows])
    counts: dict[str, int] = dict(tx.rows(SQL.counts, rows=names, most=COUNT_MAX))
    found: list[FailureGroup] = []
    for fingerprint, workflow, step, kind, message, place, first_ms, last_ms, state, state_by, state_ms in rows:
        found.append(
            FailureGroup(
                fingerprint=fingerprint,
                workflow=workflow,
                step=step,
                type=kind,
                message=message,
                place=place,
                first_at=to_datetime(first_ms),
                last_at=to_datetime(last_ms),
                count=counts.get(fingerprint, 0),
                workflow_ids=[row[0] for row in tx.rows(SQL.newest, fingerprint=fingerprint, limit=NEWEST)],
                state=FailureState(state),
                state_by=state_by,
                state_at=None if state_ms is None else to_datetime(state_ms),
            )
        )
    return found


def mark(tx: Tx, *, fingerprint: str, state: FailureState, actor: str | None, now_ms: int) -> bool | NotFound:
    """Resolve, ignore or reopen a kind; whether anything changed."""
    # Who opens it again leaves no name: on an open one it says who had resolved it before it came back.
    who = None if state is FailureState.OPEN else actor
    at_ms = None if state is FailureState.OPEN else now_ms
    if tx.run(SQL.mark, fingerprint=fingerprint, state=state, actor=who, now=at_ms):
        return True
    if tx.row(SQL.is_known, fingerprint=fingerprint) is None:
        return NotFound(kind="failure", id=fingerprint)
    return False
