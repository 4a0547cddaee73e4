"""Waits grow as the formula says, never overflow, and only errors that were named are tried again."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turbine.retry import RetryPolicy, seconds_of


def never() -> float:
    raise AssertionError("nobody asked for jitter")


def test_wait_n_is_base_times_factor_to_the_n_minus_one_up_to_the_max():
    policy = RetryPolicy.of(9, base_interval=0.1, backoff_factor=2, max_interval=timedelta(seconds=1))

    assert [policy.wait(n, never) for n in range(1, 7)] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0])


def test_the_first_wait_is_capped_too():
    assert RetryPolicy.of(1, base_interval=10, max_interval=2).wait(1, never) == 2


@pytest.mark.parametrize(("chance", "expected"), [(0.0, 0.75), (0.5, 1.0), (1.0, 1.25)])
def test_jitter_is_a_fraction_of_the_wait_in_both_directions(chance, expected):
    policy = RetryPolicy.of(1, base_interval=1, jitter=0.25)

    assert expected == policy.wait(1, lambda: chance)


@given(
    n=st.integers(1, 10**9),
    base=st.floats(0, 1e300),
    factor=st.floats(0, 1e300),
    longest=st.floats(0, 1e300),
    jitter=st.floats(0, 1),
    chance=st.floats(0, 1),
)
def test_a_wait_is_always_a_finite_time_of_at_most_twice_the_max(n, base, factor, longest, jitter, chance):
    policy = RetryPolicy.of(1, base_interval=base, backoff_factor=factor, max_interval=longest, jitter=jitter)

    seconds = policy.wait(n, lambda: chance)

    assert 0 <= seconds <= 2 * longest
    assert math.isfinite(seconds)


def test_waits_are_counted_from_one():
    with pytest.raises(ValueError, match="counted from 1"):
        RetryPolicy().wait(0, never)


def test_only_the_named_errors_are_tried_again():
    policy = RetryPolicy.of(1, retry_on=OSError)

    assert policy.allows(FileNotFoundError("x"))
    assert not policy.allows(ValueError("x"))


def test_retry_if_has_the_last_word():
    policy = RetryPolicy.of(1, retry_if=lambda error: "again" in str(error))

    assert policy.allows(ValueError("again"))
    assert not policy.allows(ValueError("never"))


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(), GeneratorExit()])
def test_exits_are_never_tried_again(error):
    assert not RetryPolicy(retries=1, retry_on=(BaseException,)).allows(error)


@pytest.mark.parametrize(
    "wrong",
    [
        {"retries": -1},
        {"base_interval": -0.1},
        {"max_interval": timedelta(seconds=-1)},
        {"backoff_factor": -1},
        {"jitter": -0.1},
        {"jitter": 1.5},
        {"base_interval": math.nan},
    ],
)
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RetryPolicy.of(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"retries": True},
        {"retries": 1.5},
        {"base_interval": "1"},
        {"retry_on": (BaseException,)},
        {"retry_on": ValueError("an instance")},
        {"retry_if": 3},
    ],
)
def test_values_of_another_kind_are_refused(wrong):
    with pytest.raises(TypeError):
        RetryPolicy.of(**wrong)


@pytest.mark.parametrize(("given_duration", "expected"), [(timedelta(minutes=1), 60.0), (3, 3.0), (0.5, 0.5), (0, 0.0)])
def test_a_duration_is_a_timedelta_or_seconds(given_duration, expected):
    assert expected == seconds_of(given_duration, "timeout")


@pytest.mark.parametrize("wrong", [-1, timedelta(seconds=-1), math.nan, math.inf, 10**400])
def test_a_duration_is_finite_and_not_negative(wrong):
    with pytest.raises(ValueError, match="timeout"):
        seconds_of(wrong, "timeout")


@pytest.mark.parametrize("wrong", [True, "1", None])
def test_a_duration_is_nothing_else(wrong):
    with pytest.raises(TypeError, match="timeout"):
        seconds_of(wrong, "timeout")
