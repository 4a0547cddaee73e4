"""Retries of steps: how often, for which errors, how each attempt is seen, and what is left after the last one."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import pytest

import turbine
from turbine import MaxStepRetriesExceeded, WorkflowFailed

attempts: list[int] = []
heard: list[object] = []


@pytest.fixture(autouse=True)
def _nothing_tried():
    attempts.clear()
    heard.clear()


class Busy(Exception):
    pass


class Gone(Exception):
    pass


@turbine.step(retries=3, base_interval=0.01, backoff_factor=3)
async def succeed_at(attempt: int) -> str:
    attempts.append(turbine.current().attempt)
    if len(attempts) < attempt:
        raise Busy(f"try {len(attempts)}")
    return "done"


@turbine.workflow
async def force_cancel(attempt: int) -> str:
    return await succeed_at(attempt)


async def test_every_attempt_is_visible(launch):
    rt = await launch(force_cancel)

    handle = await rt.run(force_cancel, 3)

    assert "done" == await handle.result()
    assert [1, 2, 3] == attempts
    (step,) = await handle.steps()
    assert [(1, "Busy: try 1"), (2, "Busy: try 2"), (3, None)] == [(one.number, one.error) for one in step.attempts]
    assert all(one.started_at <= one.ended_at for one in step.attempts)
    first, second, third = step.attempts
    assert second.started_at - first.ended_at >= timedelta(seconds=0.01)
    assert third.started_at - second.ended_at >= timedelta(seconds=0.03)
    assert ("done", None) == (step.output, step.error)


@turbine.workflow
async def give_up() -> None:
    try:
        await succeed_at(99)
    except MaxStepRetriesExceeded as error:
        heard.append(error)
        raise


async def test_exhausted_retries_tell_all_causes(launch):
    rt = await launch(give_up)

    handle = await rt.run(give_up)

    with pytest.raises(WorkflowFailed) as raised:
        await handle.result()
    (error,) = heard
    assert ("succeed_at", 3) == (error.step_name, error.max_retries)
    assert [Busy] * 4 == [type(cause) for cause in error.causes]
    assert ["try 1", "try 2", "try 3", "try 4"] == [str(cause) for cause in error.causes]
    assert error.__cause__ is error.causes[-1]
    assert "turbine.errors.MaxStepRetriesExceeded" == raised.value.type_name
    (step,) = await handle.steps()
    assert [1, 2, 3, 4] == [one.number for one in step.attempts]
    assert step.error.startswith("MaxStepRetriesExceeded: ")


@turbine.workflow
async def give_up_and_go_on() -> str:
    try:
        return await succeed_at(99)
    except MaxStepRetriesExceeded as error:
        heard.append([error.step_name, error.max_retries, *map(repr, error.causes), repr(error.__cause__), str(error)])
    await turbine.recv("again")
    return "gone on"


async def test_exhausted_retries_replay_as_the_same_error(launch, replay):
    rt = await launch(give_up_and_go_on)

    handle = await rt.run(give_up_and_go_on)
    await replay(rt, handle)

    assert "gone on" == await handle.result()

    live, replayed = heard
    assert live == replayed
    assert 4 == len(attempts)


@turbine.step(retries=5, base_interval=0, retry_on=(Busy,))
async def fail_with(name: str) -> None:
    attempts.append(1)
    raise {"busy": Busy, "gone": Gone}[name](name)


@turbine.step(retries=5, base_interval=0, retry_if=lambda error: len(attempts) < 3)
async def fail_while_young() -> None:
    attempts.append(1)
    raise Busy("young")


@turbine.workflow
async def fail(name: str) -> str:
    try:
        await (fail_while_young() if name == "young" else fail_with(name))
    except (Busy, Gone, MaxStepRetriesExceeded) as error:
        return type(error).__name__
    return "no failure"


@pytest.mark.parametrize(
    ("name", "error", "count"),
    [("busy", "MaxStepRetriesExceeded", 6), ("gone", "Gone", 1), ("young", "Busy", 3)],
)
async def test_only_errors_that_are_named_and_agreed_to_are_tried_again(launch, name, error, count):
    rt = await launch(fail)

    assert error == await (await rt.run(fail, name)).result()
    assert count == len(attempts)


@turbine.workflow
async def fail_without_retries() -> str:
    try:
        await succeed_at.options(retries=0)(99)
    except Busy as error:
        return str(error)
    return "no failure"


async def test_without_retries_the_error_itself_is_raised(launch):
    rt = await launch(fail_without_retries)

    assert "try 1" == await (await rt.run(fail_without_retries)).result()


@turbine.step(timeout=0.05, retries=1, base_interval=0)
async def dawdle(seconds: float) -> str:
    attempts.append(1)
    await asyncio.sleep(seconds)
    return "in time"


@turbine.step(timeout=0.05)
def dawdle_in_a_thread(seconds: float) -> str:
    time.sleep(seconds)
    return "in time"


@turbine.workflow
async def wait_for_dawdlers() -> list[str]:
    told: list[str] = [await dawdle(0), await turbine.do(dawdle_in_a_thread, 0)]
    try:
        await dawdle(10)
    except MaxStepRetriesExceeded as error:
        told += [type(cause).__name__ for cause in error.causes]
    try:
        await turbine.do(dawdle_in_a_thread, 0.3)
    except TimeoutError:
        told.append("TimeoutError")
    return told


async def test_a_timeout_holds_for_each_attempt(launch):
    rt = await launch(wait_for_dawdlers)

    told = await (await rt.run(wait_for_dawdlers)).result()

    assert ["in time", "in time", "TimeoutError", "TimeoutError", "TimeoutError"] == told
    assert 3 == len(attempts)


@turbine.step(retries=2, base_interval=0.05, max_interval=60)
async def fail_in_two_lives() -> None:
    attempts.append(turbine.current().attempt)
    raise Busy(f"try {turbine.current().attempt}")


@turbine.workflow
async def live_twice() -> list[str]:
    try:
        await fail_in_two_lives()
    except MaxStepRetriesExceeded as error:
        return [str(cause) for cause in error.causes]
    return []


async def test_the_count_of_attempts_survives_the_runtime(launch):
    rt = await launch(live_twice)
    handle = await rt.run(live_twice)
    while not attempts:  # noqa: ASYNC110 - rows and counters are the only witnesses
        await asyncio.sleep(0.001)
    await rt.wait_idle()
    await rt.shutdown()

    later = await launch(live_twice)

    assert ["try 1", "try 2", "try 3"] == await later.retrieve(handle.workflow_id).result()
    assert [1, 2, 3] == attempts


async def test_a_pause_between_attempts_may_be_spent_outside_of_memory(launch):
    rt = await launch(force_cancel, park_after=0)

    handle = await rt.run(force_cancel, 3)

    assert "done" == await handle.result()
    assert [1, 2, 3] == attempts
    assert 1 == (await handle.status()).attempts
