"""Every statement in `tables/`: both databases understand it, and none of the hot ones reads a whole table."""

import re
from importlib import import_module
from pathlib import Path

import psycopg
import pytest

import turbine.tables
from turbine.store import Statement, Statements, open_store

FOLDER = Path(turbine.tables.__file__).parent
STATEMENTS = [
    pytest.param(path.stem, statement, id=f"{path.stem}.{statement.name}")
    for path in sorted(FOLDER.glob("*.sql"))
    for statement in Statements(path)
]
GROWING = ("pt_runs", "pt_steps", "pt_step_attempts", "pt_waits", "pt_messages",
           "pt_values", "pt_values_history", "pt_logs", "pt_kv", "pt_run_tags",
           "pt_schedules",
           "pt_products", "pt_product_chunks", "pt_deliveries", "pt_delivery_attempts",
           "pt_failures", "pt_failure_groups", "pt_kv_history", "pt_incarnations", "pt_approval_links",
           "pt_approvals",
           "pt_approval_assignees", "pt_sessions", "pt_tokens", "pt_login_attempts", "pt_audit")  # fmt: skip
HOT = {
    "doctor.longest_due": "pt_runs_due",
    "runs.claim": "pt_runs_due",
    "runs.next_due": "pt_runs_due",
    "runs.overdue": "pt_runs_deadlines",
    "runs.next_deadline": "pt_runs_deadlines",
    "runs.pending_cancellations": "pt_runs_letters",
    "runs.deduplication_holder": "pt_runs_deduplication",
    "retention.ended": "pt_runs_completed",
    "retention.lineage": "pt_steps_child",
    "retention.batch_end": "pt_runs_completed",
    "runs.delete_approvals": "pt_approvals_once",
    "runs.close_approvals": "pt_approvals_once",
    "runs.requeue": "pt_runs_slotless",
    "runs.next_requeue": "pt_runs_slotless",
    "queues.next_delayed": "pt_runs_delayed",
    "runs.delete_assignees": "pt_approval_assignees_gate",
    "approvals.page_open_unassigned": "pt_approvals_by_status",
    "approvals.page_decided_unassigned": "pt_approvals_unassigned",
    "logs.delete": "pt_logs_created",
    "search.changed": "pt_search_changed",
    "runs.release_held": "pt_runs_held",
    "runs.dead_letter": "pt_runs_held",
    "runs.orphan_children": "pt_runs_children",
    "runs.retry_set_aside": "pt_runs_attention",
    "waits.met_of": "pt_waits_met",
    "waits.waiting_for": "pt_waits_subject",
    "messages.oldest": "pt_messages_unread",
    "executors.held_runs": "pt_runs_held",
    "executors.orphans": "pt_runs_held",
    "products.find": "pt_products_once",
    "products.delete": "pt_products_once",
    "products.abandon_bytes": "pt_products_once",
    "schedules.due": "pt_schedules_due",
    "schedules.next_due": "pt_schedules_due",
    "deliveries.next_due": "pt_deliveries_due",
    "deliveries.claim": "pt_deliveries_due",
    "deliveries.release_all": "pt_deliveries_held",
    "deliveries.expedite": "pt_deliveries_due",
    "deliveries.unregistered_holders": "pt_deliveries_held",
    "deliveries.settled_before": "pt_deliveries_over",
}
MAY_SCAN = {
    "accounts.sessions": "the newest thousand, by key",
    "changes.marks": "schedules are few, and counted in an index",
    "doctor.set_aside": "a partial index, in which only runs are that need a person; and no more than a thousand",
    "deliveries.unregistered_holders": "a partial index, in which only deliveries are that are under way",
    "executors.orphans": "a partial index, in which only open runs are",
    "waits.met_of": "a partial index, in which only waits are that were met a moment ago",
}
POSTGRES_ONLY = {"ownership.lock", "ownership.lock_all", "ownership.lock_lineages", "ownership.lock_held"}
"""SQLite has one writer: there is nothing to lock."""
PARAMETER = re.compile(r"(?<![:\w]):(\w+)")


def of(name: str) -> Statement:
    noun, _, statement = name.partition(".")
    return getattr(import_module(f"turbine.tables.{noun}").SQL, statement)


def sqlite_plan(store, statement: Statement) -> list[str]:
    nothing = dict.fromkeys(PARAMETER.findall(statement.sqlite))
    explain = Statement("explain", sqlite=f"explain query plan {statement.sqlite}", postgres="")
    return [row[3] for row in store.read_blocking(lambda tx: tx.rows(explain, **nothing))]


def postgres_plan(store, statement: Statement) -> str:
    """The plan for any values, as if a table scan were always the worst: in an empty table it is the best."""
    names: list[str] = []

    def number(match: re.Match[str]) -> str:
        if match[1] not in names:
            names.append(match[1])
        return f"${names.index(match[1]) + 1}"

    text = re.sub(r"%\((\w+)\)s", number, statement.postgres)
    explain = Statement("explain", sqlite="", postgres=f"explain (generic_plan) {text}")

    def look(tx) -> list[tuple[str]]:
        tx.run(Statement.of("set local enable_seqscan to off"))
        return tx.rows(explain)

    return "\n".join(row[0] for row in store.read_blocking(look))


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory):
    store = open_store(f"sqlite:///{tmp_path_factory.mktemp('plans')}/turbine.db")
    yield store
    store.close()


@pytest.fixture(scope="module")
def postgres(postgres_server):
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        connection.execute("create database plans")
    store = open_store(postgres_server.url("plans"))
    yield store
    store.close()
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        connection.execute("drop database plans with (force)")


@pytest.mark.parametrize(("noun", "statement"), STATEMENTS)
def test_sqlite_understands_every_statement_and_scans_no_table_that_grows(sqlite, noun, statement) -> None:
    if f"{noun}.{statement.name}" in POSTGRES_ONLY:
        return
    plan = sqlite_plan(sqlite, statement)
    scanned = [line.split()[1] for line in plan if line.startswith("SCAN")]
    named = dict(re.findall(r"\b(pt_\w+) as (\w+)", statement.sqlite))
    aliases = {alias: table for table, alias in named.items()}
    if f"{noun}.{statement.name}" not in MAY_SCAN:
        assert [] == [table for table in scanned if aliases.get(table, table) in GROWING], "\n".join(plan)


@pytest.mark.postgres
@pytest.mark.parametrize(("noun", "statement"), STATEMENTS)
def test_postgres_understands_every_statement_and_scans_no_table_that_grows(postgres, noun, statement) -> None:
    plan = postgres_plan(postgres, statement)
    scanned = re.findall(r"Seq Scan on (pt_\w+)", plan)
    assert [] == [table for table in scanned if table in GROWING], plan


@pytest.mark.parametrize(("name", "index"), HOT.items())
def test_a_hot_statement_uses_the_index_made_for_it(sqlite, name: str, index: str) -> None:
    plan = "\n".join(sqlite_plan(sqlite, of(name)))
    assert re.search(rf"\b{index}\b", plan), plan


@pytest.mark.postgres
@pytest.mark.parametrize(("name", "index"), HOT.items())
def test_a_hot_statement_can_use_the_index_made_for_it_in_postgres(postgres, name: str, index: str) -> None:
    plan = postgres_plan(postgres, of(name))
    assert re.search(rf"\b{index}\b", plan), plan


def test_every_statement_file_belongs_to_a_module_that_uses_each_of_its_statements() -> None:
    for path in FOLDER.glob("*.sql"):
        module = path.with_suffix(".py").read_text(encoding="utf-8")
        used = set(re.findall(r"\bSQL\.(\w+)", module))
        assert {statement.name for statement in Statements(path)} == used, path.name


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("queues.oldest_runs_of_key", "pt_runs_queue_keys"),
        ("queues.most_urgent_runs_of_key", "pt_runs_queue_keys"),
        ("queues.oldest_runs", "pt_runs_queue_age"),
        ("queues.most_urgent_runs", "pt_runs_queued"),
    ],
)
def test_a_claim_finds_its_runs_by_an_index_in_a_long_queue(postgres_url: str, name: str, index: str) -> None:
    """Which way is cheapest can only be told of a table that is filled: here half of the runs are over."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            "insert into pt_runs (id, status, name, inputs, application_version, application_id,"
            " recovery_attempts, created_at_epoch_ms, updated_at_epoch_ms, queue_name, queue_partition_key, wake_ms,"
            " completed_at_epoch_ms)"
            " select 'r' || i, case when i % 2 = 0 then 'ENQUEUED' else 'SUCCESS' end, 'job', '', '', '', 0, 1, 1,"
            " 'q' || (i % 10), 'k' || (i % 1000), 0, case when i % 2 = 1 then 1 end from generate_series(1, 20000) as i"
        )
        connection.execute("vacuum analyze pt_runs")
        given = {"queue": "q2", "key": "k2", "now": 5, "rows": '[["job"]]', "limit": 20}
        plan = connection.execute(f"explain {of(name).postgres}", given).fetchall()
    assert re.search(rf"\b{index}\b", str(plan)), plan
