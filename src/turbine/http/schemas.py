"""The shapes that more than one route shows: times, durations, pages, runs, answers of actions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from turbine.clock import NoTimeZone, check_aware
from turbine.model.times import Moment, Seconds
from turbine.model.workflows import Page, Status, WorkflowStatus
from turbine.registry import UNSET

T = TypeVar("T")


NO_ZONE = "timezone_aware"
"""The type of complaint about a time without a time zone."""


def _in_utc(moment: datetime) -> datetime:
    try:
        return check_aware(moment).astimezone(UTC)
    except NoTimeZone as error:
        raise PydanticCustomError(NO_ZONE, "{complaint}", {"complaint": str(error)}) from None
    except OverflowError:
        raise ValueError("the time is out of range") from None


When = Annotated[datetime, AfterValidator(_in_utc)]
"""A time that a caller gives; it needs a zone."""
Limit = Annotated[int, Query(ge=1, le=500, description="How many items a page has at most.")]
Cursor = Annotated[str | None, Query(max_length=400, description="`next_cursor` of the page before.")]
Json = Annotated[Any, WithJsonSchema({"description": "Any JSON value."})]


class Schema(BaseModel):
    """What the API shows, made of records."""

    model_config = ConfigDict(from_attributes=True)


class RequestSchema(BaseModel):
    """What the API takes; keys that nobody knows are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Items(Schema, Generic[T]):
    """A page of a collection."""

    items: list[T]
    next_cursor: str | None = Field(default=None, description="Asks for the next page; null at the end.")


class Count(Schema):
    """A number of things, counted up to 10,000."""

    count: int
    capped: bool = Field(default=False, description="Whether there are more.")


class Acted(Schema):
    """What became of a run that somebody acted on."""

    workflow_id: str
    changed: bool
    status: WorkflowStatus | None = Field(description="The run's status afterwards; null when it is gone.")


class RunRow(Schema):
    """A run, without its payloads."""

    workflow_id: str = Field(examples=["order-1"])
    status: WorkflowStatus
    name: str = Field(examples=["place_order"])
    created_at: Moment
    updated_at: Moment
    started_at: Moment | None
    completed_at: Moment | None
    duration: float | None = Field(default=None, description="Seconds from the first start to the end.")
    error: str | None
    executor_id: str | None
    application_version: str
    application_id: str
    attempts: int
    queue_name: str | None
    queue_partition_key: str | None
    deduplication_id: str | None
    priority: int
    timeout: Seconds | None
    deadline: Moment | None
    parent_workflow_id: str | None
    forked_from: str | None
    app_status: str | None
    app_status_color: str | None
    summary: str | None
    tags: list[str]
    reason: str | None
    attention: str | None


class Run(RunRow):
    """A run with its payloads; one that is too long is left out, and its flag says so."""

    input: Json = None
    output: Json = None
    input_truncated: bool = False
    output_truncated: bool = False


def run_row(status: Status) -> RunRow:
    """A run as a list shows it."""
    return _with_duration(RunRow.model_validate(status), status)


def run(status: Status) -> Run:
    """A run with its payloads."""
    return _with_duration(Run.model_validate(status), status)


R = TypeVar("R", bound=RunRow)


def _with_duration(shown: R, status: Status) -> R:
    if status.started_at is not None and status.completed_at is not None:
        shown.duration = max(0.0, (status.completed_at - status.started_at).total_seconds())
    return shown


def rows_of(page: Page[Status]) -> Items[RunRow]:
    """A page of runs."""
    return Items(items=[run_row(one) for one in page.items], next_cursor=page.next_cursor)


def given(asked: BaseModel) -> dict[str, Any]:
    """The fields that a request names; those it leaves out stay as they are."""
    return {name: getattr(asked, name) for name in asked.model_fields_set}


def unset_or(asked: BaseModel, name: str) -> Any:
    """A field of a request, or UNSET when it was left out."""
    return getattr(asked, name) if name in asked.model_fields_set else UNSET
