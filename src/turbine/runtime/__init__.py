"""The runtime: `Runtime` for users, and `Live` between its launch and shutdown."""

from turbine.runtime.lifecycle import shut_all_down
from turbine.runtime.runtime import Runtime

__all__ = ["Runtime", "shut_all_down"]
