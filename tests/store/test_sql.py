"""Statements in files: how they are found, and that a value comes back as it went in, from both databases."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from turbine.store import Statement, Statements
from turbine.store.tx import rows_json

# Postgres refuses NUL in text, JSON both NUL and lone surrogates: ids refuse them, payloads are JSON and escape them.
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
INTEGERS = st.integers(-(2**63), 2**63 - 1)
ECHO = Statement.of("select r.a, r.b, r.n from @rows(a text, b text, n bigint) as r")


def statements_of(folder: Path, text: str) -> Statements:
    (folder / "noun.sql").write_text(text, encoding="utf-8")
    return Statements(folder / "noun.py")


def test_a_file_gives_its_statements_by_name(tmp_path: Path) -> None:
    sql = statements_of(
        tmp_path,
        "-- name: one\n-- Why it is so.\nselect 1\n\n-- name: two\nselect\n    2;\n",
    )
    assert ["one", "two"] == [statement.name for statement in sql]
    assert "select 1" == sql.one.sqlite == sql.one.postgres
    assert "select\n    2" == sql.two.sqlite


def test_a_statement_may_be_said_differently_to_each_database(tmp_path: Path) -> None:
    sql = statements_of(tmp_path, "-- name: one [postgres]\nselect 'p'\n\n-- name: one [sqlite]\nselect 's'\n")
    assert ("select 's'", "select 'p'") == (sql.one.sqlite, sql.one.postgres)


@pytest.mark.parametrize(
    ("first", "second"),
    [("one", "one"), ("one [sqlite]", "one [sqlite]"), ("one", "one [postgres]"), ("one [sqlite]", "one")],
)
def test_a_name_given_twice_is_refused(tmp_path: Path, first: str, second: str) -> None:
    with pytest.raises(ValueError, match=r"noun\.sql: statement 'one' is given twice for"):
        list(statements_of(tmp_path, f"-- name: {first}\nselect 1\n\n-- name: {second}\nselect 2\n"))


def test_a_statement_for_one_database_only_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"noun\.sql: statement 'one' is given for sqlite only"):
        _ = statements_of(tmp_path, "-- name: one [sqlite]\nselect 1\n").one


def test_a_name_that_is_not_there_is_missed_by_its_file(tmp_path: Path) -> None:
    with pytest.raises(AttributeError, match=r"noun\.sql has no statement 'two'"):
        _ = statements_of(tmp_path, "-- name: one\nselect 1\n").two


@pytest.mark.parametrize(
    ("text", "postgres"),
    [
        ("select :a, :b2", "select %(a)s, %(b2)s"),
        ("select :a::text", "select %(a)s::text"),
        ("select a::bigint", "select a::bigint"),
        ("select 7 % :a", "select 7 %% %(a)s"),
        ("select a from t where b like '%x%'", "select a from t where b like '%%x%%'"),
    ],
)
def test_parameters_are_translated_and_nothing_else(text: str, postgres: str) -> None:
    assert postgres == Statement.of(text).postgres
    assert text == Statement.of(text).sqlite


def test_a_percent_sign_means_the_same_with_and_without_parameters(store) -> None:
    bare = Statement.of("select 'a' like '%a', 7 % 4")
    with_parameter = Statement.of("select 'a' like '%a', 7 % :four")
    assert [(1, 3)] == store.read_blocking(lambda tx: tx.rows(bare))
    assert [(1, 3)] == store.read_blocking(lambda tx: tx.rows(with_parameter, four=4))


def test_now_is_the_clock_of_the_database_in_milliseconds(store) -> None:
    before = time.time() * 1000
    ((now,),) = store.read_blocking(lambda tx: tx.rows(Statement.of("select @now")))
    assert isinstance(now, int)
    assert before - 2 <= now <= time.time() * 1000 + 2


@given(st.lists(st.tuples(TEXTS, st.none() | TEXTS, st.none() | INTEGERS), max_size=20))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_come_back_as_they_went_in_and_in_their_order(store, rows) -> None:
    assert rows == store.read_blocking(lambda tx: tx.rows(ECHO, rows=rows_json(rows)))


# In one database each, because a new one for every value would take most of the time.
PAYLOADS = [
    "\0",
    "a\0b",
    "\ud800",
    "\\u0000",
    "\\",
    "'\"; drop table ledger_entries; --",
    "%s %(id)s :id @now @rows(a text)",
    "null",
    "e\u0301 \u00e9 \u2028 \ufeff \U0001f418",
    "x" * 3_000_000,
]


@pytest.mark.parametrize("in_bulk", [True, False], ids=["bulk", "single"])
def test_a_payload_comes_back_as_it_went_in(store, ledger, in_bulk: bool) -> None:
    enter = Statement.of(
        "insert into ledger_entries (id, text) select r.id, r.text from @rows(id text, text text) as r where true"
    )
    payloads = {str(n): json.dumps({"value": value}) for n, value in enumerate(PAYLOADS)}
    if in_bulk:
        store.write_blocking(lambda tx: tx.run(enter, rows=rows_json(list(payloads.items()))))
    else:
        for id, payload in payloads.items():
            store.write_blocking(ledger.enter, id=id, text=payload)
    back = [store.read_blocking(ledger.text, id=id) for id in payloads]
    assert list(payloads.values()) == back
    assert PAYLOADS == [json.loads(payload)["value"] for payload in back]


def test_a_text_that_a_database_would_cut_is_refused_instead(store, ledger, doorstop, outcome) -> None:
    with doorstop(store):
        mates = [store.submit_blocking(ledger.enter_all, id) for id in "ab"]
        bad = [store.submit_blocking(ledger.enter_all, f"c{text}") for text in ("a\0b", "\0", "\ud800")]
    assert [True] * 3 == [isinstance(outcome(ticket.wait), ValueError) for ticket in bad]
    assert ["entered a in bulk", "entered b in bulk"] == [mate.wait() for mate in mates]
    assert ["a", "b"] == store.read_blocking(ledger.ids)


def test_a_marker_stands_for_what_the_databases_say_differently(tmp_path: Path) -> None:
    sql = statements_of(
        tmp_path,
        "-- name: one\nselect run\nfrom t @indexed_by(t_name)\nwhere name @among(name text)\n"
        "order by @no_key(run)\n@for_update @skip_locked\n\n"
        "-- name: two\nselect n.value\nfrom @elements(e.names, n)\n@for_no_key_update\n",
    )
    assert (
        "select run\nfrom t indexed by t_name\n"
        "where name in (select r.name from (select json_extract(value, '$[0]') as name from json_each(:rows)) as r)\n"
        "order by run"
    ) == sql.one.sqlite
    assert (
        "select run\nfrom t\n"
        "where name = any (array(select r.name from (select value->>0 as name"
        " from jsonb_array_elements(%(rows)s::jsonb)) as r))\n"
        "order by (run + 0)\nfor update skip locked"
    ) == sql.one.postgres
    assert "select n.value\nfrom json_each(e.names) as n" == sql.two.sqlite
    assert (
        "select n.value\nfrom jsonb_array_elements_text(e.names::jsonb) as n(value)\nfor no key update"
        == sql.two.postgres
    )


def test_a_list_of_columns_is_written_once(tmp_path: Path) -> None:
    sql = statements_of(
        tmp_path,
        "-- columns: run\nrun, id,\nstatus\n\n"
        "-- name: one\nselect @columns(run)\n\n-- name: two\nselect @columns(run, w)\n",
    )
    assert "select run, id,\nstatus" == sql.one.sqlite == sql.one.postgres
    assert "select w.run, w.id,\nw.status" == sql.two.sqlite == sql.two.postgres
