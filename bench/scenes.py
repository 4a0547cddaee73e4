"""Scenes with more than one process, directed the same way for every side: death and restart, many writers."""

import logging
import time
from contextlib import ExitStack

from bench.case import Place
from bench.child import Child

PATIENCE_S = 600.0
TICK_S = 0.05
NAP_S = 2.0


def kill_and_restart(place: Place, *, before: str, after: str, dead_s: float = 0.0) -> dict[str, float]:
    """SIGKILL `before` once it has spoken, start `after` on the same database, and give both their figures.

    Each side starts its own clock when launch returns, so the start of the interpreter is not counted. `dead_s` is
    how long nobody lives in between: with NAP_S every timer is due at the restart, and nobody waits for a sleep.
    """
    with Child(before, place) as first:
        told = first.hear(PATIENCE_S)
        first.kill()
    time.sleep(dead_s)
    with Child(after, place) as second:
        return {**told, **second.hear(PATIENCE_S)}


def kill_and_replay(place: Place, *, before: str, after: str) -> dict[str, float]:
    """Milliseconds from launch to the last of 10,000 recorded steps; only the replay itself grows with the steps."""
    told = kill_and_restart(place, before=before, after=after)
    replay_s = told["wait_s"] + told["body_s"] * 10_000 / place.count("steps")
    return {**told, "replay_ms": replay_s * 1000}


def pause_after(number: int, ticks: int) -> float:
    """Seconds between ticks: short until a run counts as open, then long, so that open runs do not fill the disk."""
    return TICK_S if number < ticks else NAP_S


def write_together(place: Place, *, writer: str, processes: int) -> dict[str, float]:
    """Let `processes` writers share the runs of this place for `seconds`, all starting at one word.

    Answers steps a second of all together, the longest wait of any step, and how often a database was locked.
    """
    share = place.count("runs") // processes
    with ExitStack() as stack:
        children: list[Child] = []
        for number in range(processes):
            child = stack.enter_context(Child(writer, place.with_size(runs=share, executor=number)))
            child.hear(PATIENCE_S)
            children.append(child)
        for child in children:
            child.tell()
        answers = [child.hear(PATIENCE_S) for child in children]
    return {
        "per_s": sum(answer["steps"] for answer in answers) / place.size["seconds"],
        "longest_s": max(answer["longest_s"] for answer in answers),
        "locked": sum(answer["locked"] for answer in answers),
    }


def hear_from_afar(place: Place, *, listener: str, sender: str) -> dict[str, float]:
    """Let one process enqueue what another one listens for; answers the listener's figures."""
    with Child(listener, place) as hearing:
        hearing.hear(PATIENCE_S)
        with Child(sender, place) as speaking:
            speaking.hear(PATIENCE_S)
            speaking.tell()
            return hearing.hear(PATIENCE_S)


def latencies(late_ms: list[float]) -> dict[str, float]:
    """The middle one, and one of the worst."""
    sorted_ms = sorted(late_ms)
    return {"p50_ms": sorted_ms[len(sorted_ms) // 2], "p99_ms": sorted_ms[int(len(sorted_ms) * 0.99)]}


class CountLocked(logging.Handler):
    """Counts the log records that say that a database was locked."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.seen += "locked" in record.getMessage()


def locked_among(outcomes: list[object]) -> int:
    """How many of these are errors that say that a database was locked."""
    return sum("locked" in str(outcome) for outcome in outcomes if isinstance(outcome, BaseException))
