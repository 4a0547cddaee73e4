"""Waiting for a person: the word of a body that opens a gate and goes on when somebody has decided."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from turbine.clock import to_datetime
from turbine.codec import PayloadType, payload_type, plain
from turbine.codec.schemas import check_schema
from turbine.engine.calls import replayed
from turbine.engine.execution import Execution
from turbine.engine.talk import UNTYPED, Operation
from turbine.errors import ApprovalTimeout
from turbine.ids import check_text, new_id
from turbine.model.accounts import email_of
from turbine.model.approvals import ApprovalResult
from turbine.model.words import WAIT_FOR_APPROVAL
from turbine.tables import approvals
from turbine.tables.approvals import ApprovalRequest, DecidedApproval
from turbine.tables.ownership import Answer

ASSIGNEES_MAX = 100
FILLED_IN = "the filled-in form"


async def wait_for_approval(
    execution: Execution,
    position: str,
    *,
    title: str | None,
    details: Any,
    form: Any,
    schema: dict[str, Any] | None,
    timeout: float | None,
    assignees: Sequence[str] = (),
) -> ApprovalResult:
    """Open a gate at this position, once, and wait for its decision; what was decided is recorded.

    Who it is assigned to is kept with the gate when it opens, and no part of the history: a replay compares nothing.
    """
    if execution.signal is not None:
        await execution.raise_if_stopping()
    call = Operation(execution, position, WAIT_FOR_APPROVAL)
    if call.is_done:
        assert call.record is not None
        facts = replayed(execution, call.record, UNTYPED)
        if facts["data"] is None:
            return _result(facts, None)
        data, what = json.dumps(facts["data"]), f"{FILLED_IN} of the decision at position {position}"
        return _result(
            facts, execution.recall(position, WAIT_FOR_APPROVAL, _type_of(form), data, what, is_sealed=False)
        )
    payloads = execution.app.payloads
    details_text = None
    if details is not None:
        details_text = payloads.seal(UNTYPED.encode(details, "the details of the approval"), "the details")
    form_text = None if schema is None else json.dumps(schema)
    execution.busy += 1
    wait = execution.open_wait(position)
    try:
        call.begin(timeout)
        gate_id = new_id()
        while True:
            execution.check()
            row = ApprovalRequest(
                call.wait("approval", title or ""),
                gate_id,
                title,
                details_text,
                form_text,
                execution.app.clock.now_ms(),
                call.is_late,
                assignees,
            )
            answer = await execution.write(approvals.request, row, len(details_text or "") + len(form_text or ""))
            if isinstance(answer, DecidedApproval):
                return await _settled(call, answer, form)
            if answer is Answer.DONE:
                error = ApprovalTimeout(
                    f"Nobody decided {title or 'the approval'!r} in time",
                    workflow_id=execution.id,
                    step_name=WAIT_FOR_APPROVAL,
                )
                await call.settle(None, error)
                raise call.fail(error)
            if answer is not Answer.WAIT:
                raise execution.refuse(answer)
            await execution.pause(wait, call.deadline_ms)
    finally:
        execution.close_wait(wait)
        execution.leave()


def assignees_of(emails: Sequence[str]) -> tuple[str, ...]:
    """The addresses as they are stored, each once. Raises TypeError for one text, ValueError for what is no address."""
    if isinstance(emails, str):
        raise TypeError(f"assignees must be a sequence of e-mail addresses, such as [{emails!r}]")
    known = dict.fromkeys(email_of(check_text(email, "person's e-mail address")) for email in emails)
    if len(known) > ASSIGNEES_MAX:
        raise ValueError(f"an approval has at most {ASSIGNEES_MAX} assignees, not {len(known)}")
    return tuple(known)


def schema_of(form: Any) -> dict[str, Any] | None:
    """The JSON Schema of a form given as a type (a pydantic model, a dataclass …) or as a schema; None for none.

    Raises ValidationFailed for a dict that is no JSON Schema.
    """
    if form is None:
        return None
    if isinstance(form, dict):
        return check_schema(form, "The form")
    return _opened(payload_type(form).json_schema())


def _opened(schema: dict[str, Any]) -> dict[str, Any]:
    """The same schema with its own members at the top, where whoever draws a form looks for them."""
    definitions = schema.get("$defs", {})
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    if set(schema) != {"$ref", "$defs"} or name not in definitions:
        return schema
    # One that names itself stays among the definitions, where it is looked up.
    others = definitions if f'"#/$defs/{name}"' in json.dumps(definitions) else {**definitions}
    if others is not definitions:
        del others[name]
    return {**definitions[name], "$defs": others} if others else dict(definitions[name])


def _written(decided: DecidedApproval, data: str | None) -> str:
    facts = {
        "approved": decided.is_approved,
        "comment": decided.comment,
        "by": decided.by,
        "at": to_datetime(decided.at_ms).isoformat(),
    }
    # The data is JSON already and goes in as it is: numbers keep all their digits.
    return f'{json.dumps(facts)[:-1]}, "data": {data or "null"}}}'


async def _settled(call: Operation, decided: DecidedApproval, form: Any) -> ApprovalResult:
    """Record a decision, and in it the filled-in form as its type reads it."""
    data, value = None, None
    if decided.data is not None:
        data, value = await call.take(_type_of(form), decided.data, FILLED_IN)
    text = _written(decided, data)
    await call.settle(call.execution.app.payloads.seal(text, "the decision"))
    return _result(plain(text), value)


def _type_of(form: Any) -> PayloadType[Any]:
    return UNTYPED if form is None or isinstance(form, dict) else payload_type(form)


def _result(facts: dict[str, Any], data: Any) -> ApprovalResult:
    return ApprovalResult(
        approved=facts["approved"],
        comment=facts["comment"],
        by=facts["by"],
        at=datetime.fromisoformat(facts["at"]),
        data=data,
    )
