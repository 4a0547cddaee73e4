"""Times without a time zone are refused wherever code may give one."""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import turbine
from turbine import Runtime, Schedule
from turbine.clock import parse_moment
from turbine.testing import World

NAIVE = datetime(2026, 1, 5, 12, 0)  # noqa: DTZ001 - that is what is refused
AWARE = NAIVE.replace(tzinfo=UTC)
COMPLAINT = r"2026-01-05T12:00:00 has no time zone; write 2026-01-05T12:00:00Z or \+02:00"

Refuse = Callable[[Runtime, str], Awaitable[Any]]


@pytest.fixture(params=["UTC", "Asia/Kolkata"], autouse=True)
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    os.environ.pop("TZ", None)
    time.tzset()


@turbine.workflow(triggerable=True)
async def job() -> None:
    return None


@turbine.workflow
async def until() -> None:
    await turbine.sleep_until(NAIVE)


CALLS: dict[str, Refuse] = {
    "list.created_after": lambda rt, _: rt.list(created_after=NAIVE),
    "list.created_before": lambda rt, _: rt.list(created_before=NAIVE),
    "schedules.update.scheduled_at": lambda rt, id: rt.schedules.update(id, scheduled_at=NAIVE),
    "schedules.backfill.start": lambda rt, id: rt.schedules.backfill(id, NAIVE, AWARE),
    "schedules.backfill.end": lambda rt, id: rt.schedules.backfill(id, AWARE, NAIVE),
    "schedules.preview.after": lambda rt, id: rt.schedules.preview(id, after=NAIVE),
    "logs.list.after": lambda rt, _: rt.logs.list(after=NAIVE),
    "logs.list.before": lambda rt, _: rt.logs.list(before=NAIVE),
    "audit.list.after": lambda rt, _: rt.audit.list(after=NAIVE),
    "audit.list.before": lambda rt, _: rt.audit.list(before=NAIVE),
    "failures.list.after": lambda rt, _: rt.failures.list(after=NAIVE),
    "failures.list.before": lambda rt, _: rt.failures.list(before=NAIVE),
    "tokens.create.expires": lambda rt, _: rt.tokens.create("t", "viewer", expires=NAIVE + timedelta(days=3650)),
}


async def test_every_call_that_takes_a_time_refuses_one_without_a_zone(launch) -> None:
    rt = await launch(job)
    record = await rt.schedules.create(job, Schedule.cron("0 3 * * *"))
    for name, call in CALLS.items():
        complaint = COMPLAINT if "expires" not in name else "has no time zone"
        with pytest.raises(ValueError, match=f"{name.rpartition('.')[2]}.*{complaint}"):
            await call(rt, record.id)
    assert record == await rt.schedules.get(record.id)


def test_the_calls_above_are_all_that_take_a_time() -> None:
    rt = Runtime("sqlite://:memory:")
    nouns = {"": rt, **{f"{name}.": value for name, value in vars(rt).items() if not name.startswith("_")}}
    found = {
        f"{noun}{name}.{parameter.name}"
        for noun, value in nouns.items()
        for name, function in inspect.getmembers(value, inspect.ismethod)
        if not name.startswith("_")
        for parameter in inspect.signature(function).parameters.values()
        if "datetime" in str(parameter.annotation)
    }
    assert set(CALLS) == found


async def test_what_is_no_time_at_all_is_refused_by_name(launch) -> None:
    rt = await launch(job)
    with pytest.raises(TypeError, match="created_after must be a datetime with a time zone, not '2026"):
        await rt.list(created_after="2026-01-05T12:00:00Z")


def test_a_deadline_and_a_single_run_need_a_zone() -> None:
    with pytest.raises(ValueError, match=f"deadline {COMPLAINT}"):
        job.options(deadline=NAIVE)
    with pytest.raises(ValueError, match=COMPLAINT):
        Schedule.once(NAIVE)


async def test_sleeping_until_a_time_without_a_zone_ends_the_run_with_the_same_complaint(launch) -> None:
    rt = await launch(until)
    with pytest.raises(turbine.WorkflowFailed, match=COMPLAINT):
        await (await rt.run(until)).result()


async def test_a_world_takes_no_time_without_a_zone(database_url: str) -> None:
    with pytest.raises(ValueError, match=COMPLAINT):
        World(database_url, start=NAIVE)
    async with World(database_url, start=AWARE) as world:
        with pytest.raises(ValueError, match=COMPLAINT):
            await world.advance_to(NAIVE + timedelta(0))


def test_a_text_is_taken_with_a_zone_only() -> None:
    assert parse_moment("2026-01-05T12:00:00Z") == parse_moment("2026-01-05T14:00+02:00") == AWARE
    for text in ("2026-01-05T12:00:00", "2026-01-05T12", "20260105T120000"):
        with pytest.raises(ValueError, match=COMPLAINT):
            parse_moment(text)
    with pytest.raises(ValueError, match="2026-01-05T00:00:00 has no time zone"):
        parse_moment("2026-01-05")
