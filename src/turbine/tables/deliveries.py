"""The outbox: everything that leaves the process, written in the transaction of what it announces.

Whoever writes here writes what has happened in the same transaction; the courier finds the rows and nothing is lost
between the two. A delivery carries what it says, so it does not need its run any more. It is held by one executor while
an attempt is made; an attempt that nobody settled is made again, by whoever comes next, under the same id.
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

SQL = Statements(Path(__file__))


class Announcement(NamedTuple):
    """A row of `announce`: `event` is like `workflow.SUCCESS`, `run_status` the status that the run has reached.

    `assignees` are those whom an approval waits for, as its row has them.
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


class Held(NamedTuple):
    """A delivery that this executor has claimed. Payload texts are as they are stored."""

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


class Settled(NamedTuple):
    """A row of `settle`: the attempt that was made, and what that makes of its delivery."""

    delivery: int
    number: int
    at_ms: int
    duration_ms: int
    status_code: int | None
    error: str | None
    status: str
    next_ms: int | None
    now_ms: int


class GivenBack(NamedTuple):
    """A row of `give_back`: a delivery, and when it is due again."""

    delivery: int
    next_ms: int


class Wanted(NamedTuple):
    """What a list asks for; every field that is given must hold."""

    status: Sequence[str] | None = None
    kind: Sequence[str] | None = None
    event: Sequence[str] | None = None
    workflow_id: Sequence[str] | None = None
    target: Sequence[str] | None = None


def announce(tx: Tx, rows: Sequence[Announcement]) -> None:
    """Leave one delivery for each enabled webhook and alert channel that listens to the event of a row.

    The run's output and error are copied as they stand in this transaction.
    """
    if rows and tx.run(SQL.announce, rows=rows_json(rows)):
        tx.wake("delivery")


def add(tx: Tx, rows: Sequence[NewDelivery]) -> None:
    """Leave deliveries to targets that are known: a product's sender, one channel. Whose id is there stays as it is."""
    tx.run(SQL.add, rows=rows_json(rows))
    tx.wake("delivery")


def next_due(tx: Tx, *, kinds: Iterable[str]) -> int | None:
    """When the next delivery of these kinds is due that nobody holds."""
    dues = [row[0] for kind in kinds if (row := tx.row(SQL.next_due, kind=kind)) is not None]
    return min(dues, default=None)


def claim(tx: Tx, *, kind: str, limit: int, now_ms: int) -> list[Held]:
    """Take deliveries of a kind that are due, the oldest first. Two executors never get the same one."""
    return sorted(Held(*row) for row in tx.rows(SQL.claim, kind=kind, limit=limit, now=now_ms, executor=tx.executor))


def settle(tx: Tx, rows: Sequence[Settled]) -> set[Settled]:
    """Record attempts and let their deliveries go; those that were still this executor's to settle.

    Who was thought dead may have claimed a delivery twice: then one of its attempts counts.
    """
    first = list({row.delivery: row for row in reversed(rows)}.values())
    settled = {key: (id_, kind) for key, id_, kind in tx.rows(SQL.settle, rows=rows_json(first), executor=tx.executor)}
    ours = {row for row in first if row.delivery in settled}
    if ours:
        tx.run(SQL.note_attempts, rows=rows_json([row[:6] for row in ours]))
    for row in ours:
        id_, kind = settled[row.delivery]
        if row.next_ms is not None:
            tx.wake("delivery", row.next_ms)
        elif kind == DeliveryKind.ALERT:  # a body may be waiting to hear of it
            tx.wake("delivered", id_)
    return ours


def give_back(tx: Tx, rows: Sequence[GivenBack]) -> int:
    """Let go of deliveries whose attempt was broken off, or that have to wait; it is not counted."""
    count = tx.run(SQL.give_back, rows=rows_json(rows), executor=tx.executor)
    if count:
        tx.wake("delivery", min(row.next_ms for row in rows))
    return count


def expedite(tx: Tx, *, target: str, now_ms: int) -> int:
    """Make all that is pending for an alert channel due now."""
    count = tx.run(SQL.expedite, target=target, now=now_ms)
    if count:
        tx.wake("delivery")
    return count


def free(tx: Tx, *, executor_id: str) -> int:
    """Let go of everything that an executor held which is gone."""
    count = tx.run(SQL.free, executor_id=executor_id)
    if count:
        tx.wake("delivery")
    return count


def holders(tx: Tx) -> list[str]:
    """Executors that still hold deliveries and are not on the roll."""
    return [row[0] for row in tx.rows(SQL.holders)]


def attempt_result(tx: Tx, *, delivery_id: str) -> tuple[str, int, str | None] | None:
    """What became of a delivery: (status, attempts, error of the last one); None for an unknown id."""
    row = tx.row(SQL.attempt_result, id=delivery_id)
    return None if row is None else (row[0], row[1], row[2])


def resend(tx: Tx, *, delivery_id: str, now_ms: int) -> Held | NotFound | Conflict:
    """Make a delivery due again, at once and with all attempts granted anew; those that were made stay listed."""
    row = tx.row(SQL.resend, id=delivery_id, now=now_ms)
    if row is not None:
        tx.wake("delivery")
        return Held(*row)
    if tx.row(SQL.attempt_result, id=delivery_id) is None:
        return NotFound(kind="delivery", id=delivery_id)
    return Conflict(f"Delivery {delivery_id} is pending, so it is being sent already; wait for its outcome")


def page(tx: Tx, *, wanted: Wanted, limit: int, before: int | None) -> list[tuple[int, DeliveryRecord]]:
    """The deliveries that a filter lets through, newest first, from below a key; with their keys."""
    clauses: list[str] = []
    parameters: dict[str, Any] = {}
    for field, values in wanted._asdict().items():
        if values is None:
            continue
        marks = ", ".join(f":{field}{index}" for index in range(len(values)))
        parameters.update({f"{field}{index}": value for index, value in enumerate(values)})
        clauses.append(f"{field} in ({marks})" if values else "false")
    if before is not None:
        clauses.append("delivery < :before")
        parameters["before"] = before
    where = "\nand ".join(clauses) or "true"
    text = f"select {_COLUMNS} from pt_deliveries where {where} order by delivery desc limit :limit"  # noqa: S608 - ours
    return _records(tx, tx.rows(Statement.of(text), limit=limit, **parameters))


def get(tx: Tx, *, delivery_id: str) -> DeliveryRecord | None:
    """One delivery with its attempts."""
    found = _records(tx, tx.rows(SQL.get, id=delivery_id))
    return found[0][1] if found else None


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


def over_before(tx: Tx, *, before_ms: int, after: tuple[int, int], limit: int) -> list[tuple[int, int]]:
    """Deliveries of no open run that were settled before a time, (updated_ms, key) in this order, from behind one."""
    found = tx.rows(SQL.over_before, before=before_ms, after_ms=after[0], after=after[1], limit=limit)
    return [(updated_ms, delivery) for delivery, updated_ms in found]


def forget(tx: Tx, *, deliveries: Sequence[int]) -> int:
    """Remove settled deliveries with their attempts; how many. Pending ones stay."""
    gone = [[key] for (key,) in tx.rows(SQL.forget, rows=rows_json([[key] for key in deliveries]))]
    if gone:
        tx.run(SQL.forget_attempts, rows=rows_json(gone))
    return len(gone)
