"""A run as a record that outlives its database: `rt.export` takes it, `turbine.testing.replay` holds code to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self, cast

FORMAT = 1


@dataclass(frozen=True, slots=True)
class ExportedStep:
    """What is recorded at one position; times are epoch milliseconds."""

    position: str
    function_id: int
    name: str
    kind: int
    output: Any
    """The recorded JSON value."""
    error: dict[str, Any] | None
    """The recorded error: type, message, traceback and what it is rebuilt from."""
    child_workflow_id: str | None
    started_ms: int
    ended_ms: int | None
    """None while it is under way."""


@dataclass(frozen=True, slots=True)
class ExportedWait:
    """What a run waits for at a position; times are epoch milliseconds."""

    position: str
    kind: str
    subject: str
    since_ms: int
    deadline_ms: int | None
    due_ms: int | None


@dataclass(frozen=True, slots=True)
class ExportedFailure:
    """A failed attempt of a step that is not done."""

    position: str
    number: int
    error: dict[str, Any]


@dataclass(frozen=True, slots=True)
class History:
    """A run with everything that was recorded of it. It is plain data: nothing in it needs Turbine to be read."""

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
    """Where the recorded JSON was not written by the type that reads it: positions, and `input`."""

    def to_json(self) -> str:
        """The whole record as one JSON text, to be kept beside the tests."""
        return json.dumps({"format": FORMAT, **asdict(self)}, ensure_ascii=False, indent=2)

    @classmethod
    def from_json(cls, text: str | bytes | Mapping[str, Any]) -> Self:
        """The record of a text that `to_json` gave (or of its parsed form). ValueError for anything else."""
        document: dict[str, Any] = dict(text) if isinstance(text, Mapping) else _parsed(text)
        if document.pop("format", None) != FORMAT:
            raise ValueError(f"This is no exported run, or one of another version; format {FORMAT} can be read here")
        try:
            document["steps"] = tuple(ExportedStep(**step) for step in document["steps"])
            document["waits"] = tuple(ExportedWait(**wait) for wait in document["waits"])
            document["loose"] = tuple(document.get("loose", ()))
            document["failures"] = tuple(ExportedFailure(**failure) for failure in document["failures"])
            return cls(**document)
        except (TypeError, KeyError) as error:
            raise ValueError(f"This exported run is not complete, or was changed: {error}") from error


def _parsed(text: str | bytes) -> dict[str, Any]:
    document = json.loads(text)  # its error is a ValueError
    if not isinstance(document, dict):
        raise ValueError("This is no exported run: it is not a JSON object")  # noqa: TRY004 - the caller's text is wrong
    return cast("dict[str, Any]", document)
