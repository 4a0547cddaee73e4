"""Tools for testing workflows: virtual time, crashes at every write, recorded histories against new code."""

from turbine.model.exports import History
from turbine.testing.clock import VirtualClock
from turbine.testing.crash import CrashReport, crash_everywhere
from turbine.testing.history import ReplayReport, replay
from turbine.testing.world import World

__all__ = [
    "CrashReport",
    "History",
    "ReplayReport",
    "VirtualClock",
    "World",
    "crash_everywhere",
    "replay",
]
