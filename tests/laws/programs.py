"""Programs made by chance: lists of acts that one workflow carries out, one after the other."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

import turbine

Program = list[list[Any]]


@turbine.step
async def note(what: Any) -> Any:
    return what


@turbine.step
async def refuse(why: str) -> None:
    raise ValueError(why)


@turbine.step(retries=2, base_interval=5)
async def falter(failures: int) -> int:
    attempt = turbine.current().attempt
    if attempt <= failures:
        raise ConnectionError(f"attempt {attempt}")
    return attempt


@turbine.step
async def make(name: str) -> str:
    await turbine.send_product(name, name.encode() * 10)
    return name


@turbine.workflow(max_recoveries=None)
async def carry_out(program: Program) -> list[Any]:
    """Do what a program says, and tell what came of each act."""
    return [await act(*one) for one in program]


async def act(word: str, *arguments: Any) -> Any:  # noqa: C901 - one line for each act
    me = turbine.current().workflow_id
    try:
        match word:
            case "step":
                return await note(*arguments)
            case "refuse":
                await refuse(*arguments)
            case "falter":
                return await falter(*arguments)
            case "product":
                return await make(*arguments)
            case "sleep":
                await turbine.sleep(*arguments)
            case "send":
                await turbine.send(me, *arguments)
            case "recv":
                return await turbine.recv(arguments[0], timeout=arguments[1], default="nothing")
            case "set":
                await turbine.set_value(*arguments)
            case "get":
                return await turbine.get_value(me, arguments[0], timeout=arguments[1], default="nothing")
            case "kv":
                await turbine.kv.set(f"{me} {arguments[0]}", arguments[1])
                return await turbine.kv.get(f"{me} {arguments[0]}")
            case "status":
                await turbine.set_app_status(*arguments)
            case "ask":
                await turbine.wait_for_approval(arguments[0], timeout=timedelta(seconds=arguments[1]))
            case "child":
                return await carry_out(*arguments)
            case "start":
                return await (await turbine.run(carry_out, *arguments)).result()
            case "side by side":
                return await turbine.gather(*(branch(program) for program in arguments))
            case "fail":
                raise LookupError(*arguments)
            case _:
                raise NotImplementedError(word)
    except (ValueError, turbine.MaxStepRetriesExceeded, turbine.WorkflowFailed, turbine.ApprovalTimeout) as error:
        return type(error).__name__
    return word


async def branch(program: Program) -> list[Any]:
    return [await act(*one) for one in program]


texts = st.text(max_size=5)
topics = st.sampled_from(["", "a", "b"])
seconds = st.sampled_from([0, 0.5, 10, 100, 100_000])
plain_acts = st.one_of(
    st.tuples(st.just("step"), st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts | st.lists(texts)),
    st.tuples(st.just("refuse"), texts),
    st.tuples(st.just("falter"), st.integers(0, 3)),
    st.tuples(st.just("sleep"), seconds),
    st.tuples(st.just("status"), texts, st.sampled_from(["red", "green", "pink"])),
).map(list)
"""Acts that may stand in a branch: they touch nothing that branches share."""
lone_acts = st.one_of(
    st.tuples(st.just("send"), texts, topics),
    st.tuples(st.just("recv"), topics, seconds),
    st.tuples(st.just("set"), st.sampled_from(["x", "y"]), texts),
    st.tuples(st.just("get"), st.sampled_from(["x", "y"]), seconds),
    st.tuples(st.just("kv"), st.sampled_from(["x", "y"]), texts),
    st.tuples(st.just("ask"), texts, seconds),
    st.tuples(st.just("product"), st.sampled_from(["one.txt", "two.txt"])),
).map(list)


def programs(depth: int = 1, *, may_fail: bool = True) -> st.SearchStrategy[Program]:
    """Lists of acts; children and branches have programs of their own."""
    acts = [plain_acts, lone_acts]
    if depth:
        inner = programs(depth - 1)
        acts.append(st.tuples(st.sampled_from(["child", "start"]), inner).map(list))
        branches = st.lists(plain_acts, max_size=3)
        acts.append(st.tuples(st.just("side by side"), branches, branches).map(list))
    listed = st.lists(st.one_of(*acts), max_size=5)
    if not may_fail:
        return listed
    return st.tuples(listed, st.sampled_from([[], [], [["fail", "at the end"]]])).map(lambda both: both[0] + both[1])
