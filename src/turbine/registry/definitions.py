"""Definitions of steps and workflows, and the options with which runs are started."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from turbine.cached import cached_property
from turbine.codec import Enclosing, PayloadType, Signature, payload_type
from turbine.codec.schemas import check_schema
from turbine.errors import ValidationFailed
from turbine.model.schedules import Schedule, ScheduleType
from turbine.retry import RetryPolicy


class Unset:
    """The type of `UNSET`, the default of arguments for which None is a value."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Any = Unset()


@dataclass(frozen=True)
class StepDefinition:
    """A step as declared."""

    fn: Callable[..., Any]
    name: str
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    timeout: float | None = None
    """Seconds per attempt."""
    checkpoint: bool = True
    is_async: bool = True
    around: Enclosing | None = None
    """The local names around the function, which string annotations may use."""

    @cached_property
    def result(self) -> PayloadType[Any]:
        return Signature(self.fn, f"step {self.name!r}", self.around).result


@dataclass(frozen=True, slots=True)
class StartOptions:
    """The options with which a run is started; see `WorkflowBase.options`."""

    id: str | None = None
    queue: str | None = None
    deduplication_id: str | None = None
    priority: int = 0
    partition_key: str | None = None
    timeout: float | None = None
    deadline: datetime | None = None
    application_version: str | None = None
    delay: float | None = None
    tags: tuple[str, ...] | None = None


@dataclass(frozen=True)
class WorkflowDefinition:
    """A workflow as declared; `fn` is None for one whose code is in another process."""

    fn: Callable[..., Any] | None
    name: str
    fqn: str
    is_async: bool = True
    max_recoveries: int | None = 100
    schedule: Any = None
    triggerable: bool = False
    input_schema: dict[str, Any] | None = None
    tags: tuple[str, ...] = ()
    summary: Callable[..., str] | None = None
    queue: str | None = None
    timeout: float | None = None
    result_type: Any = UNSET
    around: Enclosing | None = None
    """The local names around the function, which string annotations may use."""

    def __post_init__(self) -> None:
        if isinstance(self.schedule, str):
            object.__setattr__(self, "schedule", Schedule.cron(self.schedule))
        if self.schedule is not None and (
            not isinstance(self.schedule, Schedule) or self.schedule.type is ScheduleType.ONCE
        ):
            message = f"must be a cron expression or Schedule.cron(...), not {self.schedule!r}"
            raise ValidationFailed(
                what=f"The schedule of workflow {self.name!r}",
                errors=[{"path": [], "message": message, "type": "schedule"}],
            )
        if self.input_schema is not None:
            check_schema(self.input_schema, f"The input_schema of workflow {self.name!r}")

    @cached_property
    def signature(self) -> Signature:
        if self.fn is None:
            raise TypeError(f"Workflow {self.name!r} is remote; only the process with its code has its signature")
        return Signature(self.fn, f"workflow {self.name!r}", self.around)

    @cached_property
    def takes_tick(self) -> bool:
        """Whether its only parameter is a datetime, so that a schedule can pass it the time of the tick."""
        try:
            args, kwargs = self.signature.decode(self.signature.from_json("2000-01-01T00:00:00Z"))
        except ValidationFailed:
            return False
        values = [*args, *kwargs.values()]
        return len(values) == 1 and isinstance(values[0], datetime)

    @cached_property
    def result(self) -> PayloadType[Any]:
        return payload_type(self.result_type) if self.fn is None else self.signature.result
