"""Workflows of many shapes: what users write, each small enough to die at every one of its writes."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

import turbine
import turbine.sync

SHAPES: list[Any] = []


def shape(fn: Any) -> Any:
    """A workflow that is one of the shapes."""
    workflow = turbine.sync.workflow(fn) if not asyncio.iscoroutinefunction(fn) else turbine.workflow(fn)
    SHAPES.append(workflow)
    return workflow


def prepare(rt: turbine.Runtime) -> None:
    """The queues that some of the shapes use, and a way for products to leave."""
    rt.queue("single", worker_concurrency=1, priority=True)
    rt.queue("keyed", partitioned=True)


class BlockingFuture(BaseModel):
    number: int
    owner: str


@turbine.step
async def note(what: Any) -> Any:
    return what


@turbine.step
async def ticket_of(owner: str) -> BlockingFuture:
    return BlockingFuture(number=7, owner=owner)


@turbine.step
async def refuse(why: str = "as always") -> None:
    raise ValueError(why)


@turbine.step(retries=3, base_interval=30)
async def falter(failures: int) -> int:
    attempt = turbine.current().attempt
    if attempt <= failures:
        raise ConnectionError(f"attempt {attempt}")
    return attempt


@turbine.sync.step
def note_blocking(what: Any) -> Any:
    return what


@turbine.step
async def stall() -> None:
    await asyncio.sleep(3600)


@turbine.sync.step
def stall_blocking() -> None:
    while True:
        turbine.check_cancelled()
        time.sleep(0.002)


@turbine.sync.step(retries=3, base_interval=30)
def falter_blocking(failures: int) -> int:
    attempt = turbine.sync.current().attempt
    if attempt <= failures:
        raise ConnectionError(f"attempt {attempt}")
    return attempt


# Steps


@shape
async def nothing() -> None:
    return None


@shape
async def one_step() -> Any:
    return await note(1)


@shape
async def five_steps() -> list[Any]:
    return [await note(number) for number in range(5)]


@shape
async def typed_step() -> BlockingFuture:
    ticket = await ticket_of("Ada")
    assert isinstance(ticket, BlockingFuture)
    return ticket


@shape
async def large_step() -> int:
    return len(await note("x" * 200_000))


@shape
async def handled_failure() -> list[Any]:
    try:
        await refuse()
    except ValueError as error:
        return [str(error), await note("went on")]
    return []


@shape
async def failure() -> None:
    await note("in vain")
    await refuse()


@shape
async def failure_of_the_body() -> None:
    await note("in vain")
    raise LookupError("in the body")


@shape
async def chained_failure() -> None:
    try:
        await refuse("inner")
    except ValueError as error:
        raise RuntimeError("outer") from error


@shape
async def helpful_retries() -> Any:
    return await falter(2)


@shape
async def hopeless_retries() -> list[Any]:
    try:
        await falter(9)
    except turbine.MaxStepRetriesExceeded as error:
        return [str(cause) for cause in error.causes]
    return []


@shape
async def a_step_without_checkpoint() -> list[Any]:
    seen = [await note.options(checkpoint=False)("not kept")]
    await turbine.sleep(100)
    return [*seen, await note("kept")]


@shape
async def any_callables() -> list[Any]:
    return [await turbine.do(max, 3, 4), await turbine.do(str.upper, "loud"), await turbine.do(note, "named")]


# Time


@shape
async def naps() -> Any:
    await turbine.sleep(0.01)
    await turbine.sleep(10)
    return await note("awake")


@shape
async def long_sleep() -> list[Any]:
    first = await note("evening")
    await turbine.sleep(timedelta(days=400))
    return [first, await note("morning")]


@shape
async def sleep_until_a_moment() -> Any:
    await turbine.sleep_until(await turbine.now() + timedelta(hours=5))
    return await note("awake")


@shape
async def drawn_by_lot() -> list[str]:
    lots = [str(await turbine.uuid4()), str(await turbine.random())]
    await turbine.sleep(60)
    return [await note(lot) for lot in lots]


# Side by side


@shape
async def steps_side_by_side() -> list[Any]:
    return list(await asyncio.gather(*(note(number) for number in range(4))))


@shape
async def branches() -> list[Any]:
    return await turbine.gather(branch("left", 5), branch("right", 100), branch("middle", 0))


async def branch(side: str, seconds: float) -> list[Any]:
    first = await note(f"{side} first")
    await turbine.sleep(seconds)
    return [first, await note(f"{side} second")]


@shape
async def a_branch_that_fails() -> list[Any]:
    async def bad() -> None:
        await note("bad")
        await refuse()

    results = await turbine.gather(branch("good", 5), bad(), return_exceptions=True)
    return [str(result) for result in results]


@shape
async def tasks() -> list[Any]:
    started = [turbine.do_async(note, number) for number in range(3)]
    await turbine.sleep(50)
    return [await task for task in started]


@shape
async def own_tasks() -> list[Any]:
    task = asyncio.create_task(branch("task", 20))
    first = await note("beside")
    return [first, await task]


# Children


@turbine.workflow
async def child(number: int) -> list[Any]:
    first = await note(number)
    await turbine.sleep(60)
    await turbine.set_value("grown", number)
    return [first, await note(number + 1)]


@turbine.workflow
async def bad_child() -> None:
    await note("bad")
    raise ValueError("a bad child")


@turbine.workflow
async def answering_child(parent: str) -> str:
    question = await turbine.recv("question", type=str)
    await turbine.send(parent, f"{question}!", "answer")
    return question


@shape
async def called_child() -> Any:
    return await child(1)


@shape
async def started_children() -> list[Any]:
    handles = [await turbine.run(child, number) for number in range(2)]
    await note("meanwhile")
    return [await handle.result() for handle in handles]


@shape
async def abandoned_child() -> str:
    return (await turbine.run(child, 5)).workflow_id


@shape
async def failing_child() -> list[Any]:
    try:
        await bad_child()
    except turbine.WorkflowFailed as error:
        return [error.type_name, error.message]
    return []


@turbine.workflow
async def parent(number: int) -> list[Any]:
    return [await child(number), await note("grandparent waits")]


@shape
async def grandchildren() -> list[Any]:
    return await turbine.gather(parent(1), parent(2))


@shape
async def delayed_child() -> list[Any]:
    handle = await turbine.run(child.options(delay=timedelta(days=2)), 3)
    return await handle.result()


@shape
async def late_child() -> list[Any]:
    handle = await turbine.run(child.options(timeout=10), 3)
    try:
        return await handle.result()
    except turbine.TurbineError as error:
        return [type(error).__name__]


@shape
async def queued_child() -> list[Any]:
    return await child.options(queue="single")(1)


@shape
async def queued_children() -> list[Any]:
    handles = [await turbine.run(child.options(queue="single", priority=9 - number), number) for number in range(3)]
    return [await handle.result() for handle in handles]


@shape
async def keyed_children() -> list[Any]:
    handles = [await turbine.run(child.options(queue="keyed", partition_key=key), 1) for key in ("a", "b", "a")]
    return [await handle.result() for handle in handles]


@shape
async def deduplicated_child() -> list[Any]:
    only = child.options(deduplication_id="only one")
    handle = await turbine.run(only, 1)
    try:
        await turbine.run(only, 2)
    except turbine.Deduplicated as error:
        return [error.workflow_id, await handle.result()]
    return []


# Talking


@shape
async def message_to_itself() -> list[Any]:
    me = turbine.current().workflow_id
    for number in range(2):
        await turbine.send(me, {"number": number}, "self")
    return [await turbine.recv("self"), await turbine.recv("self", timeout=5)]


@shape
async def question_and_answer() -> list[Any]:
    handle = await turbine.run(answering_child, turbine.current().workflow_id)
    await turbine.sleep(40)
    await turbine.send(handle.workflow_id, "well", "question")
    return [await turbine.recv("answer", type=str), await handle.result()]


@shape
async def no_message() -> list[Any]:
    first = await turbine.recv("never", timeout=timedelta(hours=1), default="nothing")
    try:
        await turbine.recv("never", timeout=timedelta(days=3))
    except turbine.RecvTimeout:
        return [first, await note("too late")]
    return []


@shape
async def message_to_nobody() -> str:
    try:
        await turbine.send("nobody", "hello")
    except turbine.WorkflowNotFound as error:
        return type(error).__name__
    return ""


@shape
async def values() -> list[Any]:
    for number in range(3):
        await turbine.set_value("progress", number)
    handle = await turbine.run(child, 9)
    grown = await turbine.get_value(handle.workflow_id, "grown", type=int)
    try:
        await turbine.get_value(handle.workflow_id, "never", timeout=10)
    except turbine.ValueTimeout:
        return [grown, await handle.result()]
    return []


@shape
async def keys() -> list[Any]:
    await turbine.kv.set("shape", {"a": 1})
    before = await turbine.kv.get("shape")
    await turbine.kv.delete("shape")
    await turbine.kv.set("kept", before)
    return [before, await turbine.kv.get("shape", default="gone")]


# People and the world


@shape
async def approval_that_runs_out() -> list[Any]:
    try:
        await turbine.wait_for_approval("May I?", timeout=timedelta(hours=8), details={"amount": 5})
    except turbine.ApprovalTimeout:
        return [await note("nobody came")]
    return []


@turbine.step
async def decide(workflow_id: str) -> None:
    """A person, played by a step: what is decided already stays so."""
    rt = turbine.current().runtime
    opened = (await rt.approvals.list(workflow_id=workflow_id, open=True)).items
    if opened:
        await rt.approve(workflow_id, True, "fine", by="Ada", approval_id=opened[0].id)


@turbine.workflow
async def asks() -> str:
    decision = await turbine.wait_for_approval("May I?")
    return f"{decision.approved} {decision.comment} {decision.by}"


@shape
async def approval_by_another_run() -> list[Any]:
    handle = await turbine.run(asks)
    await turbine.sleep(60)
    await decide(handle.workflow_id)
    return [await handle.result()]


@turbine.step
async def step_with_status() -> str:
    await turbine.set_app_status("in a step", "blue")
    return "done"


@shape
async def app_status() -> Any:
    await turbine.set_app_status("begins", "yellow")
    seen = await step_with_status()
    await turbine.sleep(60)
    await turbine.set_app_status("ends", "green")
    return seen


@turbine.step
async def make_products(count: int) -> int:
    for number in range(count):
        await turbine.send_product(f"report-{number}.txt", f"report {number}".encode() * 1000, {"number": number})
    return count


@shape
async def products() -> Any:
    made = await make_products(2)
    await turbine.sleep(60)
    return [made, await note("sent")]


@turbine.step
async def cancel_it(workflow_id: str) -> None:
    await turbine.current().runtime.cancel(workflow_id, "not wanted")


@shape
async def cancelled_child() -> list[Any]:
    handle = await turbine.run(child, 5)
    await turbine.sleep(10)  # by now it waits, in every life
    await cancel_it(handle.workflow_id)
    try:
        return await handle.result()
    except turbine.AwaitedCancelled as error:
        return [type(error).__name__, await note("it is gone")]


@shape
async def broken_off_in_time() -> list[Any]:
    try:
        async with asyncio.timeout(0.02):
            await stall()
    except TimeoutError:
        return [await note("too late")]
    return []


@shape
async def broken_off_in_a_group() -> list[Any]:
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(stall())
            group.create_task(turbine.do(stall_blocking))
            group.create_task(refuse())
    except* ValueError as errors:
        told = [str(error) for error in errors.exceptions]
    return [told, await note("after the group")]


@shape
async def patches() -> list[Any]:
    seen = [await note("old")]
    if await turbine.patched("new"):
        seen.append(await note("new"))
    await turbine.sleep(60)
    return [*seen, await turbine.patched("new")]


# In threads


@shape
def blocking_steps() -> list[Any]:
    return [note_blocking(number) for number in range(3)]


@shape
def blocking_retries_and_sleep() -> list[Any]:
    tries = falter_blocking(2)
    turbine.sync.sleep(timedelta(days=3))
    return [tries, note_blocking("awake")]


@turbine.sync.workflow
def blocking_child(number: int) -> Any:
    turbine.sync.sleep(60)
    return note_blocking(number)


@shape
def blocking_family() -> list[Any]:
    called = blocking_child(1)
    started = turbine.sync.run(blocking_child, 2)
    turbine.sync.set_value("half", called)
    nothing = turbine.sync.recv("never", timeout=100, default=None)
    return [called, started.result(), nothing]


@shape
def blocking_tasks() -> list[Any]:
    started = [turbine.sync.do_async(note_blocking, number) for number in range(3)]
    return [task.result() for task in started]
