"""SQL kept in `.sql` files beside the functions that use it, one text for both databases where they agree.

A statement opens with `-- name: <name>`, or `-- name: <name> [sqlite]` and `[postgres]` where the two must differ.
Parameters are `:name`. Two words are ours:

- `@rows(run bigint, name text, …)` is the table made of the JSON array in the parameter `:rows`, whose elements are
  arrays in the order of the columns: one statement writes many rows, whatever their number.
- `@now` is the database's own clock in epoch milliseconds (leases are judged by one clock, not by each machine's).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from turbine.cached import cached_property

_NAME = re.compile(r"^-- name: (\w+)(?: \[(sqlite|postgres)\])?[ \t]*$", re.MULTILINE)
_ROWS = re.compile(r"@rows\(([^)]*)\)")
_PARAMETER = re.compile(r"(?<![:\w]):(\w+)")
_COMMENT = re.compile(r"^\s*--.*$\n?", re.MULTILINE)
_NOW = {
    "sqlite": "cast((julianday('now') - 2440587.5) * 86400000.0 as integer)",
    "postgres": "(extract(epoch from clock_timestamp()) * 1000)::bigint",
}


class Statement:
    """One statement in the words of both databases."""

    __slots__ = ("name", "postgres", "sqlite")

    def __init__(self, name: str, *, sqlite: str, postgres: str) -> None:
        self.name = name
        self.sqlite = sqlite
        self.postgres = postgres

    @classmethod
    def of(cls, text: str, name: str = "inline") -> Statement:
        """The statement both databases share."""
        return cls(name, sqlite=for_sqlite(text), postgres=for_postgres(text))

    def __repr__(self) -> str:
        return f"<Statement {self.name}>"


class Statements:
    """The statements of one `.sql` file, as attributes; the file is read when the first one is asked for."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path).with_suffix(".sql")

    @cached_property
    def _statements(self) -> dict[str, Statement]:
        variants: dict[str, dict[str, str]] = {}
        for name, dialect, body in _split(self._path.read_text(encoding="utf-8")):
            for one in (dialect,) if dialect else ("sqlite", "postgres"):
                if one in variants.setdefault(name, {}):
                    raise ValueError(f"{self._path}: statement {name!r} is given twice for {one}")
                variants[name][one] = body
        for name, both in variants.items():
            if len(both) < 2:
                raise ValueError(f"{self._path}: statement {name!r} is given for {next(iter(both))} only")
        return {
            name: Statement(name, sqlite=for_sqlite(both["sqlite"]), postgres=for_postgres(both["postgres"]))
            for name, both in variants.items()
        }

    def __getattr__(self, name: str) -> Statement:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            statement = self._statements[name]
        except KeyError:
            raise AttributeError(f"{self._path} has no statement {name!r}") from None
        self.__dict__[name] = statement
        return statement

    def __iter__(self) -> Iterator[Statement]:
        return iter(self._statements.values())


def _split(text: str) -> list[tuple[str, str | None, str]]:
    marks = list(_NAME.finditer(text))
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    return [
        (mark[1], mark[2], _COMMENT.sub("", text[mark.end() : end]).strip().rstrip(";"))
        for mark, end in zip(marks, ends, strict=True)
    ]


def for_sqlite(text: str) -> str:
    """Our SQL in SQLite's words."""

    def table(match: re.Match[str]) -> str:
        columns = [column.split()[0] for column in match[1].split(",")]
        picked = ", ".join(f"json_extract(value, '$[{i}]') as {name}" for i, name in enumerate(columns))
        return f"(select {picked} from json_each(:rows))"  # noqa: S608 - names from our own `.sql` files

    return _ROWS.sub(table, text).replace("@now", _NOW["sqlite"])


def for_postgres(text: str) -> str:
    """Our SQL in psycopg's and Postgres' words."""

    def table(match: re.Match[str]) -> str:
        columns = [column.split() for column in match[1].split(",")]
        picked = ", ".join(
            f"value->>{i} as {name}" if kind == "text" else f"(value->>{i})::{kind} as {name}"
            for i, (name, kind) in enumerate(columns)
        )
        return f"(select {picked} from jsonb_array_elements(:rows::jsonb))"  # noqa: S608 - from our `.sql` files

    text = _ROWS.sub(table, text).replace("@now", _NOW["postgres"])
    return _PARAMETER.sub(r"%(\1)s", text.replace("%", "%%"))
