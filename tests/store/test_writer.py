"""The promises of the writer on both databases: group commit, results for the right callers, no caller left waiting."""

import asyncio
import itertools
import logging
import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from turbine.errors import Conflict, StoreUnavailable
from turbine.store import Statement, Tx, bulk
from turbine.store.tx import Lane, on
from turbine.store.writer import BATCH_BYTES_MAX, BATCH_MAX

FAIL_IN_SQL = Statement.of("insert into no_such_table values (1)")


class WriterDies(BaseException):
    """What no transaction function may raise, and no writer survives."""


@on(Lane.MAIN)
def die(tx: Tx) -> None:
    raise WriterDies


async def test_a_write_that_entered_is_finished_when_its_caller_is_cancelled(store, ledger, busy_writer) -> None:
    with busy_writer(store):
        principal = asyncio.create_task(store.write(ledger.enter, id="a"))
        await asyncio.sleep(0)
        principal.cancel()
        await asyncio.gather(principal, return_exceptions=True)
    await store.write(ledger.enter, id="b")
    assert principal.cancelled()
    assert (["a", "b"], 2) == await store.read(ledger.audit)


async def test_the_batch_mates_of_a_cancelled_caller_get_their_results(store, ledger, busy_writer) -> None:
    with busy_writer(store):
        writes = [asyncio.create_task(store.write(ledger.enter, id=id)) for id in "abc"]
        await asyncio.sleep(0)
        writes[1].cancel()
        await asyncio.sleep(0)
    assert "entered a" == await writes[0]
    assert "entered c" == await writes[2]
    assert (["a", "b", "c"], 3) == await store.read(ledger.audit)


def test_writes_that_gather_while_a_commit_is_in_flight_share_the_next_one(store, ledger, busy_writer) -> None:
    before = store.writer.batches
    with busy_writer(store):
        futures = [store.submit_blocking(ledger.enter, {"id": str(n)}) for n in range(50)]
        assert 50 == store.writer.depth
    for future in futures:
        future.wait()
    assert 2 == store.writer.batches - before
    assert 50 == store.read_blocking(ledger.audit)[1]


def test_a_batch_has_a_bound_in_jobs_and_in_bytes(store, ledger, busy_writer) -> None:
    before = store.writer.batches
    with busy_writer(store):
        many = [store.submit_blocking(ledger.enter_all, f"{n:05}") for n in range(BATCH_MAX + 1)]
    for future in many:
        future.wait()
    assert 3 == store.writer.batches - before
    before = store.writer.batches
    with busy_writer(store):
        large = [store.submit_blocking(ledger.enter, {"id": id}, BATCH_BYTES_MAX) for id in "abc"]
    assert ["entered a", "entered b", "entered c"] == [future.wait() for future in large]
    assert 3 == store.writer.batches - before


async def test_results_go_to_the_right_callers_in_a_mixed_batch(store, ledger, busy_writer) -> None:
    async def enter(n: int) -> None:
        match n % 4:
            case 0:
                assert f"entered {n}" == await store.write(ledger.enter, id=str(n))
            case 1:
                assert f"entered {n} in bulk" == await store.submit(ledger.enter_all, str(n))
            case 2:
                future = store.submit_blocking(ledger.enter_all, str(n))
                assert f"entered {n} in bulk" == await asyncio.to_thread(future.wait)
            case _:
                with pytest.raises(Conflict, match=f"not {n}$"):
                    await store.write(ledger.refuse, id=str(n))

    order = random.Random(7).sample(range(80), 80)
    before = store.writer.batches
    with busy_writer(store):
        callers = [asyncio.create_task(enter(n)) for n in order]
        await asyncio.sleep(0)
    await asyncio.gather(*callers)
    assert 2 == store.writer.batches - before
    assert (sorted(str(n) for n in range(80) if n % 4 != 3), 60) == await store.read(ledger.audit)


def test_blocking_callers_are_answered_without_any_event_loop(store, ledger) -> None:
    def enter_ten(principal: int) -> list[str]:
        return [store.write_blocking(ledger.enter, id=f"{principal}.{n}") for n in range(10)]

    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(enter_ten, range(8)))
    assert [[f"entered {principal}.{n}" for n in range(10)] for principal in range(8)] == answers
    assert 80 == store.read_blocking(ledger.audit)[1]


def test_callers_in_several_event_loops_are_answered_each_in_their_own(store, ledger, busy_writer) -> None:
    async def enter(id: str) -> str:
        return await store.write(ledger.enter, id=id)

    with ThreadPoolExecutor(3) as threads:
        with busy_writer(store):
            answers = [threads.submit(asyncio.run, enter(id)) for id in "abc"]
        assert ["entered a", "entered b", "entered c"] == [answer.result() for answer in answers]


def test_a_caller_whose_event_loop_was_closed_harms_no_other(store, ledger, busy_writer) -> None:
    async def enter_and_leave() -> None:
        store.submit(ledger.enter, {"id": "a"})

    with busy_writer(store):
        asyncio.run(enter_and_leave())
        other = store.submit_blocking(ledger.enter, {"id": "b"})
    assert "entered b" == other.wait()
    assert (["a", "b"], 2) == store.read_blocking(ledger.audit)


def test_a_blocking_future_can_be_awaited_again(store, ledger) -> None:
    good = store.submit_blocking(ledger.enter, {"id": "a"})
    bad = store.submit_blocking(ledger.refuse, {"id": "b"})
    assert "entered a" == good.wait() == good.wait()
    for _ in range(2):
        with pytest.raises(Conflict):
            bad.wait()


def test_a_refusal_takes_no_other_write_with_it_and_splits_no_batch(store, ledger, busy_writer, outcome) -> None:
    before = store.writer.batches
    with busy_writer(store):
        first = store.submit_blocking(ledger.enter, {"id": "a"})
        refused = store.submit_blocking(ledger.refuse, {"id": "b"})
        last = store.submit_blocking(ledger.enter_all, "c")
    assert ["entered a", "entered c in bulk"] == [first.wait(), last.wait()]
    assert isinstance(outcome(refused.wait), Conflict)
    assert 2 == store.writer.batches - before
    assert (["a", "c"], 2) == store.read_blocking(ledger.audit)


def test_writes_that_raise_are_undone_alone_wherever_they_stand(store, ledger, busy_writer, outcome) -> None:
    kept: list[str] = []
    for round_, poisoned in enumerate(({0}, {39}, {17}, {3, 4, 31}, set(range(40)))):
        ids = [f"{round_}.{n:02}" for n in range(40)]
        with busy_writer(store):
            futures = [
                store.submit_blocking(ledger.break_after_entering if n in poisoned else ledger.enter, {"id": id})
                for n, id in enumerate(ids)
            ]
        answers = [outcome(future.wait) for future in futures]
        assert poisoned == {n for n, answer in enumerate(answers) if isinstance(answer, ZeroDivisionError)}
        good = [n for n in range(40) if n not in poisoned]
        assert [f"entered {ids[n]}" for n in good] == [answers[n] for n in good]
        kept += [ids[n] for n in good]
    assert (kept, len(kept)) == store.read_blocking(ledger.audit)


def test_a_row_that_breaks_its_bulk_statement_is_refused_alone(store, ledger, busy_writer, outcome) -> None:
    store.write_blocking(ledger.enter, id="taken")
    with busy_writer(store):
        futures = [store.submit_blocking(ledger.enter_all, id) for id in ("a", "b", "taken", "c", "d")]
    answers = [outcome(future.wait) for future in futures]
    assert ["entered a in bulk", "entered b in bulk"] == answers[:2]
    assert "IntegrityError" in {one.__name__ for one in type(answers[2]).__mro__}
    assert ["entered c in bulk", "entered d in bulk"] == answers[3:]
    assert (["a", "b", "c", "d", "taken"], 5) == store.read_blocking(ledger.audit)


def test_a_bulk_function_that_forgets_an_answer_fails_alone(store, ledger, busy_writer, outcome) -> None:
    @bulk
    def forgetful(tx: Tx, rows: Sequence[str]) -> list[str]:
        return []

    with busy_writer(store):
        first = store.submit_blocking(ledger.enter, {"id": "a"})
        bad = store.submit_blocking(forgetful, "x")
        last = store.submit_blocking(ledger.enter, {"id": "b"})
    assert isinstance(outcome(bad.wait), ValueError)
    assert ["entered a", "entered b"] == [first.wait(), last.wait()]
    assert "entered c" == store.write_blocking(ledger.enter, id="c")


def test_nothing_is_acknowledged_that_a_swallowed_error_has_undone(store, ledger, busy_writer, outcome) -> None:
    # Postgres answers the commit of a transaction in which a statement failed with a quiet rollback.
    def swallow(tx: Tx) -> str:
        try:
            tx.run(FAIL_IN_SQL)
        except Exception:  # noqa: BLE001 - what no transaction function should do
            return "nothing happened"
        return "impossible"

    with busy_writer(store):
        mate = store.submit_blocking(ledger.enter, {"id": "a"})
        store.submit_blocking(swallow, {})
    assert "entered a" == mate.wait()
    assert ["a"] == store.read_blocking(ledger.ids)


def test_a_write_without_a_waiting_caller_is_kept_and_its_failure_logged(store, ledger, caplog) -> None:
    caplog.set_level(logging.WARNING, "turbine.store")
    store.post(ledger.enter, {"id": "a"})
    store.post(ledger.break_after_entering, {"id": "b"})
    store.post(ledger.refuse, {"id": "c"})
    store.write_blocking(ledger.enter, id="d")
    assert (["a", "d"], 2) == store.read_blocking(ledger.audit)
    logged = " ".join(record.getMessage() for record in caplog.records)
    assert "ZeroDivisionError('b')" in logged
    assert "not c" in logged


def test_closing_finishes_what_has_entered(store, ledger, busy_writer, opened) -> None:
    with busy_writer(store):
        futures = [store.submit_blocking(ledger.enter, {"id": str(n)}) for n in range(10)]
        closing = threading.Thread(target=store.close)
        closing.start()
    closing.join(120)
    assert not closing.is_alive()
    assert [f"entered {n}" for n in range(10)] == [future.wait() for future in futures]
    assert 10 == opened(store.url).read_blocking(ledger.audit)[1]


async def test_after_closing_everything_raises_store_unavailable(store, ledger) -> None:
    store.close()
    store.close()
    with pytest.raises(StoreUnavailable):
        await store.write(ledger.enter, id="a")
    with pytest.raises(StoreUnavailable):
        store.write_blocking(ledger.enter, id="a")
    with pytest.raises(StoreUnavailable):
        store.post(ledger.enter, {"id": "a"})
    with pytest.raises(StoreUnavailable):
        await store.read(ledger.ids)
    with pytest.raises(StoreUnavailable):
        store.read_blocking(ledger.ids)


def test_a_write_that_meets_the_closing_door_is_answered(store, ledger, monkeypatch) -> None:
    put = store.writer.put

    def put_late(job) -> None:
        monkeypatch.setattr(store.writer, "put", put)
        store.close()
        put(job)

    monkeypatch.setattr(store.writer, "put", put_late)
    future = store.submit_blocking(ledger.enter, {"id": "a"})
    with pytest.raises(StoreUnavailable):
        future.wait()


def test_callers_who_write_while_the_door_closes_are_all_answered_truly(store, ledger, opened, outcome) -> None:
    def enter_until_refused(principal: int) -> list[str]:
        mine: list[str] = []
        for n in itertools.count():
            id = f"{principal}.{n}"
            answer = outcome(lambda id=id: store.write_blocking(ledger.enter, id=id))
            if isinstance(answer, StoreUnavailable):
                return mine
            assert f"entered {id}" == answer
            mine.append(id)
        raise AssertionError

    with ThreadPoolExecutor(8) as threads:
        callers = [threads.submit(enter_until_refused, principal) for principal in range(8)]
        while store.writer.jobs < 200:
            store.read_blocking(ledger.ids)
        store.close()
        entered = sorted(id for principal in callers for id in principal.result(20))
    assert (entered, len(entered)) == opened(store.url).read_blocking(ledger.audit)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_dying_writer_fails_all_who_wait(store, ledger, busy_writer, opened) -> None:
    with busy_writer(store):
        mates = [store.submit_blocking(ledger.enter, {"id": f"mate {n}"}) for n in range(3)]
        loop_mate = store.submit(ledger.enter_all, "loop mate")
        store.submit_blocking(die, {})
        held = store.submit_blocking(ledger.enter, {"id": "held over for its size"}, BATCH_BYTES_MAX + 1)
        queued = [store.submit_blocking(ledger.enter, {"id": f"queued {n}"}) for n in range(3)]
    for future in [*mates, held, *queued]:
        with pytest.raises(StoreUnavailable, match="died"):
            future.wait()
    with pytest.raises(StoreUnavailable, match="died"):
        await loop_mate
    with pytest.raises(StoreUnavailable):
        await store.write(ledger.enter, id="later")
    store.close()
    assert ([], 0) == opened(store.url).read_blocking(ledger.audit)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_writer_that_dies_in_a_split_batch_fails_only_those_without_an_answer(
    store, ledger, busy_writer, outcome
) -> None:
    with busy_writer(store):
        first = store.submit_blocking(ledger.enter, {"id": "a"})
        store.submit_blocking(ledger.break_after_entering, {"id": "b"})
        store.submit_blocking(ledger.break_after_entering, {"id": "c"})
        fatal = store.submit_blocking(die, {})
    assert "entered a" == first.wait()
    assert isinstance(outcome(fatal.wait), StoreUnavailable)


async def test_wakes_of_a_commit_are_delivered_before_its_results(store, ledger) -> None:
    events: list[object] = []

    def enter_and_wake(tx: Tx, *, id: str) -> str:
        tx.wake("entry", id)
        return ledger.enter(tx, id=id)

    def notified(wakes) -> None:
        events.extend(wake for wake in wakes if wake[0] == "entry")

    store.hold("me")
    store.listen(asyncio.get_running_loop(), "me", notified)
    for id in "ab":
        answer = await store.write(enter_and_wake, id=id)
        events.append(answer)
    assert [("entry", "a"), "entered a", ("entry", "b"), "entered b"] == events


async def test_what_a_wake_tells_of_can_be_read(store, ledger) -> None:
    seen: list[list[str]] = []

    def enter_and_wake(tx: Tx, *, id: str) -> None:
        ledger.enter(tx, id=id)
        tx.wake("entry", id)

    def notified(wakes) -> None:
        if ("entry", "a") in wakes:
            seen.append(store.read_blocking(ledger.ids))

    store.hold("me")
    store.listen(asyncio.get_running_loop(), "me", notified)
    await store.write(enter_and_wake, id="a")
    assert [["a"]] == seen


async def test_a_write_that_was_undone_publishes_no_wakes(store, ledger, outcome, busy_writer) -> None:
    notified: list[object] = []

    def wake_and_break(tx: Tx) -> None:
        tx.wake("never")
        raise ZeroDivisionError

    store.hold("me")
    store.listen(asyncio.get_running_loop(), "me", notified.extend)
    with busy_writer(store):
        bad = store.submit(wake_and_break, {})
        mate = store.submit(ledger.enter, {"id": "a"})
    with pytest.raises(ZeroDivisionError):
        await bad
    await mate
    assert [] == [wake for wake in notified if wake[0] == "never"]


async def test_a_listener_that_fails_leaves_no_caller_waiting(store, ledger) -> None:
    loop = asyncio.get_running_loop()
    complaints: list[dict[str, object]] = []
    loop.set_exception_handler(lambda _, context: complaints.append(context))

    def enter_and_wake(tx: Tx, *, id: str) -> str:
        tx.wake("entry", id)
        return ledger.enter(tx, id=id)

    def notified(wakes) -> None:
        if ("entry", "a") in wakes:
            raise ZeroDivisionError

    store.hold("me")
    store.listen(loop, "me", notified)
    async with asyncio.timeout(120):
        assert "entered a" == await store.write(enter_and_wake, id="a")
    assert [ZeroDivisionError] == [type(complaint["exception"]) for complaint in complaints]
    loop.set_exception_handler(None)
