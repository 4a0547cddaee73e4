"""What is left after the deaths, read with plain SQL: what the engine says about itself is no witness here."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import Any

import psycopg
from journal import BEGIN, END, Mark


class Rows:
    """A database as it is, behind the back of the runtime."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._file = url.removeprefix("sqlite:///") if url.startswith("sqlite:///") else None
        self.is_sqlite = self._file is not None

    def __call__(self, statement: str) -> list[tuple[Any, ...]]:
        """The answer of a query."""
        if self._file is None:
            with psycopg.connect(self._url) as connection:
                return connection.execute(statement).fetchall()  # type: ignore[arg-type]
        with contextlib.closing(sqlite3.connect(self._file, timeout=10)) as connection:
            return connection.execute(statement).fetchall()

    def execute(self, script: str) -> None:
        """Change something by force."""
        if self._file is None:
            with psycopg.connect(self._url) as connection:
                connection.execute(script)  # type: ignore[arg-type]
        else:
            with contextlib.closing(sqlite3.connect(self._file, timeout=10)) as connection:
                connection.executescript(script)

    def watch(self) -> None:
        """Have the database itself write down every change of an outcome that was recorded, and every second end."""
        self.execute(_WATCH_POSTGRES if self._file is None else _WATCH_SQLITE)

    def rewritten(self) -> list[tuple[Any, ...]]:
        """What `watch` saw; nothing, if all is well."""
        return self("select what, run, detail from seen_rewritten")

    def outcomes(self) -> dict[tuple[str, str], tuple[Any, ...]]:
        """For each run and position: what was called, and how it ended."""
        rows = self(
            "select w.id, o.position, o.function_name, o.output, o.ended_at_epoch_ms is not null, o.error is not null"
            " from pt_steps as o join pt_runs as w on w.run = o.run"
        )
        return {(id_, position): tuple(rest) for id_, position, *rest in rows}

    def runs(self) -> dict[str, tuple[Any, ...]]:
        """For each run: its status and output."""
        return {row[0]: row[1:] for row in self("select id, status, output from pt_runs")}

    def still_open(self) -> list[tuple[Any, ...]]:
        """The runs that are not over."""
        return self("select id, status, executor_id, wake_ms from pt_runs where completed_at_epoch_ms is null")

    def messages(self) -> list[tuple[Any, ...]]:
        """Every message: to whom, on which topic, what, and by which position it was consumed."""
        return sorted(
            self(
                "select w.id, n.topic, n.body, n.consumed_position from pt_messages as n"
                " join pt_runs as w on w.run = n.run"
            )
        )

    def values(self) -> list[tuple[Any, ...]]:
        """Every value that was ever published, and by which position."""
        return sorted(
            self(
                "select w.id, h.position, h.key, h.value from pt_values_history as h join pt_runs as w on w.run = h.run"
            )
        )


_WATCH_SQLITE = """
create table seen_rewritten (what text, run bigint, detail text);
create trigger outcome_rewritten after update on pt_steps when old.ended_at_epoch_ms is not null
begin insert into seen_rewritten values ('outcome', old.run, old.position); end;
create trigger outcome_deleted after delete on pt_steps
begin insert into seen_rewritten values ('outcome deleted', old.run, old.position); end;
create trigger end_rewritten after update of status, output, error, completed_at_epoch_ms on pt_runs
when old.completed_at_epoch_ms is not null
begin insert into seen_rewritten values ('end', old.run, old.status || ' to ' || new.status); end;
create trigger message_consumed_again after update on pt_messages when old.consumed_position is not null
begin insert into seen_rewritten values ('message', old.run, old.topic); end;
"""

_WATCH_POSTGRES = """
create table seen_rewritten (what text, run bigint, detail text);
create function see() returns trigger language plpgsql as $$
begin insert into seen_rewritten values (tg_argv[0], old.run, to_jsonb(old)::text); return null; end $$;
create trigger outcome_rewritten after update on pt_steps for each row
when (old.ended_at_epoch_ms is not null) execute function see('outcome');
create trigger outcome_deleted after delete on pt_steps
for each row execute function see('outcome deleted');
create trigger end_rewritten after update of status, output, error, completed_at_epoch_ms on pt_runs
for each row when (old.completed_at_epoch_ms is not null) execute function see('end');
create trigger message_consumed_again after update on pt_messages for each row
when (old.consumed_position is not null) execute function see('message');
"""


def under_way(marks: list[Mark], process: int) -> set[str]:
    """Runs whose body began in a process and did not end there."""
    mine = [mark for mark in marks if mark.process == process]
    return {mark.run for mark in mine if mark.kind == BEGIN} - {mark.run for mark in mine if mark.kind == END}


def overlaps(marks: list[Mark], killed: dict[int, int]) -> list[tuple[Mark, Mark]]:
    """Pairs of bodies of one run that were under way at the same time in two processes.

    A body without an end lasted at least until its process was killed.
    """
    open_bodies: dict[tuple[str, str, int, int], Mark] = {}
    bodies: dict[str, list[tuple[int, int, Mark]]] = {}
    for mark in marks:
        key = (mark.run, mark.position, mark.attempt, mark.process)
        if mark.kind == BEGIN:
            open_bodies[key] = mark
        elif mark.kind == END:
            begin = open_bodies.pop(key)
            bodies.setdefault(mark.run, []).append((begin.at_ns, mark.at_ns, begin))
    for begin in open_bodies.values():
        end_ns = max(begin.at_ns, killed[begin.process])
        bodies.setdefault(begin.run, []).append((begin.at_ns, end_ns, begin))
    found: list[tuple[Mark, Mark]] = []
    for spans in bodies.values():
        spans.sort()
        for index, (_, end_ns, body) in enumerate(spans):
            for later_begin_ns, _, later in spans[index + 1 :]:
                if later_begin_ns >= end_ns:
                    break
                if later.process != body.process:
                    found.append((body, later))
    return found
