"""What must hold after the chaos hour, whatever happened in it; a complaint is a line of text."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from chaos_witness import seen
from chaos_worker import CANCELLED, DECIDED, POSTS, RATE, SENT, STARTED
from crew import Crew
from evidence import Rows, overlaps
from journal import BEGIN, END, Mark

RATE_PERIOD_MS = 1000


class Assessment:
    """What must hold after the chaos, whatever it was; a complaint is a line of text."""

    def __init__(self, crew: Crew, rows: Rows, control: dict[str, tuple[str, Any]], ended_ns: dict[int, int]) -> None:
        self._rows = rows
        self._control = control
        self._ended_ns = ended_ns
        self._marks = crew.marks()
        self._runs = {
            id_: (run, name, status, output)
            for run, id_, name, status, output in rows("select run, id, name, status, output from pt_runs")
        }
        self._ids = {run: id_ for id_, (run, *_) in self._runs.items()}

    def complaints(self) -> list[str]:
        started = self._of(STARTED)
        print(
            f"{len(self._runs)} runs, {len(started)} acknowledged starts, {len(self._of(SENT))} messages,"
            f" {len(self._of(DECIDED))} decisions, {len(self._of(CANCELLED))} cancellations,"
            f" {len(seen(self._rows, 'evicted'))} evictions, {len(seen(self._rows, 'aside'))} set aside"
        )
        return [
            *(f"{row} is not over" for row in self._rows.still_open()),
            *(f"{mark.run} was started, and is lost" for mark in started if mark.run not in self._runs),
            *(f"written twice: {row}" for row in self._rows.rewritten()),
            *(f"{what}: {self._ids.get(run)} {executor} {detail}"
              for what in ("foreign", "crowded") for _, run, executor, detail in seen(self._rows, what)),
            *self._wrong_ends(),
            *self._wrong_messages(),
            *self._wrong_decisions(),
            *self._not_cancelled(),
            *self._at_once(),
            *self._again(),
            *self._set_aside_without_cause(),
            *(f"a wait is left: {row}" for row in self._rows("select run, position, kind from pt_waits")),
            *(f"an executor is left: {row}" for row in self._rows("select executor_id from pt_executors")),
        ]  # fmt: skip

    def _of(self, kind: str) -> list[Mark]:
        return [mark for mark in self._marks if mark.kind == kind]

    def _row(self, id_: str) -> tuple[Any, ...]:
        return self._runs.get(id_, (None, None, None, None))

    def _wrong_ends(self) -> Iterable[str]:
        for id_, (_, name, status, text) in self._runs.items():
            output = text and json.loads(text)
            if not self._is_right(id_, name, status, output):
                yield f"{id_} of {name} ended as {status} {text}"

    def _is_right(self, id_: str, name: str, status: str, output: Any) -> bool:
        story, worker, number, *rest = id_.split("-")
        base, model = f"{story}-{worker}-{number}", f"{story}-0-0"
        match name:
            case "lookup":
                return (status, output) == ("SUCCESS", int(number) ** 2)
            case "job":
                return (status, output) == ("SUCCESS", int(number))
            case "mailbox":
                return (status, output) == ("SUCCESS", list(range(POSTS)))
            case "petition":
                return status == "SUCCESS" and output[1] != ""
            case "endless" | "endless_child":
                return status == "CANCELLED"
            case "hasty":
                return status == "CANCELLED" or (status, output) == ("SUCCESS", f"{base} in time")
            case "draw":
                return status == "SUCCESS" and output[:3] == output[3:]
            case _:
                expected, value = self._control["-".join([model, *rest])]
                return (status, output) == (expected, json.loads(json.dumps(value).replace(model, base)))

    def _wrong_messages(self) -> Iterable[str]:
        kept = Counter(
            (run, int(body)) for run, body in self._rows("select run, body from pt_messages where topic = 'post'")
        )
        for mark in self._of(SENT):
            there = kept[self._row(mark.run)[0], int(mark.position)]
            # What its user did not live to see acknowledged was sent once more in the end, by another process.
            times = 1 if mark.process == _worker_of(mark.run) else 2
            if not 1 <= there <= times:
                yield f"message {mark.position} to {mark.run} was acknowledged, and is there {there} times"
        inside = Counter(self._rows("select run, topic, body from pt_messages where topic <> 'post'"))
        yield from (f"sent {times} times from within a run: {row}" for row, times in inside.items() if times > 1)

    def _wrong_decisions(self) -> Iterable[str]:
        gates = {
            id_: [status == "approved", comment]
            for id_, status, comment in self._rows("select workflow_id, status, comment from pt_approvals")
        }
        for mark in self._of(DECIDED):
            if gates.get(mark.run, [None, None])[1] != mark.position:
                yield f"{mark.run} was decided with {mark.position}, and has {gates.get(mark.run)}"
        for id_, (_, name, _, output) in self._runs.items():
            if name == "petition" and output and json.loads(output) != gates.get(id_):
                yield f"{id_} goes by {output}, and its gate has {gates.get(id_)}"

    def _not_cancelled(self) -> Iterable[str]:
        for mark in self._of(CANCELLED):
            if self._row(mark.run)[2] != "CANCELLED":
                yield f"{mark.run} was cancelled, and is {self._row(mark.run)[2]}"

    def _at_once(self) -> Iterable[str]:
        """Bodies of one run at once in two processes, unless the earlier one had lost the run by being evicted."""
        evicted: dict[str, list[int]] = {}
        for number, _, executor, _ in seen(self._rows, "evicted"):
            evicted.setdefault(executor, []).append(number)
        claims: dict[str, list[tuple[int, str]]] = {}
        for number, run, executor, _ in seen(self._rows, "claim"):
            claims.setdefault(self._ids.get(run, ""), []).append((number, executor))
        for first, second in overlaps([mark for mark in self._marks if mark.kind in (BEGIN, END)], self._ended_ns):
            owners = claims.get(first.run, [])
            had = [number for number, executor in owners if executor == f"chaos-{first.process}"]
            got = [number for number, executor in owners if executor == f"chaos-{second.process}"]
            lost = evicted.get(f"chaos-{first.process}", [])
            if not any(a < b < c for a in had for b in lost for c in got):
                yield f"bodies of one run at once: {first} and {second}"

    def _again(self) -> Iterable[str]:
        """Bodies that one process has entered twice, unless it had lost the run between."""
        evicted = {executor for _, _, executor, _ in seen(self._rows, "evicted")}
        begun = Counter((mark.run, mark.position, mark.attempt, mark.process) for mark in self._of(BEGIN))
        for (id_, position, attempt, process), times in begun.items():
            if times > 1 and f"chaos-{process}" not in evicted:
                yield f"step {position} of {id_}, attempt {attempt}, was entered {times} times in process {process}"

    def _set_aside_without_cause(self) -> Iterable[str]:
        """Only a run that version 2 has begun to change may fit one version and not the other."""
        marked = {run for (run,) in self._rows("select run from pt_steps where kind = 4")}
        for _, run, executor, text in seen(self._rows, "aside"):
            if run not in marked:
                yield f"{self._ids.get(run)} was set aside by {executor}: {text}"
        for row in self._rows("select id, attention from pt_runs where attention is not null"):
            yield f"set aside in the end: {row}"


def _worker_of(id_: str) -> int:
    """The number of the worker whose user has started a run."""
    return int(id_.split("-")[1])


def deadlocks(rows: Rows, log: Path) -> list[str]:
    """What the server says, and what it has written down: a crash resets its statistics."""
    ((count,),) = rows("select deadlocks from pg_stat_database where datname = current_database()")
    signature_text = [line for line in log.read_text(errors="replace").splitlines() if "deadlock detected" in line]
    return [*signature_text, *([f"{count} deadlocks"] if count else [])]


def too_many_starts(rows: Rows) -> list[str]:
    """The server's clock is stepped by nobody, so its rates can be counted."""
    starts = sorted(int(started) for _, _, queue, started in seen(rows, "start") if queue == "rated")
    windows = [later - earlier for earlier, later in zip(starts, starts[RATE:], strict=False)]
    return [f"{RATE + 1} starts within {width} ms" for width in windows if width < RATE_PERIOD_MS]
