"""What people see of values."""

import time

import pytest

from turbine.cli.output import moment


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Lima"])
def test_times_are_shown_in_the_zone_of_the_machine_where_it_can_convert_them(monkeypatch, zone: str) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        shown = moment("2026-11-28T12:00:00+00:00")
        first, last = moment("0001-01-01T00:00:00+00:00"), moment("9999-12-31T23:59:59.999000+00:00")
    time.tzset()

    assert shown == {"Asia/Tokyo": "2026-11-28 21:00:00", "America/Lima": "2026-11-28 07:00:00"}[zone]
    assert first.endswith("01-01 00:00:00") is (zone == "America/Lima")
    assert last == {"Asia/Tokyo": "9999-12-31 23:59:59", "America/Lima": "9999-12-31 18:59:59"}[zone]
