"""Values that are computed once."""

from __future__ import annotations

import os
import threading
import time
import warnings

import pytest

from turbine.cached import cached_property

entered = threading.Event()
may_go_on = threading.Event()


class Record:
    @cached_property
    def slow(self) -> str:
        entered.set()
        may_go_on.wait(120)
        return "slow"

    @cached_property
    def quick(self) -> list[int]:
        return [1]


def test_a_value_is_computed_once() -> None:
    record = Record()
    assert record.quick is record.quick
    assert record.quick is not Record().quick


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_forked_while_a_value_is_computed_can_compute_its_own() -> None:
    thread = threading.Thread(target=lambda: Record().slow, daemon=True)
    thread.start()
    assert entered.wait(120)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that a process with threads is forked is the test
        pid = os.fork()
    if pid == 0:
        _ = Record().quick
        may_go_on.set()
        _ = Record().slow
        os._exit(7)
    until = time.monotonic() + 120
    ended, status = os.waitpid(pid, os.WNOHANG)
    while not ended and time.monotonic() < until:
        time.sleep(0.01)
        ended, status = os.waitpid(pid, os.WNOHANG)
    may_go_on.set()
    thread.join(120)
    if not ended:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    assert (pid, 7) == (ended, os.waitstatus_to_exitcode(status))
