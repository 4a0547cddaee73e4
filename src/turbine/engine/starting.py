"""The row of a new run, made of its definition, its options and its arguments; checks everything before the door."""

from __future__ import annotations

import json
import logging
from hashlib import sha256
from typing import Any

from turbine.clock import to_ms
from turbine.codec import loose, payload_type
from turbine.engine.app import App
from turbine.ids import new_id
from turbine.model.workflows import WorkflowStatus
from turbine.registry import StartOptions, WorkflowDefinition
from turbine.tables.run_starts import Start, StartedRun
from turbine.tables.runs import Claimed

log = logging.getLogger("turbine")

SUMMARY_MAX = 200


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
    arguments: tuple[tuple[Any, ...], dict[str, Any]] | None,
    *,
    default_id: str | None = None,
    parent: tuple[int, str, str] | None = None,
) -> Start:
    """The row of a start. `parent` is (run, id, position); without a queue this executor carries the run out.

    Raises ValueError for options that exclude each other. Unknown queues are the caller's to refuse.
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


def first_claim(row: Start, started: StartedRun) -> Claimed:
    """What a run that was started directly is to the executor that started it."""
    assert row.started_ms is not None
    return Claimed(
        started.run, row.id, row.name, row.inputs, row.fence, row.attempts, row.started_ms, row.deadline_ms, row.queue
    )


def _scope(name: str) -> str:
    """The scope of deduplication ids that belong to a workflow: short enough for an index."""
    return f"workflow:{name}" if len(name) <= 200 else f"workflow:{sha256(name.encode()).hexdigest()}"


def _summary(definition: WorkflowDefinition, arguments: tuple[tuple[Any, ...], dict[str, Any]] | None) -> str | None:
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
