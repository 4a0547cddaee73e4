"""The global key-value store: typed values, compare and set, prefixes, schemas."""

from __future__ import annotations

import asyncio
import base64
import os
from dataclasses import dataclass

import pytest

import turbine
import turbine.sync
from turbine import MISSING, Conflict, KVRecord, SerializationError, ValidationFailed

AGE = {"type": "object", "properties": {"age": {"type": "integer", "minimum": 0}}, "required": ["age"]}


@dataclass
class Stock:
    item: str
    count: int


class Nonce:
    """A codec that, as real encryption does, gives another text each time."""

    def encode(self, payload: str) -> str:
        return base64.b64encode(os.urandom(8) + payload.encode()).decode()

    def decode(self, payload: str) -> str:
        return base64.b64decode(payload)[8:].decode()


async def test_values_come_back_as_their_type(launch) -> None:
    rt = await launch()
    await rt.kv.set("stock/pen", Stock("pen", 3))
    assert Stock("pen", 3) == await rt.kv.get("stock/pen", type=Stock)
    assert {"item": "pen", "count": 3} == await rt.kv.get("stock/pen")
    assert "none" == await rt.kv.get("stock/ink", default="none")
    with pytest.raises(ValidationFailed):
        await rt.kv.get("stock/pen", type=int)
    await rt.kv.delete("stock/pen")
    await rt.kv.delete("stock/pen")
    assert None is await rt.kv.get("stock/pen")


@pytest.mark.parametrize("codec", [None, Nonce()], ids=["plain", "encrypted"])
async def test_compare_and_set_writes_only_over_what_is_expected(launch, codec) -> None:
    rt = await launch(codec=codec)
    with pytest.raises(Conflict):
        await rt.kv.set("key", 1, expect=0)
    await rt.kv.set("key", {"a": 1, "b": [2]}, expect=MISSING)
    with pytest.raises(Conflict):
        await rt.kv.set("key", 2, expect=MISSING)
    with pytest.raises(Conflict):
        await rt.kv.set("key", 2, expect={"a": 1})
    await rt.kv.set("key", 2, expect={"b": [2], "a": 1})
    with pytest.raises(Conflict):
        await rt.kv.set("key", 3, expect=2.5)
    await rt.kv.set("key", 3, expect=2)
    assert 3 == await rt.kv.get("key")


@pytest.mark.parametrize("codec", [None, Nonce()], ids=["plain", "encrypted"])
async def test_no_increment_is_lost_between_runtimes(launch, codec) -> None:
    one, two = await launch(codec=codec), await launch(codec=codec)

    async def increment(rt, times: int) -> None:
        for _ in range(times):
            while True:
                seen = await rt.kv.get("counter", default=MISSING)
                try:
                    await rt.kv.set("counter", 1 if seen is MISSING else seen + 1, expect=seen)
                    break
                except Conflict:
                    continue

    await asyncio.gather(*(increment(rt, 10) for rt in (one, two, one, two)))
    assert 40 == await one.kv.get("counter")


async def test_a_prefix_is_an_exact_text(launch) -> None:
    rt = await launch()
    keys = ["a", "a%b", "a%c", "a_b", "aXb", "A%b", "a\ud7ff", "é", "a\U0010ffff", "z"]
    for key in keys:
        await rt.kv.set(key, key)

    async def found(prefix: str) -> list[str]:
        return [record.key for record in (await rt.kv.list(prefix)).items]

    assert sorted(keys) == await found("")
    assert ["a%b", "a%c"] == await found("a%")
    assert ["a_b"] == await found("a_")
    assert ["a\ud7ff"] == await found("a\ud7ff")
    assert ["a\U0010ffff"] == await found("a\U0010ffff")
    assert [key for key in sorted(keys) if key.startswith("a")] == await found("a")
    assert [] == await found("b")


async def test_pages_go_on_where_the_last_one_ended(launch) -> None:
    rt = await launch()
    for number in range(7):
        await rt.kv.set(f"p/{number}", number)
    await rt.kv.set("q", 0)
    seen: list[int] = []
    cursor = None
    while True:
        page = await rt.kv.list("p/", limit=3, cursor=cursor)
        seen += [record.value for record in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert list(range(7)) == seen
    with pytest.raises(ValueError, match="limit"):
        await rt.kv.list(limit=0)
    with pytest.raises(ValueError, match="NUL"):
        await rt.kv.list("\0")


async def test_a_value_must_fit_the_schema_of_its_key(launch) -> None:
    rt = await launch(codec=Nonce())
    await rt.kv.set_schema("person", AGE)
    with pytest.raises(ValidationFailed) as caught:
        await rt.kv.set("person", {"age": "old"})
    assert [{"path": ["age"], "message": "'old' is not of type 'integer'", "type": "type"}] == caught.value.errors
    assert None is await rt.kv.get("person")
    await rt.kv.set("person", {"age": 7}, expect=MISSING)
    with pytest.raises(ValidationFailed):
        await rt.kv.set("person", {"age": -1}, expect={"age": 7})
    (record,) = (await rt.kv.list()).items
    assert ("person", {"age": 7}, AGE) == (record.key, record.value, record.schema)
    await rt.kv.set_schema("person", None)
    await rt.kv.set("person", "anything")


async def test_a_schema_that_the_stored_value_does_not_fit_changes_nothing(launch) -> None:
    rt = await launch()
    await rt.kv.set("person", "Ada")
    with pytest.raises(ValidationFailed, match="is not of type 'object'"):
        await rt.kv.set_schema("person", AGE)
    (record,) = (await rt.kv.list()).items
    assert None is record.schema
    await rt.kv.set("person", "Grace")


async def test_a_schema_may_come_before_the_value_and_goes_with_the_key(launch) -> None:
    rt = await launch()
    await rt.kv.set_schema("person", AGE)
    (record,) = (await rt.kv.list()).items
    assert KVRecord("person", None, AGE, record.updated) == record
    await rt.kv.delete("person")
    await rt.kv.set("person", "anything")
    await rt.kv.set_schema("other", AGE)
    await rt.kv.set_schema("other", None)
    assert ["person"] == [record.key for record in (await rt.kv.list()).items]


@pytest.mark.parametrize("wrong", [{"type": "no such type"}, {"pattern": "("}, 5, "text", {"x": {1, 2}}])
async def test_what_is_no_json_schema_is_refused(launch, wrong) -> None:
    rt = await launch()
    with pytest.raises(ValidationFailed):
        await rt.kv.set_schema("key", wrong)
    assert [] == (await rt.kv.list()).items


@pytest.mark.parametrize("schema", [{"$ref": "http://127.0.0.1:1/schema"}, {"$ref": "#"}, {"$ref": "#/$defs/none"}])
async def test_a_schema_that_leads_nowhere_fits_nothing_and_fetches_nothing(launch, schema) -> None:
    rt = await launch()
    await rt.kv.set_schema("key", schema)
    with pytest.raises(ValidationFailed, match="refers to"):
        await rt.kv.set("key", 1)


async def test_what_cannot_be_a_key_or_value_is_refused(launch) -> None:
    rt = await launch(payload_max=1024)
    for key, value in (("", 1), ("key", None)):
        with pytest.raises(ValueError):  # noqa: PT011 - each has a text of its own
            await rt.kv.set(key, value)
    with pytest.raises(SerializationError):
        await rt.kv.set("key", "x" * 2000)
    with pytest.raises(SerializationError):
        await rt.kv.set("key", object())
    assert [] == (await rt.kv.list()).items


@turbine.step
async def note(value: int) -> None:
    await turbine.kv.set("seen/step", value)


@turbine.workflow
async def remember(value: int) -> tuple[int, list[str]]:
    await turbine.kv.set("seen/body", value)
    await note(value)
    before = await turbine.kv.get("seen/body", type=int)
    await turbine.recv("again")
    page = await turbine.kv.list("seen/")
    return before, [record.key for record in page.items]


async def test_a_body_sees_what_it_saw_the_first_time(launch, replay) -> None:
    rt = await launch(remember)
    handle = await rt.run(remember, 1)
    await rt.wait_idle()
    await rt.kv.set("seen/body", 2)
    await rt.shutdown()
    await rt.launch()
    await rt.send(handle.workflow_id, None, "again")
    assert (1, ["seen/body", "seen/step"]) == tuple(await handle.result())
    assert 2 == await rt.kv.get("seen/body")
    names = [step.function_name for step in await handle.steps()]
    assert ["turbine.kv.set", "note", "turbine.kv.get", "turbine.recv", "turbine.kv.list"] == names


@turbine.workflow
async def both() -> list[int]:
    first, second = turbine.kv.set("first", 1), turbine.kv.set("second", 2)
    await second
    await first
    return [await turbine.kv.get("first"), await turbine.kv.get("second")]


async def test_a_call_takes_its_position_when_it_is_made(launch) -> None:
    rt = await launch(both)
    handle = await rt.run(both)
    assert [1, 2] == await handle.result()
    assert {"0", "1", "2", "3"} == {step.position for step in await handle.steps()}


@turbine.sync.workflow
def tally() -> list[str]:
    turbine.sync.kv.set("tally/a", 1)
    return [record.key for record in turbine.sync.kv.list("tally/").items]


def test_blocking_code_uses_the_same_words(database_url) -> None:
    with turbine.sync.Runtime(database_url, workflows=[tally]) as rt:
        assert ["tally/a"] == rt.run(tally).result()
        rt.kv.set_schema("tally/a", {"type": "integer"})
        with pytest.raises(ValidationFailed):
            rt.kv.set("tally/a", "x")
        (record,) = rt.kv.list("tally/").items
        assert (1, {"type": "integer"}) == (record.value, record.schema)
