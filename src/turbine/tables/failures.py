"""Failures in groups: each run that fails is recorded in a group, in the transaction of its end.

The fingerprint of a group is made of workflow, step, error type and code location; without a traceback the message,
without its numbers and ids, takes the place of the location. So a list of groups reads no runs.
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
NEWEST_MAX = 5
_NO_RETRY_LEFT = f"{MaxStepRetriesExceeded.__module__}.{MaxStepRetriesExceeded.__qualname__}"
RECOVERED = "recovered too often"
_LINE = re.compile(r'File "([^"\n]+)", line (\d+), in (\S+)')
_VARIABLE = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|0x[0-9a-f]+|\d+")
_OURS = str(Path(__file__).parents[1])


class RunFailure(NamedTuple):
    """A run that failed; `error` is as it is stored, None for a run that was recovered too often."""

    run: int
    workflow: str
    error: str | None
    failed_positions: str | None


def record(tx: Tx, *, failures: Sequence[RunFailure], now_ms: int) -> None:
    """Record the failure group of each run."""
    steps = _steps(tx, failures)
    groups: dict[str, tuple[Any, ...]] = {}
    runs: list[tuple[int, str]] = []
    for failure in failures:
        name, traceback = steps.get(failure.run, (None, None))
        kind, message, place = RECOVERED, "", None
        if failure.error is not None:
            facts = error_facts(failure.error)
            kind, message = _root_cause(failure.error, facts.type_name, facts.message)
            place = location_of(traceback) or location_of(facts.traceback)
        fingerprint = fingerprint_of(failure.workflow, name, kind, place, message)
        groups[fingerprint] = (fingerprint, failure.workflow, name, kind, message[:MESSAGE_MAX], place, now_ms)
        runs.append((failure.run, fingerprint))
    # Sorted, so that two processes that record the same groups cannot deadlock.
    tx.defer(SQL.record_groups, rows=rows_json([groups[fingerprint] for fingerprint in sorted(groups)]))
    tx.defer(SQL.record, rows=rows_json(runs))


def _steps(tx: Tx, failures: Sequence[RunFailure]) -> dict[int, tuple[str, str | None]]:
    """Name and traceback of the step that ended each run. They are recorded, so they are the same on replay."""
    positions = [(failure.run, failure.failed_positions.split()[0]) for failure in failures if failure.failed_positions]
    rows = tx.rows(SQL.failed_steps, rows=rows_json(positions)) if positions else []
    return {run: (name, None if error is None else error_facts(error).traceback) for run, name, error in rows}


def _root_cause(error: str, kind: str, message: str) -> tuple[str, str]:
    """Type and message of an error; of a step without retries left those of its last error."""
    if kind == _NO_RETRY_LEFT:
        cause = json.loads(error).get("cause")
        if cause is not None:
            last = error_facts(json.dumps(cause))
            kind, message = last.type_name, last.message
    return kind, message.replace("\0", "")


def location_of(traceback: str | None) -> str | None:
    """File, line and function of the innermost line of user code."""
    lines = _LINE.findall(traceback or "")
    user_lines = [line for line in lines if not line[0].startswith(_OURS)] or lines
    if not user_lines:
        return None
    path, line, function = user_lines[-1]
    location = f"{path.replace(chr(92), '/').rsplit('/', 1)[-1]}:{line} in {function}"
    return location.encode("utf-8", "replace").decode().replace("\0", "")


def fingerprint_of(workflow: str, step: str | None, kind: str, place: str | None, message: str) -> str:
    """The key of a failure group."""
    if place is None:
        place = _VARIABLE.sub("#", message.splitlines()[0] if message else "")
    text = "\n".join((workflow, step or "", kind, place))
    return sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def forget_runs(tx: Tx, *, runs: Sequence[int]) -> None:
    """Remove runs from their failure groups."""
    tx.defer(SQL.forget_runs, rows=rows_json([[run] for run in runs]))


def delete_unused_groups(tx: Tx, *, before_ms: int, limit: int) -> int:
    """Delete groups that were last seen before a time and have no runs left. Returns how many."""
    return tx.run(SQL.delete_unused_groups, before=before_ms, limit=limit)


def groups(
    tx: Tx,
    *,
    since_ms: int,
    until_ms: int,
    state: FailureState | None,
    after: tuple[int, str] | None,
    limit: int,
) -> list[FailureGroup]:
    """Groups that were seen in a span of time, the last seen first. An open group is listed while it has runs."""
    last, fingerprint = (2**62, "") if after is None else after
    span = {"since": since_ms, "until": until_ms, "last": last, "fingerprint": fingerprint, "limit": limit}
    rows = tx.rows(SQL.groups, **span) if state is None else tx.rows(SQL.groups_in, state=state, **span)
    return _with_runs(tx, rows)


def group(tx: Tx, *, fingerprint: str) -> FailureGroup | None:
    """A group by its fingerprint."""
    row = tx.row(SQL.group, fingerprint=fingerprint)
    return None if row is None else _with_runs(tx, [row])[0]


def _with_runs(tx: Tx, rows: Sequence[tuple[Any, ...]]) -> list[FailureGroup]:
    if not rows:
        return []
    names = rows_json([[row[0]] for row in rows])
    counts: dict[str, int] = dict(tx.rows(SQL.counts, rows=names, most=COUNT_MAX))
    return [
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
            workflow_ids=[id_ for (id_,) in tx.rows(SQL.newest_runs, fingerprint=fingerprint, limit=NEWEST_MAX)],
            state=FailureState(state),
            state_by=state_by,
            state_at=None if state_ms is None else to_datetime(state_ms),
        )
        for fingerprint, workflow, step, kind, message, place, first_ms, last_ms, state, state_by, state_ms in rows
    ]


def set_state(tx: Tx, *, fingerprint: str, state: FailureState, actor: str | None, now_ms: int) -> bool | NotFound:
    """Resolve, ignore or reopen a group; whether anything changed."""
    # Reopening clears the name: on an open group it is that of the actor who had resolved it before it recurred.
    is_open = state is FailureState.OPEN
    by, at_ms = (None, None) if is_open else (actor, now_ms)
    if tx.run(SQL.set_state, fingerprint=fingerprint, state=state, actor=by, now=at_ms):
        return True
    if tx.row(SQL.exists, fingerprint=fingerprint) is None:
        return NotFound(kind="failure", id=fingerprint)
    return False
