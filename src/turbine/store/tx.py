"""What a transaction function may do: run statements, and ask for wakes that are published after the commit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import Any, Literal, Protocol, TypeVar

from turbine.store.sql import Statement

Row = tuple[Any, ...]
Wake = tuple[str, Any]
F = TypeVar("F", bound=Callable[..., Any])


class Tx(Protocol):
    """One open transaction (or one consistent read).

    A function that refuses *returns* its error, having written nothing; the caller sees it raised. A function that
    *raises* is rolled back, alone: its batch mates are committed without it.
    """

    dialect: Literal["sqlite", "postgres"]
    executor: str
    """The id of the executor that holds this door; empty before launch."""
    incarnation: int
    """Which life of which executor that is (a row of pt_incarnations); 0 before launch."""

    def rows(self, statement: Statement, **parameters: Any) -> list[Row]:
        """Run a statement and return all its rows."""
        ...

    def row(self, statement: Statement, **parameters: Any) -> Row | None:
        """Run a statement and return its first row, if any."""
        ...

    def run(self, statement: Statement, **parameters: Any) -> int:
        """Run a statement and return how many rows it touched."""
        ...

    def defer(self, statement: Statement, **parameters: Any) -> None:
        """Run a statement whose answer nobody needs: it travels with the next one, or with the commit."""
        ...

    def execute_many(self, *asked: tuple[Statement, dict[str, Any]]) -> list[list[Row]]:
        """Run statements, one after the other, in one journey to the database; the rows of each."""
        ...

    def commit_if(self, statement: Statement, **parameters: Any) -> list[Row] | None:
        """Like `all`, for the one statement that writes in a function marked `@decisive`; it compares with `:executor`.

        Where it has a batch to itself it is a transaction of its own, in one journey. None: it was committed, and its
        answer was lost with the connection.
        """
        ...

    def wake(self, kind: str, key: Any = None, *, remote: bool = True) -> None:
        """Publish, after the commit, that something of `kind` happened to `key`; `remote`: to other processes too.

        A wake is a hint. Whoever hears it reads the rows; whoever misses it finds them at the next slow poll.
        """
        ...


LANES = 7
"""Connections of one process that may write at the same time, each with a row in pt_batches."""


class Identity:
    """As whom a store writes, and whom it notifies."""

    def __init__(self) -> None:
        self.executor = ""
        self.incarnation = 0
        self.is_alone = False
        """Whether no other process is there to be told of wakes; false when in doubt."""
        self.channel = ""
        """Where other executors are notified, on Postgres."""


class Lane(Enum):
    """Which connection of Postgres a function writes on. SQLite has one writer for all of them."""

    MAIN = "bulk functions, committed in groups"
    CLAIMS = "what takes runs, each in a transaction of its own"
    GENERAL = "everything else, each in a transaction of its own"
    LEASE = "the renewal of the lease, which waits for nothing else"


def bulk(function: F) -> F:
    """Mark a transaction function that takes a list of rows and answers with a list of results in the same order.

    Calls of it that meet in one batch become one call, so its statements run once for all of them.
    """
    function.bulk = True  # pyright: ignore[reportFunctionMemberAccess] - the writer looks for it
    return function


def on(lane: Lane) -> Callable[[F], F]:
    """Choose the lane of a function; without it that is MAIN for a bulk function and GENERAL for any other."""

    def mark(function: F) -> F:
        function.lane = lane  # pyright: ignore[reportFunctionMemberAccess] - the store looks for it
        return function

    return mark


Take = Callable[["Tx", list[Any]], None]


def locking(take: Take, keys: Callable[[Any], Iterable[Any]]) -> Callable[[F], F]:
    """Tell which rows a bulk function changes that other processes may change too: `keys` finds them in its rows.

    `take` locks the keys of all functions of a batch at its very beginning, in one order, so that two batches never
    wait for each other in a circle.
    """

    def mark(function: F) -> F:
        function.locking = (take, keys)  # pyright: ignore[reportFunctionMemberAccess] - `take_locks` looks for it
        return function

    return mark


def take_locks(tx: Tx, calls: Iterable[tuple[Callable[..., Any], Any]]) -> None:
    """Lock what (function, row) calls will change. SQLite has one writer at a time, and needs no locks."""
    if tx.dialect == "sqlite":
        return
    wanted: dict[Take, list[Any]] = {}
    for function, row in calls:
        declared = getattr(function, "locking", None)
        if declared is not None:
            take, keys = declared
            wanted.setdefault(take, []).extend(keys(row))
    for take, keys in wanted.items():
        take(tx, keys)


def single_statement(function: F) -> F:
    """Mark a bulk function that begins with `tx.decide`, and after it only reads, and wakes nobody."""
    function.single_statement = True  # pyright: ignore[reportFunctionMemberAccess] - the writer looks for it
    return function


def rows_json(rows: Sequence[Sequence[Any]]) -> str:
    """The value of `:rows`. Payloads are JSON, where NUL and lone surrogates are escaped.

    Raises ValueError for any other text that holds one: SQLite would cut it at the NUL, silently.
    """
    from pydantic_core import to_json  # not at the top: `import turbine` shall be quick

    text = to_json(rows).decode()
    if "\\u0000" in text and any("\0" in value for row in rows for value in row if isinstance(value, str)):
        raise ValueError("A text with a NUL cannot be stored")
    return text
