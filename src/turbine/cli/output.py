"""What a person, or a program with `--json`, gets to see of an answer. stdout carries answers and nothing else."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
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
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SHOWN_MAX = 80


class Output:
    """Where the answer of one command goes."""

    def __init__(self, *, is_json: bool) -> None:
        self.is_json = is_json

    def document(self, document: Any) -> None:
        """One JSON document, for programs."""
        typer.echo(json.dumps(document, indent=2, ensure_ascii=not _speaks_unicode()))

    def line(self, document: Any) -> None:
        """One line of JSON, at once."""
        typer.echo(json.dumps(document, ensure_ascii=not _speaks_unicode()))

    def say(self, document: Any, *lines: str) -> None:
        """A document for programs, or some words about it for people."""
        if self.is_json:
            self.document(document)
        else:
            for line in lines:
                self.words(line)

    def words(self, text: str | Text) -> None:
        """A line for people."""
        console().print(Text(clean(text)) if isinstance(text, str) else text, soft_wrap=True)

    def table(self, document: Any, columns: Sequence[str], rows: Iterable[Sequence[Any]], empty: str) -> None:
        """A document for programs, or a table of it for people. Ids stand there whole, so that they can be copied."""
        if self.is_json:
            self.document(document)
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(column, overflow="fold", no_wrap=column in ("ID", "STATUS"))
        for row in rows:
            table.add_row(*(_cell(one) for one in row))
        if table.row_count:
            _print(table)
        else:
            typer.echo(empty, err=True)

    def facts(self, pairs: Iterable[tuple[str, Any]]) -> None:
        """Names and values for people, one a line; what is not known is left out."""
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in pairs:
            if value not in (None, "", []):
                table.add_row(name, _cell(value, whole=True))
        _print(table)


def console() -> Console:
    """The terminal; what is piped is not broken into lines."""
    made = Console(highlight=False, markup=False)
    return made if made.is_terminal else Console(highlight=False, markup=False, width=10_000)


def _print(table: Table) -> None:
    """A table; where it is piped without the spaces that fill up its lines."""
    made = console()
    if made.is_terminal:
        made.print(table)
        return
    with made.capture() as captured:
        made.print(table)
    for line in captured.get().splitlines():
        typer.echo(line.rstrip())


def clean(text: str) -> str:
    """Text of users without what a terminal would obey."""
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text)


def short(value: Any) -> str:
    """A JSON value in one short line."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN_MAX else text[: _SHOWN_MAX - 1] + "…"


def moment(text: str | None) -> str:
    """A time as people read it here, in the zone of this machine."""
    if text is None:
        return ""
    return local(text).strftime("%Y-%m-%d %H:%M:%S")


def local(text: str) -> datetime:
    """A time in the zone of this machine, or as it is where the machine cannot convert it."""
    given = datetime.fromisoformat(text)
    try:
        return given.astimezone()
    except (OSError, OverflowError):  # Windows knows the years 1970 to 3000, and no system what is behind 9999
        return given


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


def _cell(value: Any, *, whole: bool = False) -> Text:
    if value is None:
        return Text("")
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    if not isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False)
        is_long = whole and len(text) > _SHOWN_MAX
        value = json.dumps(value, ensure_ascii=False, indent=2) if is_long else text
    return Text(clean(value), style=STATUS_STYLES.get(value, ""))


def _speaks_unicode() -> bool:
    return (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8"
