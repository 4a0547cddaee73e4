"""The composition: what users hold is `Runtime`; what runs between launch and shutdown is `Live`."""

from turbine.runtime.runtime import Runtime, shut_all_down

__all__ = ["Runtime", "shut_all_down"]
