"""What runs log is kept, with the run and the step that logged it."""

from __future__ import annotations

import asyncio
import logging
import logging.config
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest

import turbine
import turbine.sync
from turbine import LogSource, Runtime

shop = logging.getLogger("tests.shop")


@turbine.step
async def pack(item: str) -> str:
    turbine.logger().info("packing %s", item)
    return item


@turbine.workflow
async def order(item: str) -> str:
    turbine.logger().info("got an order")
    await pack(item)
    turbine.logger().warning("packed")
    return item


async def messages(rt: Runtime, workflow_id: str) -> list[tuple[str | None, str]]:
    page = await rt.logs.list(workflow_id=workflow_id, ascending=True)
    return [(record.step, record.message) for record in page.items]


async def test_what_a_body_and_its_steps_log_is_kept_with_run_and_step(launch) -> None:
    rt = await launch(order)
    handle = await rt.run(order, "book")
    await handle.result()
    page = await rt.logs.list(workflow_id=handle.workflow_id)
    assert [
        ("WARNING", "packed", None),
        ("INFO", "packing book", "0"),
        ("INFO", "got an order", None),
    ] == [(record.level, record.message, record.step) for record in page.items]
    assert {(handle.workflow_id, "turbine.run", LogSource.USER)} == {
        (record.workflow_id, record.logger, record.source) for record in page.items
    }
    assert all(timedelta(0) <= datetime.now(UTC) - record.at < timedelta(seconds=60) for record in page.items)


@turbine.step
def weigh() -> int:
    turbine.sync.logger().info("in a thread")
    return 1


@turbine.sync.workflow
def count() -> int:
    turbine.sync.logger().info("in a blocking body")
    return weigh()


async def test_blocking_bodies_and_steps_are_kept_too(launch) -> None:
    rt = await launch(count)
    handle = await rt.run(count)
    await handle.result()
    assert [(None, "in a blocking body"), ("0", "in a thread")] == await messages(rt, handle.workflow_id)


@turbine.workflow
async def standard() -> None:
    shop.warning("any logger")
    try:
        raise ValueError("what was wrong")
    except ValueError:
        shop.exception("with its error")


async def test_any_logger_in_a_body_is_kept_with_its_traceback(launch) -> None:
    rt = await launch(standard)
    handle = await rt.run(standard)
    await handle.result()
    (_, first), (_, second) = await messages(rt, handle.workflow_id)
    assert "any logger" == first
    assert second.startswith("with its error\nTraceback (most recent call last):\n")
    assert second.endswith("ValueError: what was wrong")


@turbine.workflow
async def chatty() -> None:
    shop.debug("asked for by its own level")
    logging.getLogger("tests.quiet").debug("let through by the root only")


async def test_below_info_a_logger_must_ask_for_it_itself(launch, monkeypatch) -> None:
    monkeypatch.setattr(logging.root, "level", logging.DEBUG)
    logging.root.manager._clear_cache()
    shop.setLevel(logging.DEBUG)
    try:
        rt = await launch(chatty)
        handle = await rt.run(chatty)
        await handle.result()
        assert [(None, "asked for by its own level")] == await messages(rt, handle.workflow_id)
    finally:
        shop.setLevel(logging.NOTSET)


async def test_nothing_is_kept_of_what_is_logged_outside_of_runs(launch) -> None:
    rt = await launch()
    shop.warning("not in a run")
    turbine.logger().warning("neither")
    assert [] == (await rt.logs.list()).items


async def test_each_runtime_of_a_process_keeps_its_own(launch, tmp_path) -> None:
    rt = await launch(order)
    async with Runtime(f"sqlite:///{tmp_path / 'other.db'}", workflows=[order]) as other:
        await (await rt.run(order.options(id="here"), "book")).result()
        await (await other.run(order.options(id="there"), "book")).result()
        assert {"here"} == {record.workflow_id for record in (await rt.logs.list()).items}
        assert {"there"} == {record.workflow_id for record in (await other.logs.list()).items}


@turbine.workflow
async def twice() -> None:
    turbine.logger().info("before")
    await turbine.recv("again")
    turbine.logger().info("between")
    await turbine.recv("again")
    turbine.logger().info("after")


async def test_what_a_replayed_body_logs_again_is_not_kept_again(launch, replay) -> None:
    rt = await launch(twice)
    handle = await rt.run(twice)
    await replay(rt, handle)
    await rt.send(handle.workflow_id, None, "again")
    await handle.result()
    assert [(None, "before"), (None, "between"), (None, "after")] == await messages(rt, handle.workflow_id)


@pytest.mark.parametrize("propagates", [True, False])
async def test_a_logger_of_the_hosts_is_kept_once_also_if_it_does_not_propagate(launch, propagates: bool) -> None:
    own = logging.getLogger("tests.own.child")
    own.parent.propagate = propagates
    try:
        rt = await launch(order, logger=own)
        handle = await rt.run(order, "book")
        await handle.result()
        expected = [(None, "got an order"), ("0", "packing book"), (None, "packed")]
        assert expected == await messages(rt, handle.workflow_id)
    finally:
        own.parent.propagate = True


async def test_info_is_kept_while_the_handlers_of_the_host_want_warnings_only(launch, caplog) -> None:
    assert not logging.getLogger("turbine.run").isEnabledFor(logging.INFO)
    rt = await launch(order)
    handle = await rt.run(order, "book")
    await handle.result()
    assert 3 == len(await messages(rt, handle.workflow_id))
    (warning,) = [record for record in caplog.records if record.name == "turbine.run"]
    assert ("packed", handle.workflow_id, None) == (warning.message, warning.workflow_id, warning.step_id)
    assert "test_logs.py" == warning.filename


@turbine.workflow
async def in_own_thread() -> None:
    logger = turbine.logger()
    thread = threading.Thread(target=lambda: logger.error("no context here"))
    thread.start()
    await asyncio.to_thread(thread.join)


async def test_the_logger_of_a_run_works_in_threads_that_do_not_know_it(launch) -> None:
    rt = await launch(in_own_thread)
    handle = await rt.run(in_own_thread)
    await handle.result()
    assert [(None, "no context here")] == await messages(rt, handle.workflow_id)


@turbine.workflow
async def flood(count: int) -> None:
    logger = turbine.logger()
    for number in range(count):
        logger.info("line %s", number)


async def test_a_flood_is_cut_and_says_so(launch, monkeypatch) -> None:
    monkeypatch.setattr("turbine.loops.log_writer.BUFFER_MAX", 10)
    rt = await launch(flood)
    handle = await rt.run(flood, 30)
    await handle.result()
    expected = [(None, f"line {number}") for number in range(10)]
    assert expected == await messages(rt, handle.workflow_id)
    (told,) = (await rt.logs.list(level="warning")).items
    assert "20 log records were dropped: they came faster than the database took them" == told.message
    assert (LogSource.SYSTEM, None) == (told.source, told.workflow_id)


async def test_more_records_than_one_write_takes_stay_in_order(launch) -> None:
    rt = await launch(flood)
    handle = await rt.run(flood, 1234)
    await handle.result()
    page = await rt.logs.list(workflow_id=handle.workflow_id, ascending=True, limit=5000)
    assert [f"line {number}" for number in range(1234)] == [record.message for record in page.items]


@turbine.workflow
async def strange() -> None:
    turbine.logger().warning("nul \0, surrogate \udc80, é 漢 🐍")
    turbine.logger().warning("a" * 20_000 + "b" * 30_000)


async def test_messages_are_made_fit_for_both_databases(launch) -> None:
    rt = await launch(strange)
    handle = await rt.run(strange)
    await handle.result()
    (_, odd), (_, long) = await messages(rt, handle.workflow_id)
    assert "nul \\x00, surrogate \\udc80, é 漢 🐍" == odd
    assert f"{'a' * 20_000}{'b' * 4576}\n… 17,232 characters left out …\n{'b' * 8192}" == long


async def test_a_shutdown_loses_nothing(launch) -> None:
    rt = await launch(flood)
    handle = await rt.run(flood, 700)
    await handle.result()
    await rt.shutdown()
    await rt.launch()
    assert 700 == len((await rt.logs.list(workflow_id=handle.workflow_id, limit=1000)).items)


async def test_records_are_stored_without_anybody_asking(launch) -> None:
    rt = await launch(order)
    reader = await launch()
    await (await rt.run(order, "book")).result()
    while len((await reader.logs.list()).items) < 3:  # noqa: ASYNC110 - another process has no other way to know
        await asyncio.sleep(0.01)


async def test_filters_and_pages(launch) -> None:
    rt = await launch(order)
    before = datetime.now(UTC) - timedelta(seconds=1)
    await (await rt.run(order.options(id="one"), "100% book")).result()
    await (await rt.run(order.options(id="two"), "pen")).result()
    assert ["packing 100% book"] == [r.message for r in (await rt.logs.list(search="0% B")).items]
    assert [] == (await rt.logs.list(search="0_ b")).items
    assert 2 == len((await rt.logs.list(level="WARNING")).items)
    assert ["packing pen"] == [r.message for r in (await rt.logs.list(workflow_id="two", step="0")).items]
    assert 6 == len((await rt.logs.list(after=before)).items)
    assert [] == (await rt.logs.list(before=before)).items
    first = await rt.logs.list(limit=4, ascending=True)
    second = await rt.logs.list(limit=4, ascending=True, cursor=first.next_cursor)
    assert (4, 2, None) == (len(first.items), len(second.items), second.next_cursor)
    assert list(range(6)) == [int(r.id) - int(first.items[0].id) for r in (*first.items, *second.items)]


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"cursor": "x"}, {"level": "LOUD"}, {"after": datetime(2026, 1, 1)}])  # noqa: DTZ001
async def test_what_can_never_be_right_is_refused(launch, wrong) -> None:
    rt = await launch()
    with pytest.raises(ValueError):  # noqa: PT011 - each of these has a text of its own
        await rt.logs.list(**wrong)


async def test_the_logging_of_the_process_looks_as_if_there_were_no_runtime(launch) -> None:
    def seen() -> tuple[object, ...]:
        return list(logging.root.handlers), logging.root.level, logging.getLogger("tests.shop").hasHandlers()

    before = seen()
    rt = await launch()
    assert before == seen()
    await rt.shutdown()
    assert before == seen()
    assert logging.root.parent is None


@pytest.mark.parametrize("change", ["basicConfig", "force", "dictConfig", "removed"])
async def test_lines_are_kept_whatever_the_program_does_to_its_logging_later(launch, change: str) -> None:
    handlers, level = list(logging.root.handlers), logging.root.level
    rt = await launch(order, use_other_loggers)
    try:
        match change:
            case "basicConfig":
                logging.root.handlers.clear()  # pytest's own
                logging.basicConfig(level=logging.INFO)
            case "force":
                logging.basicConfig(level=logging.INFO, handlers=[logging.NullHandler()], force=True)
            case "dictConfig":
                # The run's own logger is disabled by this too, as every logger that is not named.
                logging.config.dictConfig(
                    {"version": 1, "root": {"level": "INFO"}, "loggers": {"tests.shop": {"level": "INFO"}}}
                )
            case _:
                for handler in list(logging.root.handlers):
                    logging.root.removeHandler(handler)
                logging.root.setLevel(logging.INFO)
        handle = await rt.run(order, "book")
        await handle.result()
        other = await rt.run(use_other_loggers)
        await other.result()
        assert [(None, "got an order"), ("0", "packing book"), (None, "packed")] == await messages(
            rt, handle.workflow_id
        )
        assert [(None, "the shop's own line")] == await messages(rt, other.workflow_id)
    finally:
        logging.root.handlers[:], logging.root.level = handlers, level
        for logger in logging.root.manager.loggerDict.values():
            if isinstance(logger, logging.Logger):
                logger.disabled = False
        logging.root.setLevel(level)


@turbine.workflow
async def use_other_loggers() -> None:
    shop.info("the shop's own line")


BASIC_CONFIG = """
import asyncio, logging, turbine

@turbine.workflow
async def order():
    logging.getLogger("shop").info("line of a run")

async def main():
    async with turbine.Runtime("sqlite://:memory:", workflows=[order]) as rt:
        logging.basicConfig(level=logging.INFO)
        logging.getLogger("shop").info("line of the program")
        await (await rt.run(order)).result()

asyncio.run(main())
"""


def test_a_program_may_set_up_its_logging_after_the_launch() -> None:
    ended = subprocess.run([sys.executable, "-c", BASIC_CONFIG], capture_output=True, text=True, check=True)
    assert 1 == ended.stderr.count("line of the program")
    assert 1 == ended.stderr.count("line of a run")


PROGRAM = """
import asyncio, logging, turbine

@turbine.workflow
async def order():
    logging.getLogger("shop").info("nobody asked for this")
    logging.getLogger("shop").warning("the shelf is empty")

async def main():
    async with turbine.Runtime("sqlite://:memory:", workflows=[order]) as rt:
        async with turbine.Runtime("sqlite://:memory:", workflows=[order]):
            await (await rt.run(order)).result()

asyncio.run(main())
"""


def test_a_program_without_handlers_still_sees_its_warnings_once() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=30, check=True)
    assert "the shelf is empty\n" == done.stderr


def test_blocking_code_reads_the_same_logs(database_url) -> None:
    with turbine.sync.Runtime(database_url, workflows=[count]) as rt:
        handle = rt.run(count)
        handle.result()
        page = rt.logs.list(workflow_id=handle.workflow_id, ascending=True)
        assert ["in a blocking body", "in a thread"] == [record.message for record in page.items]
