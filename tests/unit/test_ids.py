"""Fresh ids sort by age; given ids and names are what both databases can store."""

from __future__ import annotations

import os
import threading
import time
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turbine import ids
from turbine.ids import check_id, check_name, new_id


def test_a_new_id_is_a_uuid_of_version_7_with_the_time_in_front():
    before = time.time_ns() // 1_000_000
    made = uuid.UUID(new_id())
    after = time.time_ns() // 1_000_000

    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    # The sequence may have run ahead of the clock only after two trillion ids in one millisecond.
    assert before <= made.int >> 80 <= after


def test_ids_grow_also_within_a_millisecond():
    made = [new_id() for _ in range(20_000)]

    assert made == sorted(set(made))


def test_ids_grow_when_the_clock_jumps_back(monkeypatch):
    first = new_id()
    monkeypatch.setattr(ids.time, "time_ns", lambda: 0)

    assert first < new_id() < new_id()


def test_a_full_counter_moves_on_to_the_next_millisecond(monkeypatch):
    now = time.time_ns()
    monkeypatch.setattr(ids.time, "time_ns", lambda: now)
    first = new_id()
    monkeypatch.setattr(ids._sequence, "counter", (1 << 42) - 1)

    second = new_id()

    assert first < second
    assert uuid.UUID(second).int >> 80 == (uuid.UUID(first).int >> 80) + 1


def test_threads_never_get_the_same_id():
    made: list[list[str]] = [[] for _ in range(4)]

    def make(mine: list[str]) -> None:
        mine.extend(new_id() for _ in range(3000))

    threads = [threading.Thread(target=make, args=(mine,)) for mine in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({one for mine in made for one in mine}) == 12_000
    assert all(mine == sorted(mine) for mine in made)


@pytest.mark.skipif(not hasattr(os, "register_at_fork"), reason="this system has no fork")
def test_a_forked_child_gets_a_sequence_of_its_own():
    before = ids._sequence
    try:
        before.lock.acquire()
        ids._start_anew()

        assert ids._sequence is not before
        assert new_id()
    finally:
        before.lock.release()


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=500))
def test_any_text_both_databases_can_store_is_an_id(text):
    assert text == check_id(text) == check_name(text, "step name")


@pytest.mark.parametrize("text", ["", "a\0b", "a\ud800", "x" * 2001])
def test_an_id_no_database_can_store_is_refused_with_the_rule(text):
    with pytest.raises(ValueError, match=r"A workflow id is 1 to 2000 characters .* without NUL and without lone surr"):
        check_id(text)


@pytest.mark.parametrize("value", [None, 1, b"id"])
def test_an_id_is_text(value):
    with pytest.raises(TypeError, match="A topic is 1 to 2000 characters"):
        check_id(value, "topic")


def test_a_name_may_be_longer_than_an_id():
    assert check_name("x" * 20_000, "step name") == "x" * 20_000
    with pytest.raises(ValueError, match="20001 characters"):
        check_name("x" * 20_001, "step name")
