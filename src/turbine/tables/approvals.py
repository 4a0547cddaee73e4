"""Approvals: gates at which runs wait for a person. A gate is decided at most once; the first decision counts."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from turbine.clock import to_datetime
from turbine.codec import plain
from turbine.errors import Conflict, NotAllowed, NotFound, WorkflowNotFound
from turbine.model.accounts import Role
from turbine.model.approvals import WAITING_COLOR, WAITING_LABEL, ApprovalRecord, ApprovalStatus
from turbine.store import Statements, Tx, bulk
from turbine.store.tx import locking, rows_json
from turbine.tables import deliveries, waits
from turbine.tables.deliveries import Announcement
from turbine.tables.ownership import Answer, Lock, lock, lock_all, refusals
from turbine.tables.waits import Wait

SQL = Statements(Path(__file__))

EVENT = "workflow.WAITING_FOR_APPROVAL"
NEWEST = 2**62
EVERYBODY = "*"
"""In place of an e-mail address: whoever a gate is assigned to."""


class ApprovalRequest(NamedTuple):
    """A row of `ask`: the wait to fall back to, what the approval says, and how its end is recorded."""

    wait: Wait
    id: str
    title: str | None
    details: str | None
    form: str | None
    now_ms: int
    is_late: bool
    expired: str
    """The error to record when its time is up."""
    decided: Callable[[Decided], str]
    """The payload to record for a decision."""
    assignees: Sequence[str] = ()


class Decided(NamedTuple):
    """How a gate was decided; `data` is the stored payload."""

    is_approved: bool
    by: str | None
    comment: str
    data: str | None
    at_ms: int


class Decision(NamedTuple):
    """What a person says at a gate; `data` is the payload to store."""

    is_approved: bool
    comment: str
    by: str | None
    data: str | None
    now_ms: int


@bulk
@locking(lock_all, lambda row: [Lock(run=row.wait.run)])  # first: a cancellation closes the gates that are there
def ask(tx: Tx, rows: Sequence[ApprovalRequest]) -> list[Answer | Decided]:
    """Open gates where there are none, once for each position, and tell how decided ones were decided.

    Answers Decided, Answer.WAIT for an open gate, Answer.DONE for one whose time is up (it is closed by then), or why
    the run may not ask.
    """
    answers = refusals(tx, ((row.wait.run, row.wait.fence) for row in rows))
    held = [row for row in rows if answers[row.wait.run, row.wait.fence] is Answer.DONE]
    places = rows_json([[row.wait.run, row.wait.position] for row in held])
    gates = {found[:2]: found[2:] for found in tx.rows(SQL.gates, rows=places)} if held else {}
    results: list[Answer | Decided] = []
    for row in rows:
        answer = answers[row.wait.run, row.wait.fence]
        gate = gates.get((row.wait.run, row.wait.position))
        results.append(_ask(tx, row, gate) if answer is Answer.DONE else answer)
    return results


def _ask(tx: Tx, row: ApprovalRequest, gate: tuple[Any, ...] | None) -> Answer | Decided:
    wait = row.wait
    if gate is None or gate[1] == ApprovalStatus.CANCELLED:
        _open(tx, row, again=gate is not None)
        if row.is_late:
            found = tx.row(SQL.gates, rows=rows_json([[wait.run, wait.position]]))
            assert found is not None
            gate = found[2:]
        else:
            waits.begin(tx, [wait])
            return Answer.WAIT
    approval, status, by, comment, data, decided_ms = gate
    if status == ApprovalStatus.OPEN:
        if not row.is_late:
            tx.run(SQL.still_waits, run=wait.run)
            waits.begin(tx, [wait])
            return Answer.WAIT
        _close(tx, approval, ApprovalStatus.EXPIRED, Decision(False, "", None, None, row.now_ms))
        status = ApprovalStatus.EXPIRED
    if status == ApprovalStatus.EXPIRED:
        waits.settle(tx, [waits.ended(wait, row.now_ms, error=row.expired)])
        return Answer.DONE
    decided = Decided(status == ApprovalStatus.APPROVED, by, comment, data, decided_ms)
    waits.settle(tx, [waits.ended(wait, row.now_ms, row.decided(decided))])
    return decided


def _open(tx: Tx, row: ApprovalRequest, *, again: bool) -> None:
    run = row.wait.run
    own = tx.row(SQL.own_status, run=run)
    assert own is not None  # its ownership was checked above
    before = tx.row(SQL.before, run=run) or own[:2]
    assignees = json.dumps(row.assignees, ensure_ascii=False) if row.assignees else None
    tx.run(
        SQL.open,
        id=row.id,
        run=run,
        workflow_id=own[2],
        name=own[3],
        position=row.wait.position,
        function_id=row.wait.function_id,
        title=row.title,
        details=row.details,
        form=row.form,
        assignees=assignees,
        due=row.wait.deadline_ms,
        now=row.now_ms,
        before_label=before[0],
        before_color=before[1],
    )
    if again:
        tx.run(SQL.unassign, run=run, position=row.wait.position)
    if row.assignees:
        emails = rows_json([[email] for email in row.assignees])
        tx.run(SQL.assign, rows=emails, run=run, position=row.wait.position)
    tx.run(SQL.show_waiting, run=run, label=WAITING_LABEL, color=WAITING_COLOR, now=row.now_ms)
    deliveries.announce(tx, [Announcement(run, EVENT, "WAITING_FOR_APPROVAL", row.now_ms, assignees)])
    tx.wake("status", (own[2], own[3], "WAITING_FOR_APPROVAL"))


def _close(tx: Tx, approval: int, status: ApprovalStatus, decision: Decision) -> tuple[int, str] | None:
    """Close an open gate and put the run's status back; the (run, position) that waited, None if it was closed."""
    row = tx.row(
        SQL.close,
        approval=approval,
        status=status,
        now=decision.now_ms,
        decided_by=decision.by,
        comment=decision.comment,
        data=decision.data,
    )
    if row is None:
        return None
    run, position, label, color = row
    tx.run(
        SQL.put_back,
        run=run,
        label=WAITING_LABEL,
        color=WAITING_COLOR,
        before_label=label,
        before_color=color,
        now=decision.now_ms,
    )
    return run, position


def decide(
    tx: Tx,
    *,
    workflow_id: str,
    approval_id: str | None,
    decision: Decision,
    check: Callable[[dict[str, Any] | None], Exception | None],
    only_as: str | None = None,
) -> str | Exception:
    """Decide a gate and wake its run, in one transaction. Returns the gate's id.

    `check` judges what the approver filled in against the form. Refuses with Conflict a gate that is decided already,
    a run without an open gate, and one with several when none is named; nothing is kept for a later gate. With
    `only_as`, an e-mail address or an empty text, also with NotAllowed a gate that is assigned to others.
    """
    run = tx.row(SQL.run_of, id=workflow_id)
    if run is None:
        return WorkflowNotFound(workflow_id)
    lock(tx, [run[0]])
    if approval_id is None:
        gates = tx.rows(SQL.open_of_run, run=run[0])
        if len(gates) != 1:
            return _undecidable(workflow_id, len(gates))
        approval, form, assigned = gates[0]
    else:
        gate = tx.row(SQL.one_of_run, id=approval_id, run=run[0])
        if gate is None:
            return NotFound(kind="approval", id=approval_id, workflow_id=workflow_id)
        approval, form, assigned, status = gate
        if status != ApprovalStatus.OPEN:
            return Conflict(
                f"This approval of run {workflow_id!r} is {status} already; the first decision counts",
                workflow_id=workflow_id,
            )
    assignees: list[str] = [] if assigned is None else json.loads(assigned)
    if only_as is not None and assignees and only_as not in assignees:
        return NotAllowed(
            f"This approval is assigned to {', '.join(assignees)}; others need the role {Role.OPERATOR} to decide it"
        )
    complaint = check(None if form is None else json.loads(form))
    if complaint is not None:
        return complaint
    status = ApprovalStatus.APPROVED if decision.is_approved else ApprovalStatus.REJECTED
    waiting = _close(tx, approval, status, decision)
    assert waiting is not None  # open in this transaction, and its run is locked
    waits.met(tx, [waiting])
    return approval_id or _id_of(tx, approval, workflow_id)


def _undecidable(workflow_id: str, count: int) -> Conflict:
    if count == 0:
        text = f"Run {workflow_id!r} waits for no approval now: it was decided, has expired, or was not reached yet"
    else:
        text = f"Run {workflow_id!r} waits at {count} gates; say which one with approval_id (rt.approvals.list)"
    return Conflict(text, workflow_id=workflow_id)


def _id_of(tx: Tx, approval: int, workflow_id: str) -> str:
    rows = tx.rows(
        SQL.gates_of_workflow, workflow_id=workflow_id, after=approval + 1, limit=1, is_open=-1, email=EVERYBODY
    )
    return rows[0][1]


def get(tx: Tx, *, approval_id: str, open: Callable[[str], str]) -> ApprovalRecord | None:
    """One gate; `open` undoes the payload codec."""
    row = tx.row(SQL.get, id=approval_id)
    return None if row is None else _record(row, open)


def listing(
    tx: Tx,
    *,
    workflow_id: str | None,
    is_open: bool | None,
    after: int | None,
    limit: int,
    open: Callable[[str], str],
    assignee: str | None = None,
) -> list[tuple[int, ApprovalRecord]]:
    """Gates with their keys, newest first, starting after a key; with `assignee` those assigned to them or to nobody.

    An empty text is nobody.
    """
    below = NEWEST if after is None else after
    wanted = -1 if is_open is None else int(is_open)
    if workflow_id is not None:
        rows = tx.rows(
            SQL.gates_of_workflow,
            workflow_id=workflow_id,
            after=below,
            limit=limit,
            is_open=wanted,
            email=EVERYBODY if assignee is None else assignee,
        )
    elif assignee is not None:
        rows: list[tuple[Any, ...]] = []
        if is_open:
            rows += tx.rows(SQL.open_assigned, email=assignee, after=below, limit=limit)
        else:
            rows += tx.rows(SQL.assigned, email=assignee, after=below, limit=limit, is_open=wanted)
            rows += tx.rows(SQL.unassigned, after=below, limit=limit)
        if is_open is not False:
            rows += tx.rows(SQL.open_to_all, after=below, limit=limit)
        rows = sorted(rows, key=lambda row: -row[0])[:limit]
    elif is_open is None:
        rows = tx.rows(SQL.all_gates, after=below, limit=limit)
    elif is_open:
        rows = tx.rows(SQL.open_gates, after=below, limit=limit)
    else:
        rows = tx.rows(SQL.decided_gates, after=below, limit=limit)
    return [(row[0], _record(row, open)) for row in rows]


def _record(row: tuple[Any, ...], open: Callable[[str], str]) -> ApprovalRecord:
    _, id_, workflow_id, name, function_id, position, title, details, form, status, due, created, *decision = row
    decided_ms, by, comment, data, assignees = decision
    return ApprovalRecord(
        id=id_,
        workflow_id=workflow_id,
        name=name,
        function_id=function_id,
        position=position,
        title=title,
        details=None if details is None else plain(open(details)),
        form=None if form is None else json.loads(form),
        status=ApprovalStatus(status),
        due_at=None if due is None else to_datetime(due),
        created=to_datetime(created),
        decided_at=None if decided_ms is None else to_datetime(decided_ms),
        by=by,
        comment=comment,
        data=None if data is None else plain(open(data)),
        assignees=[] if assignees is None else json.loads(assignees),
    )
