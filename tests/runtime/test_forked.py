"""A forked child has nothing of the runtime that its parent launched, and says so; it may launch its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

COMMON = """
import asyncio, json, os, sys, threading, time
import turbine, turbine.sync

URL = sys.argv[1]

@turbine.sync.step
def add(one: int) -> int:
    return one + 1

@turbine.sync.workflow(triggerable=True)
def hello(one: int = 1) -> int:
    return add(one)

def in_child(act):
    '''What a forked child says, within seconds; the child ends as the interpreter does.'''
    sys.stdout.flush()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            said = act()
        except BaseException as error:
            said = f"{type(error).__name__}"
        os.write(writer, json.dumps(said).encode())
        os.close(writer)
        sys.exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        said = json.loads(told.read())
    assert os.waitpid(pid, 0)[1] == 0
    return said

def name_of(act):
    try:
        return act()
    except Exception as error:
        return type(error).__name__
"""


def run_program(text: str, *arguments: str, warns: str = "") -> Any:
    """What a program prints, as JSON; on its standard error is nothing unexpected."""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", COMMON + text, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    unexpected = [line for line in ended.stderr.splitlines() if not warns or warns not in line]
    assert (0, []) == (ended.returncode, unexpected)
    return json.loads(ended.stdout)


EVERY_WAY = """
rt = turbine.sync.Runtime(URL, workflows=[hello], shutdown_timeout=1)
rt.launch()
handle = rt.run(hello, 1)
assert handle.result() == 2
events = rt.events()

def every_way():
    ways = {
        "run": lambda: rt.run(hello, 1), "trigger": lambda: rt.trigger("hello", 1), "list": lambda: rt.list(),
        "retrieve": lambda: rt.retrieve("x").result(), "result": handle.result, "status": handle.status,
        "steps": handle.steps, "cancel": lambda: rt.cancel("x"), "resume": lambda: rt.resume("x"),
        "fork": lambda: rt.fork("x"), "send": lambda: rt.send("x", 1), "get_value": lambda: rt.get_value("x", "k"),
        "approve": lambda: rt.approve("x"), "approvals": rt.approvals.list, "kv": lambda: rt.kv.set("k", 1),
        "kv.get": lambda: rt.kv.get("k"), "schedules": rt.schedules.list, "logs": rt.logs.list,
        "products": rt.products.list, "webhooks": rt.webhooks.list, "gc": rt.garbage_collect,
        "pause_queue": lambda: rt.pause_queue("q"), "events": lambda: next(events), "new events": rt.events,
        "wait_idle": rt.wait_idle, "accounts": rt.accounts.list, "backup": lambda: rt.backup("/nowhere"),
        "async": lambda: asyncio.run(rt.inner.kv.get("k")), "async run": lambda: asyncio.run(rt.inner.run(hello, 1)),
    }
    said = {name: name_of(way) for name, way in ways.items()}
    rt.shutdown()
    return [said, rt.is_launched, rt.is_draining]

print(json.dumps(in_child(every_way)))
assert rt.run(hello, 5).result() == 6
rt.shutdown()
"""


def test_every_way_in_is_refused_at_once_in_a_forked_child_and_the_parent_goes_on(database_url) -> None:
    said, is_launched, is_draining = run_program(EVERY_WAY, database_url)
    assert dict.fromkeys(said, "ForkedProcess") == said
    assert (False, False) == (is_launched, is_draining)


OWN_LIFE = """
rt = turbine.sync.Runtime(URL, workflows=[hello], shutdown_timeout=1, executor_id=sys.argv[2] or None)
rt.launch()
parent = rt.executor_id

def own_life():
    said = name_of(lambda: rt.launch())
    if said is not None:
        return [said, None, None, None]
    child = rt.executor_id
    value = rt.run(hello.options(id="of-the-child"), 10).result()
    rt.kv.set("child", child)
    rt.shutdown()
    return [None, child, value, rt.is_launched]

said = in_child(own_life)
assert rt.run(hello, 5).result() == 6
assert rt.executor_id == parent
print(json.dumps([parent, *said]))
rt.shutdown()
"""


def test_a_child_may_launch_a_life_of_its_own(database_url) -> None:
    parent, refused, child, value, is_launched = run_program(OWN_LIFE, database_url, "")
    assert (None, 11, False) == (refused, value, is_launched)
    assert child not in (None, parent)


def test_a_fixed_executor_id_is_the_parents_as_long_as_it_lives(database_url) -> None:
    pod = f"pod-{uuid4()}"
    assert [pod, "Conflict", None, None, None] == run_program(OWN_LIFE, database_url, pod)


NOT_LAUNCHED = """
rt = turbine.sync.Runtime(URL, workflows=[hello], shutdown_timeout=1)

def launched():
    with rt:
        return [rt.executor_id, rt.run(hello, 1).result()]

print(json.dumps([in_child(launched), in_child(launched), [rt.executor_id, 2]]))
"""


def test_children_of_a_runtime_that_was_only_declared_are_executors_of_their_own(database_url) -> None:
    said = run_program(NOT_LAUNCHED, database_url)
    assert [2, 2, 2] == [value for _, value in said]
    assert 3 == len({executor for executor, _ in said})


ASYNC = """
@turbine.workflow
async def greet() -> str:
    return "hello"

async def main():
    async with turbine.Runtime(URL, workflows=[greet]) as rt:
        handle = await rt.run(greet)
        await handle.result()

        def use():
            async def elsewhere():
                ways = (lambda: rt.run(greet), handle.result, lambda: rt.kv.get("k"))
                said = [await name(way) for way in ways]
                await rt.launch()
                said.append(await (await rt.run(greet)).result())
                await rt.shutdown()
                return said
            return asyncio.run(elsewhere())

        async def name(act):
            try:
                return await act()
            except Exception as error:
                return type(error).__name__

        said = await asyncio.get_running_loop().run_in_executor(None, in_child_of_a_thread, use)
        print(json.dumps([*said, await (await rt.run(greet)).result()]))

def in_child_of_a_thread(act):
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            said = act()
        except BaseException as error:
            said = repr(error)
        os.write(writer, json.dumps(said).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        return json.loads(told.read())

asyncio.run(main())
"""


def test_the_child_of_an_asyncio_program_is_told_too(database_url) -> None:
    assert ["ForkedProcess"] * 3 + ["hello"] * 2 == run_program(ASYNC, database_url)


WORDS = """
import warnings
warnings.filterwarnings("ignore", "coroutine .* was never awaited")  # of a word that is refused before it acts

@turbine.sync.workflow
def parent() -> dict:
    said = turbine.sync.do(helper)
    def in_body():
        return {
            "step": name_of(lambda: add(1)), "sleep": name_of(lambda: turbine.sync.sleep(1)),
            "recv": name_of(lambda: turbine.sync.recv("t")), "send": name_of(lambda: turbine.sync.send("x", 1)),
            "set_value": name_of(lambda: turbine.sync.set_value("k", 1)),
            "kv": name_of(lambda: turbine.sync.kv.get("k")), "check": name_of(turbine.sync.check_cancelled),
            "run": name_of(lambda: turbine.sync.run(hello.options(), 1)), "child": name_of(lambda: hello(1)),
            "approval": name_of(lambda: turbine.sync.wait_for_approval()),
        }
    said["body"] = in_helper(in_body)
    return said

def helper() -> dict:
    def in_step():
        turbine.sync.logger().info("from the helper")
        return {
            "kv.get": name_of(lambda: turbine.sync.kv.get("k")), "kv.set": name_of(lambda: turbine.sync.kv.set("k", 1)),
            "status": name_of(lambda: turbine.sync.set_app_status("busy", "green")),
            "notification": name_of(lambda: turbine.sync.send_notification("ops", "hello")),
            "product": name_of(lambda: turbine.sync.send_product("a.txt", b"a")),
            "check": name_of(turbine.sync.check_cancelled),
            "get_value": name_of(lambda: turbine.sync.get_value("x", "k")),
        }
    return {"step": in_helper(in_step)}

def in_helper(act):
    '''As a helper process of multiprocessing: forked from the thread of the run.'''
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            told = act()
        except BaseException as error:
            told = repr(error)
        os.write(writer, json.dumps(told).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        told = json.loads(told.read())
    os.waitpid(pid, 0)
    return told

with turbine.sync.Runtime(URL, workflows=[hello, parent], shutdown_timeout=1) as rt:
    print(json.dumps(rt.run(parent).result()))
    assert rt.run(hello, 5).result() == 6
"""


def test_no_durable_word_acts_in_a_helper_process_that_a_run_has_forked(database_url) -> None:
    said = run_program(WORDS, database_url)
    for part in ("step", "body"):
        assert dict.fromkeys(said[part], "ForkedProcess") == said[part]


BACK = """
@turbine.sync.workflow
def parent() -> int:
    return turbine.sync.do(helper)

def helper() -> int:
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return -1

with turbine.sync.Runtime(URL, workflows=[parent], shutdown_timeout=1) as rt:
    handle = rt.run(parent)
    print(json.dumps([handle.result(), len(handle.steps())]))
"""


def test_a_child_that_comes_back_from_a_step_ends_and_records_nothing(database_url) -> None:
    assert [0, 1] == run_program(BACK, database_url)


HELPER = """
@turbine.sync.workflow
def parent() -> str:
    return turbine.sync.do(work)

def work() -> str:
    if os.path.exists(sys.argv[2]):
        return "done by the next process"
    pid = os.fork()
    if pid == 0:
        time.sleep(600)
        os._exit(0)
    with open(sys.argv[2], "w") as file:
        file.write(str(pid))
    time.sleep(600)

rt = turbine.sync.Runtime(URL, workflows=[parent], lease=600, shutdown_timeout=0)
rt.launch()
handle = rt.run(parent.options(id="one"))
print(json.dumps(handle.result()))
rt.shutdown()
"""


@pytest.mark.crash
@pytest.mark.timeout(150)
def test_a_dead_executor_is_dead_although_its_helper_process_lives_on(database_url, tmp_path: Path) -> None:
    note = tmp_path / "helper"
    first = subprocess.Popen([sys.executable, "-c", COMMON + HELPER, database_url, str(note)])
    helper = None
    try:
        while not (note.exists() and note.read_text()):
            assert first.poll() is None
            time.sleep(0.02)
        helper = int(note.read_text())
        first.send_signal(signal.SIGKILL)
        first.wait()
        # The lease of ten minutes has no say: the lock file is free.
        assert "done by the next process" == run_program(HELPER, database_url, str(note), warns="its process has ended")
        os.kill(helper, 0)
    finally:
        first.kill()
        if helper is not None:
            os.kill(helper, signal.SIGKILL)


SHARED = """
import multiprocessing
context = multiprocessing.get_context("fork")

def child(number):
    rt = turbine.sync.Runtime(URL, workflows=[hello], shutdown_timeout=1)
    with rt:
        assert rt.run(hello.options(id=f"child-{number}"), number).result() == number + 1

with turbine.sync.Runtime(URL, workflows=[hello], shutdown_timeout=1) as rt:
    for round in range(3):
        children = [context.Process(target=child, args=(round * 3 + number,)) for number in range(3)]
        for one in children:
            one.start()
        for number in range(20):
            assert rt.run(hello, number).result() == number + 1
        for one in children:
            one.join()
            assert one.exitcode == 0, one.exitcode
    print(json.dumps(len(rt.list(limit=1000).items)))
"""


@pytest.mark.timeout(150)
def test_parents_and_children_write_side_by_side(database_url) -> None:
    assert 69 == run_program(SHARED, database_url)
    if database_url.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as connection:
            assert [("ok",)] == connection.execute("pragma integrity_check").fetchall()


OUTLIVES = """
rt = turbine.sync.Runtime(URL, workflows=[hello], shutdown_timeout=1)
rt.launch()
assert rt.run(hello, 1).result() == 2
to_child, from_parent = os.pipe()
to_parent, from_child = os.pipe()
pid = os.fork()
if pid == 0:
    with turbine.sync.Runtime(URL, workflows=[hello], shutdown_timeout=1) as own:
        own.kv.set("before", 1)
        os.write(from_child, b"x")
        os.read(to_child, 1)
        own.kv.set("after", 2)
        os._exit(0)
os.read(to_parent, 1)
rt.shutdown()
os.write(from_parent, b"x")
assert os.waitpid(pid, 0)[1] == 0
with turbine.sync.Runtime(URL) as later:
    print(json.dumps([later.kv.get("before"), later.kv.get("after")]))
"""


def test_what_a_child_writes_after_its_parent_has_gone_is_kept(database_url) -> None:
    assert [1, 2] == run_program(OUTLIVES, database_url, warns="its process has ended")
