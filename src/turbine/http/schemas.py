"""Types that more than one route uses: times, pages, runs, and the base classes of requests and responses."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from fastapi import Query, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError, to_json

from turbine.clock import NoTimeZone, check_aware
from turbine.model.times import Moment, Seconds
from turbine.model.workflows import Status, WorkflowStatus

NO_ZONE = "timezone_aware"
"""The error type of a time without a time zone."""


def _in_utc(moment: datetime) -> datetime:
    try:
        return check_aware(moment).astimezone(UTC)
    except NoTimeZone as error:
        raise PydanticCustomError(NO_ZONE, "{complaint}", {"complaint": str(error)}) from None
    except OverflowError:
        raise ValueError("the time is out of range") from None


When = Annotated[datetime, AfterValidator(_in_utc)]
"""A time in a request; it needs a time zone."""
Limit = Annotated[int, Query(ge=1, le=500, description="The most items on a page.")]
Cursor = Annotated[str | None, Query(max_length=400, description="`next_cursor` of the previous page.")]
Json = Annotated[Any, WithJsonSchema({"description": "Any JSON value."})]


class Schema(BaseModel):
    """The base of responses that are not records themselves."""

    model_config = ConfigDict(from_attributes=True)


class RequestSchema(BaseModel):
    """The base of request bodies; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


class RunResponse(Schema):
    """A run without its payloads."""

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


class RunDetailResponse(RunResponse):
    """A run with its payloads; a payload that is too long is left out, and its flag is set."""

    input: Json = None
    output: Json = None
    input_truncated: bool = False
    output_truncated: bool = False


def run_response(status: Status) -> RunResponse:
    """Returns a run as lists show it."""
    return _with_duration(RunResponse.model_validate(status), status)


def run_detail_response(status: Status) -> RunDetailResponse:
    """Returns a run with its payloads."""
    return _with_duration(RunDetailResponse.model_validate(status), status)


R = TypeVar("R", bound=RunResponse)


def _with_duration(row: R, status: Status) -> R:
    if status.started_at is not None and status.completed_at is not None:
        row.duration = max(0.0, (status.completed_at - status.started_at).total_seconds())
    return row


def json_response(value: Any) -> Response:
    """Returns a payload as the whole body of a response."""
    return Response(to_json(value, inf_nan_mode="null"), media_type="application/json")


def given(request: BaseModel) -> dict[str, Any]:
    """Returns the fields that a request names; the others stay as they are."""
    return {name: getattr(request, name) for name in request.model_fields_set}
