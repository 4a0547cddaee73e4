"""SQL kept in `.sql` files beside the functions that use it, one text for both databases where they agree.

A statement begins with `-- name: <name>`, or `-- name: <name> [sqlite]` and `[postgres]` where the two must differ.
Parameters are `:name`. `-- columns: <name>` begins a list of columns for the other statements of the file. Markers
stand for what is repeated, or differs by database only:

- `@columns(name)` is that list of columns, `@columns(name, w)` the same with the prefix `w.` at each of them.
- `@rows(run bigint, name text, …)` is the table made of the JSON array in the parameter `:rows`, whose elements are
  arrays in the order of the columns: one statement writes many rows, whatever their number.
- `@now` is the database's own clock in epoch milliseconds (leases are judged by one clock, not by each machine's).
- `@for_update`, `@for_no_key_update`, `@skip_locked` lock rows on Postgres; SQLite has one writer at a time.
- `@indexed_by(index)` names the index for SQLite, which has no statistics; Postgres finds it.
- `name @among(name text)` compares with the column of `:rows`, on Postgres in an array, for the sake of its plans.
- `@elements(e.names, n)` is the table `n` of the texts in a JSON array, in a column `value`.
- `@no_key(run)` is a column which Postgres does not take for the primary key, whose index would be the wrong one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from turbine.cached import cached_property

Dialect = Literal["sqlite", "postgres"]
_BLOCK = re.compile(r"^-- (name|columns): (\w+)(?: \[(sqlite|postgres)\])?[ \t]*$", re.MULTILINE)
_COLUMNS = re.compile(r"@columns\((\w+)(?:, (\w+))?\)")
_ROWS = re.compile(r"@rows\(([^)]*)\)")
_PARAMETER = re.compile(r"(?<![:\w]):(\w+)")
_COMMENT = re.compile(r"^\s*--.*$\n?", re.MULTILINE)
_MARKERS = tuple(
    (re.compile(pattern), {"sqlite": sqlite, "postgres": postgres})
    for pattern, sqlite, postgres in (
        (r"[ \n]*@for_update\b", "", "\nfor update"),
        (r"[ \n]*@for_no_key_update\b", "", "\nfor no key update"),
        (r" @skip_locked\b", "", " skip locked"),
        (r" @indexed_by\((\w+)\)", r" indexed by \1", ""),
        (
            r"@among\((\w+) (\w+)\)",
            r"in (select r.\1 from @rows(\1 \2) as r)",
            r"= any (array(select r.\1 from @rows(\1 \2) as r))",
        ),
        (
            r"@elements\(([\w.]+), (\w+)\)",
            r"json_each(\1) as \2",
            r"jsonb_array_elements_text(\1::jsonb) as \2(value)",
        ),
        (r"@no_key\((\w+)\)", r"\1", r"(\1 + 0)"),
        (
            r"@now\b",
            "cast((julianday('now') - 2440587.5) * 86400000.0 as integer)",
            "(extract(epoch from clock_timestamp()) * 1000)::bigint",
        ),
    )
)


class Statement:
    """One statement, in the SQL of each database."""

    __slots__ = ("name", "postgres", "sqlite")

    def __init__(self, name: str, *, sqlite: str, postgres: str) -> None:
        self.name = name
        self.sqlite = sqlite
        self.postgres = postgres

    @classmethod
    def of(cls, text: str, name: str = "inline") -> Statement:
        """Make the statement of a text that both databases share."""
        return cls(name, sqlite=for_sqlite(text), postgres=for_postgres(text))

    def __repr__(self) -> str:
        return f"<Statement {self.name}>"


class Statements:
    """The statements of one `.sql` file, as attributes; the file is read at the first access."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path).with_suffix(".sql")

    @cached_property
    def _statements(self) -> dict[str, Statement]:
        columns: dict[str, str] = {}
        variants: dict[str, dict[str, str]] = {}
        for kind, name, dialect, text in _split(self._path.read_text(encoding="utf-8")):
            if kind == "columns":
                columns[name] = text
                continue
            for key in (dialect,) if dialect else ("sqlite", "postgres"):
                if key in variants.setdefault(name, {}):
                    raise ValueError(f"{self._path}: statement {name!r} is given twice for {key}")
                variants[name][key] = text
        for name, texts in variants.items():
            if len(texts) < 2:
                raise ValueError(f"{self._path}: statement {name!r} is given for {next(iter(texts))} only")

        def insert(match: re.Match[str]) -> str:
            prefix = f"{match[2]}." if match[2] else ""
            return re.sub(r"(^|, *\n? *)(?=\w)", rf"\g<1>{prefix}", columns[match[1]])

        return {
            name: Statement(
                name,
                sqlite=for_sqlite(_COLUMNS.sub(insert, texts["sqlite"])),
                postgres=for_postgres(_COLUMNS.sub(insert, texts["postgres"])),
            )
            for name, texts in variants.items()
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


def _split(text: str) -> list[tuple[str, str, str | None, str]]:
    """Kind, name, dialect and text of each block."""
    heads = list(_BLOCK.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    return [
        (head[1], head[2], head[3], _COMMENT.sub("", text[head.end() : end]).strip().rstrip(";"))
        for head, end in zip(heads, ends, strict=True)
    ]


def for_sqlite(text: str) -> str:
    """Expand the markers for SQLite."""

    def table(match: re.Match[str]) -> str:
        columns = [column.split()[0] for column in match[1].split(",")]
        values = ", ".join(f"json_extract(value, '$[{i}]') as {name}" for i, name in enumerate(columns))
        return f"(select {values} from json_each(:rows))"  # noqa: S608 - names from our own `.sql` files

    return _expand(text, "sqlite", table)


def for_postgres(text: str) -> str:
    """Expand the markers for Postgres, and write parameters as psycopg does."""

    def table(match: re.Match[str]) -> str:
        columns = [column.split() for column in match[1].split(",")]
        values = ", ".join(
            f"value->>{i} as {name}" if kind == "text" else f"(value->>{i})::{kind} as {name}"
            for i, (name, kind) in enumerate(columns)
        )
        return f"(select {values} from jsonb_array_elements(:rows::jsonb))"  # noqa: S608 - from our `.sql` files

    return _PARAMETER.sub(r"%(\1)s", _expand(text, "postgres", table).replace("%", "%%"))


def _expand(text: str, dialect: Dialect, table: Callable[[re.Match[str]], str]) -> str:
    for pattern, replacements in _MARKERS:
        text = pattern.sub(replacements[dialect], text)
    return _ROWS.sub(table, text)
