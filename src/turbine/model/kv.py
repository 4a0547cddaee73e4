"""What is known of a key in the global store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class KVRecord:
    """A key as its row tells it."""

    key: str
    value: Any
    """The decoded JSON value; None for a key that has a schema and no value yet."""
    schema: Any
    """The JSON Schema that its values must fit, or None."""
    updated: datetime
