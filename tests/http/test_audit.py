"""The audit log has an entry for each change that happened, and for nothing else."""

from __future__ import annotations

from typing import Any

import httpx

import turbine
from turbine.tables import products


@turbine.step
async def double(number: int) -> int:
    return number * 2


@turbine.workflow(triggerable=True)
async def compute(number: int) -> int:
    if number < 0:
        raise ValueError(number)
    return await double(number)


@turbine.workflow(triggerable=True)
async def listener() -> Any:
    return await turbine.recv()


async def actions(client: httpx.AsyncClient, workflow_id: str) -> list[str]:
    """The audited actions on a run, the oldest first."""
    entries = (await client.get(f"workflows/{workflow_id}/audit")).json()["items"]
    return [entry["action"] for entry in reversed(entries)]


async def test_a_refused_deletion_is_not_audited_when_bytes_of_a_dead_upload_are_removed(open_site) -> None:
    site = await open_site(listener)
    operator = await site.holder("operator")
    await site.rt.run(listener.options(id="open"))
    app = site.rt._app()
    await app.store.write(products.begin_upload, upload="dead", storage="database", now_ms=app.clock.now_ms())
    refused = await operator.delete("workflows/open")
    assert (409, "PENDING") == (refused.status_code, (await operator.get("workflows/open")).json()["status"])
    bulk = (await operator.post("workflows/bulk", json={"action": "delete", "ids": ["open"]})).json()
    assert (0, ["open"]) == (bulk["done"], [failure["workflow_id"] for failure in bulk["failed"]])
    assert [] == await actions(operator, "open")
    await operator.post("workflows/open/cancel")
    assert {"workflow_id": "open", "changed": True, "status": None} == (await operator.delete("workflows/open")).json()
    assert ["workflow.cancel", "workflow.delete"] == await actions(operator, "open")
    await site.rt.delete()  # removes the bytes
    assert [] == await app.store.read(products.abandoned_uploads, executor=app.executor_id, after="", limit=1)


async def test_starting_a_run_again_or_forking_it_again_is_audited_once(open_site) -> None:
    site = await open_site(compute)
    operator = await site.holder("operator")
    for _ in range(2):
        await operator.post("trigger", json={"name": "compute", "input": 1, "id": "c1"})
    await site.rt.wait_idle()
    forks = [(await operator.post("workflows/c1/fork", json={"from_step": 1, "new_id": "c2"})).json() for _ in range(2)]
    assert [("c2", True), ("c2", False)] == [(fork["workflow_id"], fork["changed"]) for fork in forks]
    assert ["workflow.trigger", "workflow.fork"] == await actions(operator, "c1")


async def test_what_changes_nothing_is_not_audited(open_site) -> None:
    site = await open_site(compute)
    operator = await site.holder("operator")
    await site.rt.run(compute.options(id="failing"), -1)
    await site.rt.run(compute.options(id="done"), 1)
    await site.rt.wait_idle()
    for verb in ("cancel", "resume", "release"):
        answer = (await operator.post(f"workflows/done/{verb}")).json()
        assert {"workflow_id": "done", "changed": False, "status": "SUCCESS"} == answer
    assert 404 == (await operator.post("workflows/unknown/cancel")).status_code
    assert 404 == (await operator.post("workflows/unknown/send", json={"message": 1})).status_code
    (group,) = (await operator.get("errors")).json()["items"]
    for _ in range(2):
        await operator.put(f"errors/{group['fingerprint']}/state", json={"state": "resolved"})
    assert ["error.resolve"] == [
        entry.action for entry in (await site.rt.audit.list()).items if "token" not in entry.action
    ]


async def test_changes_made_by_code_are_not_audited(open_site) -> None:
    site = await open_site(compute, listener)
    await site.rt.run(listener.options(id="open"))
    await site.rt.trigger("compute", 1, id="c1")
    await site.rt.cancel("open")
    await site.rt.delete("open")
    assert [] == (await site.rt.audit.list()).items
