"""What an executor tells of how it fares."""

import asyncio
import time

from turbine.loops.heartbeat import BEAT, Heartbeat
from turbine.threads import Threads


async def test_the_longest_that_the_event_loop_was_late_is_told_also_while_it_is_blocked() -> None:
    pulse = Heartbeat(asyncio.get_running_loop(), Threads(7))
    before = pulse.take()
    pulse.start()
    time.sleep(BEAT + 2)  # noqa: ASYNC251 - that is what blocks a loop
    blocked = pulse.take()
    await asyncio.sleep(0.01)

    noted, calm = pulse.take(), pulse.take()
    pulse.stop()

    assert (None, 0, 7) == (before.loop_delay_ms, before.threads, before.threads_max)
    assert blocked.loop_delay_ms >= 2000
    assert noted.loop_delay_ms >= 2000
    assert calm.loop_delay_ms < 2000
