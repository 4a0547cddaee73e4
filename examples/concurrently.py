"""Branches of several steps each (`turbine.gather`), and a step that goes on beside the body (`turbine.do_async`).

    python examples/concurrently.py

Where each branch is a single step, plain `asyncio.gather` does; see steps.py.
"""

import asyncio

import turbine

PRICES = {"north": {"tea": 310, "salt": 95}, "south": {"tea": 280, "salt": 120}}


@turbine.step
async def look_up(supplier: str, goods: str) -> int:
    return PRICES[supplier][goods]


@turbine.step
async def book_van(day: str) -> str:
    await asyncio.sleep(0.02)  # takes longer than all the prices
    return f"van on {day}"


async def quote(supplier: str) -> int:
    """A branch: as many steps as it likes, at positions of its own."""
    tea = await look_up(supplier, "tea")
    salt = await look_up(supplier, "salt")
    return tea + salt


@turbine.workflow
async def buy(day: str) -> str:
    van = turbine.do_async(book_van, day)  # goes on while we ask for prices
    quotes = await turbine.gather(quote("north"), quote("south"))
    cheapest = min(zip(quotes, ("north", "south"), strict=True))
    return f"{await van}: {cheapest[1]} for {cheapest[0]}"


async def main() -> None:
    async with turbine.Runtime("sqlite:///concurrently.db", workflows=[buy]) as rt:
        handle = await rt.run(buy, "Friday")
        print(await handle.result())
        for step in sorted(await handle.steps(), key=lambda step: step.position):
            print(f"{step.position:5} {step.function_name} -> {step.output}")


if __name__ == "__main__":
    asyncio.run(main())

# Prints:
# van on Friday: south for 400
# 0     book_van -> van on Friday
# 1.0.0 look_up -> 310
# 1.0.1 look_up -> 95
# 1.1.0 look_up -> 280
# 1.1.1 look_up -> 120
