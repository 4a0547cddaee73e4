"""Times and durations as the API writes them, as annotated types for records."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any


def moment_text(moment: datetime) -> str:
    """A time as the API shows it: ISO 8601 in UTC with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _ShownAs:
    """How pydantic writes a value as JSON. Records are part of `import turbine`, which does not wait for pydantic."""

    def __init__(self, show: Callable[[Any], Any], schema: dict[str, Any]) -> None:
        self._show = show
        self._schema = schema

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core.core_schema import plain_serializer_function_ser_schema

        return {
            **handler(source),
            "serialization": plain_serializer_function_ser_schema(self._show, when_used="json"),
        }

    def __get_pydantic_json_schema__(self, core_schema: Any, handler: Callable[[Any], Any]) -> dict[str, Any]:
        return dict(self._schema)


Moment = Annotated[
    datetime,
    _ShownAs(moment_text, {"type": "string", "format": "date-time", "examples": ["2026-03-27T03:00:00.000Z"]}),
]
Seconds = Annotated[timedelta, _ShownAs(timedelta.total_seconds, {"type": "number", "description": "Seconds"})]
