"""Keys of the global key-value store, and their history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from turbine.model.records import DESCRIBED
from turbine.model.times import Moment


@dataclass(frozen=True, slots=True)
class KVRecord:
    """A key with its value and schema."""

    key: str
    value: Any
    """The JSON value; None for a key with a schema that has no value yet."""
    schema: Any
    """The JSON Schema that its values must fit, or None."""
    updated: Moment

    __pydantic_config__ = DESCRIBED


@dataclass(frozen=True, slots=True)
class KVChange:
    """A write of a key, from `kv.history`."""

    key: str
    value: Any
    """The JSON value; None if the key was deleted."""
    at: Moment
    by: str | None
    """An account or token, `run:<id>` for a run, None for code outside of runs that did not name anyone."""

    __pydantic_config__ = DESCRIBED
