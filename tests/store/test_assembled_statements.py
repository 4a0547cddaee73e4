"""Statements that Python puts together for lists: each reaches its rows by an index, whatever is asked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import psycopg
import pytest

from turbine.clock import to_datetime
from turbine.model.run_filter import RunFilter
from turbine.store import Statement, Tx, open_store
from turbine.store.store import Store
from turbine.tables import audit, deliveries, failures, logs, metrics, products, run_records, run_search, search

GROWING = re.compile(
    r"pt_(workflow_status|workflow_tags|failures|search_apart|audit|logs|products|deliveries|delivery_attempts)\b"
)
FILTERS: dict[str, dict[str, Any]] = {
    "status": {"status": ["ERROR", "SUCCESS"]},
    "name": {"name": ["order", "refund"]},
    "executor": {"executor_id": ["host-1"]},
    "version": {"version": ["v1", "v2"]},
    "ids": {"ids": ["run-1", "run-2"]},
    "tag": {"tag": ["red", "blue"]},
    "queue": {"queue": ["render"]},
    "parent": {"parent_id": ["run-1"]},
    "after": {"created_after": to_datetime(50)},
    "before": {"created_before": to_datetime(10**12)},
    "search": {"search": "needle"},
    "fingerprint": {"fingerprint": ["f1"]},
    "class": {"error_class": ["ValueError"]},
    "longer": {"duration_min": 0.001},
    "shorter": {"duration_max": 1000},
}
LEADS = {
    "status": "pt_runs_by_status",
    "name": "pt_runs_by_name",
    "executor": "pt_runs_by_executor",
    "version": "pt_runs_by_version",
    "tag": r"pt_run_tags|sqlite_autoindex_pt_workflow_tags|PRIMARY KEY \(tag",
    "queue": "pt_runs_by_queue",
    "parent": "pt_runs_by_parent",
    "fingerprint": "pt_failures_group",
    "class": "pt_failures_group",
    "longer": "pt_runs_duration",
    "shorter": "pt_runs_duration",
}
"""The index that leads to what one filter lets through."""
SHORT = {"executor", "ids", "class", "longer", "shorter"}
"""What they lead to is put in order: what is held now, a few ids, at most so many runs of a kind or length."""
PAGES = [{}, {"after": 1000}, {"after": 1, "ascending": True}]


class Watching:
    """A read that also asks how each of its statements is carried out."""

    def __init__(self, tx: Tx) -> None:
        self.tx = tx
        self.dialect = tx.dialect
        self.plans: list[tuple[str, str]] = []

    def rows(self, statement: Statement, **parameters: Any) -> list[tuple[Any, ...]]:
        explain = Statement(
            "explain", sqlite=f"explain query plan {statement.sqlite}", postgres=f"explain {statement.postgres}"
        )
        rows = self.tx.rows(explain, **parameters)
        if self.dialect == "sqlite":
            within = {row[0]: row[3] for row in rows}
            plan = "\n".join(f"{row[3]} [in {within.get(row[1], 'all')}]" for row in rows)
        else:
            plan = "\n".join(row[0] for row in rows)
        self.plans.append((statement.sqlite if self.dialect == "sqlite" else statement.postgres, plan))
        return self.tx.rows(statement, **parameters)

    def row(self, statement: Statement, **parameters: Any) -> tuple[Any, ...] | None:
        return (self.rows(statement, **parameters) or [None])[0]


def plans(store: Store, function: Any, **asked: Any) -> list[tuple[str, str]]:
    def watch(tx: Tx) -> list[tuple[str, str]]:
        if tx.dialect == "postgres":  # in a table of a few rows going through them all is the best
            for way in ("seqscan", "bitmapscan", "sort"):
                tx.run(Statement.of(f"set local enable_{way} to off"))
        watching: Any = Watching(tx)
        function(watching, **asked)
        return watching.plans

    return store.read_blocking(watch)


def scanned(plan: str) -> list[str]:
    """Tables that grow and that a plan goes through from one end to the other."""
    lines = [line.strip() for line in plan.splitlines()]
    found = [line for line in lines if re.match(r"SCAN (?!.*VIRTUAL TABLE INDEX \d+:M)", line) or "Seq Scan" in line]
    names = {"w": "pt_runs", "d": "pt_runs", "t": "pt_run_tags", "f": "pt_failures"}
    return [line for line in found if GROWING.search(line) or [*line.split(), "", ""][1] in names]


def put_in_order(plan: str) -> list[str]:
    """What SQLite sorts within a source, before it is cut to the length of a page."""
    return [line for line in plan.splitlines() if re.match(r"USE TEMP B-TREE.*\[in CO-ROUTINE", line)]


def one_run(tx: Tx) -> None:
    """A run that every filter lets through, so that all ways are gone."""
    rows = """
        insert into pt_runs (
            id, status, name, inputs, executor_id, fence, application_version, application_id, recovery_attempts,
            created_at_epoch_ms, updated_at_epoch_ms, started_at_epoch_ms, completed_at_epoch_ms, queue_name,
            parent_workflow_id, summary
        ) values (
            'run-1', 'ERROR', 'order', '{}', 'host-1', 1, 'v1', 'a', 1, 100, 100, 100, 200, 'render', 'run-1', 'needle'
        )
        ;insert into pt_run_tags (tag, run) values ('red', 1)
        ;insert into pt_failures (run, fingerprint) values (1, 'f1')
        ;insert into pt_failure_groups (fingerprint, workflow, type, message, first_ms, last_ms, state)
        values ('f1', 'order', 'ValueError', '', 1, 1, 'open')
        ;insert into pt_audit (at_ms, actor, role, action, target) values (100, 'ada', 'admin', 'act', 'it')
        ;insert into pt_logs (level, logger, message, source, created_ms) values (20, 'a', 'b', 'user', 100)
    """
    for text in rows.split(";insert"):
        tx.run(Statement.of(text if "insert" in text else f"insert{text}"))
    search.index(tx, settled_ms=10**12, limit=10)


@pytest.fixture(scope="module")
def filled_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = open_store(f"sqlite:///{tmp_path_factory.mktemp('assembled')}/turbine.db")
    store.write_blocking(one_run)
    yield store
    store.close()


@pytest.fixture(scope="module")
def filled_postgres(postgres_server: Any) -> Iterator[Store]:
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        connection.execute("create database assembled")
    store = open_store(postgres_server.url("assembled"))
    store.write_blocking(one_run)
    yield store
    store.close()
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        connection.execute("drop database assembled with (force)")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest) -> Store:
    return request.getfixturevalue(f"filled_{request.param}")


def wanted(names: Sequence[str]) -> RunFilter:
    return RunFilter(**{field: value for name in names for field, value in FILTERS[name].items()})


@pytest.mark.parametrize("few", [run_search.FEW, -1], ids=["text read", "text looked up"])
def test_no_list_and_no_count_of_runs_goes_through_all_of_them(store: Store, monkeypatch, few: int) -> None:
    monkeypatch.setattr(run_search, "FEW", few)
    combined = [(name,) for name in FILTERS] + list(combinations(FILTERS, 2)) + [("status", "name", "queue", "tag")]
    if few < 0:
        combined = [names for names in combined if "search" in names]
    for names in combined:
        asked = wanted(names)
        found = plans(store, run_search.count, filter=asked, limit=10_001)
        for more in PAGES[: 3 if len(names) == 1 else 1]:
            found += plans(store, run_records.page, filter=asked, limit=51, load_input=False, **(BASE | more))
        assert found
        for text, plan in found:
            assert [] == scanned(plan), f"{names}\n{text}\n{plan}"
            if not SHORT & {*names}:
                assert [] == put_in_order(plan), f"{names}\n{text}\n{plan}"


BASE: dict[str, Any] = {"after": None, "ascending": False}


@pytest.mark.parametrize(("name", "index"), LEADS.items())
def test_each_filter_has_an_index_that_leads(filled_sqlite: Store, name: str, index: str) -> None:
    found = plans(filled_sqlite, run_search.keys, filter=wanted([name]), limit=51)
    assert any(re.search(index, plan) for _, plan in found), found


def test_without_a_filter_the_list_walks_along_the_keys_and_stops(store: Store) -> None:
    for more in PAGES:
        for text, plan in plans(store, run_search.keys, filter=RunFilter(), limit=51, **more):
            assert "limit" in text
            assert not re.search(r"Seq Scan|Sort", plan), plan
            assert [] == put_in_order(plan), plan


def test_the_check_finds_a_list_that_has_lost_its_index(tmp_path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/worse.db")
    try:
        store.write_blocking(one_run)
        store.write_blocking(lambda tx: tx.run(Statement.of("drop index pt_runs_by_parent")))
        found = plans(store, run_search.keys, filter=wanted(["parent"]), limit=51)
        assert any(scanned(plan) for _, plan in found), found
    finally:
        store.close()


LISTS = {
    "audit by actor": (audit.page, audit.AuditFilter(actor="ada")),
    "audit by action": (audit.page, audit.AuditFilter(action="act")),
    "audit by target": (audit.page, audit.AuditFilter(target="it")),
    "audit of a run": (audit.page, audit.AuditFilter(workflow_id="run-1")),
    "audit since": (audit.page, audit.AuditFilter(after_ms=50)),
    "audit until": (audit.page, audit.AuditFilter(before_ms=10**12)),
    "audit of a time by actor": (audit.page, audit.AuditFilter(actor="ada", after_ms=50, before_ms=10**12)),
    "logs of a run": (logs.page, logs.LogFilter(workflow_id="run-1")),
    "logs of a step": (logs.page, logs.LogFilter(workflow_id="run-1", position="0", level=20, search="b")),
    "severe logs": (logs.page, logs.LogFilter(level=40)),
    "deliveries by status": (deliveries.page, deliveries.DeliveryFilter(status=["dead"])),
    "deliveries by kind": (deliveries.page, deliveries.DeliveryFilter(kind=["webhook"])),
    "deliveries by target": (deliveries.page, deliveries.DeliveryFilter(target=["t"])),
    "deliveries by event": (deliveries.page, deliveries.DeliveryFilter(event=["e"])),
    "deliveries of a run": (deliveries.page, deliveries.DeliveryFilter(workflow_id=["run-1"])),
    "deliveries by all": (deliveries.page, deliveries.DeliveryFilter(["dead"], ["webhook"], ["e"], ["run-1"], ["t"])),
    "products by status": (products.page, products.ProductFilter(status=["failed"])),
    "products of a run": (products.page, products.ProductFilter(workflow_id="run-1")),
}


@pytest.mark.parametrize("label", LISTS)
@pytest.mark.parametrize("key", [None, 1000])
def test_no_other_list_goes_through_its_table(store: Store, label: str, key: int | None) -> None:
    function, asked = LISTS[label]
    further = {"ascending": False} if function is logs.page else {}
    place = "after" if function in (audit.page, logs.page) else "before"
    for text, plan in plans(store, function, filter=asked, limit=51, **{place: key}, **further):
        # What walks along its key stops at the end of the page; `severe` has an index of its own.
        may_walk = "pt_logs_severe" in plan
        assert may_walk or [] == scanned(plan), f"{text}\n{plan}"


def test_a_text_in_all_logs_is_looked_for_in_some_lines_at_a_time(store: Store, monkeypatch) -> None:
    monkeypatch.setattr(logs, "SCANNED_MAX", 0)
    for ascending in (False, True):
        found = plans(store, logs.page, filter=logs.LogFilter(search="b"), limit=51, after=None, ascending=ascending)
        assert "log <" in found[-1][0] if ascending else "log >" in found[-1][0]
        assert [] == scanned(found[-1][1]), found[-1]


def test_figures_are_counted_in_indexes(store: Store) -> None:
    edges = [0, 1000, 10**12]
    asked: list[tuple[Any, dict[str, Any]]] = [
        (metrics.by_status, {"from_ms": 1, "to_ms": 10**12}),
        *((metrics.calendar, {"edges": edges, "name": name, "status": None, "tag": tag})
          for name in (None, "order") for tag in (None, "red")),
        (metrics.of_workflow, {"name": "order"}),
        (metrics.queue, {"name": "render", "now_ms": 1000}),
        (metrics.holders, {"name": "render"}),
        (metrics.partitions, {"name": "render"}),
        (metrics.ended_since, {"since_ms": 1}),
        (metrics.tags, {}),
        (metrics.gauges, {"now_ms": 1000}),
        (metrics.open_queues, {"now_ms": 1000}),
        (failures.groups, {"since_ms": 0, "until_ms": 10**12, "state": None, "after": None, "limit": 51}),
    ]  # fmt: skip
    for function, parameters in asked:
        for text, plan in plans(store, function, **parameters):
            assert [] == [line for line in scanned(plan) if "_open" not in line], f"{text}\n{plan}"
