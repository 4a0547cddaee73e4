"""The frame that the other tests trust: the end to waiting, the event loop, the databases."""

import re
import signal
from pathlib import Path

import psycopg
import pytest

CONFTEST = Path(__file__).resolve().parents[1] / "conftest.py"
SETTINGS = """
[pytest]
addopts = --strict-markers -p no:schemathesis
anyio_mode = auto
filterwarnings = error
markers =
    alone: x
    postgres: x
    slow: x
    timeout(seconds): x
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A test suite of its own that uses our conftest."""
    pytester.makeini(SETTINGS)
    pytester.makeconftest(CONFTEST.read_text())
    return pytester


@pytest.mark.alone
def test_a_test_that_hangs_fails_with_its_stacks_and_the_next_one_runs(suite: pytest.Pytester) -> None:
    suite.makepyfile("""
        import asyncio, threading, time, pytest

        @pytest.mark.timeout(1)
        async def test_waits_for_ever():
            async def forgotten():
                await asyncio.Event().wait()
            task = asyncio.create_task(forgotten())
            await task

        @pytest.mark.timeout(1)
        async def test_blocks_the_loop():
            time.sleep(30)

        @pytest.mark.timeout(1)
        def test_waits_for_a_lock():
            lock = threading.Lock()
            lock.acquire()
            lock.acquire()

        async def test_goes_on():
            assert not asyncio.get_running_loop().get_debug()
    """)
    result = suite.runpytest_subprocess()
    result.assert_outcomes(failed=3, passed=1)
    result.stdout.fnmatch_lines(
        ["*test took more than 1 seconds*", "*forgotten*", "*time.sleep(30)*", "*lock.acquire()*"], consecutive=False
    )


def test_a_test_that_swallows_the_alarm_fails_all_the_same(suite: pytest.Pytester) -> None:
    suite.makepyfile("""
        import time, pytest

        @pytest.mark.timeout(0.3)
        def test_swallows():
            try:
                time.sleep(30)
            except BaseException:
                pass
    """)
    suite.runpytest_subprocess().assert_outcomes(failed=1)


def test_async_fixtures_live_in_the_loop_of_their_test(suite: pytest.Pytester) -> None:
    suite.makepyfile("""
        import asyncio, pytest

        @pytest.fixture
        async def loop():
            yield asyncio.get_running_loop()
            await asyncio.sleep(0)

        async def test_same(loop):
            assert loop is asyncio.get_running_loop()
    """)
    suite.runpytest_subprocess().assert_outcomes(passed=1)


def test_slow_tests_run_only_when_asked_for(suite: pytest.Pytester) -> None:
    suite.makepyfile("""
        import pytest

        @pytest.mark.slow
        def test_hours(): pass

        def test_moment(): pass
    """)
    suite.runpytest_subprocess().assert_outcomes(passed=1, deselected=1)
    suite.runpytest_subprocess("--long").assert_outcomes(passed=2)


def test_a_database_url_names_a_database_in_which_nothing_has_run(database_url: str) -> None:
    if database_url.startswith("sqlite:///"):
        assert not Path(database_url.removeprefix("sqlite:///")).exists()
        return
    with psycopg.connect(database_url) as connection:
        assert [(0,)] == connection.execute("select count(*) from pt_runs").fetchall()
        assert [(0,)] == connection.execute("select count(*) from pt_executors").fetchall()


@pytest.mark.postgres
def test_an_empty_postgres_has_no_tables(empty_postgres_url: str) -> None:
    with psycopg.connect(empty_postgres_url) as connection:
        assert [] == connection.execute("select tablename from pg_tables where schemaname = 'public'").fetchall()


@pytest.mark.postgres
@pytest.mark.crash
def test_a_postgres_of_its_own_keeps_what_was_committed_through_a_crash(own_postgres) -> None:
    with psycopg.connect(own_postgres.url()) as connection:
        connection.execute("create table kept (x int)")
        connection.execute("insert into kept values (1)")
    own_postgres.crash()
    own_postgres.start()
    with psycopg.connect(own_postgres.url()) as connection:
        assert [("on",)] == connection.execute("show fsync").fetchall()
        assert [(1,)] == connection.execute("select x from kept").fetchall()


def test_a_test_has_five_minutes_unless_it_says_otherwise() -> None:
    remaining, interval = signal.getitimer(signal.ITIMER_REAL)
    assert 0 < remaining <= 300
    assert interval == 5


def test_the_stages_of_the_whole_run_find_all_their_tests() -> None:
    """scripts/test names the paths of its later stages; a mark elsewhere would be run by none of them."""
    root = Path(__file__).parents[2]
    script = (root / "scripts" / "test").read_text(encoding="utf-8")
    for mark in ("browser", "alone"):
        (named,) = re.findall(rf"^{mark}=\"?([^\"\n]+)\"?$", script, re.MULTILINE)
        paths = [root / path for path in named.split()]
        assert all(path.exists() for path in paths)
        for file in (root / "tests").rglob("*.py"):
            is_marked = re.search(rf"mark\.{mark}\b", file.read_text(encoding="utf-8"))
            assert not is_marked or any(file.is_relative_to(path) for path in paths), (mark, file)
