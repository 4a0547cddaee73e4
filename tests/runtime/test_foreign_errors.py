"""Errors of Turbine's own classes that the run's own runtime has not raised are errors like any other."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import turbine
import turbine.sync
from turbine import WorkflowFailed
from turbine.codec import encode_error
from turbine.engine.outcomes import Unloaded

bodies: Counter[str] = Counter()

FOREIGN = {
    "StoreUnavailable": lambda: turbine.StoreUnavailable("of another service"),
    "NonDeterministicWorkflow": lambda: turbine.NonDeterministicWorkflow("of another service"),
    "ShuttingDown": lambda: turbine.ShuttingDown("of another service"),
    "Cancelled": lambda: turbine.Cancelled("of another service"),
    "CancelledError": lambda: asyncio.CancelledError("of another service"),
    "Unloaded": lambda: Unloaded("of another service"),
    "Deduplicated": lambda: turbine.Deduplicated("of another service"),
    "WorkflowNotFound": lambda: turbine.WorkflowNotFound("of another service"),
    "AwaitedCancelled": lambda: turbine.AwaitedCancelled("of another service"),
    "SystemExit": lambda: SystemExit("of another service"),
}


def foreign(name: str) -> BaseException:
    return FOREIGN[name]()


@pytest.fixture(autouse=True)
def _counted():
    bodies.clear()


@turbine.workflow
async def raises(name: str) -> None:
    bodies["run"] += 1
    raise foreign(name)


@turbine.sync.workflow
def raises_blocking(name: str) -> None:
    bodies["run"] += 1
    raise foreign(name)


@turbine.step(retries=1, base_interval=0)
async def step_raises(name: str) -> None:
    bodies["step"] += 1
    raise foreign(name)


@turbine.step(retries=1, base_interval=0)
def step_raises_blocking(name: str) -> None:
    bodies["step"] += 1
    raise foreign(name)


@turbine.workflow
async def step_of_async(name: str) -> None:
    await step_raises(name)


@turbine.workflow
async def blocking_step_of_async(name: str) -> None:
    await turbine.do(step_raises_blocking, name)


@turbine.sync.workflow
def step_of_blocking(name: str) -> None:
    step_raises_blocking(name)


@turbine.sync.workflow
def async_step_of_blocking(name: str) -> None:
    turbine.sync.do(step_raises, name)


@turbine.workflow
async def parent(name: str) -> str:
    try:
        await raises(name)
    except WorkflowFailed as error:
        return error.type_name
    return "nothing"


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("workflow", [raises, raises_blocking], ids=lambda workflow: workflow.name)
async def test_a_body_that_raises_an_error_of_ours_has_failed(launch, workflow, name):
    rt = await launch(workflow)
    with pytest.raises(WorkflowFailed, match="of another service") as failed:
        await (await rt.run(workflow, name)).result()
    assert name == failed.value.type_name.rpartition(".")[2]
    assert 1 == bodies["run"]


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize(
    "workflow",
    [step_of_async, blocking_step_of_async, step_of_blocking, async_step_of_blocking],
    ids=lambda workflow: workflow.name,
)
async def test_a_step_that_raises_an_error_of_ours_has_failed_and_is_tried_again(launch, workflow, name):
    rt = await launch(workflow)
    handle = await rt.run(workflow, name)
    with pytest.raises(WorkflowFailed) as failed:
        await handle.result()
    assert "turbine.errors.MaxStepRetriesExceeded" == failed.value.type_name
    assert 2 == bodies["step"]
    (step,) = await handle.steps()
    assert [1, 2] == [attempt.number for attempt in step.attempts]
    assert all(name in (attempt.error or "") for attempt in step.attempts)


@pytest.mark.parametrize("name", ["StoreUnavailable", "NonDeterministicWorkflow", "Cancelled"])
async def test_a_child_that_raises_an_error_of_ours_has_failed_for_its_parent(launch, name):
    rt = await launch(raises, parent)
    assert f"turbine.errors.{name}" == await (await rt.run(parent, name)).result()


class Refuses:
    """A payload codec that raises an error of ours."""

    def encode(self, payload: str) -> str:
        if "broken" in payload:
            raise turbine.StoreUnavailable("of another service")
        return payload

    def decode(self, payload: str) -> str:
        return payload


@turbine.workflow
async def gives_broken() -> str:
    return "broken"


async def test_a_codec_that_raises_an_error_of_ours_fails_the_run(launch):
    rt = await launch(gives_broken, codec=Refuses())
    with pytest.raises(WorkflowFailed, match="of another service"):
        await (await rt.run(gives_broken)).result()


class Sends:
    def __init__(self, error: Exception) -> None:
        self.error = error

    async def send(self, product: Any, data: Any) -> None:
        bodies["send"] += 1
        raise self.error


@turbine.step
async def makes() -> None:
    await turbine.send_product("a.txt", b"a")


@turbine.workflow
async def makes_product() -> None:
    await makes()


@pytest.mark.parametrize("name", ["StoreUnavailable", "ShuttingDown"])
async def test_a_product_sender_that_raises_an_error_of_ours_has_failed(launch, name):
    rt = await launch(makes_product, product_sender=Sends(FOREIGN[name]()), delivery_attempts=1)
    handle = await rt.run(makes_product)
    await handle.result()
    while (product := (await rt.products.list(handle.workflow_id)).items[0]).status == "stored":  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    assert ("failed", 1) == (product.status, bodies["send"])
    assert "of another service" in (product.error or "")


@turbine.step
async def asks_other(url: str) -> None:
    async with turbine.Runtime(url) as other:
        other._app().store.close()
        await other.kv.get("x")


@turbine.workflow
async def uses_two_runtimes(url: str) -> None:
    await asks_other(url)


async def test_the_store_of_a_second_runtime_is_not_that_of_the_run(launch, tmp_path: Path):
    rt = await launch(uses_two_runtimes)
    with pytest.raises(WorkflowFailed) as failed:
        await (await rt.run(uses_two_runtimes, f"sqlite:///{tmp_path}/other.db")).result()
    assert "turbine.errors.StoreUnavailable" == failed.value.type_name


def test_whose_error_it_is_is_not_recorded():
    error = turbine.StoreUnavailable("away", origin=object())
    assert '"args":["away"]' in encode_error(error)
    assert "origin" not in encode_error(error, traceback=False)
