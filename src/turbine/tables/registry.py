"""The workflows that processes have registered, for processes that do not have their code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from turbine.store import Statements, Tx
from turbine.store.tx import rows_json
from turbine.tables import executors

SQL = Statements(Path(__file__))


class WorkflowRow(NamedTuple):
    """A registered workflow; `parameters` and `input_schema` are JSON Schemas as text, `tags` a JSON list."""

    name: str
    fqn: str
    triggerable: int
    takes_tick: int
    cron_schedule: str | None
    input_schema: str | None
    parameters: str | None
    signature: str | None
    source: str | None
    tags: str | None
    docstring: str | None
    queue: str | None
    timeout_ms: int | None
    max_recoveries: int | None


def mirror(tx: Tx, *, workflows: Sequence[WorkflowRow], now_ms: int) -> None:
    """Write the workflows of this executor, and delete those that no live executor has registered."""
    tx.run(SQL.upsert, rows=rows_json(workflows), executor=tx.executor, now=now_ms)
    others = {name for (name,) in tx.rows(SQL.names)} - {workflow.name for workflow in workflows}
    unknown = others - executors.known_workflows(tx, names=sorted(others)) if others else others
    if unknown:
        tx.run(SQL.delete, rows=rows_json([[name] for name in sorted(unknown)]))


def find(tx: Tx, *, name_or_fqn: str) -> list[WorkflowRow]:
    """The workflow of a name or, failing that, those of a fully qualified name."""
    rows = tx.rows(SQL.by_name, name=name_or_fqn) or tx.rows(SQL.by_fqn, fqn=name_or_fqn)
    return [WorkflowRow(*row) for row in rows]


def version(tx: Tx, *, name: str) -> str | None:
    """The code version of the executor that registered a workflow last; None when that executor is gone."""
    row = tx.row(SQL.version, name=name)
    return None if row is None else row[0]


def listing(tx: Tx) -> list[WorkflowRow]:
    """All registered workflows, by name."""
    return [WorkflowRow(*row) for row in tx.rows(SQL.listing)]
