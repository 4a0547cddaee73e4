"""Approvals: a call that opens an approval and waits until a person decides it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from turbine.clock import to_datetime
from turbine.codec import encode_error, json_value, payload_type
from turbine.codec.schemas import check_schema
from turbine.engine.durable_call import UNTYPED, DurableCall
from turbine.engine.execution import Execution
from turbine.errors import ApprovalTimeout
from turbine.ids import check_text, new_id
from turbine.model.accounts import email_of
from turbine.model.approvals import ApprovalResult
from turbine.model.words import WAIT_FOR_APPROVAL
from turbine.tables import approvals
from turbine.tables.approvals import ApprovalRequest, DecidedApproval

ASSIGNEES_MAX = 100


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
    """Open an approval at this position, once, and wait for its decision; the decision is recorded as it is found.

    Assignees are kept with the approval when it opens and are no part of the history: a replay compares nothing.
    """
    call = await DurableCall.at(execution, position, WAIT_FOR_APPROVAL)
    kind = UNTYPED if form is None or isinstance(form, dict) else payload_type(form)
    what = f"the filled-in form of the decision at position {position}"
    if call.is_recorded:
        facts = call.replayed()
        data = None
        if facts["data"] is not None:
            data = call.value_of(await call.read_again(kind, json.dumps(facts["data"]), what))
        return _result(facts, data)
    payloads = execution.app.payloads
    details_text = None
    if details is not None:
        details_text = payloads.seal(UNTYPED.encode(details, "the details of the approval"), "the details")
    form_text = None if schema is None else json.dumps(schema)

    def decided(decision: DecidedApproval) -> str:
        return payloads.seal(
            _decision_text(decision, None if decision.data is None else payloads.open(decision.data)), "the decision"
        )

    with call:
        call.listen(timeout)
        late = ApprovalTimeout(
            f"Approval {title or 'without a title'!r} was not decided in time",
            workflow_id=execution.id,
            step_name=WAIT_FOR_APPROVAL,
        )
        request = ApprovalRequest(
            wait=call.wait_row("approval", title or ""),
            id=new_id(),
            title=title,
            details=details_text,
            form=form_text,
            now_ms=0,
            is_late=False,
            expired=encode_error(late),
            decided=decided,
            assignees=assignees,
        )
        size = len(details_text or "") + len(form_text or "")

        async def look() -> Any:
            row = request._replace(now_ms=execution.app.clock.now_ms(), is_late=call.is_late)
            return await execution.write(approvals.request, row, size)

        decision = await call.wait_for(look)
        if not isinstance(decision, DecidedApproval):
            raise call.failed(late)
        data = None
        if decision.data is not None:
            data = call.value_of(await call.read(kind, payloads.open(decision.data), what))
        return _result(json_value(_decision_text(decision, None)), data)


def assignees_of(emails: Sequence[str]) -> tuple[str, ...]:
    """The addresses as they are stored, without repeats. Raises TypeError for a text, ValueError for a bad address."""
    if isinstance(emails, str):
        raise TypeError(f"assignees must be a sequence of e-mail addresses, such as [{emails!r}]")
    addresses = dict.fromkeys(email_of(check_text(email, "person's e-mail address")) for email in emails)
    if len(addresses) > ASSIGNEES_MAX:
        raise ValueError(f"an approval has at most {ASSIGNEES_MAX} assignees, not {len(addresses)}")
    return tuple(addresses)


def schema_of(form: Any) -> dict[str, Any] | None:
    """The JSON Schema of a form given as a type (a pydantic model, a dataclass …) or as a schema; None for none.

    Raises ValidationFailed for a dict that is no JSON Schema.
    """
    if form is None:
        return None
    if isinstance(form, dict):
        return check_schema(form, "The form")
    return _inlined(payload_type(form).json_schema())


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """The same schema with its own members at the top, where forms are drawn from."""
    definitions = schema.get("$defs", {})
    name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    if set(schema) != {"$ref", "$defs"} or name not in definitions:
        return schema
    # A schema that refers to itself stays among the definitions, where it is looked up.
    others = definitions if f'"#/$defs/{name}"' in json.dumps(definitions) else {**definitions}
    if others is not definitions:
        del others[name]
    return {**definitions[name], "$defs": others} if others else dict(definitions[name])


def _decision_text(decision: DecidedApproval, data: str | None) -> str:
    facts = {
        "approved": decision.is_approved,
        "comment": decision.comment,
        "by": decision.by,
        "at": to_datetime(decision.at_ms).isoformat(),
    }
    # The data is JSON already and goes in as it is: numbers keep all their digits.
    return f'{json.dumps(facts)[:-1]}, "data": {data or "null"}}}'


def _result(facts: dict[str, Any], data: Any) -> ApprovalResult:
    return ApprovalResult(
        approved=facts["approved"],
        comment=facts["comment"],
        by=facts["by"],
        at=datetime.fromisoformat(facts["at"]),
        data=data,
    )
