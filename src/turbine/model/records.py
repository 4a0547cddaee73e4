"""Configuration of records that the HTTP API returns as they are."""

from __future__ import annotations

from typing import Any

DESCRIBED: Any = {"use_attribute_docstrings": True}
"""As `__pydantic_config__` of a record: OpenAPI describes its fields with the docstrings below them."""
