"""Approvals: runs wait at them for a person. An approval is decided at most once; the first decision counts."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from turbine.clock import to_datetime
from turbine.codec import json_value
from turbine.errors import Conflict, NotAllowed, NotFound, WorkflowNotFound
from turbine.model.accounts import Role
from turbine.model.approvals import WAITING_COLOR, WAITING_LABEL, ApprovalRecord, ApprovalStatus
from turbine.store import Statements, Tx, bulk
from turbine.store.tx import locking, rows_json
from turbine.tables import deliveries, runs, waits
from turbine.tables.deliveries import Announcement
from turbine.tables.ownership import Answer, Lock, lock, lock_all, refusals
from turbine.tables.waits import NewWait

SQL = Statements(Path(__file__))

EVENT = "workflow.WAITING_FOR_APPROVAL"
NEWEST = 2**62
ANY_ASSIGNEE = "*"
"""Stands for an e-mail address in a list of all approvals, regardless of their assignees."""


class ApprovalRequest(NamedTuple):
    """A row of `request`: the wait, what the approval shows, and whether its deadline has passed."""

    wait: NewWait
    id: str
    title: str | None
    details: str | None
    form: str | None
    now_ms: int
    is_late: bool
    assignees: Sequence[str] = ()


class DecidedApproval(NamedTuple):
    """How an approval was decided; `data` is the stored payload."""

    is_approved: bool
    by: str | None
    comment: str
    data: str | None
    at_ms: int


class ApprovalDecision(NamedTuple):
    """The decision of a person; `data` is the payload to store."""

    is_approved: bool
    comment: str
    by: str | None
    data: str | None
    now_ms: int


@bulk
@locking(lock_all, lambda row: [Lock(run=row.wait.run)])  # first: a cancellation closes the approvals that exist
def request(tx: Tx, rows: Sequence[ApprovalRequest]) -> list[Answer | DecidedApproval]:
    """Open approvals, once for each position, and return how decided ones were decided.

    Answers DecidedApproval, Answer.WAIT for an open one, Answer.DONE for one that has expired, or a refusal.
    """
    answers = refusals(tx, ((row.wait.run, row.wait.fence) for row in rows))
    allowed = [row for row in rows if answers[row.wait.run, row.wait.fence] is Answer.DONE]
    positions = rows_json([[row.wait.run, row.wait.position] for row in allowed])
    existing = {row[:2]: row[2:] for row in tx.rows(SQL.at_positions, rows=positions)} if allowed else {}
    results: list[Answer | DecidedApproval] = []
    for row in rows:
        answer = answers[row.wait.run, row.wait.fence]
        approval = existing.get((row.wait.run, row.wait.position))
        results.append(_request(tx, row, approval) if answer is Answer.DONE else answer)
    return results


def _request(tx: Tx, row: ApprovalRequest, approval: tuple[Any, ...] | None) -> Answer | DecidedApproval:
    wait = row.wait
    if approval is None or approval[1] == ApprovalStatus.CANCELLED:
        _open(tx, row, again=approval is not None)
        if not row.is_late:
            waits.begin(tx, [wait])
            return Answer.WAIT
        (opened,) = tx.rows(SQL.at_positions, rows=rows_json([[wait.run, wait.position]]))
        approval = opened[2:]
    key, status, by, comment, data, decided_ms = approval
    if status == ApprovalStatus.OPEN:
        if not row.is_late:
            tx.run(SQL.wait_again, run=wait.run)
            waits.begin(tx, [wait])
            return Answer.WAIT
        _close(tx, key, ApprovalStatus.EXPIRED, ApprovalDecision(False, "", None, None, row.now_ms))
        return Answer.DONE
    if status == ApprovalStatus.EXPIRED:
        return Answer.DONE
    return DecidedApproval(status == ApprovalStatus.APPROVED, by, comment, data, decided_ms)


def _open(tx: Tx, row: ApprovalRequest, *, again: bool) -> None:
    run = row.wait.run
    current = tx.row(SQL.current_status, run=run)
    assert current is not None  # its ownership was checked above
    label, color, workflow_id, name = current
    before_label, before_color = tx.row(SQL.status_before, run=run) or (label, color)
    assignees = json.dumps(row.assignees, ensure_ascii=False) if row.assignees else None
    tx.run(
        SQL.open,
        id=row.id,
        run=run,
        workflow_id=workflow_id,
        name=name,
        position=row.wait.position,
        function_id=row.wait.function_id,
        title=row.title,
        details=row.details,
        form=row.form,
        assignees=assignees,
        due=row.wait.deadline_ms,
        now=row.now_ms,
        before_label=before_label,
        before_color=before_color,
    )
    if again:
        tx.run(SQL.unassign, run=run, position=row.wait.position)
    if row.assignees:
        emails = rows_json([[email] for email in row.assignees])
        tx.run(SQL.assign, rows=emails, run=run, position=row.wait.position)
    tx.run(SQL.show_waiting, run=run, label=WAITING_LABEL, color=WAITING_COLOR, now=row.now_ms)
    deliveries.announce(tx, [Announcement(run, EVENT, "WAITING_FOR_APPROVAL", row.now_ms, assignees)])
    tx.wake("status", (workflow_id, name, "WAITING_FOR_APPROVAL"))


def _close(tx: Tx, approval: int, status: ApprovalStatus, decision: ApprovalDecision) -> tuple[int, str] | None:
    """Close an open approval and restore the run's status; the (run, position) that waited, None if not open."""
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
        SQL.restore_status,
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
    decision: ApprovalDecision,
    check: Callable[[dict[str, Any] | None], Exception | None],
    only_as: str | None = None,
) -> str | Exception:
    """Decide an approval and wake its run. Returns the id of the approval.

    `check` validates the submitted data against the form. Refuses with Conflict an approval that is already decided, a
    run without an open approval, and a run with several when no id is given. With `only_as`, an e-mail address or an
    empty text, refuses an approval that is assigned to others with NotAllowed.
    """
    run = runs.run_of(tx, workflow_id=workflow_id)
    if run is None:
        return WorkflowNotFound(workflow_id)
    lock(tx, [run])
    if approval_id is None:
        approvals = tx.rows(SQL.open_of_run, run=run)
        if len(approvals) != 1:
            return _not_exactly_one(workflow_id, len(approvals))
        key, id_, form, assignees_json = approvals[0]
    else:
        row = tx.row(SQL.one_of_run, id=approval_id, run=run)
        if row is None:
            return NotFound(kind="approval", id=approval_id, workflow_id=workflow_id)
        key, id_, form, assignees_json, status = row
        if status != ApprovalStatus.OPEN:
            return Conflict(
                f"This approval of run {workflow_id!r} is already {status}; the first decision counts",
                workflow_id=workflow_id,
            )
    assignees: list[str] = [] if assignees_json is None else json.loads(assignees_json)
    if only_as is not None and assignees and only_as not in assignees:
        return NotAllowed(
            f"This approval is assigned to {', '.join(assignees)}; others need the role {Role.OPERATOR} to decide it"
        )
    error = check(None if form is None else json.loads(form))
    if error is not None:
        return error
    status = ApprovalStatus.APPROVED if decision.is_approved else ApprovalStatus.REJECTED
    waiting = _close(tx, key, status, decision)
    assert waiting is not None  # open in this transaction, and its run is locked
    waits.met(tx, [waiting])
    return id_


def _not_exactly_one(workflow_id: str, count: int) -> Conflict:
    if count == 0:
        text = f"Run {workflow_id!r} waits for no approval: it was decided, has expired, or was not reached yet"
    else:
        text = f"Run {workflow_id!r} waits for {count} approvals; say which one with approval_id (rt.approvals.list)"
    return Conflict(text, workflow_id=workflow_id)


def get(tx: Tx, *, approval_id: str, open: Callable[[str], str]) -> ApprovalRecord | None:
    """An approval; `open` undoes the payload codec."""
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
    """Approvals with their keys, newest first, starting after a key.

    With `assignee`, an e-mail address or an empty text, only those that are assigned to it or not assigned.
    """
    span = {"after": NEWEST if after is None else after, "limit": limit}
    open_flag = -1 if is_open is None else int(is_open)
    if workflow_id is not None:
        email = ANY_ASSIGNEE if assignee is None else assignee
        rows = tx.rows(SQL.page_of_workflow, workflow_id=workflow_id, is_open=open_flag, email=email, **span)
    elif assignee is not None:
        rows: list[tuple[Any, ...]] = []
        if is_open:
            rows += tx.rows(SQL.page_open_assigned, email=assignee, **span)
        else:
            rows += tx.rows(SQL.page_assigned, email=assignee, is_open=open_flag, **span)
            rows += tx.rows(SQL.page_decided_unassigned, **span)
        if is_open is not False:
            rows += tx.rows(SQL.page_open_unassigned, **span)
        rows = sorted(rows, key=lambda row: -row[0])[:limit]
    elif is_open is None:
        rows = tx.rows(SQL.page, **span)
    else:
        rows = tx.rows(SQL.page_open if is_open else SQL.page_decided, **span)
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
        details=None if details is None else json_value(open(details)),
        form=None if form is None else json.loads(form),
        status=ApprovalStatus(status),
        due_at=None if due is None else to_datetime(due),
        created=to_datetime(created),
        decided_at=None if decided_ms is None else to_datetime(decided_ms),
        by=by,
        comment=comment,
        data=None if data is None else json_value(open(data)),
        assignees=[] if assignees is None else json.loads(assignees),
    )
