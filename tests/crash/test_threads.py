"""What the event loop and the threads of blocking runs share."""

from __future__ import annotations

import sys
import threading

import pytest

from turbine.engine.execution import Execution
from turbine.engine.waits import OpenWait

pytestmark = pytest.mark.crash


def test_the_loop_may_look_at_a_run_whose_thread_opens_and_closes_waits() -> None:
    """It does so whenever threads are scarce; found when a run of two hundred blocking ones was never carried on."""
    execution = Execution.__new__(Execution)
    execution.busy, execution.is_async = 0, False
    execution.waits = {f"{number}": OpenWait(f"{number}", None, is_timer=True) for number in range(20)}
    for wait in execution.waits.values():
        wait.is_paused, wait.due_ms = True, 1
    stopping = threading.Event()

    def open_and_close() -> None:
        while not stopping.is_set():
            for number in range(100):
                execution.close_wait(execution.open_wait(f"new {number}", is_timer=True))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=open_and_close)
    thread.start()
    try:
        for _ in range(30_000):
            assert execution.is_idle in (True, False)
            assert execution.timer_due_ms() in (1, None)
    finally:
        stopping.set()
        thread.join()
        sys.setswitchinterval(interval)
