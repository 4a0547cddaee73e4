"""Search and tags: what is found is the same before and after the indexer came by."""

from __future__ import annotations

import asyncio

import pytest

import turbine
from turbine import WorkflowFailed
from turbine.loops.indexer import Indexer
from turbine.tables import search


@turbine.workflow(summary=lambda text, **_: f"Letter about {text[:40]}")
async def letter(text: str, fails: bool = False) -> str:
    if fails:
        raise LookupError("the addressee has moved to Ålesund")
    return text


@turbine.step
async def enter() -> None:
    if not await turbine.kv.get("open", default=False):
        raise LookupError("the shop is closed")


@turbine.workflow
async def hesitant() -> None:
    await enter()


@pytest.fixture(autouse=True)
def unhurried(monkeypatch):
    """No indexing but by the test; and on Postgres without the wait for commits that come late."""
    monkeypatch.setattr("turbine.loops.indexer.SETTLED_MS", 0)
    tick = Indexer.tick

    async def rest(self):
        return None

    monkeypatch.setattr(Indexer, "tick", rest)
    return tick


async def index(rt, tick) -> None:
    indexer = Indexer(rt._live.app)
    while await rt._live.store.read(search.is_waiting):
        await tick(indexer)


async def found(rt, text: str, **filters) -> list[str]:
    return [run.workflow_id for run in (await rt.list(search=text, ascending=True, **filters)).items]


TEXTS = {
    "plain": "Zebra crossing",
    "signs": "50% off_now [today]* or? it's 'over' !",
    "letters": "Élan à Ålesund 漢字仮名 🐍",
    "long": "x" * 9000 + " at the very end",
    "one": "a",
}
ASKED = ["zebra", "ZEBRA", "a cross", "%", "50% OFF_", "off_now [tod", "]* or?", "50_", "it's 'ov", "! ", "Élan",
         "漢字仮", "🐍", "at the very END", "letter about", "no such text", "xx", "x", "signs"]  # fmt: skip


async def test_what_is_found_is_the_same_before_and_after_indexing(launch, unhurried) -> None:
    rt = await launch(letter)
    for id_, text in TEXTS.items():
        await (await rt.run(letter.options(id=id_), text)).result()
    before = {text: await found(rt, text) for text in ASKED}
    await index(rt, unhurried)
    assert before == {text: await found(rt, text) for text in ASKED}
    assert ["plain"] == before["zebra"] == before["ZEBRA"] == before["a cross"]
    assert ["signs"] == before["50% OFF_"] == before["off_now [tod"] == before["]* or?"] == before["%"]
    assert ["letters"] == before["Élan"] == before["漢字仮"] == before["🐍"]
    assert ["long"] == before["at the very END"]
    assert list(TEXTS) == before["letter about"]
    assert [] == before["no such text"] == before["50_"]


async def test_pages_run_through_what_is_indexed_and_what_is_not(launch, unhurried) -> None:
    rt = await launch(letter)
    for number in range(10):
        await (await rt.run(letter.options(id=f"run {number}"), "the same" * (2000 if number == 3 else 1))).result()
        if number == 6:
            await index(rt, unhurried)
    for ascending in (True, False):
        seen: list[str] = []
        cursor = None
        while True:
            page = await rt.list(search="the same", limit=3, cursor=cursor, ascending=ascending)
            seen += [run.workflow_id for run in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
        numbers = range(10) if ascending else range(9, -1, -1)
        assert [f"run {number}" for number in numbers] == seen


async def test_an_error_is_found_once_it_happened_and_not_any_more_after_a_resume(launch, unhurried) -> None:
    rt = await launch(letter, hesitant)
    with pytest.raises(WorkflowFailed):
        await (await rt.run(letter.options(id="letter"), "x", fails=True)).result()
    await rt.run(letter.options(id="waits", delay=60), "moved to")
    with pytest.raises(WorkflowFailed):
        await (await rt.run(hesitant.options(id="hesitant"))).result()
    await index(rt, unhurried)
    assert ["letter", "waits"] == await found(rt, "MOVED TO")
    assert ["letter"] == await found(rt, "moved to", status="ERROR")
    assert ["hesitant"] == await found(rt, "is closed")
    await rt.kv.set("open", True)
    await (await rt.resume("hesitant")).result()
    await index(rt, unhurried)
    assert [] == await found(rt, "is closed")
    await rt.cancel("waits")
    with pytest.raises(WorkflowFailed):
        await (await rt.run(letter.options(id="late"), "x", fails=True)).result()
    assert ["letter", "waits", "late"] == await found(rt, "moved to")


async def test_a_run_that_fails_after_it_was_indexed_is_found_by_its_error(launch, unhurried) -> None:
    rt = await launch(waits_to_fail)
    handle = await rt.run(waits_to_fail.options(id="one"))
    await rt.wait_idle()
    await index(rt, unhurried)
    assert [] == await found(rt, "late error")
    await rt.send("one", None)
    with pytest.raises(WorkflowFailed):
        await handle.result()
    assert ["one"] == await found(rt, "late error")
    await index(rt, unhurried)
    assert ["one"] == await found(rt, "late error")


@turbine.workflow
async def waits_to_fail() -> None:
    await turbine.recv()
    raise ValueError("a late error")


async def test_a_deleted_run_is_forgotten_and_its_key_may_be_used_again(launch, unhurried) -> None:
    rt = await launch(letter)
    for id_ in ("one", "two", "three"):
        await (await rt.run(letter.options(id=id_), f"about {id_}")).result()
    await index(rt, unhurried)
    await rt.delete("two", "three")
    for id_ in ("four", "five"):
        await (await rt.run(letter.options(id=id_), f"about {id_}")).result()
    assert ["one", "four", "five"] == await found(rt, "about")
    await index(rt, unhurried)
    assert ["one", "four", "five"] == await found(rt, "about")
    assert [] == await found(rt, "about two")
    assert 3 == await rt.garbage_collect(0)
    await index(rt, unhurried)
    assert [] == await found(rt, "about")


async def test_tags_are_exact_and_may_be_combined(launch, unhurried) -> None:
    rt = await launch(letter)
    given = {"a": ["red"], "b": ["red", "blue", "red"], "c": ["redder"], "d": [], "e": ["blue", 'it"s %_!']}
    for id_, tags in given.items():
        await (await rt.run(letter.options(id=id_, tags=tags), f"tagged {id_}")).result()
    await index(rt, unhurried)

    async def tagged(tag, **filters) -> list[str]:
        return [run.workflow_id for run in (await rt.list(tag=tag, ascending=True, **filters)).items]

    assert ["a", "b"] == await tagged("red")
    assert ["a", "b", "e"] == await tagged(["red", "blue"])
    assert ["e"] == await tagged('it"s %_!')
    assert [] == await tagged("re")
    assert [] == await tagged([])
    assert ["b"] == await tagged(["red", "blue"], search="tagged b")
    assert ["a"] == await tagged("red", ids=["a", "c"])
    assert [] == await tagged("red", status="ERROR")
    first = await rt.list(tag=["red", "blue"], limit=2)
    second = await rt.list(tag=["red", "blue"], limit=2, cursor=first.next_cursor)
    assert ["e", "b", "a"] == [run.workflow_id for run in (*first.items, *second.items)]
    await rt.delete("b")
    assert ["a"] == await tagged("red")


async def test_the_indexer_comes_by_itself(launch, unhurried, monkeypatch) -> None:
    monkeypatch.setattr(Indexer, "tick", unhurried)
    rt = await launch(letter)
    await (await rt.run(letter, "x")).result()
    store = rt._live.store
    while await store.read(search.is_waiting):  # noqa: ASYNC110 - a duty's slow poll
        await asyncio.sleep(0.01)
    assert await store.read(search.mark) > 0
