"""A step whose value cannot be stored: a connection. With `checkpoint=False` it is made again after each restart.

    python examples/connector.py

The steps that use the connection are recorded as ever, and do not run again. The crash in the middle is one of
`turbine.testing.World`; a `kill -9` does the same to `turbine.Runtime`.
"""

import asyncio
import sqlite3

import turbine
from turbine.testing import World


@turbine.step(checkpoint=False)
async def connect(path: str) -> sqlite3.Connection:
    print("connecting")
    return sqlite3.connect(path)


@turbine.step
async def add_rows(shop: sqlite3.Connection, names: list[str]) -> int:
    print("adding rows")
    with shop:
        shop.execute("create table if not exists customers (name text primary key)")
        # A step runs at least once: what it does to others must be as good twice as once.
        shop.executemany("insert or ignore into customers values (?)", [(name,) for name in names])
    return len(names)


@turbine.step
async def read_rows(shop: sqlite3.Connection) -> list[str]:
    return [name for (name,) in shop.execute("select name from customers order by name")]


@turbine.workflow
async def import_customers(path: str) -> list[str]:
    shop = await connect(path)
    try:
        await add_rows(shop, ["Cy", "Ada", "Bo"])
        await turbine.sleep(3600)
        return await read_rows(shop)
    finally:
        shop.close()


async def main() -> None:
    async with World(workflows=[import_customers]) as world:
        handle = await world.runtime.run(import_customers, "customers.db")
        await world.settle()

        print("the process dies")
        await world.crash()
        await world.restart()

        await world.advance(hours=1)
        handle = world.runtime.retrieve(handle.workflow_id)
        print(await handle.result())
        print([(step.function_name, step.output) for step in await handle.steps()][:2])


if __name__ == "__main__":
    asyncio.run(main())

# Prints:
# connecting
# adding rows
# the process dies
# connecting
# ['Ada', 'Bo', 'Cy']
# [('connect', None), ('add_rows', 3)]
