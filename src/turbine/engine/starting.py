"""Starting runs: the row of a new run, and the check of input that does not come from code (triggers, schedules).

Everything is checked before a row is written.
"""

from __future__ import annotations

import json
import logging
from hashlib import sha256
from typing import Any, cast

from turbine.clock import to_ms
from turbine.codec import json_value, loose, payload_type
from turbine.codec.schemas import check_schema, complaints
from turbine.engine.app import App
from turbine.errors import ValidationFailed
from turbine.ids import new_id
from turbine.model.schedules import tick_text
from turbine.model.workflows import WorkflowStatus
from turbine.registry import StartOptions, WorkflowDefinition
from turbine.tables.run_starts import Start, StartedRun
from turbine.tables.runs import Claimed

log = logging.getLogger("turbine")

SUMMARY_MAX = 200

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


def encode_input(app: App, definition: WorkflowDefinition, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """The stored input. Raises TypeError when the arguments do not fit, SerializationError naming the parameter."""
    if definition.fn is None:
        text = _encode_remote(definition, args, kwargs)
    else:
        text = definition.signature.encode(args, kwargs)
    return app.payloads.seal(text, f"the input of workflow {definition.name!r}")


def _encode_remote(definition: WorkflowDefinition, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    untyped = payload_type(Any)
    what = f"an argument of workflow {definition.name!r}"
    listed = ",".join(untyped.encode(value, what) for value in args)
    named = ",".join(f"{json.dumps(key)}:{untyped.encode(value, what)}" for key, value in kwargs.items())
    return loose(f'{{"args":[{listed}],"kwargs":{{{named}}}}}')


def prepare(
    app: App,
    definition: WorkflowDefinition,
    options: StartOptions,
    inputs: str,
    arguments: Arguments | None,
    *,
    default_id: str | None = None,
    parent: tuple[int, str, str] | None = None,
) -> Start:
    """The row of a start. `parent` is (run, id, position); without a queue this executor carries the run out.

    Raises ValueError for options that exclude each other. Unknown queues are refused by the caller.
    """
    queue = options.queue if options.queue is not None else definition.queue
    if options.partition_key is not None and queue is None:
        raise ValueError("partition_key needs a queue; pass options(queue=...)")
    if options.partition_key is not None and options.deduplication_id is not None:
        raise ValueError("partition_key and deduplication_id exclude each other; choose one")
    now_ms = app.clock.now_ms()
    timeout = options.timeout if options.timeout is not None else definition.timeout
    timeout_ms = None if timeout is None else round(timeout * 1000)
    deadline_ms = None if options.deadline is None else to_ms(options.deadline, "deadline")
    is_late = deadline_ms is not None and deadline_ms <= now_ms
    is_direct = queue is None and not options.delay and not is_late and not app.is_draining()
    if is_direct and deadline_ms is None and timeout_ms is not None:
        deadline_ms = now_ms + timeout_ms
    if is_late:
        status = WorkflowStatus.CANCELLED
    elif is_direct:
        status = WorkflowStatus.PENDING
    else:
        status = WorkflowStatus.ENQUEUED
    scope = None
    if options.deduplication_id is not None:
        scope = f"queue:{queue}" if queue is not None else _scope(definition.name)
    tags = dict.fromkeys((*definition.tags, *(options.tags or ())))
    return Start(
        id=options.id or default_id or new_id(),
        status=status,
        name=definition.name,
        inputs=inputs,
        direct=int(is_direct),
        fence=1,
        version=options.application_version or app.application_version,
        application_id=app.config.application_id,
        attempts=1 if is_direct else 0,
        owed=0 if is_direct else 1,
        max_recoveries=definition.max_recoveries,
        created_ms=now_ms,
        started_ms=now_ms if is_direct else None,
        completed_ms=now_ms if is_late else None,
        wake_ms=None if is_direct or is_late else now_ms + round((options.delay or 0) * 1000),
        queue=queue,
        partition=options.partition_key,
        deduplication_scope=scope,
        deduplication_id=options.deduplication_id,
        priority=options.priority,
        timeout_ms=timeout_ms,
        deadline_ms=deadline_ms,
        parent_run=parent[0] if parent else None,
        parent_id=parent[1] if parent else None,
        parent_position=parent[2] if parent else None,
        forked_from=None,
        summary=_summary(definition, arguments),
        tags=json.dumps(list(tags), ensure_ascii=False) if tags else None,
        reason="timeout" if is_late else None,
    )


def for_anyone(row: Start) -> Start:
    """The same start, but for the first executor that claims it instead of this one."""
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


def first_claim(row: Start, started: StartedRun) -> Claimed:
    """The claim of a run by the executor that started it directly."""
    assert row.started_ms is not None
    return Claimed(
        started.run, row.id, row.name, row.inputs, row.fence, row.attempts, row.started_ms, row.deadline_ms, row.queue
    )


def _scope(name: str) -> str:
    """The scope of a workflow's deduplication ids, short enough for an index."""
    return f"workflow:{name}" if len(name) <= 200 else f"workflow:{sha256(name.encode()).hexdigest()}"


def _summary(definition: WorkflowDefinition, arguments: Arguments | None) -> str | None:
    if definition.summary is None or arguments is None:
        return None
    args, kwargs = arguments
    try:
        text = str(definition.summary(*args, **kwargs))
        text.encode()
    except Exception as error:  # noqa: BLE001 - the user's function; a summary is never worth a run
        log.warning("The summary of workflow %r failed, the run starts without one: %r", definition.name, error)
        return None
    return text.replace("\x00", "")[:SUMMARY_MAX]


def accept(definition: WorkflowDefinition, value: Any) -> Arguments:
    """The arguments that plain JSON input stands for.

    It must fit the `input_schema` of the workflow, if it has one, and the parameters, in strict JSON mode. Raises
    ValidationFailed with the paths in `.errors`.
    """
    signature = definition.signature
    _check_given(definition, signature.parameters, value)
    return signature.decode(signature.from_json(value))


def accept_elsewhere(definition: WorkflowDefinition, signature: dict[str, Any], value: Any) -> Arguments:
    """`accept` for a workflow whose code is in another process: only the schema of its parameters is available."""
    parameters = tuple(signature.get("properties", {}))
    _check_given(definition, parameters, value)
    bare: Any = _to_json(value)
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
        return accept(definition, json_value(app.payloads.open(stored)))
    if definition.takes_tick:
        return definition.signature.decode(definition.signature.from_json(tick_text(tick_ms)))
    return accept(definition, None)


def encoded(app: App, definition: WorkflowDefinition, arguments: Arguments) -> str:
    """The stored input of these arguments."""
    return encode_input(app, definition, *arguments)


def _check_given(definition: WorkflowDefinition, parameters: tuple[str, ...], value: Any) -> None:
    """Check a value against the `input_schema` of the workflow.

    With one parameter both the schema and the input may be an object by name, or the parameter's own value.
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
    errors = [complaints(schema, _to_json(reading)) for reading in readings]
    if all(errors):
        raise ValidationFailed(what=f"The input of workflow {definition.name!r}", errors=errors[0])


def _to_json(value: Any) -> Any:
    """A value as plain JSON; models become objects."""
    import pydantic_core

    return json.loads(pydantic_core.to_json(value, inf_nan_mode="constants", bytes_mode="base64", by_alias=False))
