"""Lists of runs: every filter alone and together, pages that neither repeat nor miss, and search."""

from __future__ import annotations

from datetime import timedelta

import pytest

import turbine
from turbine import WorkflowFailed, WorkflowStatus


@turbine.workflow(tags=["letters"], summary=lambda name, **_: f"Greeting for {name}")
async def greet(name: str, fails: bool = False) -> str:
    if fails:
        raise LookupError(f"{name} has moved")
    return name


@turbine.workflow
async def wait_for_go() -> None:
    await greet("child of a waiting one")
    await turbine.recv("go")


async def _ids(rt, **filters) -> list[str]:
    return [run.workflow_id for run in (await rt.list(ascending=True, **filters)).items]


async def test_filters_take_one_value_or_several_and_all_must_hold(launch):
    rt = await launch(greet, wait_for_go, executor_id="here", application_version="v1")
    await (await rt.run(greet.options(id="a"), "Ada")).result()
    with pytest.raises(WorkflowFailed):
        await (await rt.run(greet.options(id="b", tags=["rush"]), "Bob", fails=True)).result()
    await rt.run(greet.options(id="c", application_version="v2", delay=60), "Cyd")
    await rt.run(wait_for_go.options(id="d"))
    await rt.wait_idle()
    (child,) = await _ids(rt, parent_id="d")
    moments = {run.workflow_id: run.created_at for run in (await rt.list()).items}

    assert ["a", "b", "c", "d", child] == await _ids(rt)
    for expected, filters in [
        (["a", child], {"status": "SUCCESS"}),
        (["a", "b", child], {"status": [WorkflowStatus.SUCCESS, "ERROR"]}),
        (["c"], {"status": WorkflowStatus.ENQUEUED}),
        (["d"], {"name": "wait_for_go"}),
        (["a", "b", "c", "d", child], {"name": ["wait_for_go", "greet"]}),
        (["a", "b", "d", child], {"executor_id": "here"}),
        ([], {"executor_id": ["there"]}),
        (["c"], {"version": "v2"}),
        (["a", "d"], {"ids": ["a", "d", "nobody"]}),
        (["a", "b", "c", child], {"tag": "letters"}),
        (["b"], {"tag": "rush"}),
        (["a", "b", "c", child], {"tag": ["rush", "letters"]}),
        ([], {"queue": "q"}),
        ([child], {"parent_id": ["d", "a"]}),
        (["b"], {"status": ["ERROR", "SUCCESS"], "tag": "rush", "name": "greet"}),
        ([], {"status": "ERROR", "name": "wait_for_go"}),
        (["c", "d", child], {"created_after": moments["b"] + timedelta(milliseconds=1)}),
        (["a", "b"], {"created_before": moments["c"] - timedelta(milliseconds=1)}),
        ([], {"ids": []}),
    ]:
        if "created" in str(filters) and len(set(moments.values())) < len(moments):
            continue  # two of them were made within one millisecond, so that nothing can tell them apart
        assert expected == await _ids(rt, **filters), filters


async def test_search_looks_in_id_name_summary_tags_input_and_error(launch):
    rt = await launch(greet, wait_for_go)
    await (await rt.run(greet.options(id="order-0815"), "Zoë Müller")).result()
    with pytest.raises(WorkflowFailed):
        await (await rt.run(greet.options(id="b", tags=["Eilig"]), "Bob 100%_sure", fails=True)).result()
    await rt.run(wait_for_go.options(id="d"))
    await rt.wait_idle()

    for expected, search in [
        (["order-0815"], "0815"),
        (["order-0815"], "ORDER-08"),
        (["d"], "wait_for"),
        (["order-0815"], "Greeting for Zo"),
        (["order-0815"], "Müller"),
        (["b"], "eilig"),
        (["b"], "has moved"),
        (["b"], "LookupError"),
        (["b"], "100%_s"),
        ([], "100_%s"),
        (["b"], "_sure"),
        ([], "nothing of the kind"),
        ([], "raise LookupError"),
    ]:
        assert expected == await _ids(rt, search=search), search


async def test_pages_neither_repeat_nor_miss_while_runs_are_added(launch):
    rt = await launch(greet)
    for number in range(7):
        await rt.run(greet.options(id=f"{number}"), "Ada")

    seen: list[str] = []
    cursor = None
    while True:
        page = await rt.list(limit=3, cursor=cursor)
        seen += [run.workflow_id for run in page.items]
        await rt.run(greet.options(id=f"late {len(seen)}"), "Ada")
        if (cursor := page.next_cursor) is None:
            break

    assert list("6543210") == seen
    first = await rt.list(limit=4, ascending=True)
    second = await rt.list(limit=4, ascending=True, cursor=first.next_cursor)
    assert list("0123456") == [run.workflow_id for run in [*first.items, *second.items]][:7]


async def test_a_page_that_ends_with_the_list_has_no_cursor(launch):
    rt = await launch(greet)
    for _ in range(2):
        await rt.run(greet, "Ada")

    assert None is (await rt.list(limit=2)).next_cursor
    assert None is not (await rt.list(limit=1)).next_cursor


async def test_input_is_loaded_when_it_is_asked_for(launch):
    rt = await launch(greet)
    await rt.run(greet, "Ada")

    assert [None] == [run.input for run in (await rt.list()).items]
    assert [{"args": ["Ada"], "kwargs": {}}] == [run.input for run in (await rt.list(load_input=True)).items]


async def test_a_question_that_can_never_be_right_is_a_value_error(launch):
    rt = await launch(greet)

    for wrong in ({"limit": 0}, {"limit": -1}, {"limit": True}, {"cursor": "x"}, {"status": "SLEEPING"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            await rt.list(**wrong)
