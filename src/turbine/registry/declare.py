"""The decorators `step` and `workflow`, and what they check of a function."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any, ParamSpec, TypeVar, overload

from turbine.codec import enclosing
from turbine.ids import check_name
from turbine.model.schedules import Schedule
from turbine.registry.definitions import StepDefinition, WorkflowDefinition
from turbine.registry.kinds import (
    BlockingStep,
    BlockingWorkflow,
    Step,
    StepBase,
    Workflow,
    WorkflowBase,
    check_function,
    check_tags,
    fqn_of,
    name_of,
)
from turbine.retry import RetryPolicy, seconds_of

P = ParamSpec("P")
R = TypeVar("R")

# A coroutine function is a function too, so the overloads for both overlap: the first that fits counts.


@overload
def step(fn: Callable[P, Coroutine[Any, Any, R]], /) -> Step[P, R]: ...  # pyright: ignore[reportOverlappingOverload]
@overload
def step(fn: Callable[P, R], /) -> BlockingStep[P, R]: ...
@overload
def step(
    fn: Callable[P, Coroutine[Any, Any, R]],
    /,
    name: str | None = None,
    *,
    retries: int = ...,
    base_interval: timedelta | float = ...,
    backoff_factor: float = ...,
    max_interval: timedelta | float = ...,
    jitter: float = ...,
    retry_on: tuple[type[Exception], ...] = ...,
    retry_if: Callable[[Exception], bool] | None = ...,
    timeout: timedelta | float | None = ...,
    checkpoint: bool = ...,
) -> Step[P, R]: ...
@overload
def step(
    fn: Callable[P, R],
    /,
    name: str | None = None,
    *,
    retries: int = ...,
    base_interval: timedelta | float = ...,
    backoff_factor: float = ...,
    max_interval: timedelta | float = ...,
    jitter: float = ...,
    retry_on: tuple[type[Exception], ...] = ...,
    retry_if: Callable[[Exception], bool] | None = ...,
    timeout: timedelta | float | None = ...,
    checkpoint: bool = ...,
) -> BlockingStep[P, R]: ...
@overload
def step(
    fn: str | None = None,
    /,
    name: str | None = None,
    *,
    retries: int = ...,
    base_interval: timedelta | float = ...,
    backoff_factor: float = ...,
    max_interval: timedelta | float = ...,
    jitter: float = ...,
    retry_on: tuple[type[Exception], ...] = ...,
    retry_if: Callable[[Exception], bool] | None = ...,
    timeout: timedelta | float | None = ...,
    checkpoint: bool = ...,
) -> _StepDecorator: ...
def step(
    fn: Any = None,
    /,
    name: str | None = None,
    *,
    retries: int = 0,
    base_interval: timedelta | float = 0.1,
    backoff_factor: float = 2.0,
    max_interval: timedelta | float = 5.0,
    jitter: float = 0.0,
    retry_on: tuple[type[Exception], ...] = (Exception,),
    retry_if: Callable[[Exception], bool] | None = None,
    timeout: timedelta | float | None = None,
    checkpoint: bool = True,
) -> Any:
    """Declare a function as a step: its outcome is recorded once for each position at which a run calls it.

    It runs at least once (again after a crash before its outcome was recorded); a replay raises a recorded failure
    again. The wait before retry n is `min(base_interval * backoff_factor ** (n - 1), max_interval)` seconds, ± the
    fraction `jitter`. Only errors of `retry_on` for which `retry_if` is true are retried; after the last retry
    MaxStepRetriesExceeded is raised. `timeout` limits each attempt; a blocking function cannot be stopped, and
    continues in its thread beside the next attempt unless it calls `turbine.check_cancelled()`. With
    `checkpoint=False` its value is not recorded and need not be serialisable; it runs again in each replay.

    Use it as a decorator, with or without arguments, or as a function: `turbine.step(fn, name="fetch", retries=3)`.
    Raises TypeError for generators and ValueError for numbers out of range.
    """
    if isinstance(fn, str):
        fn, name = None, fn
    policy = RetryPolicy.of(
        retries,
        base_interval=base_interval,
        backoff_factor=backoff_factor,
        max_interval=max_interval,
        jitter=jitter,
        retry_on=retry_on,
        retry_if=retry_if,
    )
    seconds = None if timeout is None else seconds_of(timeout, "timeout")

    def declare(function: Callable[..., Any]) -> StepBase[..., Any]:
        is_async = check_function(function, "step")
        definition = StepDefinition(
            fn=function,
            name=check_name(name, "step name") if name is not None else name_of(function),
            policy=policy,
            timeout=seconds,
            checkpoint=checkpoint,
            is_async=is_async,
            around=enclosing(function),
        )
        return Step(definition) if is_async else BlockingStep(definition)

    return declare if fn is None else declare(fn)


class _StepDecorator:
    """The type of `@turbine.step(...)`."""

    @overload
    def __call__(self, fn: Callable[P, Coroutine[Any, Any, R]], /) -> Step[P, R]: ...  # pyright: ignore[reportOverlappingOverload]
    @overload
    def __call__(self, fn: Callable[P, R], /) -> BlockingStep[P, R]: ...
    def __call__(self, fn: Any, /) -> Any:
        raise TypeError("this class only describes a type")


@overload
def workflow(fn: Callable[P, Coroutine[Any, Any, R]], /) -> Workflow[P, R]: ...  # pyright: ignore[reportOverlappingOverload]
@overload
def workflow(fn: Callable[P, R], /) -> BlockingWorkflow[P, R]: ...
@overload
def workflow(
    fn: Callable[P, Coroutine[Any, Any, R]],
    /,
    name: str | None = None,
    *,
    max_recoveries: int | None = ...,
    schedule: str | Schedule | None = ...,
    triggerable: bool = ...,
    input_schema: dict[str, Any] | None = ...,
    tags: Sequence[str] = ...,
    summary: Callable[..., str] | None = ...,
    queue: str | None = ...,
    timeout: timedelta | float | None = ...,
) -> Workflow[P, R]: ...
@overload
def workflow(
    fn: Callable[P, R],
    /,
    name: str | None = None,
    *,
    max_recoveries: int | None = ...,
    schedule: str | Schedule | None = ...,
    triggerable: bool = ...,
    input_schema: dict[str, Any] | None = ...,
    tags: Sequence[str] = ...,
    summary: Callable[..., str] | None = ...,
    queue: str | None = ...,
    timeout: timedelta | float | None = ...,
) -> BlockingWorkflow[P, R]: ...
@overload
def workflow(
    fn: str | None = None,
    /,
    name: str | None = None,
    *,
    max_recoveries: int | None = ...,
    schedule: str | Schedule | None = ...,
    triggerable: bool = ...,
    input_schema: dict[str, Any] | None = ...,
    tags: Sequence[str] = ...,
    summary: Callable[..., str] | None = ...,
    queue: str | None = ...,
    timeout: timedelta | float | None = ...,
) -> _WorkflowDecorator: ...
def workflow(
    fn: Any = None,
    /,
    name: str | None = None,
    *,
    max_recoveries: int | None = 100,
    schedule: str | Schedule | None = None,
    triggerable: bool = False,
    input_schema: dict[str, Any] | None = None,
    tags: Sequence[str] = (),
    summary: Callable[..., str] | None = None,
    queue: str | None = None,
    timeout: timedelta | float | None = None,
) -> Any:
    """Declare a function as a workflow: its progress is recorded, and any process that has its code can continue a run.

    The body must make the same durable calls for the same recorded outcomes; side effects belong in steps. Parameters
    and result are stored as JSON, typed by their annotations. `max_recoveries` limits how often a run is recovered
    after crashes (None: no limit). `summary` is called with the arguments and returns one line for people. `timeout`
    and `queue` are defaults for `options(...)`.

    With a `schedule` (a cron expression or `Schedule.cron(...)`) it is started at each tick with the time of the tick.
    Input from outside must also match `input_schema` (a JSON Schema, or `{"fields": [...]}`).

    Use it as a decorator, with or without arguments, or as a function. Raises TypeError for generators and for lambdas
    without a name (recovery could not find them), ValidationFailed for an invalid schedule or schema.
    """
    if isinstance(fn, str):
        fn, name = None, fn

    def declare(function: Callable[..., Any]) -> WorkflowBase[..., Any]:
        is_async = check_function(function, "workflow")
        default_name = name_of(function)
        if name is None and not default_name.isidentifier():
            raise TypeError(
                f"{default_name} has no name by which another process could find it. Use def, or pass name="
            )
        if max_recoveries is not None and max_recoveries < 0:
            raise ValueError(f"max_recoveries must not be negative: {max_recoveries} (None: no limit)")
        definition = WorkflowDefinition(
            fn=function,
            name=check_name(name, "workflow name") if name is not None else default_name,
            fqn=fqn_of(function),
            is_async=is_async,
            max_recoveries=max_recoveries,
            schedule=schedule,
            triggerable=triggerable,
            input_schema=input_schema,
            tags=check_tags(tags),
            summary=summary,
            queue=queue,
            timeout=None if timeout is None else seconds_of(timeout, "timeout"),
            around=enclosing(function),
        )
        return Workflow(definition) if is_async else BlockingWorkflow(definition)

    return declare if fn is None else declare(fn)


class _WorkflowDecorator:
    """The type of `@turbine.workflow(...)`."""

    @overload
    def __call__(self, fn: Callable[P, Coroutine[Any, Any, R]], /) -> Workflow[P, R]: ...  # pyright: ignore[reportOverlappingOverload]
    @overload
    def __call__(self, fn: Callable[P, R], /) -> BlockingWorkflow[P, R]: ...
    def __call__(self, fn: Any, /) -> Any:
        raise TypeError("this class only describes a type")


def remote(name: str, result_type: Any = Any) -> Workflow[..., Any]:
    """Declare a workflow whose code is in another process; start it in a queue (`.options(queue=...)`)."""
    name = check_name(name, "workflow name")
    return Workflow(WorkflowDefinition(fn=None, name=name, fqn=name, result_type=result_type))
