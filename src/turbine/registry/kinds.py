"""Definitions of workflows and steps, and the objects that represent them in user code."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, Self, TypeVar, cast

from turbine.clock import check_aware
from turbine.errors import NotInWorkflow
from turbine.ids import check_id, check_name
from turbine.registry.definitions import UNSET, StartOptions, StepDefinition, WorkflowDefinition
from turbine.registry.scope import current_scope
from turbine.registry.threads import check_lost, maker_of_thread
from turbine.retry import RetryPolicy, seconds_of

P = ParamSpec("P")
R = TypeVar("R")


class StepBase(Generic[P, R]):
    """A function whose outcome is recorded once for each position at which a run calls it."""

    def __init__(self, definition: StepDefinition) -> None:
        self.definition = definition
        update_wrapper(cast("Callable[P, R]", self), definition.fn, updated=())  # its subclasses are callable

    @property
    def fn(self) -> Callable[P, Any]:
        """The undecorated function, for unit tests."""
        return self.definition.fn

    @property
    def name(self) -> str:
        return self.definition.name

    def options(
        self,
        *,
        name: str = UNSET,
        retries: int = UNSET,
        base_interval: timedelta | float = UNSET,
        backoff_factor: float = UNSET,
        max_interval: timedelta | float = UNSET,
        jitter: float = UNSET,
        retry_on: tuple[type[Exception], ...] = UNSET,
        retry_if: Callable[[Exception], bool] | None = UNSET,
        timeout: timedelta | float | None = UNSET,
        checkpoint: bool = UNSET,
    ) -> Self:
        """Returns a copy of the step with these options; options that are not given stay as they are."""
        old = self.definition
        policy: dict[str, Any] = {
            "retries": retries,
            "base_interval": base_interval,
            "backoff_factor": backoff_factor,
            "max_interval": max_interval,
            "jitter": jitter,
            "retry_on": retry_on,
            "retry_if": retry_if,
        }
        options: dict[str, Any] = {
            "name": name if name is UNSET else check_name(name, "step name"),
            "policy": RetryPolicy.of(
                **{key: getattr(old.policy, key) if value is UNSET else value for key, value in policy.items()}
            ),
            "timeout": _checked(seconds_of, timeout, "timeout"),
            "checkpoint": checkpoint,
        }
        given = {key: value for key, value in options.items() if value is not UNSET}
        return type(self)(replace(old, **given))

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        return type(self)(replace(self.definition, fn=self.definition.fn.__get__(instance, owner)))

    def _called(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        scope = current_scope.get()
        if scope is None:
            check_lost(self.definition.name, self.definition.is_async)
            return self.definition.fn(*args, **kwargs)
        return scope.step(self.definition, args, kwargs)

    def __repr__(self) -> str:
        return f"<turbine step {self.definition.name}>"


class Step(StepBase[P, R]):
    """A step made of a coroutine function."""

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        """In a workflow, takes the next position; when awaited, runs and is recorded, or returns the recorded value.

        It runs at least once and is recorded once. Outside of a workflow it is an ordinary function.
        """
        return self._called(args, kwargs)


class BlockingStep(StepBase[P, R]):
    """A step made of a blocking function."""

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """In a blocking workflow, runs and is recorded, or returns the recorded value.

        It runs at least once and is recorded once. Outside of a workflow it is an ordinary function. In an async
        workflow it would block the event loop: write `await turbine.do(step, ...)` there.
        """
        return self._called(args, kwargs)


class WorkflowBase(Generic[P, R]):
    """A function whose progress is recorded."""

    def __init__(self, definition: WorkflowDefinition, options: StartOptions | None = None) -> None:
        self.definition = definition
        self.start_options = options or StartOptions()
        if definition.fn is not None:
            update_wrapper(cast("Callable[P, R]", self), definition.fn, updated=())  # its subclasses are callable

    @property
    def fn(self) -> Callable[P, Any]:
        """The undecorated function, for unit tests."""
        if self.definition.fn is None:
            raise TypeError(f"{self!r} is remote; its function is in another process")
        return self.definition.fn

    @property
    def name(self) -> str:
        return self.definition.name

    @property
    def fqn(self) -> str:
        return self.definition.fqn

    def options(
        self,
        *,
        id: str | None = UNSET,
        queue: str | None = UNSET,
        deduplication_id: str | None = UNSET,
        priority: int = UNSET,
        partition_key: str | None = UNSET,
        timeout: timedelta | float | None = UNSET,
        deadline: datetime | None = UNSET,
        application_version: str | None = UNSET,
        delay: timedelta | float | None = UNSET,
        tags: Sequence[str] | None = UNSET,
    ) -> Self:
        """Returns a copy of the workflow that starts with these options; options that are not given stay as they are.

        `id` is the idempotency key of the run. `timeout` (timedelta or seconds) counts from the first execution of the
        run; `deadline` is absolute and takes precedence. `delay` postpones the start. Smaller `priority` numbers come
        first. `tags` are added to the tags of the workflow.
        Raises ValueError for a negative priority, delay or timeout, and for a deadline without a time zone.
        """
        if priority is not UNSET and (isinstance(priority, bool) or priority < 0):
            raise ValueError(f"priority must be 0 or more (0 is the most urgent), not {priority!r}")
        options: dict[str, Any] = {
            "id": _checked(check_id, id),
            "queue": queue,
            "deduplication_id": _checked(check_id, deduplication_id, "deduplication id"),
            "priority": priority,
            "partition_key": _checked(check_id, partition_key, "partition key"),
            "timeout": _checked(seconds_of, timeout, "timeout"),
            "deadline": _checked(check_aware, deadline, "deadline"),
            "application_version": application_version,
            "delay": _checked(seconds_of, delay, "delay"),
            "tags": _checked(check_tags, tags),
        }
        given = {name: value for name, value in options.items() if value is not UNSET}
        return type(self)(self.definition, replace(self.start_options, **given))

    def _called(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        scope = current_scope.get()
        if scope is None:
            maker = maker_of_thread()
            if maker is not None:
                raise NotInWorkflow(
                    f"Workflow {self.name!r} was called in {maker.thread}, where nothing can be recorded. Call it in"
                    " the body; to run several at once, use turbine.gather"
                )
            raise NotInWorkflow(
                f"Workflow {self.name!r} was called outside of a workflow, where nothing would be recorded."
                f" Start it with `await rt.run({self.name}, ...)`, or call `{self.name}.fn(...)` in a unit test"
            )
        return scope.child(self.definition, self.start_options, args, kwargs)

    def __repr__(self) -> str:
        return f"<turbine workflow {self.definition.name}>"


class Workflow(WorkflowBase[P, R]):
    """A workflow made of a coroutine function."""

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        """In a workflow, runs it as a child and waits for its result; both are recorded. Else raises NotInWorkflow."""
        return self._called(args, kwargs)


class BlockingWorkflow(WorkflowBase[P, R]):
    """A workflow made of a blocking function."""

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """In a workflow, runs it as a child and waits for its result; both are recorded. Else raises NotInWorkflow."""
        return self._called(args, kwargs)


def _checked(check: Callable[..., Any], value: Any, *what: str) -> Any:
    return value if value is UNSET or value is None else check(value, *what)


def check_tags(tags: Sequence[str]) -> tuple[str, ...]:
    """Returns tags as they are stored. Raises ValueError for a bad tag, and for a single string."""
    if isinstance(tags, str):
        raise ValueError(f"tags must be a list of strings, not the string {tags!r}")  # noqa: TRY004 - as for a bad tag
    return tuple(check_name(tag, "tag") for tag in tags)


def check_function(fn: Any, what: str) -> bool:
    """Whether a function is a coroutine function. Raises TypeError if it cannot be a workflow or step."""
    if isinstance(fn, (StepBase, WorkflowBase)):
        raise TypeError(f"{fn!r} is declared already and cannot be declared as a {what} again")
    if not callable(fn):
        raise TypeError(f"{fn!r} is not a function and cannot be a {what}")
    target = inspect.unwrap(fn)
    target = getattr(target, "func", target)
    if inspect.isgeneratorfunction(target) or inspect.isasyncgenfunction(target):
        raise TypeError(
            f"{name_of(fn)} is a generator and cannot be a {what}, which returns one value. Return a list, or publish"
            " progress with turbine.set_value"
        )
    return inspect.iscoroutinefunction(target) or inspect.iscoroutinefunction(getattr(target, "__call__", None))  # noqa: B004


def name_of(fn: Callable[..., Any]) -> str:
    """Returns the default name of a function."""
    target = getattr(fn, "func", fn)
    return getattr(target, "__name__", None) or type(target).__name__


def fqn_of(fn: Callable[..., Any]) -> str:
    """Returns `module:qualname`, for display and for `trigger`."""
    target = getattr(fn, "func", fn)
    return f"{getattr(target, '__module__', '?')}:{getattr(target, '__qualname__', name_of(fn))}"
