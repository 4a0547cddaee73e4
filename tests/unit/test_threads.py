"""Threads of a runtime: at most so many, and those that nobody waits for any more do not count."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from turbine.threads import Threads


class Middleware:
    """A call that runs until it is let go."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.go = threading.Event()
        self.ended = threading.Event()

    def __call__(self) -> None:
        self.began.set()
        self.go.wait(120)
        self.ended.set()


def until(condition: Callable[[], bool]) -> None:
    patience = threading.Event()
    for _ in range(60_000):
        if condition():
            return
        patience.wait(0.002)
    raise AssertionError("it does not come to be")


@pytest.fixture
def threads():
    threads = Threads(2)
    yield threads
    threads.close()


def test_no_more_calls_than_there_may_be_threads_run_at_once(threads):
    first, second, third = Middleware(), Middleware(), Middleware()
    for gate in (first, second, third):
        threads.submit(gate)
    assert first.began.wait(120)
    assert second.began.wait(120)
    assert (2, 1, True, False) == (threads.in_use, threads.backlog, threads.is_crowded, third.began.is_set())
    first.go.set()
    assert third.began.wait(120)
    second.go.set()
    third.go.set()


def test_a_thread_that_was_given_up_makes_room_for_another(threads):
    stuck, more, waiting = [Middleware() for _ in range(2)], [Middleware() for _ in range(2)], Middleware()
    calls = [threads.submit(gate) for gate in stuck]
    assert all(gate.began.wait(120) for gate in stuck)
    for gate in more:
        threads.submit(gate)
    assert [True, True] == [threads.give_up(call) for call in calls]
    assert all(gate.began.wait(120) for gate in more)
    assert (2, 2) == (threads.given_up, threads.in_use)

    threads.submit(waiting)
    stuck[0].go.set()  # its thread is one too many and ends
    until(lambda: threads.given_up == 1)
    assert (2, False) == (threads.in_use, waiting.began.is_set())
    more[0].go.set()
    assert waiting.began.wait(120)
    for gate in (more[1], waiting):
        gate.go.set()
    until(lambda: threads.in_use == 0)
    stuck[1].go.set()
    until(lambda: threads.given_up == 0)
    assert threads.alive <= 2


def test_a_thread_that_was_given_up_counts_again_when_there_is_room(threads):
    stuck = Middleware()
    call = threads.submit(stuck)
    assert stuck.began.wait(120)
    assert threads.give_up(call)
    assert (1, 0, True) == (threads.given_up, threads.alive, threads.give_up(call))
    stuck.go.set()
    until(lambda: threads.given_up == 0 and threads.alive == 1)
    assert not threads.give_up(call)


def test_a_call_that_was_given_up_before_it_began_is_never_made(threads):
    first, second, third = Middleware(), Middleware(), Middleware()
    for gate in (first, second):
        threads.submit(gate)
    assert first.began.wait(120)
    assert second.began.wait(120)
    assert not threads.give_up(threads.submit(third))
    assert (0, 0) == (threads.backlog, threads.given_up)
    first.go.set()
    second.go.set()
    until(lambda: threads.in_use == 0)
    assert not third.began.is_set()


def test_a_thread_beside_the_others_is_given_up_like_them(threads):
    busy, beside = [Middleware() for _ in range(2)], Middleware()
    for gate in busy:
        threads.submit(gate)
    assert all(gate.began.wait(120) for gate in busy)
    call = threads.submit_for_waiter(beside)
    assert beside.began.wait(120)
    assert threads.give_up(call)
    assert (1, 2) == (threads.given_up, threads.alive)
    for gate in (beside, *busy):
        gate.go.set()
    until(lambda: threads.given_up == 0 and threads.in_use == 0)
    assert 2 == threads.alive
