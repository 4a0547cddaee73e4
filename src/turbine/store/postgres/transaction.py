"""A transaction of Postgres, in as few round trips as it takes.

A round trip costs as much as the work of the server. So `begin`, the number of the batch and every statement without a
result wait for the next statement that has one, or for the commit. A batch of a single statement is its own
transaction: the statement writes the number itself.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal, LiteralString, cast

import psycopg

from turbine.store.postgres.connection import POOLED_SETTINGS, Connection
from turbine.store.sql import Statement
from turbine.store.tx import Row

Query = tuple[LiteralString, dict[str, Any] | None]

# An incarnation is one launch of one executor; a lane is one of its connections. An eviction closes the rows.
_MARK: LiteralString = (
    "update pt_batches set batch = %(batch)s where incarnation = %(incarnation)s and lane = %(lane)s and is_open = 1"
)
MARKED: LiteralString = (
    "select batch from pt_batches where incarnation = %(incarnation)s and lane = %(lane)s for update"
)


class PostgresTx:
    """A transaction of a writer, or a snapshot of a reader."""

    dialect: Literal["sqlite", "postgres"] = "postgres"
    __slots__ = (
        "_batch",
        "_connection",
        "_is_single_statement",
        "_unsent",
        "_was_decided",
        "executor",
        "incarnation",
        "is_decided",
        "is_open",
        "lane",
        "wakes",
    )

    def __init__(self, connection: Connection, *, lane: int | None = None) -> None:
        self._connection = connection
        self._unsent: list[Query] = []
        self._batch = 0
        self._is_single_statement = False
        self._was_decided = False
        self.executor = ""
        self.incarnation = 0
        self.lane = lane
        """The row of its executor's batches that it writes its number into; None where that is not needed."""
        self.is_open = False
        """Whether the server knows of this transaction."""
        self.is_decided = False
        """Whether it was one statement, which is committed or on its way."""
        self.wakes: list[tuple[str, Any, bool]] = []

    @property
    def is_marked(self) -> bool:
        """Whether it writes the number of its batch, by which its outcome can be looked up later."""
        return self.incarnation != 0 and self.lane is not None

    def begin(self, batch: int, *, is_single_statement: bool, was_decided: bool) -> None:
        """Begin a transaction; the server gets to know it with its first statement."""
        self.wakes = []
        self.is_open = self.is_decided = False
        self._batch = batch
        self._is_single_statement = is_single_statement and self.is_marked and not self._connection.is_pooled
        self._was_decided = was_decided
        if self._connection.is_pooled:
            self._unsent = [("begin isolation level read committed", None), (POOLED_SETTINGS, None)]
        else:
            self._unsent = [("begin", None)]
        if self.is_marked:
            self._unsent.append((_MARK, self._mark()))

    def _mark(self) -> dict[str, Any]:
        return {"incarnation": self.incarnation, "lane": self.lane, "batch": self._batch}

    def rows(self, statement: Statement, **parameters: Any) -> list[Row]:
        return self._execute(statement, parameters).fetchall()

    def row(self, statement: Statement, **parameters: Any) -> Row | None:
        return self._execute(statement, parameters).fetchone()

    def run(self, statement: Statement, **parameters: Any) -> int:
        return self._execute(statement, parameters).rowcount

    def defer(self, statement: Statement, **parameters: Any) -> None:
        self._unsent.append((cast(LiteralString, statement.postgres), parameters))

    def execute_many(self, *calls: tuple[Statement, dict[str, Any]]) -> list[list[Row]]:
        queries: list[Query] = [
            (cast(LiteralString, statement.postgres), parameters) for statement, parameters in calls
        ]
        return [cursor.fetchall() for cursor in self.send(*queries)]

    def commit_if(self, statement: Statement, **parameters: Any) -> list[Row] | None:
        if not self._is_single_statement:
            return self.rows(statement, **parameters)
        self._unsent.clear()
        self.is_decided = True
        if self._was_decided:
            return None
        return self._connection.execute(_with_mark(statement), {**parameters, **self._mark()}).fetchall()

    def _execute(self, statement: Statement, parameters: dict[str, Any]) -> psycopg.Cursor[Row]:
        return self.send((cast(LiteralString, statement.postgres), parameters))[0]

    def send(self, *queries: Query) -> list[psycopg.Cursor[Row]]:
        """Send what is queued, and these queries, in one round trip; returns the cursors of these queries."""
        unsent, self._unsent = self._unsent, []
        self.is_open = True
        if not unsent and len(queries) == 1:
            ((text, parameters),) = queries
            return [self._connection.execute(text, parameters)]
        with self._connection.pipeline():
            for text, parameters in unsent:
                self._connection.execute(text, parameters)
            return [self._connection.execute(text, parameters) for text, parameters in queries]

    @property
    def is_waiting(self) -> bool:
        """Whether statements are queued, beside those that begin the transaction."""
        return len(self._unsent) > 1 + self.is_marked + self._connection.is_pooled

    def wake(self, kind: str, key: Any = None, *, remote: bool = True) -> None:
        self.wakes.append((kind, key, remote))


@cache
def _with_mark(statement: Statement) -> LiteralString:
    """A statement that also writes the number of the batch, and writes nothing when its executor was evicted."""
    text = statement.postgres.replace("%(executor)s", "(select executor_id from mark)")
    return cast(LiteralString, f"with mark as ({_MARK} returning executor_id)\n{text}")
