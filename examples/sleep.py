"""A reminder that sleeps for a day, and a process that dies in between: after the restart only the rest is slept.

    python examples/sleep.py

`turbine.testing.World` is a runtime whose clock stands still until it is moved, so a day takes no time here. With
`turbine.Runtime` the same code sleeps for real; a run that sleeps is a row in the database, not a task in memory.
"""

import asyncio
from datetime import UTC, datetime, timedelta

import turbine
from turbine.testing import World


@turbine.step
async def write_to(customer: str, text: str) -> None:
    print(f"to {customer}: {text}")


@turbine.workflow
async def remind(customer: str) -> str:
    await write_to(customer, "your basket is waiting")
    await turbine.sleep(timedelta(hours=24))
    await write_to(customer, "it is still there")
    return "reminded"


async def main() -> None:
    async with World(workflows=[remind], start=datetime(2026, 3, 27, 12, tzinfo=UTC)) as world:
        handle = await world.runtime.run(remind, "Ada")

        await world.advance(hours=20)
        print(f"{world.now:%d %b %H:%M} the process dies")
        await world.crash()
        await world.restart()

        handle = world.runtime.retrieve(handle.workflow_id, str)
        await world.advance(hours=3)
        print(f"{world.now:%d %b %H:%M} {(await handle.status()).status}")
        await world.advance(hours=1)
        print(f"{world.now:%d %b %H:%M} {(await handle.status()).status}: {await handle.result()}")


if __name__ == "__main__":
    asyncio.run(main())

# Prints:
# to Ada: your basket is waiting
# 28 Mar 08:00 the process dies
# 28 Mar 11:00 PENDING
# to Ada: it is still there
# 28 Mar 12:00 SUCCESS: reminded
