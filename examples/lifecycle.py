"""The life of a run in other people's hands: cancel, resume after a repair, and fork from a step.

    python examples/lifecycle.py

All of it is durable when the call returns, works from any process, and is in the dashboard and on the command line too.
"""

import asyncio

import turbine

printer = {"paper": 0}


@turbine.step
async def collect(month: str) -> list[int]:
    print(f"collecting {month}")
    return [120, 80, 100]


@turbine.step
async def total(amounts: list[int], percent: int) -> int:
    return sum(amounts) * (100 + percent) // 100


@turbine.step
async def print_out(amount: int) -> str:
    if printer["paper"] == 0:
        raise RuntimeError("the printer is out of paper")
    printer["paper"] -= 1
    return f"printed {amount}"


@turbine.workflow
async def bill(month: str, percent: int = 20) -> str:
    amount = await total(await collect(month), percent)
    return await print_out(amount)


@turbine.workflow
async def wait_for_signature() -> str:
    try:
        return await turbine.recv("signature")
    finally:
        print("nobody signed: cleaning up")  # an async body sees asyncio.CancelledError


async def main() -> None:
    async with turbine.Runtime("sqlite:///lifecycle.db", workflows=[bill, wait_for_signature]) as rt:
        # Cancel: durable when it returns, and it interrupts the wait at once.
        waiting = await rt.run(wait_for_signature)
        await rt.wait_idle()
        changed = await rt.cancel(waiting.workflow_id, reason="the offer was withdrawn")
        await rt.wait_idle()
        print("changed:", changed)
        try:
            await waiting.result()
        except turbine.AwaitedCancelled as error:
            print("cancelled:", error.reason)

        # Resume: the step that failed runs again, those that are recorded do not.
        handle = await rt.run(bill, "March")
        try:
            await handle.result()
        except turbine.WorkflowFailed as error:
            print("failed:", error.message)
        printer["paper"] = 5
        await rt.resume(handle.workflow_id)
        print("resumed:", await handle.result())

        # Fork: a new run with the recorded steps before a position; here with another tax, and with another outcome.
        taxed = await rt.fork(handle.workflow_id, from_step=1, args=["March", 10])
        print("forked:", await taxed.result())
        edited = await rt.fork(handle.workflow_id, from_step=1, edits={0: [1000]})
        print("edited:", await edited.result())
        print("it comes from the first one:", (await edited.status()).forked_from == handle.workflow_id)


if __name__ == "__main__":
    asyncio.run(main())

# Prints:
# nobody signed: cleaning up
# changed: True
# cancelled: the offer was withdrawn
# collecting March
# failed: the printer is out of paper
# resumed: printed 360
# forked: printed 330
# edited: printed 1200
# it comes from the first one: True
