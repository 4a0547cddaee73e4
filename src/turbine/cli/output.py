"""Output for people, or with `--json` for programs. stdout carries answers and nothing else."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

STATUS_STYLES = {
    "SUCCESS": "green",
    "ERROR": "red",
    "CANCELLED": "magenta",
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": "bold red",
    "WAITING_FOR_APPROVAL": "yellow",
    "PENDING": "blue",
    "ENQUEUED": "cyan",
    "ok": "green",
    "wrong": "bold red",
}
Field = str | Callable[[dict[str, Any]], Any]
"""The content of a column: a field of each item, or a function of the item."""
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SHOWN_MAX = 80


class Output:
    """The output of one command."""

    def __init__(self, *, is_json: bool) -> None:
        self.is_json = is_json

    def document(self, document: Any) -> None:
        """One JSON document, for programs."""
        typer.echo(json.dumps(document, indent=2, ensure_ascii=not _speaks_unicode()))

    def line(self, document: Any) -> None:
        """A JSON document on one line, for programs that follow along."""
        typer.echo(json.dumps(document, ensure_ascii=not _speaks_unicode()))

    def say(self, document: Any, *lines: str) -> None:
        """A document for programs, or lines about it for people."""
        if self.is_json:
            self.document(document)
        else:
            for line in lines:
                self.text(line)

    def text(self, text: str | Text) -> None:
        """A line for people."""
        console().print(Text(clean(text)) if isinstance(text, str) else text, soft_wrap=True)

    def table(self, document: Any, columns: Sequence[str], rows: Iterable[Sequence[Any]], empty: str) -> None:
        """A document for programs, or a table of it for people. Ids are never cut, so that they can be copied."""
        if self.is_json:
            self.document(document)
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(column, overflow="fold", no_wrap=column in ("ID", "STATUS"))
        for row in rows:
            table.add_row(*map(_cell, row))
        if table.row_count:
            _print(table)
        else:
            typer.echo(empty, err=True)

    def items(self, page: dict[str, Any], columns: dict[str, Field], empty: str) -> None:
        """A page of a collection: a document for programs, or a table of its items for people."""
        rows = (
            [item[field] if isinstance(field, str) else field(item) for field in columns.values()]
            for item in page["items"]
        )
        self.table(page, tuple(columns), rows, empty)

    def facts(self, pairs: Iterable[tuple[str, Any]]) -> None:
        """Names and values for people, one per line; empty values are left out."""
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in pairs:
            if value not in (None, "", []):
                table.add_row(name, _cell(value, indent=True))
        _print(table)


def console() -> Console:
    """The console of stdout; piped lines are not wrapped."""
    terminal = Console(highlight=False, markup=False)
    return terminal if terminal.is_terminal else Console(highlight=False, markup=False, width=10_000)


def _print(table: Table) -> None:
    """Print a table; piped lines have no trailing spaces."""
    target = console()
    if target.is_terminal:
        target.print(table)
        return
    with target.capture() as captured:
        target.print(table)
    for line in captured.get().splitlines():
        typer.echo(line.rstrip())


def clean(text: str) -> str:
    """Replace control characters of user text, which a terminal would obey."""
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text)


def short(value: Any) -> str:
    """A JSON value on one short line."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN_MAX else text[: _SHOWN_MAX - 1] + "…"


def moment(text: str | None) -> str:
    """A time of the API as people read it, in the time zone of this machine."""
    if text is None:
        return ""
    return local(text).strftime("%Y-%m-%d %H:%M:%S")


def moment_in(field: str) -> Field:
    """The time in a field, as people read it."""
    return lambda item: moment(item[field])


def local(text: str) -> datetime:
    """A time in the time zone of this machine, or unchanged where the machine cannot convert it."""
    utc = datetime.fromisoformat(text)
    try:
        return utc.astimezone()
    except (OSError, OverflowError):  # Windows converts the years 1970 to 3000, other systems up to 9999
        return utc


def span(seconds: float | None) -> str:
    """A duration as people read it."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (rest, "s")]
    return " ".join(f"{count}{unit}" for count, unit in parts if count)


def _cell(value: Any, *, indent: bool = False) -> Text:
    if value is None:
        return Text("")
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    if not isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False)
        is_long = indent and len(text) > _SHOWN_MAX
        value = json.dumps(value, ensure_ascii=False, indent=2) if is_long else text
    return Text(clean(value), style=STATUS_STYLES.get(value, ""))


def _speaks_unicode() -> bool:
    return (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8"
