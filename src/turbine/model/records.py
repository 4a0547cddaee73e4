"""Records that the HTTP API returns as they are."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar

T = TypeVar("T")

DESCRIBED: Any = {"use_attribute_docstrings": True}
"""As `__pydantic_config__` of a record: OpenAPI describes its fields with the docstrings below them."""


def extended(kind: type[T], record: Any, /, **more: Any) -> T:
    """Returns a record of a wider class: the fields of `record`, and more."""
    return kind(**{field.name: getattr(record, field.name) for field in fields(record)}, **more)
