"""Runs one reading statement that a person has typed, on a connection of its own that can do nothing else.

Several layers forbid each kind of harm, in case one of them is wrong. SQLite: the file is opened read-only, the
connection is `query_only`, and an authorizer sees every table, column and function while the statement is compiled.
Postgres: a read-only transaction; a list of the names that may stand before a bracket; a plan that reads nothing but
the listed tables; the extended protocol, which takes one statement only. Both end after `SECONDS`.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import quote

from turbine.errors import Conflict, ValidationFailed
from turbine.masking import mask_text
from turbine.store.sqlite import fork
from turbine.store.store import Store

if TYPE_CHECKING:
    from turbine.store.postgres import Source

SECONDS = 5.0
CELL_MAX = 2000
"""Characters of a value that are shown."""
TOTAL_MAX = 4_000_000
"""Characters of all values together, after which no more rows are read."""
TEXT_MAX = 20_000
_LENGTH_MAX = 64 * 1024 * 1024
"""Bytes that SQLite may make of one value."""


class QueryResult(NamedTuple):
    """The rows of a statement; `is_cut` when there were more."""

    columns: list[str]
    rows: list[list[Any]]
    is_cut: bool
    seconds: float


def ask(store: Store, text: str, limit: int, tables: Set[str]) -> QueryResult:
    """Run one reading statement, which may read these tables only.

    Raises ValidationFailed for a statement that is not allowed, is no SQL, or takes too long; Conflict for a database
    in memory.
    """
    if store.is_memory:
        raise Conflict("A database in memory has a single connection, which does not run typed statements")
    if len(text) > TEXT_MAX or "\0" in text:
        raise refused(f"A statement has up to {TEXT_MAX} characters, and no NUL")
    began = time.monotonic()
    if store.dialect == "sqlite":
        columns, rows, is_cut = _ask_sqlite(store.path, text, limit, tables)
    else:
        columns, rows, is_cut = _ask_postgres(store.source, text, limit, tables)
    return QueryResult(columns, rows, is_cut, time.monotonic() - began)


def refused(why: str) -> ValidationFailed:
    """The error for a statement that is not run."""
    return ValidationFailed(why, errors=[{"path": ["query"], "message": why, "type": "sql"}])


def _take(rows: Iterable[Iterable[Any]], limit: int) -> tuple[list[list[Any]], bool]:
    """The first rows, with long values cut; and whether there are more."""
    cut_rows: list[list[Any]] = []
    size = 0
    for row in rows:
        if len(cut_rows) == limit or size > TOTAL_MAX:
            return cut_rows, True
        cells = [_cell(value) for value in row]
        size += sum(len(cell) if isinstance(cell, str) else 8 for cell in cells)
        cut_rows.append(cells)
    return cut_rows, False


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else str(value)
    if isinstance(value, bytes):
        return f"({len(value)} bytes)"
    text = str(value)
    if "://" in text[:CELL_MAX]:  # such as the storage of a product
        text = mask_text(text[:CELL_MAX]) + text[CELL_MAX:]
    return text if len(text) <= CELL_MAX else f"{text[:CELL_MAX]}… ({len(text)} characters)"


# SQLite

_VISIBLE = frozenset({"sqlite_master", "sqlite_schema", "json_each", "json_tree"})
_EXTENSIONS = frozenset({"dbstat", "completion", "generate_series", "bytecode", "tables_used"})
_NAMES = "select name from sqlite_master union select name from pragma_module_list"
_FORBIDDEN_FUNCTIONS = frozenset({"load_extension", "fts3_tokenizer", "readfile", "writefile", "edit", "zeroblob"})


def _ask_sqlite(path: str, text: str, limit: int, tables: Set[str]) -> tuple[list[str], list[list[Any]], bool]:
    address = f"file:{quote(str(Path(path).absolute()))}?mode=ro"
    with fork.inside():
        return _ask_file(address, text, limit, tables)


def _ask_file(address: str, text: str, limit: int, tables: Set[str]) -> tuple[list[str], list[list[Any]], bool]:
    connection = fork.opened(
        sqlite3.connect(
            address,
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=1.0,
            factory=fork.SqliteConnection,
        )
    )
    try:
        connection.execute("pragma query_only = on")
        connection.execute("pragma trusted_schema = off")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LENGTH_MAX)
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        connection.setlimit(sqlite3.SQLITE_LIMIT_COLUMN, 200)
        named = {name.lower() for (name,) in connection.execute(_NAMES)}
        denied: list[str] = []
        connection.set_authorizer(_authorizer((named | _EXTENSIONS) - tables - _VISIBLE, denied))
        deadline = time.monotonic() + SECONDS
        connection.set_progress_handler(lambda: int(time.monotonic() > deadline), 10_000)
        try:
            cursor = connection.execute(text)
            if cursor.description is None:
                raise refused("Type a statement that reads: select …, with …, values …")
            rows, is_cut = _take(cast("Iterator[tuple[Any, ...]]", cursor), limit)
        except (sqlite3.Error, sqlite3.Warning) as error:
            if denied:
                raise refused(denied[0]) from None
            if "interrupted" in str(error):
                raise _too_slow() from None
            raise refused(str(error)) from None
        return [column[0] for column in cursor.description], rows, is_cut
    finally:
        connection.close()


def _authorizer(hidden: Set[str], denied: list[str]) -> Callable[..., int]:
    def authorize(action: int, first: str | None, second: str | None, _: str | None, __: str | None) -> int:
        match action:
            case sqlite3.SQLITE_SELECT | sqlite3.SQLITE_RECURSIVE:
                return sqlite3.SQLITE_OK
            case sqlite3.SQLITE_READ if not _is_hidden((first or "").lower(), hidden):
                return sqlite3.SQLITE_OK
            case sqlite3.SQLITE_READ:
                denied.append(_no_table(first or ""))
            case sqlite3.SQLITE_FUNCTION if (second or "").lower() not in _FORBIDDEN_FUNCTIONS:
                return sqlite3.SQLITE_OK
            case sqlite3.SQLITE_FUNCTION:
                denied.append(_no_function(second or ""))
            case _:
                denied.append("Only statements that read are run; this one changes or sets something")
        return sqlite3.SQLITE_DENY

    return authorize


def _is_hidden(name: str, hidden: Set[str]) -> bool:
    """Whether a name belongs to the database; any other was defined in the statement itself (`with n as …`)."""
    return name in hidden or (name.startswith(("sqlite_", "pragma_", "fts")) and name not in _VISIBLE)


def _too_slow() -> ValidationFailed:
    return refused(f"The statement took longer than {SECONDS:.0f} s and was ended; narrow it, or use an index")


def _no_table(name: str) -> str:
    return f"{name or 'This table'} cannot be read: it is not one of Turbine's tables, or it holds secrets"


def _no_function(name: str) -> str:
    return f"The function {name}() is not allowed"


# Postgres

_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\n\r\f]+|--[^\n\r]*)
    | (?P<string>[bBxXnN]?'(?:[^']|'')*')
    | (?P<quoted>"(?:[^"]|"")+")
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<number>[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?)
    | (?P<sign>.)
    """,
    re.VERBOSE | re.DOTALL,
)
"""The tokens that Postgres reads in the same way; text that it might read in another way is refused below."""
_SIGNS = frozenset("()[],.;:+-*/<>=~!@#%^&|?")
_KEYWORDS = """
in and or not over filter values as from join on exists any all some when then else case by select where having
union except intersect with using distinct limit offset lateral between like ilike is row array within group
partition order materialized end asc desc only fetch first next rows range window cross inner left right full
outer natural null true false similar to
varchar char character numeric decimal timestamp timestamptz time interval varying bit
"""
# None of these runs a text as SQL, reads files, sleeps, or sets anything.
_CALLS = """
count sum avg min max bool_and bool_or every stddev variance percentile_cont percentile_disc mode string_agg
array_agg json_agg jsonb_agg row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value
last_value nth_value coalesce nullif greatest least cast extract date_part date_trunc to_timestamp to_char to_date
now age abs ceil ceiling floor round trunc mod power sqrt ln log sign length char_length octet_length lower upper
initcap trim ltrim rtrim btrim left right substring substr position strpos split_part concat concat_ws replace
reverse md5 starts_with regexp_match regexp_matches regexp_replace regexp_split_to_table regexp_split_to_array
array_length cardinality unnest array_to_string string_to_array json_array_elements json_array_elements_text
jsonb_array_elements jsonb_array_elements_text json_each json_each_text jsonb_each jsonb_each_text json_object_keys
jsonb_object_keys json_extract_path json_extract_path_text jsonb_extract_path jsonb_extract_path_text
json_array_length jsonb_array_length json_typeof jsonb_typeof to_json to_jsonb row_to_json jsonb_pretty width_bucket
"""
_FUNCTIONS = frozenset(_CALLS.split())
_BEFORE_BRACKETS = _FUNCTIONS | frozenset(_KEYWORDS.split())


def _ask_postgres(source: Source, text: str, limit: int, tables: Set[str]) -> tuple[list[str], list[list[Any]], bool]:
    import psycopg

    statement = check_statement(text)
    wrapped = f"select * from (\n{statement}\n) as query limit {limit + 1}"  # noqa: S608 - checked above
    milliseconds = round(SECONDS * 1000)
    connection = source.connect()
    try:
        connection.execute("begin isolation level repeatable read read only")
        connection.execute("select set_config('statement_timeout', %s, true)", (str(milliseconds),))
        connection.execute("set local standard_conforming_strings to on")
        connection.execute("set local lock_timeout to 1000")
        try:
            explained = connection.execute(cast(Any, f"explain (format json, verbose) {wrapped}"), prepare=True)
            row = explained.fetchone()
            _check_plan(row[0] if row else [], _schema(connection), tables)
            with connection.cursor() as cursor:
                rows, is_cut = _take(cursor.stream(cast(Any, wrapped)), limit)
                columns = [column.name for column in cursor.description or ()]
        except psycopg.errors.QueryCanceled:
            raise _too_slow() from None
        except psycopg.errors.ReadOnlySqlTransaction:
            raise refused("Only statements that read are run; this one changes something") from None
        except psycopg.Error as error:
            raise refused(error.diag.message_primary or str(error)) from None
        return columns, rows, is_cut
    finally:
        connection.close()


def check_statement(text: str) -> str:
    """Return a statement without its semicolon if it reads, and calls allowed functions only.

    Raises ValidationFailed, also for notations of Postgres that are hard to scan: `E''` strings (whose backslashes also
    count in the next line), `$$` strings (which may as well be the end of a name), `U&` and `/* */`.
    """
    words: list[str] = []
    before: str | None = None
    is_over = False
    end = len(text)
    last = ""
    for token in _TOKEN.finditer(text):
        kind, value = token.lastgroup, token.group()
        if kind == "space":
            last = ""
            continue
        if is_over:
            raise refused("One statement at a time")
        if kind == "sign" and value not in _SIGNS:
            raise refused(f"This is not allowed outside of quotes: {value}")
        if last + value == "/*":
            raise refused("Comments between /* and */ are not allowed; begin them with --")
        if kind == "string" and last.lower() == "e":
            raise refused("Strings as E'…' are not allowed")
        if last.lower() == "u" and value == "&":
            raise refused("Names and strings with U& are not allowed")
        if value == "(" and before is not None and before not in _BEFORE_BRACKETS:
            raise refused(_no_function(before))
        before = value.lower() if kind == "word" else value[1:-1] if kind == "quoted" else None
        if kind == "word":
            words.append(value.lower())
        if value == ";":
            is_over = True
            end = token.start()
        last = value
    if not words or words[0] not in ("select", "with", "values", "table"):
        raise refused("Type a statement that reads: select …, with …, values …")
    return text[:end]


def _schema(connection: Any) -> str:
    return str(connection.execute("select current_schema()").fetchone()[0])


def _check_plan(plan: Any, schema: str, tables: Set[str]) -> None:
    """Raise ValidationFailed for a plan that reads any other table."""
    if isinstance(plan, list):
        for child in cast("list[Any]", plan):
            _check_plan(child, schema, tables)
        return
    if not isinstance(plan, dict):
        return
    node = cast("dict[str, Any]", plan)
    name = node.get("Relation Name")
    if name is not None and (name not in tables or node.get("Schema") != schema):
        raise refused(_no_table(str(name)))
    function = node.get("Function Name")
    if function is not None and (function not in _FUNCTIONS or node.get("Schema") != "pg_catalog"):
        raise refused(_no_function(str(function)))
    kind = str(node.get("Node Type", ""))
    if kind in ("ModifyTable", "LockRows", "Foreign Scan", "Custom Scan", "Table Function Scan"):
        raise refused(f"A plan with {kind} is not allowed")
    for value in node.values():
        _check_plan(value, schema, tables)
