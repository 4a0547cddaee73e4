"""Exported runs: `rt.export` returns one, `turbine.testing.replay` replays it with the current code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self, cast

FORMAT = 1


@dataclass(frozen=True, slots=True)
class ExportedStep:
    """The record of a position; times are epoch milliseconds."""

    position: str
    function_id: int
    name: str
    kind: int
    output: Any
    """The recorded JSON value."""
    error: dict[str, Any] | None
    """The recorded error: type, message, traceback, and the parts from which it is rebuilt."""
    child_workflow_id: str | None
    started_ms: int
    ended_ms: int | None
    """None while it is running."""


@dataclass(frozen=True, slots=True)
class ExportedWait:
    """A wait of a run at a position; times are epoch milliseconds."""

    position: str
    kind: str
    subject: str
    since_ms: int
    deadline_ms: int | None
    due_ms: int | None


@dataclass(frozen=True, slots=True)
class ExportedFailure:
    """A failed attempt of an unfinished step."""

    position: str
    number: int
    error: dict[str, Any]


@dataclass(frozen=True, slots=True)
class History:
    """A run with all its records, as plain data that can be read without Turbine."""

    workflow_id: str
    name: str
    status: str
    attempts: int
    input: dict[str, Any]
    """`{"args": [...], "kwargs": {...}}`."""
    output: Any
    """The recorded JSON value of the result."""
    error: dict[str, Any] | None
    exported_ms: int
    steps: tuple[ExportedStep, ...] = ()
    waits: tuple[ExportedWait, ...] = ()
    failures: tuple[ExportedFailure, ...] = ()
    created_ms: int | None = None
    started_ms: int | None = None
    completed_ms: int | None = None
    application_version: str | None = None
    summary: str | None = None
    loose: tuple[str, ...] = ()
    """The positions (or `input`) whose JSON was not written by the type that reads it."""

    def to_json(self) -> str:
        """Returns the record as JSON text, to be stored with the tests."""
        return json.dumps({"format": FORMAT, **asdict(self)}, ensure_ascii=False, indent=2)

    @classmethod
    def from_json(cls, text: str | bytes | Mapping[str, Any]) -> Self:
        """Reads the text of `to_json`, or its parsed form. Raises ValueError for anything else."""
        document: dict[str, Any] = dict(text) if isinstance(text, Mapping) else _parsed(text)
        if document.pop("format", None) != FORMAT:
            raise ValueError(f"This is not an exported run of format {FORMAT}; export the run again")
        try:
            document["steps"] = tuple(ExportedStep(**step) for step in document["steps"])
            document["waits"] = tuple(ExportedWait(**wait) for wait in document["waits"])
            document["loose"] = tuple(document.get("loose", ()))
            document["failures"] = tuple(ExportedFailure(**failure) for failure in document["failures"])
            return cls(**document)
        except (TypeError, KeyError) as error:
            raise ValueError(f"This exported run is incomplete or was changed: {error}") from error


def _parsed(text: str | bytes) -> dict[str, Any]:
    document = json.loads(text)  # its error is a ValueError
    if not isinstance(document, dict):
        raise ValueError("This is not an exported run: it is not a JSON object")  # noqa: TRY004 - the text is wrong
    return cast("dict[str, Any]", document)
