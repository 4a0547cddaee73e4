"""A workflow of two steps, a run of it, and what is known of the run afterwards.

    python examples/basic.py

Steps are recorded once they are done. A run whose process dies goes on after the last of them, in the next process.
"""

import asyncio

from pydantic import BaseModel

import turbine


class Order(BaseModel):
    order_id: str
    customer: str
    cents: int


@turbine.step
async def charge(order: Order) -> str:
    print(f"charging {order.customer} {order.cents / 100:.2f}")
    return f"charge-{order.order_id}"


@turbine.step
async def print_label(order: Order) -> str:
    print(f"printing a label for {order.customer}")
    return f"label-{order.order_id}"


@turbine.workflow(tags=["orders"], summary=lambda order: f"Order {order.order_id} of {order.customer}")
async def place_order(order: Order) -> dict[str, str]:
    charge_id = await charge(order)
    label = await print_label(order)
    return {"charge": charge_id, "label": label}


async def main() -> None:
    async with turbine.Runtime("sqlite:///basic.db", workflows=[place_order]) as rt:
        order = Order(order_id="7", customer="Ada", cents=1290)
        handle = await rt.run(place_order, order)
        print(await handle.result())

        status = await handle.status()
        print(f"{status.name}: {status.status}, {status.summary}")
        for step in await handle.steps():
            print(f"  {step.position} {step.function_name} -> {step.output}")

        # The id is an idempotency key: this finds the run that is there, and no step runs again.
        again = await rt.run(place_order.options(id=handle.workflow_id), order)
        print("the same run:", await again.result() == await handle.result())


if __name__ == "__main__":
    asyncio.run(main())

# Prints:
# charging Ada 12.90
# printing a label for Ada
# {'charge': 'charge-7', 'label': 'label-7'}
# place_order: SUCCESS, Order 7 of Ada
#   0 charge -> charge-7
#   1 print_label -> label-7
# the same run: True
