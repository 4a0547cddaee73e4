"""A witness inside the database: it writes down what happens to rows, whoever does it."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import Any, LiteralString

import psycopg


class Witness:
    """Triggers in a database that has Turbine's tables, and what they saw."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._file = url.removeprefix("sqlite:///") if url.startswith("sqlite:///") else None
        if self._file is None:
            with psycopg.connect(url) as connection:
                connection.execute(_POSTGRES)
        else:
            with contextlib.closing(sqlite3.connect(self._file, timeout=10)) as connection:
                connection.executescript(_SQLITE)

    def moves(self) -> list[tuple[str, str, str]]:
        """Each change of a status, in order: run, before (empty for a new run), after."""
        return self._read("select id, was, became from seen_moves order by seen")

    def rewritten(self) -> list[tuple[str, str]]:
        """Outcomes that were changed after they were recorded, or removed: run and position."""
        return self._read("select id, position from seen_rewritten")

    def _read(self, statement: LiteralString) -> list[Any]:
        if self._file is None:
            with psycopg.connect(self._url) as connection:
                return connection.execute(statement).fetchall()
        with contextlib.closing(sqlite3.connect(self._file, timeout=10)) as connection:
            return connection.execute(statement).fetchall()


_SQLITE = """
create table seen_moves (seen integer primary key, id text, was text, became text);
create table seen_rewritten (id text, position text);
create trigger run_made after insert on pt_runs
begin insert into seen_moves (id, was, became) values (new.id, '', new.status); end;
create trigger run_moved after update of status on pt_runs when old.status <> new.status
begin insert into seen_moves (id, was, became) values (new.id, old.status, new.status); end;
create trigger outcome_rewritten after update on pt_steps when old.ended_at_epoch_ms is not null
begin insert into seen_rewritten select id, old.position from pt_runs where run = old.run; end;
create trigger outcome_removed after delete on pt_steps when old.ended_at_epoch_ms is not null
begin insert into seen_rewritten select id, old.position from pt_runs where run = old.run; end;
"""
_POSTGRES = """
create table seen_moves (seen bigint generated always as identity, id text, was text, became text);
create table seen_rewritten (id text, position text);
create function see_made() returns trigger language plpgsql as $$
begin insert into seen_moves (id, was, became) values (new.id, '', new.status); return null; end $$;
create function see_move() returns trigger language plpgsql as $$
begin insert into seen_moves (id, was, became) values (new.id, old.status, new.status); return null; end $$;
create function see_rewritten() returns trigger language plpgsql as $$
begin insert into seen_rewritten select id, old.position from pt_runs where run = old.run; return null; end
$$;
create trigger run_made after insert on pt_runs for each row execute function see_made();
create trigger run_moved after update of status on pt_runs for each row
when (old.status <> new.status) execute function see_move();
create trigger outcome_rewritten after update or delete on pt_steps for each row
when (old.ended_at_epoch_ms is not null) execute function see_rewritten();
"""
