"""Three processes on one database, and everything that may happen to them, by chance and several things at a time.

What befalls a place or the database is a generator: it does harm, yields the seconds until it goes on, and ends when
all is well again. Each place, and the database, suffers one thing at a time.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import wall_clock
from chaos_worker import AWAY
from crew import Crew, Worker
from relay import Relay
from wall_clock import WallClock

LEASE = 2.0
SECONDS_BETWEEN = 0.7
"""Between two harms, on average."""
PLACES = 3
PATIENCE = 150.0
"""Seconds after which a process that leaves, or answers, is taken to hang."""
STOP_SHORT = (0.05, LEASE * 0.6)
STOP_LONG = (LEASE * 1.5, LEASE * 4)
SILENCE_SHORT = (0.2, LEASE * 0.8)
SILENCE_LONG = (LEASE * 1.5, LEASE * 5)
"""Longer than the store waits for an answer before it asks whether the server is still at it."""
CLOCK_MAX = 40.0
"""Seconds by which a clock is ahead or behind at most: leases, sleeps and timeouts are shorter."""

Harm = Generator[float, None, None]


@dataclass(slots=True)
class WorkflowScope:
    """Where one process after another lives."""

    number: int
    url: str
    clock: WallClock | None
    relay: Relay | None
    worker: Worker
    version: int
    suffers: str | None = None
    is_ready: bool = False
    """Whether its process has said that it is launched."""

    @property
    def is_empty(self) -> bool:
        return self.worker.exit_status() is not None

    @property
    def is_launched(self) -> bool:
        return self.worker.log.with_suffix(".ready").exists()


class Chaos:
    """The places, and what befalls them."""

    def __init__(
        self, crew: Crew, url: str, chance: random.Random, pause: float, server: Any = None, socket: Path | None = None
    ) -> None:
        """`pause`: seconds between two acts of a process's users; `server`: the Postgres that may be restarted."""
        self._crew = crew
        self._chance = chance
        self._pause = pause
        self._server = server
        self._seed = chance.randrange(2**31)
        self._log = crew.folder / "chaos.log"
        self._began = time.monotonic()
        self._under_way: list[tuple[float, str, WorkflowScope | None, Harm]] = []
        self.count: Counter[str] = Counter()
        self.complaints: list[str] = []
        """Processes that ended, or did not end, as they should not."""
        self.ended_ns: dict[int, int] = {}
        """When the process of each worker was gone, by its number."""
        has_clocks = WallClock.exists()
        if not has_clocks:
            print("no libfaketime on this machine: nobody steps the clocks")
        # On SQLite all processes are on one machine, and have one clock.
        shared = WallClock(crew.folder / "clock") if has_clocks and socket is None else None
        self.places: list[WorkflowScope] = []
        for number in range(PLACES):
            relay = None if socket is None else Relay(socket)
            clock = shared
            if has_clocks and socket is not None:
                clock = WallClock(crew.folder / f"clock-{number}")
            way = url if relay is None else url.replace(str(socket), str(relay.folder))
            version = 1 + number % 2
            self.places.append(WorkflowScope(number, way, clock, relay, self._hire(way, clock, version), version))

    def note(self, text: str) -> None:
        with self._log.open("a") as log:
            log.write(f"{time.monotonic() - self._began:9.3f} {time.monotonic_ns()} {text}\n")

    # Processes

    def _hire(self, url: str, clock: WallClock | None, version: int) -> Worker:
        number = len(self._crew.workers)
        worker = self._crew.hire(
            url,
            program="chaos_worker.py",
            environment=clock.environment if clock else None,
            number=number,
            version=version,
            ready=str(self._crew.folder / f"worker-{number}.ready"),
            seed=self._seed,
            pause=self._pause,
            lease=LEASE,
            shutdown_timeout=5,
            park_after=self._chance.choice([0.05, 0.5, 30]),
        )
        worker.post("load")
        self.note(f"worker {number} is process {worker.pid}, version {version}, at {url}")
        return worker

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for place in self.places:
            if place.relay is not None:
                place.relay.close()

    def number_of(self, worker: Worker) -> int:
        return self._crew.workers.index(worker)

    def _replace(self, place: WorkflowScope, version: int | None = None) -> None:
        place.version = version or place.version
        place.worker = self._hire(place.url, place.clock, place.version)
        place.is_ready = False

    def _kill(self, worker: Worker) -> None:
        worker.kill()
        self._gone(worker)

    def _gone(self, worker: Worker) -> None:
        self.ended_ns.setdefault(self.number_of(worker), time.monotonic_ns())
        if WallClock.exists():
            wall_clock.forget(worker.pid)

    def _revive(self) -> None:
        """Start anew what ended by itself, as a supervisor does."""
        for place in self.places:
            if place.suffers is None and place.is_empty:
                number, status = self.number_of(place.worker), place.worker.exit_status()
                self._gone(place.worker)
                self.note(f"worker {number} ended by itself: {status}")
                self.count["launched in vain"] += status == AWAY
                if status != AWAY:
                    self.complaints.append(f"worker {number} ended by itself with {status}")
                self._replace(place)

    # Time

    def run(self, seconds: float) -> None:
        """Let things befall places and the database for so long, then let the last of them pass."""
        until = time.monotonic() + seconds
        begins = time.monotonic() + 2
        while time.monotonic() < until:
            self._step()
            if time.monotonic() >= begins:
                self._begin()
                begins = time.monotonic() + self._chance.expovariate(1 / SECONDS_BETWEEN)
            time.sleep(0.02)
        last = time.monotonic() + PATIENCE
        while self._under_way and time.monotonic() < last:
            self._step()
            time.sleep(0.02)
        self.complaints += [f"{what} did not end" for _, what, _, _ in self._under_way]

    def _step(self) -> None:
        self._revive()
        now = time.monotonic()
        for harm in [harm for harm in self._under_way if harm[0] <= now]:
            self._under_way.remove(harm)
            self._go_on(*harm[1:])

    def _begin(self) -> None:
        choices = [(name, weight) for name, (weight, needs) in HARMS.items() if self._is_possible(needs)]
        (name,) = self._chance.choices([name for name, _ in choices], weights=[weight for _, weight in choices])[:1]
        harm: Callable[..., Harm] = getattr(self, f"_{name}")
        if HARMS[name][1] in ("server", "all"):
            if any(place is None for _, _, place, _ in self._under_way):
                return
            self._go_on(name, None, harm())
            return
        free = [place for place in self.places if place.suffers is None]
        if name != "kill_while_launching":
            free = [place for place in free if place.is_launched]
        if free:
            place = self._chance.choice(free)
            place.suffers = name
            self._go_on(name, place, harm(place))

    def _is_possible(self, needs: str) -> bool:
        (first, *_) = self.places
        match needs:
            case "server" | "relay":
                return first.relay is not None
            case "clock":
                return first.clock is not None
            case _:
                return True

    def _go_on(self, name: str, place: WorkflowScope | None, harm: Harm) -> None:
        if place is not None:
            self.note(f"{name} at place {place.number}, worker {self.number_of(place.worker)}")
        else:
            self.note(name)
        try:
            pause = next(harm)
        except StopIteration:
            self.count[name] += 1
            if place is not None:
                place.suffers = None
        else:
            self._under_way.append((time.monotonic() + pause, name, place, harm))

    # What befalls a place

    def _kill_and_restart(self, place: WorkflowScope) -> Harm:
        self._kill(place.worker)
        yield self._chance.choice([0, self._chance.uniform(0, 1)])
        self._replace(place)

    def _kill_while_launching(self, place: WorkflowScope) -> Harm:
        for _ in range(self._chance.randint(1, 3)):
            self._kill(place.worker)
            self._replace(place)
            yield self._chance.uniform(0.05, 1.5)

    def _stop_short(self, place: WorkflowScope) -> Harm:
        yield from self._stopped(place, STOP_SHORT)

    def _stop_long(self, place: WorkflowScope) -> Harm:
        yield from self._stopped(place, STOP_LONG)

    def _stop_and_kill(self, place: WorkflowScope) -> Harm:
        """It is taken for dead, and dies then."""
        yield from self._stopped(place, STOP_LONG, goes_on=False)
        self._kill(place.worker)
        self._replace(place)

    def _stopped(self, place: WorkflowScope, seconds: tuple[float, float], *, goes_on: bool = True) -> Harm:
        if place.is_empty:
            return
        place.worker.stop()
        yield self._chance.uniform(*seconds)
        if goes_on:
            place.worker.go_on()
            yield 0.2

    def _leave_and_restart(self, place: WorkflowScope) -> Harm:
        yield from self._left(place.worker)
        self._replace(place)

    def _replace_by_other_version(self, place: WorkflowScope) -> Harm:
        """The new one comes, then the old one goes, in good order or in none."""
        old = place.worker
        self._replace(place, 3 - place.version)
        yield self._chance.uniform(0, 2)
        if self._chance.random() < 0.3:
            self._kill(old)
        else:
            yield from self._left(old)

    def _left(self, worker: Worker) -> Harm:
        """Shut down in good order; whatever befalls the database meanwhile, that comes to its end."""
        worker.post("leave")
        until = time.monotonic() + PATIENCE
        while (status := worker.exit_status()) is None and time.monotonic() < until:
            yield 0.1
        if status not in (0, AWAY):
            self.complaints.append(f"worker {self.number_of(worker)} was asked to leave: {status}")
            self._kill(worker)
        self._gone(worker)

    def _go_silent(self, place: WorkflowScope) -> Harm:
        """The network of one process carries nothing, or no answers, and then all that it has held back."""
        assert place.relay is not None
        is_long = self._chance.random() < 0.6
        place.relay.hush(answers_only=self._chance.random() < 0.4)
        yield self._chance.uniform(*(SILENCE_LONG if is_long else SILENCE_SHORT))
        place.relay.speak()
        yield 0.2

    def _forget_connections(self, place: WorkflowScope) -> Harm:
        assert place.relay is not None
        place.relay.forget()
        yield self._chance.uniform(0, 8)

    def _delay_connections(self, place: WorkflowScope) -> Harm:
        """What was sent before arrives when the process has given up waiting for an answer, and has asked anew."""
        assert place.relay is not None
        seconds = self._chance.uniform(0.5, 12)
        place.relay.delay(seconds)
        yield seconds

    def _cut_connections(self, place: WorkflowScope) -> Harm:
        assert place.relay is not None
        for _ in range(self._chance.randint(1, 5)):
            place.relay.cut()
            yield self._chance.uniform(0.01, 0.4)

    def _step_clock(self, place: WorkflowScope) -> Harm:
        assert place.clock is not None
        place.clock.set(self._chance.uniform(-CLOCK_MAX, CLOCK_MAX))
        self.note(f"clock of place {place.number} is {place.clock.offset:+.1f} s off")
        yield 0.5

    # What befalls all

    def _restart_server(self) -> Harm:
        self._server.stop()
        yield self._chance.uniform(0, 3)
        self._server.start()
        yield 1

    def _crash_server(self) -> Harm:
        self._server.crash()
        yield self._chance.uniform(0, 3)
        self._server.start()
        yield 1

    def _kill_all(self) -> Harm:
        """A power cut; the database survives it."""
        for place in self.places:
            if place.suffers is None:
                self._kill(place.worker)
                self._replace(place)
        yield 0.1

    # The end

    def heal(self) -> None:
        """All clocks agree on the latest of their times, and all processes have the newer code and answer."""
        clocks = [place.clock for place in self.places if place.clock is not None]
        for clock in clocks:
            clock.set(CLOCK_MAX)
        self.deploy(2)

    def deploy(self, version: int) -> None:
        """Replace all processes by some of this version, without users."""
        for place in self.places:
            self._quiet(place)
        old = [place.worker for place in self.places]
        for place in self.places:
            self._replace(place, version)
        self._let_leave(old)
        for place in self.places:
            self._quiet(place)

    def _quiet(self, place: WorkflowScope) -> None:
        """Wait until the process of a place is launched, and end the acts of its users."""
        while not place.is_ready:
            try:
                place.worker.wait_ready()
                place.is_ready = True
            except AssertionError:
                if place.worker.exit_status() != AWAY:
                    raise
                self._gone(place.worker)
                self._replace(place)
        place.worker.ask("dry_up")

    def leave(self) -> None:
        self._let_leave([place.worker for place in self.places])

    def _let_leave(self, workers: Sequence[Worker]) -> None:
        leaving = [self._left(worker) for worker in workers]
        while leaving:
            leaving = [harm for harm in leaving if next(harm, None) is not None]
            time.sleep(0.05)


HARMS: Mapping[str, tuple[float, str]] = {
    "kill_and_restart": (5, "place"),
    "kill_while_launching": (1, "place"),
    "stop_short": (3, "place"),
    "stop_long": (3, "place"),
    "stop_and_kill": (1, "place"),
    "leave_and_restart": (2, "place"),
    "replace_by_other_version": (3, "place"),
    "go_silent": (3, "relay"),
    "forget_connections": (2, "relay"),
    "delay_connections": (2, "relay"),
    "cut_connections": (2, "relay"),
    "step_clock": (3, "clock"),
    "restart_server": (0.7, "server"),
    "crash_server": (0.7, "server"),
    "kill_all": (0.5, "all"),
}
"""How often each of them, and what it takes."""
