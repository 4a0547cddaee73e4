"""The composition: what users hold is `Runtime`; what runs between launch and shutdown is `Live`."""

from turbine.runtime.runtime import Runtime

__all__ = ["Runtime"]
