"""Stored times are epoch milliseconds, of any time that Python can show."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from turbine.clock import to_datetime, to_ms


@pytest.mark.parametrize(
    ("moment", "epoch_ms"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), 0),
        (datetime(1969, 12, 31, 23, 59, 59, 999_000, UTC), -1),
        (datetime(2026, 11, 28, 12, 0, 0, 123_000, UTC), 1_795_867_200_123),
        (datetime.min.replace(tzinfo=UTC), -62_135_596_800_000),
        (datetime.max.replace(tzinfo=UTC, microsecond=999_000), 253_402_300_799_999),
    ],
)
def test_a_time_becomes_milliseconds_and_comes_back(moment: datetime, epoch_ms: int) -> None:
    assert epoch_ms == to_ms(moment)
    assert (moment, UTC) == (to_datetime(epoch_ms), to_datetime(epoch_ms).tzinfo)


def test_a_time_of_another_zone_is_the_same_moment() -> None:
    assert 0 == to_ms(datetime(1970, 1, 1, 9, tzinfo=timezone(timedelta(hours=9))))
