"""A transaction of Postgres, in as few round trips as it takes.

A round trip costs as much as the work of the server. So `begin`, the number of the batch and every statement without an
answer wait for the next statement that has one, or for the commit, and a batch that is a single statement is nothing
else: it writes the number itself and is its own transaction.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal, LiteralString, cast

import psycopg

from turbine.store.postgres.connection import POOLED_SETTINGS, Connection
from turbine.store.sql import Statement
from turbine.store.tx import Row

Query = tuple[LiteralString, dict[str, Any] | None]

# A life is one launch of one executor; a lane is one of its connections. Whoever evicts an executor closes its rows.
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
        "_is_decisive",
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
        self._is_decisive = False
        self._was_decided = False
        self.executor = ""
        self.incarnation = 0
        self.lane = lane
        """Which row of its executor's batches it writes its number into; None where it need not."""
        self.is_open = False
        """Whether the server has heard of this transaction."""
        self.is_decided = False
        """Whether it was one statement, which is committed or on its way."""
        self.wakes: list[tuple[str, Any, bool]] = []

    @property
    def is_marked(self) -> bool:
        """Whether it writes the number of its batch, so that its fate can be asked for later."""
        return self.incarnation != 0 and self.lane is not None

    def begin(self, batch: int, *, is_single_statement: bool, was_decided: bool) -> None:
        """A new transaction, of which the server hears with its first statement."""
        self.wakes = []
        self.is_open = self.is_decided = False
        self._batch = batch
        self._is_decisive = is_single_statement and self.is_marked and not self._connection.is_pooled
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

    def execute_many(self, *asked: tuple[Statement, dict[str, Any]]) -> list[list[Row]]:
        queries: list[Query] = [(cast(LiteralString, statement.postgres), given) for statement, given in asked]
        return [cursor.fetchall() for cursor in self.send(*queries)]

    def commit_if(self, statement: Statement, **parameters: Any) -> list[Row] | None:
        if not self._is_decisive:
            return self.rows(statement, **parameters)
        self._unsent.clear()
        self.is_decided = True
        if self._was_decided:
            return None
        return self._connection.execute(_deciding(statement), {**parameters, **self._mark()}).fetchall()

    def _execute(self, statement: Statement, parameters: dict[str, Any]) -> psycopg.Cursor[Row]:
        return self.send((cast(LiteralString, statement.postgres), parameters))[0]

    def send(self, *queries: Query) -> list[psycopg.Cursor[Row]]:
        """What waits to be sent, and these, in one round trip; the answers to these."""
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
        """Whether something waits to be sent, beside the beginning."""
        return len(self._unsent) > 1 + self.is_marked + self._connection.is_pooled

    def wake(self, kind: str, key: Any = None, *, remote: bool = True) -> None:
        self.wakes.append((kind, key, remote))


@cache
def _deciding(statement: Statement) -> LiteralString:
    """A statement that writes the batch's number with what it writes, or nothing when its executor was evicted."""
    text = statement.postgres.replace("%(executor)s", "(select executor_id from mark)")
    return cast(LiteralString, f"with mark as ({_MARK} returning executor_id)\n{text}")
