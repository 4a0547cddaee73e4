"""Backup, doctor, migrate, retention and vacuum, and how a database or a server is found."""

from __future__ import annotations

import sqlite3
import stat
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from shop_service import Cli, Service, invoke, order

import turbine
import turbine.sync
from turbine.store.migrations import files

NEWEST = files()[-1][0]


def checks(answer: Any) -> dict[str, Any]:
    return {check["name"]: check for check in answer.json["checks"]}


def wrong(answer: Any) -> list[str]:
    return [check["name"] for check in answer.json["checks"] if check["status"] != "ok"]


def test_a_backup_holds_the_runs_and_is_readable_by_its_owner_only(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    service = Service(request.getfixturevalue("sqlite_url"))
    try:
        service.start()
        service.finish(order.options(id="done"), 1)
        ways = {
            "here": ["--database", service.database_url],
            "there": ["--server", service.url, "--token", service.token],
        }
        for name, where in ways.items():
            target = tmp_path / f"{name}.db"
            made = invoke("backup", str(target), "--json", *where)
            assert {"path": str(target), "bytes": target.stat().st_size} == made.json
            assert 0o600 == stat.S_IMODE(target.stat().st_mode)
            (run,) = invoke("list", "--json", "--database", f"sqlite:///{target}").json["items"]
            assert "done" == run["workflow_id"]

            again = invoke("backup", str(target), *where)
            assert 1 == again.code
            assert str(target) in again.err
    finally:
        service.stop()


def test_a_refused_backup_leaves_no_file(service: Service, tmp_path: Path) -> None:
    target = tmp_path / "backup.db"
    answer = invoke("backup", str(target), "--server", service.url, "--token", "turbine_wrong")
    assert 1 == answer.code
    assert "--token" in answer.err
    assert not target.exists()


def test_a_healthy_service_is_found_healthy(cli: Cli, service: Service) -> None:
    service.finish(order, 1)
    answer = cli("doctor", "--json")
    assert [] == wrong(answer)
    assert 0 == answer.code
    assert answer.json["ok"]
    assert 1 == checks(answer)["executors"]["count"]
    assert abs(checks(answer)["clock"]["seconds"]) < 60


def test_open_runs_without_a_process_are_found(database_url: str) -> None:
    with turbine.sync.Runtime(database_url, workflows=[blocked], shutdown_timeout=0) as rt:
        rt.run(blocked.options(id="open"))
        rt.run(blocked.options(id="later", delay=3600))
    answer = invoke("doctor", "--json", "--database", database_url)
    assert 1 == answer.code
    assert ["executors"] == wrong(answer)
    assert 2 == checks(answer)["executors"]["open_runs"]
    assert checks(answer)["due"]["since"] is None

    make_older(database_url, seconds=3600 + 120)
    answer = invoke("doctor", "--json", "--database", database_url)
    assert ["executors", "due"] == wrong(answer)
    assert "no live process registers it" in checks(answer)["due"]["text"]


@turbine.sync.workflow
def blocked() -> Any:
    return turbine.sync.recv("never")


def until(holds: Callable[[], bool]) -> None:
    """Poll: only the rows show it."""
    while not holds():
        time.sleep(0.005)


def make_older(database_url: str, seconds: int) -> None:
    """Make what is due now look as if it had been due for longer."""
    apply(
        database_url,
        f"update pt_runs set wake_ms = wake_ms - {seconds * 1000} where wake_ms is not null",
    )


@turbine.sync.step
def first() -> None: ...


@turbine.sync.step
def other() -> None: ...


@turbine.sync.workflow(name="changing")
def yesterday() -> Any:
    first()
    return turbine.sync.recv("never")


@turbine.sync.workflow(name="changing")
def today() -> Any:
    other()
    return turbine.sync.recv("never")


def test_runs_that_are_set_aside_are_found(database_url: str) -> None:
    with turbine.sync.Runtime(database_url, workflows=[yesterday], shutdown_timeout=0) as rt:
        handle = rt.run(yesterday)
        until(lambda: len(handle.steps()) == 2)
    with turbine.sync.Runtime(database_url, workflows=[today], shutdown_timeout=0) as rt:
        rt.send(handle.workflow_id, "go on", "never")
        until(lambda: invoke("doctor", "--database", database_url).code == 1)
        answer = invoke("doctor", "--json", "--database", database_url)
    assert ["set aside"] == wrong(answer)
    assert 1 == checks(answer)["set aside"]["count"]


@pytest.fixture
def bare_database_url(request: pytest.FixtureRequest, database_url: str) -> str:
    """A database without tables."""
    return database_url if database_url.startswith("sqlite") else request.getfixturevalue("empty_postgres_url")


def test_a_schema_of_another_version_is_found_and_left_alone(bare_database_url: str) -> None:
    database_url = bare_database_url
    assert {"before": 0, "schema": NEWEST, "changed": True} == invoke(
        "migrate", "--json", "--database", database_url
    ).json
    assert not invoke("migrate", "--json", "--database", database_url).json["changed"]
    assert 0 == invoke("doctor", "--database", database_url).code

    apply(database_url, f"update pt_migrations set version = {NEWEST + 1} where version = {NEWEST}")
    answer = invoke("doctor", "--json", "--database", database_url)
    assert ["schema"] == wrong(answer)
    assert NEWEST + 1 == checks(answer)["schema"]["applied"]
    assert "executors" not in checks(answer)
    newer = invoke("list", "--database", database_url)
    assert 1 == newer.code
    assert "newer Turbine" in newer.err

    apply(database_url, f"delete from pt_migrations where version > {NEWEST - 1}")
    answer = invoke("doctor", "--json", "--database", database_url)
    assert "turbine migrate" in checks(answer)["schema"]["text"]


def apply(database_url: str, statement: str) -> None:
    if database_url.startswith("sqlite"):
        with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
            connection.execute(statement)
    else:
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(statement)


def test_a_missing_database_is_not_made(tmp_path: Path) -> None:
    file = tmp_path / "typo.db"
    for command in (["list"], ["show", "x"], ["kv", "list"], ["doctor"], ["backup", str(tmp_path / "copy.db")]):
        answer = invoke(*command, "--database", f"sqlite:///{file}")
        assert 1 == answer.code, command
        assert "there is no database" in answer.err + answer.out
    assert [] == list(tmp_path.iterdir())


def test_a_file_that_is_not_a_database_is_explained(tmp_path: Path) -> None:
    file = tmp_path / "letter.db"
    file.write_text("Dear Ada, this is no database at all, but it is long enough to be looked at as one.")
    for command in ("list", "doctor", "migrate"):
        answer = invoke(command, "--database", f"sqlite:///{file}")
        assert 1 == answer.code
        assert "SQLite database" in answer.err + answer.out


def test_a_server_that_is_away_is_one_line(tmp_path: Path) -> None:
    for command in (["list"], ["doctor"], ["backup", str(tmp_path / "x.db")]):
        answer = invoke(*command, "--server", "http://127.0.0.1:1")
        assert (1, "") == (answer.code, answer.out)
        assert "cannot be reached" in answer.err
        assert 1 == answer.err.count("\n")
    assert not (tmp_path / "x.db").exists()


def test_a_password_in_a_url_is_not_shown() -> None:
    for command in ("doctor", "list"):
        answer = invoke(command, "--database", "postgresql://ada:secret@127.0.0.1:1/shop")
        assert 1 == answer.code
        assert "secret" not in answer.out + answer.err


def test_a_server_is_asked_with_a_token(service: Service) -> None:
    answer = invoke("list", "--server", service.url)
    assert (1, "") == (answer.code, answer.out)
    assert "--token" in answer.err
    assert 0 == invoke("list", "--server", service.url + "/", "--token", service.token).code


def test_the_environment_names_the_database_or_server_and_options_win(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.finish(order.options(id="done"), 1)
    monkeypatch.setenv("TURBINE_DATABASE_URL", service.database_url)
    assert "done" in invoke("list").out
    monkeypatch.setenv("TURBINE_SERVER", service.url)
    assert 1 == invoke("list").code
    monkeypatch.setenv("TURBINE_TOKEN", service.token)
    assert "done" in invoke("list").out
    monkeypatch.setenv("TURBINE_SERVER", "http://127.0.0.1:1")
    assert "done" in invoke("list", "--database", service.database_url).out
    assert "done" in invoke("list", "--server", service.url).out


def test_a_database_and_a_server_at_once_are_misuse() -> None:
    assert 2 == invoke("list", "--database", "sqlite:///x.db", "--server", "http://127.0.0.1:1").code
    assert 2 == invoke("list", "--server", "127.0.0.1").code
    assert 2 == invoke("list", "--database", "sqlite:///x.db", "--token", "t").code
    assert 2 == invoke("migrate", "--server", "http://127.0.0.1:1").code


def test_rules_of_retention_and_a_vacuum(cli: Cli, service: Service) -> None:
    assert (
        "orders ERROR are kept 90 days"
        in cli("retention", "set", "90d", "--workflow", "orders", "--status", "ERROR").out
    )
    assert None is cli("retention", "set", "forever", "--status", "CANCELLED", "--json").json["keep"]
    found = cli("retention", "list", "--json").json["items"]
    assert [(None, "CANCELLED", None), ("orders", "ERROR", 90 * 86400.0)] == [
        (one["workflow"], one["status"], one["keep"]) for one in found
    ]
    assert "for ever" in cli("retention", "list").out
    assert 0 == cli("retention", "delete", "--status", "CANCELLED").code
    assert 1 == cli("retention", "delete", "--status", "CANCELLED").code
    for wrong_use in (
        ["set", "7d"],
        ["set", "soon", "--workflow", "a"],
        ["set", "1d", "--status", "PENDING"],
        ["delete"],
    ):
        assert 2 == cli("retention", *wrong_use).code, wrong_use
    done = cli("vacuum", "--json").json
    assert (True, []) == (done["done"], done["skipped"])
    assert "given back" in cli("vacuum").out
    with turbine.sync.Runtime(service.database_url) as rt:
        actions = {line.action for line in rt.audit.list().items}
        assert {"retention.set", "retention.delete", "database.vacuum"} <= actions
        assert 0 == rt.retention.set(0, workflow="orders").keep.total_seconds()
        assert 2 == len(rt.retention.list().items)
        assert rt.retention.delete(workflow="orders")
        assert rt.vacuum() >= 0
