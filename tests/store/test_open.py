"""What opens and what is refused: each refusal says what to do."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from turbine.errors import StoreInvalid, StoreUnavailable
from turbine.store import open_store


@pytest.mark.parametrize("url", ["mysql://localhost/shop", "shop.db", "", "sqlite:shop.db", "sqlite://shop.db"])
def test_an_unknown_url_is_refused_with_the_forms_that_work(url: str) -> None:
    with pytest.raises(StoreInvalid, match=r"use sqlite:///relative/path\.db, .* or postgresql://user@host/database"):
        open_store(url)


def test_a_url_without_a_file_is_refused() -> None:
    with pytest.raises(StoreInvalid, match=r"names no file; write for example sqlite:///shop\.db"):
        open_store("sqlite:///")


@pytest.mark.parametrize("prefix", ["postgresql+psycopg", "mysql"])
def test_a_refused_url_does_not_show_its_password(prefix: str) -> None:
    with pytest.raises(StoreInvalid) as caught:
        open_store(f"{prefix}://ada:s3/cr@et@localhost/shop")
    assert "s3" not in str(caught.value)
    assert "cr@et" not in str(caught.value)
    assert "ada" in str(caught.value)


def test_a_folder_is_refused_with_the_name_of_a_file_in_it(tmp_path: Path) -> None:
    with pytest.raises(StoreInvalid, match=rf"is a folder; name a file in it, for example sqlite:///{tmp_path}/"):
        open_store(f"sqlite:///{tmp_path}")


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear Ada, " * 1000)
    with pytest.raises(StoreInvalid, match=r"is not a SQLite database .* name another file"):
        open_store(f"sqlite:///{letter}")
    assert "Dear Ada, " * 1000 == letter.read_text()


def test_a_folder_that_is_missing_is_made(tmp_path: Path) -> None:
    open_store(f"sqlite:///{tmp_path}/a/b/turbine.db").close()
    assert (tmp_path / "a/b/turbine.db").is_file()


def test_a_path_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreInvalid, match="cannot be made"):
        open_store(f"sqlite:///{tmp_path}/file/turbine.db")


def test_escapes_in_the_path_are_understood(tmp_path: Path) -> None:
    open_store(f"sqlite:///{tmp_path}/my%20shop%3F.db").close()
    assert (tmp_path / "my shop?.db").is_file()


def test_a_database_of_another_program_keeps_its_tables(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table orders (id text)")
        connection.execute("insert into orders values ('order-1')")
    connection.close()
    open_store(f"sqlite:///{path}").close()
    connection = sqlite3.connect(path)
    assert [("order-1",)] == connection.execute("select id from orders").fetchall()
    connection.close()


def test_tables_of_another_program_with_our_names_are_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table pt_logs (line text)")
    connection.close()
    with pytest.raises(StoreInvalid, match="no other program has tables of these names"):
        open_store(f"sqlite:///{path}")
    connection = sqlite3.connect(path)
    assert [("pt_logs",)] == connection.execute("select name from sqlite_master").fetchall()
    connection.close()


def test_an_unclosed_store_does_not_keep_its_program_from_ending(sqlite_url: str) -> None:
    program = f"from turbine.store import open_store; open_store({sqlite_url!r})"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


@pytest.mark.postgres
def test_a_database_that_does_not_exist_is_refused(postgres_server) -> None:
    with pytest.raises(StoreInvalid, match='"nowhere" does not exist; check user, password and database'):
        open_store(postgres_server.url("nowhere"))


@pytest.mark.postgres
def test_a_user_that_does_not_exist_is_refused(postgres_server) -> None:
    with pytest.raises(StoreInvalid, match='"stranger" does not exist; check user, password and database'):
        open_store(postgres_server.url().replace("postgres@", "stranger@"))


@pytest.mark.postgres
def test_a_wrong_password_is_refused_and_not_shown(own_postgres) -> None:
    rules = own_postgres.folder / "data" / "pg_hba.conf"
    rules.write_text("local all ada scram-sha-256\nlocal all all trust\n")
    with psycopg.connect(own_postgres.url(), autocommit=True) as connection:
        connection.execute("create role ada login superuser password 'right'")
        connection.execute("select pg_reload_conf()")
    own_postgres.stop()
    own_postgres.start()
    with pytest.raises(StoreInvalid, match="check user, password and database") as caught:
        open_store(own_postgres.url().replace("postgres@", "ada:wr0ng@"))
    assert "wr0ng" not in str(caught.value)
    with pytest.raises(StoreInvalid, match="check user, password and database"):
        open_store(own_postgres.url().replace("postgres@", "ada@"))
    open_store(own_postgres.url().replace("postgres@", "ada:right@")).close()


@pytest.mark.postgres
def test_a_user_who_may_not_make_tables_is_refused(postgres_server, postgres_url) -> None:
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        connection.execute("drop role if exists guest")
        connection.execute("create role guest login")
    with pytest.raises(StoreInvalid, match="check that its user may create tables"):
        open_store(postgres_url.replace("postgres@", "guest@"))


def test_a_postgres_url_with_a_mistake_is_refused() -> None:
    with pytest.raises(StoreInvalid, match="The Postgres URL cannot be used"):
        open_store("postgresql://localhost/shop?no_such_option=1")


def test_a_server_that_is_away_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="is the server up and the address right"):
        open_store(f"postgresql:///shop?host={tmp_path}")
