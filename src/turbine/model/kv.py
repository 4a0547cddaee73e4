"""What is known of a key in the global store, and of what it held before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from turbine.model.records import DESCRIBED
from turbine.model.times import Moment


@dataclass(frozen=True, slots=True)
class KVRecord:
    """A key as its row tells it."""

    key: str
    value: Any
    """The decoded JSON value; None for a key that has a schema and no value yet."""
    schema: Any
    """The JSON Schema that its values must fit, or None."""
    updated: Moment

    __pydantic_config__ = DESCRIBED


@dataclass(frozen=True, slots=True)
class KVChange:
    """One write of a key, as `kv.history` tells it."""

    key: str
    value: Any
    """The decoded JSON value; None where the key was deleted."""
    at: Moment
    by: str | None
    """An account or token, `run:<id>` for a run, None for code outside of runs that did not say."""

    __pydantic_config__ = DESCRIBED
