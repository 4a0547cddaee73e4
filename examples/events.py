"""Runs that talk: messages into a run (`send`, `recv`), and values that a run publishes (`set_value`, `get_value`).

    python examples/events.py

A message is consumed once, in the order of sending; a timeout goes on counting through restarts.
"""

import asyncio
from datetime import timedelta

from pydantic import BaseModel

import turbine


class Payment(BaseModel):
    cents: int
    card: str


@turbine.workflow
async def check_out(total: int) -> str:
    await turbine.set_value("state", "waiting for a payment")
    paid = 0
    while paid < total:
        payment = await turbine.recv("payments", type=Payment, timeout=timedelta(minutes=15))
        paid += payment.cents
        await turbine.set_value("state", f"{paid} of {total} paid")
    note = await turbine.recv("notes", timeout=0, default="no note")  # looks once
    return f"paid, {note}"


@turbine.workflow
async def watch(workflow_id: str) -> str:
    """A run may read what another one has published; what it saw is recorded, so a replay sees the same."""
    return f"saw: {await turbine.get_value(workflow_id, 'state', type=str)}"


async def main() -> None:
    async with turbine.Runtime("sqlite:///events.db", workflows=[check_out, watch]) as rt:
        basket = await rt.run(check_out, 1000)
        print(await rt.get_value(basket.workflow_id, "state", timeout=timedelta(seconds=5)))

        await rt.send(basket.workflow_id, Payment(cents=400, card="visa"), topic="payments")
        await rt.wait_idle()
        print(await (await rt.run(watch, basket.workflow_id)).result())

        await rt.send(basket.workflow_id, {"cents": 600, "card": "giro"}, topic="payments")
        print(await basket.result())
        print(await rt.values(basket.workflow_id))

        abandoned = await rt.run(check_out.options(timeout=0.05), 1000)
        try:
            await abandoned.result()
        except turbine.WorkflowTimeout as error:
            print(type(error).__name__, "-", (await abandoned.status()).status)

        try:
            await rt.send("nobody", "hello")
        except turbine.WorkflowNotFound as error:
            print(type(error).__name__)


if __name__ == "__main__":
    asyncio.run(main())

# Prints:
# waiting for a payment
# saw: 400 of 1000 paid
# paid, no note
# {'state': '1000 of 1000 paid'}
# WorkflowTimeout - CANCELLED
# WorkflowNotFound
