"""The floor: what the bare driver does with the same settings when every row is a commit of its own.

Nothing can be durable for less without writing several rows in one commit. SQLite has the pragmas that Turbine sets
(WAL, `synchronous=FULL`, foreign keys on) and begins each transaction with `begin immediate`; Postgres commits each
insert (autocommit) with fsync on.
"""

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable
from statistics import median

import psycopg

from bench.case import Place
from bench.child import resident_mb

CREATE_STEPS = """
create table steps (
    run integer not null,
    position integer not null,
    name text not null,
    output text,
    started double precision not null,
    ended double precision not null,
    primary key (run, position)
)
"""
INSERT_SQLITE = "insert into steps values (?, ?, 'echo', ?, ?, ?)"
INSERT_POSTGRES = "insert into steps values (%s, %s, 'echo', %s, %s, %s)"

Commit = Callable[[int, int], None]


def single_commits(place: Place) -> dict[str, float]:
    """Commits a second, one row each; `commits` of them after one that warms the connection."""
    commit = committer(place)
    commit(0, 0)
    started = time.perf_counter()
    for position in range(place.count("commits")):
        commit(1, position)
    return {"per_s": place.count("commits") / (time.perf_counter() - started)}


def three_commit_runs(place: Place) -> dict[str, float]:
    """Runs a second when a run is three commits: it starts, its step is recorded, it finishes."""
    commit = committer(place)
    commit(0, 0)
    started = time.perf_counter()
    for run in range(1, place.count("runs") + 1):
        for position in range(3):
            commit(run, position)
    return {"per_s": place.count("runs") / (time.perf_counter() - started)}


def two_commits(place: Place) -> dict[str, float]:
    """Milliseconds for a message at the least: one commit that sends it, one that consumes it (median)."""
    commit = committer(place)
    commit(0, 0)
    spent: list[float] = []
    for message in range(1, place.count("floor_messages") + 1):
        started = time.perf_counter()
        commit(message, 0)
        commit(message, 1)
        spent.append(time.perf_counter() - started)
    return {"p50_ms": sorted(spent)[len(spent) // 2] * 1000}


def commit_latency(place: Place) -> dict[str, float]:
    """Milliseconds for one commit: the median, under both names that the rows of an idle queue ask for."""
    commit = committer(place)
    commit(0, 0)
    took_ms: list[float] = []
    for position in range(5 * place.count("runs")):
        started = time.perf_counter()
        commit(1, position)
        took_ms.append((time.perf_counter() - started) * 1000)
    return {"p50_ms": median(took_ms), "p99_ms": median(took_ms)}


def one_commit_for_each_run(place: Place) -> dict[str, float]:
    """Seconds until every run has one more row, a commit each."""
    commit = committer(place)
    commit(0, 0)
    started = time.perf_counter()
    for run in range(1, place.count("runs") + 1):
        commit(run, 0)
    return {"back_s": time.perf_counter() - started}


def read_history(place: Place) -> dict[str, float]:
    """Milliseconds to read and parse the recorded outputs of one run on a fresh connection."""
    steps = place.count("steps")
    with sqlite3.connect(place.file) as connection:
        connection.execute(CREATE_STEPS)
        connection.executemany(
            INSERT_SQLITE, ((1, position, json.dumps(position), 0.0, 0.0) for position in range(steps))
        )
    connection.close()
    started = time.perf_counter()
    reader = sqlite3.connect(place.file)
    rows = reader.execute("select position, name, output from steps where run = 1 order by position").fetchall()
    outputs = [json.loads(output) for _, _, output in rows]
    spent = time.perf_counter() - started
    if outputs != list(range(steps)):
        raise AssertionError("the history read back is not the history written")
    return {"replay_ms": spent * 1000 * 10_000 / steps}


def sleeping_tasks(place: Place) -> dict[str, float]:
    """Megabytes for 100,000 bare asyncio tasks asleep."""

    async def measure() -> float:
        before = resident_mb()
        tasks = [asyncio.create_task(asyncio.sleep(3600)) for _ in range(place.count("runs"))]
        await asyncio.sleep(0.1)
        grown = resident_mb() - before
        for task in tasks:
            task.cancel()
        return grown

    return {"asleep_mb": asyncio.run(measure()) * 100_000 / place.count("runs")}


def committer(place: Place) -> Commit:
    """A function that commits one row, on a database with the table of this module."""
    return postgres_committer(place) if place.url.startswith("postgresql") else sqlite_committer(place)


def sqlite_committer(place: Place) -> Commit:
    connection = sqlite3.connect(place.file, isolation_level=None)
    for pragma in ("journal_mode=wal", "synchronous=full", "foreign_keys=on"):
        connection.execute(f"pragma {pragma}")
    connection.execute(CREATE_STEPS)

    def commit(run: int, position: int) -> None:
        now = time.time()
        connection.execute("begin immediate")
        connection.execute(INSERT_SQLITE, (run, position, json.dumps(position), now, now))
        connection.execute("commit")

    return commit


def postgres_committer(place: Place) -> Commit:
    connection = psycopg.connect(place.url, autocommit=True)
    connection.execute(CREATE_STEPS)

    def commit(run: int, position: int) -> None:
        now = time.time()
        connection.execute(INSERT_POSTGRES, (run, position, json.dumps(position), now, now))

    return commit
