"""Keys of moments: found exactly, however unevenly runs were made and whichever keys are gone."""

from __future__ import annotations

import random
from itertools import accumulate
from typing import Any

import pytest

from turbine.store import Statement, Tx, open_store
from turbine.store.tx import rows_json
from turbine.tables import run_ids_by_time

PUT = Statement.of(
    "insert into pt_runs (run, id, status, name, inputs, fence, application_version, application_id,"
    " recovery_attempts, created_at_epoch_ms, updated_at_epoch_ms)"
    " select r.run, cast(r.run as text), 'SUCCESS', 'place', '{}', 0, 'v', 'a', 1, r.at, r.at"
    " from @rows(run bigint, at bigint) as r"
)
CLEAR = Statement.of("delete from pt_runs")
GAPS = {
    "evenly": lambda dice: 50,
    "all at once": lambda dice: 0,
    "in bursts": lambda dice: 0 if dice.random() < 0.95 else dice.randrange(100_000),
    "ever quicker": lambda dice: int(dice.paretovariate(0.4)) % 10**9,
}


@pytest.mark.parametrize("gap", GAPS)
def test_the_key_of_a_moment_is_that_of_the_first_run_made_then_or_later(database_url, gap) -> None:
    dice = random.Random(gap)
    store = open_store(database_url)
    try:
        for count in (1, 2, 3000):
            times = list(accumulate(GAPS[gap](dice) for _ in range(count)))
            keys = list(accumulate(dice.choice((1, 1, 1, 40)) for _ in range(count)))
            rows = list(zip(keys, times, strict=True))
            store.write_blocking(lambda tx: tx.defer(CLEAR))
            store.write_blocking(lambda tx, rows: tx.defer(PUT, rows=rows), rows=rows_json(rows))
            asked = [0, times[0], times[-1], times[-1] + 1, *(dice.randrange(times[-1] + 2) for _ in range(50))]
            found = store.read_blocking(run_ids_by_time.first_runs, times_ms=asked)
            alone = [store.read_blocking(run_ids_by_time.first_runs, times_ms=[moment])[0] for moment in asked[:8]]
            for moment, key in [*zip(asked, found, strict=True), *zip(asked, alone, strict=False)]:
                assert [run for run, at in rows if at >= moment] == [run for run in keys if run >= key], moment
    finally:
        store.close()


def test_few_questions_find_a_moment_among_many_runs(database_url) -> None:
    store = open_store(database_url)
    asked: list[str] = []

    def find(tx: Tx) -> list[int]:
        watching: Any = Counting(tx, asked)
        return run_ids_by_time.first_runs(watching, times_ms=[400_000])

    try:
        store.write_blocking(lambda tx: tx.defer(PUT, rows=rows_json([[run, run * 100] for run in range(1, 20_001)])))
        assert [4000] == store.read_blocking(find)
    finally:
        store.close()
    assert 8 > len(asked)


class Counting:
    """A read that notes each statement."""

    def __init__(self, tx: Tx, asked: list[str]) -> None:
        self.tx = tx
        self.asked = asked

    def rows(self, statement: Statement, **parameters: Any) -> list[tuple[Any, ...]]:
        self.asked.append(statement.name)
        return self.tx.rows(statement, **parameters)

    def row(self, statement: Statement, **parameters: Any) -> tuple[Any, ...] | None:
        return (self.rows(statement, **parameters) or [None])[0]
