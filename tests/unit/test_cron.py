"""Cron texts: which ticks there are, above all when the clock is changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from turbine import Schedule, ValidationFailed
from turbine.cron import MACROS, Cron, describe, zone_of

BERLIN = "Europe/Berlin"


def ticks(text: str, zone: str, after: str, count: int) -> list[str]:
    """The next ticks as the clock on the wall shows them, with their distance from UTC."""
    after_ms = round(datetime.fromisoformat(after).timestamp() * 1000)
    found = islice(Cron(text, zone).ticks(after_ms), count)
    return [datetime.fromtimestamp(tick / 1000, zone_of(zone)).strftime("%m-%d %H:%M:%S%z") for tick in found]


def test_a_time_on_the_wall_that_is_skipped_in_spring_comes_right_after_the_change():
    assert ["03-28 02:30:00+0100", "03-29 03:00:00+0200", "03-30 02:30:00+0200"] == ticks(
        "30 2 * * *", BERLIN, "2026-03-28T00:00+01:00", 3
    )


def test_a_time_on_the_wall_that_comes_twice_in_autumn_ticks_once():
    assert ["10-24 02:30:00+0200", "10-25 02:30:00+0200", "10-26 02:30:00+0100"] == ticks(
        "30 2 * * *", BERLIN, "2026-10-24T00:00+02:00", 3
    )


def test_a_schedule_that_is_made_in_the_repeated_hour_does_not_tick_in_the_past():
    assert ["10-26 02:30:00+0100"] == ticks("30 2 * * *", BERLIN, "2026-10-25T02:10+01:00", 1)


def test_several_times_of_the_skipped_hour_come_once_together():
    assert ["03-29 03:00:00+0200", "03-29 03:30:00+0200", "03-30 02:00:00+0200"] == ticks(
        "0,30 2,3 * * *", BERLIN, "2026-03-28T12:00+01:00", 3
    )


def test_intervals_follow_elapsed_time_through_both_changes():
    assert ["03-29 01:30:00+0100", "03-29 03:00:00+0200", "03-29 03:30:00+0200"] == ticks(
        "*/30 * * * *", BERLIN, "2026-03-29T01:00+01:00", 3
    )
    assert ["10-25 02:30:00+0200", "10-25 02:00:00+0100", "10-25 02:30:00+0100", "10-25 03:00:00+0100"] == ticks(
        "*/30 * * * *", BERLIN, "2026-10-25T02:00+02:00", 4
    )


def test_six_fields_begin_with_seconds_and_follow_the_same_rules():
    assert ["03-01 00:00:15+0000", "03-01 00:00:45+0000", "03-01 00:01:15+0000"] == ticks(
        "15,45 * * * * *", "UTC", "2026-03-01T00:00+00:00", 3
    )
    assert ticks("30 2 * * *", BERLIN, "2026-03-28T00:00+01:00", 400) == ticks(
        "0 30 2 * * *", BERLIN, "2026-03-28T00:00+01:00", 400
    )


@pytest.mark.parametrize(("macro", "fields"), MACROS.items())
def test_a_macro_stands_for_its_fields(macro: str, fields: str):
    after = "2026-03-01T00:00+00:00"

    assert ticks(fields, BERLIN, after, 5) == ticks(macro.upper(), BERLIN, after, 5)


def test_the_leap_day_comes_in_leap_years_only():
    found = islice(Cron("0 0 29 2 *").ticks(0), 3)

    assert ["1972-02-29", "1976-02-29", "1980-02-29"] == [
        datetime.fromtimestamp(tick / 1000, UTC).date().isoformat() for tick in found
    ]


def test_of_day_of_month_and_day_of_week_one_suffices():
    assert ["03-02 00:00:00+0000", "03-09 00:00:00+0000", "03-13 00:00:00+0000"] == ticks(
        "0 0 13 * MON", "UTC", "2026-03-01T12:00+00:00", 3
    )


def test_a_zone_that_changes_at_midnight_has_each_day_once():
    found = ticks("0 0 * * *", "America/Asuncion", "2023-09-30T12:00-04:00", 3)

    assert ["10-01 01:00:00-0300", "10-02 00:00:00-0300", "10-03 00:00:00-0300"] == found


@pytest.mark.parametrize(
    "text", ["", "x", "* * * *", "60 * * * *", "0 0 30 2 *", "@reboot", "@every 5m", "* * * * * * *", None, 5]
)
def test_a_text_that_cannot_be_read_or_never_ticks_is_refused(text):
    with pytest.raises(ValidationFailed) as caught:
        Schedule.cron(text)

    assert [("cron", [])] == [(error["type"], error["path"]) for error in caught.value.errors]


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "Europe", "../UTC", "/etc/passwd"])
def test_a_zone_that_does_not_exist_is_refused(zone: str):
    with pytest.raises(ValidationFailed, match="time zone"):
        Schedule.cron("@daily", timezone=zone)


@pytest.mark.parametrize(
    "wrong",
    [
        {"catch_up": "some"},
        {"jitter": timedelta(seconds=-1)},
        {"jitter": -0.5},
        {"jitter": float("nan")},
        {"jitter": float("inf")},
        {"jitter": "5s"},
        {"jitter": True},
        {"jitter": timedelta.max},
    ],
    ids=lambda wrong: str(wrong),
)
def test_jitter_and_catch_up_that_can_never_be_right_are_refused(wrong):
    with pytest.raises(ValidationFailed):
        Schedule.cron("@daily", **wrong)


def test_a_single_time_needs_a_zone():
    with pytest.raises(ValidationFailed):
        Schedule.once(datetime(2026, 3, 27, 3, tzinfo=UTC).replace(tzinfo=None))


def test_a_text_is_told_in_words():
    assert "At 02:30 on Monday" == describe("30 2 * * MON")


HOUR_MS = 3_600_000
CHANGES = ["2026-03-29T01:00", "2026-10-25T01:00", "2026-03-08T07:00", "2026-11-01T06:00", "2026-04-04T15:00",
           "2026-10-03T15:30", "2026-04-23T22:00", "2026-10-29T21:00"]  # fmt: skip
texts = st.sampled_from(
    ["*/7 * * * *", "30 2 * * *", "0,59 1-3 * * *", "*/20 30 2 * * *", "0 */2 * * *", "@hourly", "15 0 1,31 * SUN"]
)
zones = st.sampled_from([BERLIN, "UTC", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Kolkata"])


@given(texts, zones, st.sampled_from(CHANGES), st.integers(-48 * HOUR_MS, 3 * HOUR_MS), st.integers(1, 72), st.data())
def test_where_a_search_begins_changes_nothing(text: str, zone: str, change: str, before: int, hours: int, data):
    start = round(datetime.fromisoformat(change).replace(tzinfo=UTC).timestamp() * 1000) + before
    end = start + hours * HOUR_MS
    count = data.draw(st.integers(1, 50))
    cron = Cron(text, zone)

    straight = list(takewhile(lambda tick: tick <= end, cron.ticks(start)))

    assert all(earlier < later for earlier, later in pairwise(straight))
    assert straight[-count:] == cron.latest(start, end, count)
    assert straight[1:] == [cron.next_ms(tick) for tick in straight[:-1]]
