"""The outbox: everything that leaves the process is a row, written in the transaction of the event that it announces.

A delivery has a copy of all that it says, so it does not need its run. One executor holds it during an attempt. If that
executor dies, the attempt is repeated by another one, under the same id.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from turbine.clock import to_datetime
from turbine.errors import Conflict, NotFound
from turbine.model.deliveries import DeliveryAttempt, DeliveryKind, DeliveryRecord, DeliveryStatus
from turbine.store import Statement, Statements, Tx
from turbine.store.tx import rows_json
from turbine.tables.clauses import in_list

SQL = Statements(Path(__file__))


class Announcement(NamedTuple):
    """A row of `announce`: `event` is like `workflow.SUCCESS`, `run_status` the new status of the run.

    `assignees` are those of an approval, as JSON.
    """

    run: int
    event: str
    run_status: str
    now_ms: int
    assignees: str | None = None


class NewDelivery(NamedTuple):
    """A row of `add`. `kind` is alert or product; `target` the id of the channel or the product."""

    id: str
    kind: str
    target: str
    event: str | None
    run: int | None
    workflow_id: str | None
    name: str | None
    message: str | None
    now_ms: int


class ClaimedDelivery(NamedTuple):
    """A delivery that this executor has claimed; payloads are as they are stored."""

    delivery: int
    id: str
    kind: str
    target: str
    event: str | None
    workflow_id: str | None
    name: str | None
    run_status: str | None
    output: str | None
    error: str | None
    message: str | None
    attempts: int
    attempts_before: int
    created_ms: int
    assignees: str | None = None


class SettledAttempt(NamedTuple):
    """A row of `settle`: an attempt, and the new state of its delivery."""

    delivery: int
    number: int
    at_ms: int
    duration_ms: int
    status_code: int | None
    error: str | None
    status: str
    next_ms: int | None
    now_ms: int


class ReturnedDelivery(NamedTuple):
    """A row of `give_back`: a delivery, and when it is due next."""

    delivery: int
    next_ms: int


class DeliveryFilter(NamedTuple):
    """Conditions on deliveries; all that are given must hold."""

    status: Sequence[str] | None = None
    kind: Sequence[str] | None = None
    event: Sequence[str] | None = None
    workflow_id: Sequence[str] | None = None
    target: Sequence[str] | None = None


def announce(tx: Tx, rows: Sequence[Announcement]) -> None:
    """Add a delivery for each enabled webhook and alert channel that subscribes to the event of a row.

    The output and error of the run are copied as they are in this transaction.
    """
    if rows and tx.run(SQL.announce, rows=rows_json(rows)):
        tx.wake("delivery")


def add(tx: Tx, rows: Sequence[NewDelivery]) -> None:
    """Add deliveries to given targets. An id that exists stays as it is."""
    tx.run(SQL.add, rows=rows_json(rows))
    tx.wake("delivery")


def next_due(tx: Tx, *, kinds: Iterable[str]) -> int | None:
    """When the next unclaimed delivery of these kinds is due."""
    dues = [row[0] for kind in kinds if (row := tx.row(SQL.next_due, kind=kind)) is not None]
    return min(dues, default=None)


def claim(tx: Tx, *, kind: str, limit: int, now_ms: int) -> list[ClaimedDelivery]:
    """Claim deliveries of a kind that are due, the oldest first. Two executors never claim the same one."""
    rows = tx.rows(SQL.claim, kind=kind, limit=limit, now=now_ms, executor=tx.executor)
    return sorted(ClaimedDelivery(*row) for row in rows)


def settle(tx: Tx, rows: Sequence[SettledAttempt]) -> set[SettledAttempt]:
    """Record attempts and release their deliveries. Returns the attempts of deliveries that this executor still held.

    An executor that was wrongly evicted may have claimed a delivery twice; then only one of its attempts counts.
    """
    first = list({row.delivery: row for row in reversed(rows)}.values())
    settled = {key: (id_, kind) for key, id_, kind in tx.rows(SQL.settle, rows=rows_json(first), executor=tx.executor)}
    recorded = {row for row in first if row.delivery in settled}
    if recorded:
        tx.run(SQL.add_attempts, rows=rows_json([row[:6] for row in recorded]))
    for row in recorded:
        id_, kind = settled[row.delivery]
        if row.next_ms is not None:
            tx.wake("delivery", row.next_ms)
        elif kind == DeliveryKind.ALERT:  # the run that sent it may wait for the result
            tx.wake("delivered", id_)
    return recorded


def give_back(tx: Tx, rows: Sequence[ReturnedDelivery]) -> int:
    """Release deliveries whose attempt was interrupted or has to wait; no attempt is counted."""
    count = tx.run(SQL.give_back, rows=rows_json(rows), executor=tx.executor)
    if count:
        tx.wake("delivery", min(row.next_ms for row in rows))
    return count


def expedite(tx: Tx, *, target: str, now_ms: int) -> int:
    """Make all pending deliveries to an alert channel due now."""
    count = tx.run(SQL.expedite, target=target, now=now_ms)
    if count:
        tx.wake("delivery")
    return count


def release_all(tx: Tx, *, executor_id: str) -> int:
    """Release all deliveries that an executor holds."""
    count = tx.run(SQL.release_all, executor_id=executor_id)
    if count:
        tx.wake("delivery")
    return count


def unregistered_holders(tx: Tx) -> list[str]:
    """Executors that hold deliveries but are not registered."""
    return [row[0] for row in tx.rows(SQL.unregistered_holders)]


def attempt_result(tx: Tx, *, delivery_id: str) -> tuple[str, int, str | None] | None:
    """The state of a delivery: (status, attempts, error of the last attempt); None for an unknown id."""
    row = tx.row(SQL.attempt_result, id=delivery_id)
    return None if row is None else (row[0], row[1], row[2])


def resend(tx: Tx, *, delivery_id: str, now_ms: int) -> ClaimedDelivery | NotFound | Conflict:
    """Make a settled delivery due at once, with a new budget of attempts; earlier attempts stay listed."""
    row = tx.row(SQL.resend, id=delivery_id, now=now_ms)
    if row is not None:
        tx.wake("delivery")
        return ClaimedDelivery(*row)
    if tx.row(SQL.attempt_result, id=delivery_id) is None:
        return NotFound(kind="delivery", id=delivery_id)
    return Conflict(f"Delivery {delivery_id} is still pending; wait for its outcome")


def page(tx: Tx, *, filter: DeliveryFilter, limit: int, before: int | None) -> list[tuple[int, DeliveryRecord]]:
    """The deliveries that match a filter, with their keys, newest first, below a key."""
    clauses: list[str] = []
    parameters: dict[str, Any] = {}
    for column, values in filter._asdict().items():
        if values is not None:
            clauses.append(in_list(column, column, values, parameters))
    if before is not None:
        clauses.append("delivery < :before")
        parameters["before"] = before
    where = "\nand ".join(clauses) or "true"
    text = f"select {_COLUMNS} from pt_deliveries where {where} order by delivery desc limit :limit"  # noqa: S608 - ours
    return _records(tx, tx.rows(Statement.of(text), limit=limit, **parameters))


def get(tx: Tx, *, delivery_id: str) -> DeliveryRecord | None:
    """A delivery with its attempts."""
    records = _records(tx, tx.rows(SQL.get, id=delivery_id))
    return records[0][1] if records else None


_COLUMNS = "delivery, id, kind, target, event, workflow_id, status, next_ms, created_ms"


def _records(tx: Tx, rows: Sequence[Sequence[Any]]) -> list[tuple[int, DeliveryRecord]]:
    attempts: dict[int, list[DeliveryAttempt]] = {row[0]: [] for row in rows}
    if rows:
        for delivery, number, at_ms, duration_ms, status_code, error in tx.rows(
            SQL.attempts_of, rows=rows_json([[key] for key in attempts])
        ):
            attempts[delivery].append(
                DeliveryAttempt(number, to_datetime(at_ms), status_code, error, timedelta(milliseconds=duration_ms))
            )
    return [
        (
            key,
            DeliveryRecord(
                id=id_,
                kind=DeliveryKind(kind),
                target=target,
                event=event,
                workflow_id=workflow_id,
                status=DeliveryStatus(status),
                attempts=attempts[key],
                next_at=None if next_ms is None else to_datetime(next_ms or created_ms),
                created=to_datetime(created_ms),
            ),
        )
        for key, id_, kind, target, event, workflow_id, status, next_ms, created_ms in rows
    ]


def settled_before(tx: Tx, *, before_ms: int, after: tuple[int, int], limit: int) -> list[tuple[int, int]]:
    """Deliveries settled before a time whose run is not open, as (updated_ms, key), ascending, after one of them."""
    rows = tx.rows(SQL.settled_before, before=before_ms, after_ms=after[0], after=after[1], limit=limit)
    return [(updated_ms, delivery) for delivery, updated_ms in rows]


def delete(tx: Tx, *, deliveries: Sequence[int]) -> int:
    """Delete settled deliveries with their attempts. Returns how many."""
    deleted = tx.rows(SQL.delete, rows=rows_json([[key] for key in deliveries]))
    if deleted:
        tx.run(SQL.delete_attempts, rows=rows_json(deleted))
    return len(deleted)
