"""Re-exports `turbine.model.pages`."""

from __future__ import annotations

from turbine.model.pages import LIMIT_MAX, after_key, check_limit

__all__ = ["LIMIT_MAX", "after_key", "check_limit"]
