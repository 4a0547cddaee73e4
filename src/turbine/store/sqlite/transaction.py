"""A transaction on SQLite."""

from __future__ import annotations

import sqlite3
from typing import Any, Literal

from turbine.store.sql import Statement
from turbine.store.tx import Row, Wake


class SqliteTx:
    """A transaction of the writer, or a snapshot of a reader."""

    dialect: Literal["sqlite", "postgres"] = "sqlite"
    __slots__ = ("_execute", "executor", "incarnation", "wakes")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute
        self.executor = ""
        self.incarnation = 0
        self.wakes: list[Wake] = []

    def rows(self, statement: Statement, **parameters: Any) -> list[Row]:
        return self._execute(statement.sqlite, parameters).fetchall()

    def row(self, statement: Statement, **parameters: Any) -> Row | None:
        cursor = self._execute(statement.sqlite, parameters)
        row = cursor.fetchone()
        cursor.close()
        return row

    def run(self, statement: Statement, **parameters: Any) -> int:
        return self._execute(statement.sqlite, parameters).rowcount

    def defer(self, statement: Statement, **parameters: Any) -> None:
        self._execute(statement.sqlite, parameters)

    def execute_many(self, *calls: tuple[Statement, dict[str, Any]]) -> list[list[Row]]:
        return [self.rows(statement, **parameters) for statement, parameters in calls]

    def commit_if(self, statement: Statement, **parameters: Any) -> list[Row]:
        return self.rows(statement, **parameters)

    def wake(self, kind: str, key: Any = None, *, remote: bool = True) -> None:
        self.wakes.append((kind, key))
