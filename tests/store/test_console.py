"""Typed statements: what may be looked at, and that nothing else can be done, however it is written."""

from __future__ import annotations

import pytest

from turbine.errors import ValidationFailed
from turbine.operations.console import TABLES
from turbine.store import Statement, console, open_store


@pytest.fixture
def store(database_url: str):
    opened = open_store(database_url)
    put = Statement.of("insert into pt_kv (key, value, updated_at_epoch_ms) values (:key, :value, 1)")
    for key, value in (("a", '"x"'), ("b", '"' + "y" * 9000 + '"'), ("c", "3")):
        opened.write_blocking(lambda tx, key=key, value=value: tx.run(put, key=key, value=value) and None)
    yield opened
    opened.close()


def ask(store, text: str, limit: int = 1000) -> console.QueryResult:
    return console.ask(store, text, limit, TABLES)


def test_what_is_asked_is_answered_in_columns_and_rows(store) -> None:
    found = ask(store, "select key, length(value) as long from pt_kv where key < 'c' order by key;  -- all")
    assert (["key", "long"], [["a", 3], ["b", 9002]], False) == (found.columns, found.rows, found.is_cut)
    with_ = ask(store, "with k as (select key from pt_kv) select count(*) as n from k")
    assert [[3]] == with_.rows


def test_many_rows_and_long_values_are_cut(store) -> None:
    found = ask(store, "select key, value from pt_kv order by key", limit=2)
    assert (True, 2) == (found.is_cut, len(found.rows))
    assert found.rows[1][1].endswith("… (9002 characters)")
    assert len(found.rows[1][1]) < console.CELL_MAX + 40


REFUSED = """
    delete from pt_kv
    update pt_kv set key = 'z'
    insert into pt_kv (key, updated_at_epoch_ms) values ('z', 1)
    drop table pt_kv
    create table pt_x (a int)
    select 1; delete from pt_kv
    select 1; select 2
    with gone as (delete from pt_kv returning key) select * from gone
    select * into pt_x from pt_kv
    select * from pt_kv for update
    select password from pt_accounts
    select count(*) from pt_accounts
    select count(*) from PT_Accounts
    select count(*) from pt_search
    select * from dbstat
    select * from sqlite_dbpage
    with pt_accounts as (select email from main.pt_accounts) select * from pt_accounts
    select token_hash from pt_tokens
    select secret from pt_webhooks
    select url from pt_alert_channels
    select token_hash from pt_sessions
    select * from pt_approval_links
    select 1 from pt_kv where exists (select 1 from pt_accounts)
    select key from pt_kv union select email from pt_accounts
    select 1) as a, (select email from pt_accounts
    table pt_accounts
    begin
    commit
    vacuum
    attach database '/etc/passwd' as x
    pragma query_only = off
    pragma table_info(pt_kv)
    select * from pragma_table_info('pt_accounts')
    select load_extension('x')
    select readfile('/etc/passwd')
    select pg_sleep(1)
    select pg_catalog.pg_sleep(1)
    select "pg_sleep"(1)
    select pg_sleep -- x
    select pg_sleep/**/(1)
    select pg_read_file('/etc/passwd')
    select query_to_xml('select * from pt_accounts', true, true, '')
    select set_config('transaction_read_only', 'off', false)
    select * from pg_shadow
    select * from pg_stat_activity
    select 1 as a$$, pg_sleep(1) as b$$
    select e'a'
    select U&"pg_sleep"(1)
    copy pt_kv to program 'id'
    do $$ begin end $$
    call x()
    explain analyze delete from pt_kv
    select lo_export(1, '/tmp/x')
    listen x
    not sql at all
"""


def test_nothing_is_changed_and_no_secret_is_read(store) -> None:
    taken: list[str] = []
    for text in map(str.strip, REFUSED.strip().splitlines()):
        try:
            ask(store, text)
        except ValidationFailed:
            continue
        taken.append(text)
    assert [] == taken
    assert 3 == len(ask(store, "select key from pt_kv").rows)


@pytest.mark.parametrize(
    "text",
    [
        "select e'a'\n'b\\'' , pg_sleep(1) --'",  # the backslash counts in the second line too
        "select 1 --x\r, pg_sleep(1)",  # a carriage return ends the comment
        "select '\\', pg_sleep(1) --'",  # here it does not count
        "select 1pg_sleep(1)",
        "select pg_sleep\n(1)",
        "select /*/* */ */ pg_sleep(1)",
        "select pg_sleep\u00a0(1)",
        "select lower\u20ac(1)",
        'select "a""b"(1)',
    ],
    ids=repr,
)
def test_no_way_of_writing_hides_a_call(text: str) -> None:
    with pytest.raises(ValidationFailed):
        console.check_statement(text)


def test_a_slow_statement_is_ended(store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "SECONDS", 0.2)
    slow = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 1000000000) select count(*) from n"
    if store.dialect == "postgres":  # where names of columns behind a name read like a call
        slow = slow.replace("n(i)", "n").replace("select 1 union", "select 1 as i union")
    with pytest.raises(ValidationFailed, match="took longer"):
        ask(store, slow)
