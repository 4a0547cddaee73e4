"""Input from outside of the code: of a trigger, a schedule, a form. It is checked before there is any row."""

from __future__ import annotations

import json
from typing import Any, cast

from turbine.codec import plain
from turbine.codec.schemas import check_schema, complaints
from turbine.engine.app import App
from turbine.engine.starting import encode_input
from turbine.errors import ValidationFailed
from turbine.model.schedules import tick_text
from turbine.model.workflows import WorkflowStatus
from turbine.registry import WorkflowDefinition
from turbine.tables.run_starts import Start

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


def accept(definition: WorkflowDefinition, value: Any) -> Arguments:
    """The arguments that plain JSON from outside stands for.

    It must fit the `input_schema` that the code gives, if any, and the parameters, in strict JSON mode. Raises
    ValidationFailed with the paths in `.errors`.
    """
    signature = definition.signature
    _check_given(definition, signature.parameters, value)
    return signature.decode(signature.from_json(value))


def accept_elsewhere(definition: WorkflowDefinition, signature: dict[str, Any], value: Any) -> Arguments:
    """`accept` for a workflow whose code is in another process and of which only the schema of parameters is known."""
    parameters = tuple(signature.get("properties", {}))
    _check_given(definition, parameters, value)
    bare: Any = _plain(value)
    named = cast("dict[str, Any]", bare) if isinstance(bare, dict) else None
    if bare is None and not signature.get("required"):
        named = {}
    elif len(parameters) == 1 and (named is None or (list(named) != [*parameters] and complaints(signature, named))):
        named = {parameters[0]: cast(Any, bare)}
    wrong = complaints({"type": "object", **signature}, named)
    if named is None or wrong:
        raise ValidationFailed(what=f"The input of workflow {definition.name!r}", errors=wrong)
    return (), named


def accept_stored(definition: WorkflowDefinition, app: App, stored: str | None, tick_ms: int) -> Arguments:
    """The arguments of a scheduled run: the stored input, else the tick where the workflow takes one, else nothing."""
    if stored is not None:
        return accept(definition, plain(app.payloads.open(stored)))
    if definition.takes_tick:
        return definition.signature.decode(definition.signature.from_json(tick_text(tick_ms)))
    return accept(definition, None)


def for_anyone(row: Start) -> Start:
    """The same start, but carried out by whoever claims it first instead of by this executor."""
    if not row.direct:
        return row
    return row._replace(
        direct=0,
        status=WorkflowStatus.ENQUEUED,
        attempts=0,
        owed=1,
        started_ms=None,
        deadline_ms=None if row.timeout_ms is not None else row.deadline_ms,
        wake_ms=row.created_ms,
    )


def encoded(app: App, definition: WorkflowDefinition, arguments: Arguments) -> str:
    """The stored input of these arguments."""
    return encode_input(app, definition, *arguments)


def _check_given(definition: WorkflowDefinition, parameters: tuple[str, ...], value: Any) -> None:
    """Hold a value against the schema that the code gives itself.

    With one parameter such a schema may describe the object by name or the parameter's own value, and so may the input.
    """
    if definition.input_schema is None:
        return
    schema = check_schema(definition.input_schema, "The input_schema")
    readings = [value]
    if len(parameters) == 1:
        readings.append({parameters[0]: value})
        by_name = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
        if list(by_name) == [parameters[0]]:
            readings.append(by_name[parameters[0]])
    found = [complaints(schema, _plain(reading)) for reading in readings]
    if all(found):
        raise ValidationFailed(what=f"The input of workflow {definition.name!r}", errors=found[0])


def _plain(value: Any) -> Any:
    """A value as plain JSON: models become objects."""
    import pydantic_core

    return json.loads(pydantic_core.to_json(value, inf_nan_mode="constants", bytes_mode="base64", by_alias=False))
