"""Times without a time zone are refused on the command line, wherever it runs."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from shop_service import Cli, Service

NAIVE = "2026-01-05T12:00:00"
COMPLAINT = f"{NAIVE} has no time zone; write {NAIVE}Z or +02:00"


@pytest.fixture(params=["UTC", "Asia/Kolkata"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_a_time_without_a_zone_is_refused_by_every_command(zone: None, cli: Cli, service: Service) -> None:
    id = cli("schedules", "create", "report", "--cron", "0 3 * * *", "--input", '{"on": "monday"}', "--json").json["id"]
    commands = [
        ("list", "--since", NAIVE),
        ("logs", "--since", NAIVE),
        ("schedules", "backfill", id, "--after", NAIVE),
        ("schedules", "backfill", id, "--after", "7d", "--before", NAIVE),
        ("schedules", "create", "report", "--once", NAIVE),
    ]
    for command in commands:
        answer = cli(*command)
        assert (2, True) == (answer.code, COMPLAINT in answer.err), (command, answer)
        assert command[-2] in answer.err


def test_a_time_with_a_zone_and_a_duration_are_taken(cli: Cli) -> None:
    once = cli(
        "schedules", "create", "report", "--once", "2036-01-05T14:00:00+02:00", "--input", '{"on": "x"}', "--json"
    )
    assert "2036-01-05T12:00:00.000Z" == once.json["scheduled_at"]
    for since in ("2h", "7d", "PT1H", f"{NAIVE}Z", f"{NAIVE}+02:00"):
        assert 0 == cli("list", "--since", since).code, since
        assert 0 == cli("logs", "--since", since).code, since
    assert 2 == cli("list", "--since", "yesterday").code
