"""The registry's mirror: which workflows there are, for those who look from another process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from turbine.store import Statements, Tx
from turbine.store.tx import rows_json
from turbine.tables import executors

SQL = Statements(Path(__file__))


class Mirrored(NamedTuple):
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


def mirror(tx: Tx, *, workflows: Sequence[Mirrored], now_ms: int) -> None:
    """Write what this executor registers, and forget what neither it nor any other live executor does."""
    tx.run(SQL.upsert, rows=rows_json(workflows), executor=tx.executor, now=now_ms)
    others = {name for (name,) in tx.rows(SQL.names)} - {one.name for one in workflows}
    gone = others - executors.names_known(tx, names=sorted(others)) if others else others
    if gone:
        tx.run(SQL.delete, rows=rows_json([[name] for name in sorted(gone)]))


def find(tx: Tx, *, name_or_fqn: str) -> list[Mirrored]:
    """The workflow of a name or, failing that, those of a fully qualified name."""
    rows = tx.rows(SQL.by_name, name=name_or_fqn) or tx.rows(SQL.by_fqn, fqn=name_or_fqn)
    return [Mirrored(*row) for row in rows]


def version(tx: Tx, *, name: str) -> str | None:
    """The version of the code that registered a workflow last; None when its process is gone."""
    row = tx.row(SQL.version, name=name)
    return None if row is None else row[0]


def listing(tx: Tx) -> list[Mirrored]:
    """All of them, by name."""
    return [Mirrored(*row) for row in tx.rows(SQL.listing)]
