"""What the words of bodies record is listed under the word, as it stands in the code."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import turbine
import turbine.sync

PAST = datetime(2020, 1, 1, tzinfo=UTC)
EACH = [
    "sleep",
    "sleep",
    "sleep_until",
    "set_value",
    "get_value",
    "send",
    "recv",
    "recv",
    "now",
    "uuid4",
    "random",
    "kv.set",
    "kv.get",
    "kv.delete",
    "kv.list",
    "send_notification",
    "wait_for_approval",
    "result",
    "patched",
]


@turbine.workflow
async def child() -> None: ...


@turbine.workflow
async def uses_each() -> None:
    me = turbine.current().workflow_id
    await turbine.sleep(0)
    await turbine.pause(0)
    await turbine.sleep_until(PAST)
    await turbine.set_value("key", 1)
    await turbine.get_value(me, "key")
    await turbine.send(me, "x")
    await turbine.recv()
    await turbine.recv(timeout=0, default=None)
    await turbine.now()
    await turbine.uuid4()
    await turbine.random()
    await turbine.kv.set("key", 1)
    await turbine.kv.get("key")
    await turbine.kv.delete("key")
    await turbine.kv.list()
    await turbine.set_app_status("busy", "blue")
    with contextlib.suppress(turbine.NotFound):
        await turbine.send_notification("nobody", "x")
    with contextlib.suppress(turbine.ApprovalTimeout):
        await turbine.wait_for_approval(timeout=0)
    await (await turbine.run(child)).result()
    await turbine.patched("change")


@turbine.sync.workflow
def uses_each_blocking() -> None:
    me = turbine.sync.current().workflow_id
    turbine.sync.sleep(0)
    turbine.sync.pause(0)
    turbine.sync.sleep_until(PAST)
    turbine.sync.set_value("key", 1)
    turbine.sync.get_value(me, "key")
    turbine.sync.send(me, "x")
    turbine.sync.recv()
    turbine.sync.recv(timeout=0, default=None)
    turbine.sync.now()
    turbine.sync.uuid4()
    turbine.sync.random()
    turbine.sync.kv.set("key", 1)
    turbine.sync.kv.get("key")
    turbine.sync.kv.delete("key")
    turbine.sync.kv.list()
    turbine.sync.set_app_status("busy", "blue")
    with contextlib.suppress(turbine.NotFound):
        turbine.sync.send_notification("nobody", "x")
    with contextlib.suppress(turbine.ApprovalTimeout):
        turbine.sync.wait_for_approval(timeout=0)
    turbine.sync.run(child).result()
    turbine.sync.patched("change")


async def test_what_a_word_records_is_listed_under_the_word(launch):
    rt = await launch(uses_each, uses_each_blocking, child)
    for workflow in (uses_each, uses_each_blocking):
        handle = await rt.run(workflow)
        await handle.result()
        names = [step.function_name for step in await handle.steps() if step.function_name != "child"]
        assert [f"turbine.{word}" for word in EACH] == names
