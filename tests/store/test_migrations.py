"""The schema: made once however many arrive at once, never half, and never touched when it is newer than the code."""

import subprocess
import sys
from pathlib import Path

import pytest

from turbine.errors import StoreInvalid, StoreTooNew
from turbine.store import Statement, migrations, open_store
from turbine.store.migrations import files, statements

HISTORY = Statement.of("select version, name, applied_ms from pt_migrations order by version")
OF_FTS5 = [f"pt_search_{part}" for part in ("config", "content", "data", "docsize", "idx")]
"""Tables that SQLite makes for a virtual one."""
FROM_THE_FUTURE = Statement.of("insert into pt_migrations (version, name, applied_ms) values (9999, 'future', 0)")
TABLES = Statement(
    "tables",
    sqlite="select name from sqlite_master where type = 'table' and name not like 'sqlite_%' order by name",
    postgres="select tablename from pg_tables where schemaname = 'public' order by tablename",
)


@pytest.fixture
def postgres_url(empty_postgres_url: str) -> str:
    """The tables are not made yet."""
    return empty_postgres_url


def test_migrations_are_numbered_without_gaps() -> None:
    assert list(range(1, len(files()) + 1)) == [number for number, _, _ in files()]


def test_eight_processes_may_open_a_new_database_at_once(database_url, opened) -> None:
    program = (
        "import sys; from turbine.store import Statement, open_store\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "store = open_store(sys.argv[1])\n"
        "store.write_blocking(lambda tx: tx.run(Statement.of("
        "\"insert into pt_kv (key, value, updated_at_epoch_ms) values (:key, '1', 0)\"), key=sys.argv[2]))\n"
        "store.close()"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, database_url, str(n)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for n in range(8)
    ]
    for process in processes:
        assert process.stdout is not None
        assert "ready\n" == process.stdout.readline()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [("", "")] * 8 == [process.communicate(timeout=120) for process in processes]
    store = opened(database_url, registered=False)
    assert len(files()) == len(store.read_blocking(lambda tx: tx.rows(HISTORY)))
    assert [(8,)] == store.read_blocking(lambda tx: tx.rows(Statement.of("select count(*) from pt_kv")))


def test_opening_again_applies_nothing(database_url, opened) -> None:
    store = opened(database_url, registered=False)
    history = store.read_blocking(lambda tx: tx.rows(HISTORY))
    store.close()
    assert [(number, name) for number, name, _ in files()] == [(version, name) for version, name, _ in history]
    assert history == opened(database_url, registered=False).read_blocking(lambda tx: tx.rows(HISTORY))


def test_a_database_newer_than_the_code_is_refused_and_left_alone(database_url, opened) -> None:
    store = opened(database_url, registered=False)
    store.write_blocking(lambda tx: tx.run(FROM_THE_FUTURE))
    newest = files()[-1][0]
    with pytest.raises(StoreTooNew, match=f"has schema 9999, this Turbine knows up to {newest}.* Upgrade this process"):
        open_store(database_url)
    assert 9999 == store.read_blocking(lambda tx: tx.rows(HISTORY))[-1][0]


@pytest.fixture
def own_migrations(tmp_path: Path, monkeypatch) -> Path:
    folder = tmp_path / "migrations"
    folder.mkdir()
    monkeypatch.setattr(migrations, "FOLDER", folder)
    (folder / "0001_first.sql").write_text("create table pt_first (id @key);\n")
    return folder


def test_new_migrations_are_applied_to_an_old_database_in_order(database_url, opened, own_migrations) -> None:
    opened(database_url, registered=False).close()
    (own_migrations / "0003_third.sql").write_text("alter table pt_second add column third bigint;\n")
    (own_migrations / "0002_second.sql").write_text("create table pt_second (id @key);\n")
    store = opened(database_url, registered=False)
    assert [1, 2, 3] == [version for version, _, _ in store.read_blocking(lambda tx: tx.rows(HISTORY))]


def test_a_migration_that_fails_leaves_the_database_as_it_was(database_url, opened, own_migrations) -> None:
    opened(database_url, registered=False).close()
    (own_migrations / "0002_half.sql").write_text("create table pt_half (id @key);\ncreate table pt_first (id @key);\n")
    with pytest.raises(StoreInvalid):
        open_store(database_url)
    (own_migrations / "0002_half.sql").unlink()
    store = opened(database_url, registered=False)
    assert [("pt_first",), ("pt_migrations",)] == store.read_blocking(lambda tx: tx.rows(TABLES))
    assert [1] == [version for version, _, _ in store.read_blocking(lambda tx: tx.rows(HISTORY))]


def test_each_database_gets_the_statements_meant_for_it_in_its_own_words() -> None:
    text = (
        "-- A comment; with a semicolon.\n"
        "create table t (id @key, body @blob)@clustered;\n"
        "\n"
        "-- only: sqlite\n"
        "create table only_sqlite (id @key);\n"
        "-- only: postgres\n"
        "create table only_postgres (id @key);\n"
    )
    assert [
        "create table t (id integer primary key autoincrement, body blob) without rowid",
        "create table only_sqlite (id integer primary key autoincrement)",
    ] == statements(text, "sqlite")
    assert [
        "create table t (id bigint generated by default as identity primary key, body bytea)",
        "create table only_postgres (id bigint generated by default as identity primary key)",
    ] == statements(text, "postgres")


def test_both_databases_have_the_same_tables_and_columns(sqlite_url, postgres_url, opened) -> None:
    sqlite, postgres = opened(sqlite_url, registered=False), opened(postgres_url, registered=False)
    tables = [row[0] for row in sqlite.read_blocking(lambda tx: tx.rows(TABLES)) if row[0].startswith("pt_")]
    tables = [table for table in tables if table not in OF_FTS5]
    assert tables == [row[0] for row in postgres.read_blocking(lambda tx: tx.rows(TABLES))]
    in_sqlite = Statement.of("select name from pragma_table_info(:table)")
    in_postgres = Statement.of(
        "select column_name from information_schema.columns where table_name = :table order by ordinal_position"
    )
    for table in set(tables) - {"pt_search"}:  # the same in two ways: a virtual table, and a table with an index
        assert sqlite.read_blocking(lambda tx, table=table: tx.rows(in_sqlite, table=table)) == postgres.read_blocking(
            lambda tx, table=table: tx.rows(in_postgres, table=table)
        )
