"""A process with 6,000 sleeping runs, for `test_sleepers.py`: prints what they cost and how late the last one woke."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import turbine

COUNT = 6_000
CHUNK = 500


@turbine.workflow
async def nap(until: datetime) -> int:
    await turbine.sleep_until(until)
    return 1


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def main(url: str, seconds: float) -> None:
    async with turbine.Runtime(url, workflows=[nap], park_after=timedelta(seconds=1)) as rt:
        # What the first runs cost once (imports, caches, the allocator) is not what a sleeping run costs.
        await asyncio.gather(*(rt.run(nap, datetime.now(UTC)) for _ in range(CHUNK)))
        await rt.wait_idle()
        gc.collect()
        before = resident_bytes()
        due = datetime.now(UTC) + timedelta(seconds=seconds)
        # Beyond `park_after`, as a sleep that is worth parking is.
        for _ in range(0, COUNT, CHUNK):
            await asyncio.gather(*(rt.run(nap, due) for _ in range(CHUNK)))
        await rt.wait_idle()
        gc.collect()
        asleep = resident_bytes() - before
        in_time = datetime.now(UTC) < due
        held = len((await rt.list(status="PENDING", executor_id=rt.executor_id, limit=10)).items)
        late = time.time()
        while (await rt.list(status="PENDING", limit=1)).items:
            await asyncio.sleep(0.1)
            late = time.time()
        done = 0
        cursor = None
        while True:
            page = await rt.list(status="SUCCESS", limit=10_000, cursor=cursor)
            done += len(page.items)
            if (cursor := page.next_cursor) is None:
                break
    print(json.dumps({"bytes": asleep, "in_time": in_time, "held": held, "late": late - due.timestamp(), "done": done}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2])))
