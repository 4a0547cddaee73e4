"""Law L10: nothing is listed as delivered that was not acknowledged, nothing announced is lost, whoever dies when.

The receiver is a server of the test itself. What it acknowledged is held against the rows, which are read from outside.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from crew import Crew, Worker

from turbine.model.deliveries import DeliveryRecord
from turbine.store import open_store
from turbine.tables import deliveries
from turbine.tables.deliveries import DeliveryFilter

pytestmark = pytest.mark.crash

RUNS = 60
DEATHS = 6


class Receiver:
    """Keeps every request, (id, workflow id, status it answered with); `answer` chooses that status."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str, int]] = []
        self.answer: Callable[[], int] = lambda: 204
        lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with lock:
                    status = receiver.answer()
                    receiver.heard.append((self.headers["webhook-id"], body["workflow_id"], status))
                self.send_response(status)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing: the test looks at `heard`."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                """Whoever asked was killed before it heard the answer."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def acknowledged(self) -> set[str]:
        return {id for id, _, status in self.heard if status == 204}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


def hire(crew: Crew, url: str) -> Worker:
    worker = crew.hire(
        url, workflows=["lookup"], program="outbox_worker.py", allow_private_addresses=True, webhook_attempts=100
    )
    return worker.wait_ready()


def rows(url: str) -> list[DeliveryRecord]:
    store = open_store(url)
    try:
        return [
            one for _, one in store.read_blocking(deliveries.page, filter=DeliveryFilter(), limit=1000, before=None)
        ]
    finally:
        store.close()


def wait_delivered(url: str, count: int, seconds: float = 40) -> list[DeliveryRecord]:
    until = time.monotonic() + seconds
    while True:
        found = rows(url)
        if len(found) == count and all(one.status == "delivered" for one in found):
            return found
        assert time.monotonic() < until, found
        time.sleep(0.05)


DEATH_POINTS = [
    # write, side, and what there is at that moment: an announcement, a request, a note of its delivery
    ("finish", "before", False, False, False),
    ("finish", "after", True, False, False),
    ("claim", "before", True, False, False),
    ("claim", "after", True, False, False),
    ("settle", "before", True, True, False),
    ("settle", "after", True, True, True),
]


@pytest.mark.parametrize(("write", "side", "is_announced", "is_sent", "is_noted"), DEATH_POINTS)
def test_a_death_at_any_write_between_an_end_and_its_delivery_loses_nothing(
    crew: Crew,
    receiver: Receiver,
    database_url: str,
    write: str,
    side: str,
    is_announced: bool,
    is_sent: bool,
    is_noted: bool,
) -> None:
    doomed = hire(crew, database_url)
    doomed.ask("tell", url=receiver.url)
    doomed.ask("die_at", write=write, side=side)
    doomed.post("start", runs=[("lookup", "lookup-1", [1])])
    assert -9 == doomed.wait_dead()

    left = rows(database_url)
    assert (is_announced, is_sent) == (len(left) == 1, len(receiver.heard) == 1)
    assert is_noted == any(one.status == "delivered" for one in left)

    hire(crew, database_url)
    (delivery,) = wait_delivered(database_url, 1)

    assert [1] == [attempt.number for attempt in delivery.attempts]
    assert {(delivery.id, "lookup-1", 204)} == set(receiver.heard)
    assert (2 if is_sent and not is_noted else 1) == len(receiver.heard)
    assert [] == crew.tracebacks()


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_death_beside_a_failed_attempt_loses_nothing_and_forgets_at_most_that_attempt(
    crew: Crew, receiver: Receiver, database_url: str, side: str
) -> None:
    answers = [500, 500]
    receiver.answer = lambda: answers.pop() if answers else 204
    doomed = hire(crew, database_url)
    doomed.ask("tell", url=receiver.url)
    doomed.ask("die_at", write="settle", side=side)
    doomed.post("start", runs=[("lookup", "lookup-1", [1])])
    assert -9 == doomed.wait_dead()
    assert ["pending"] == [one.status for one in rows(database_url)]

    hire(crew, database_url)
    (delivery,) = wait_delivered(database_url, 1)

    noted = [500, 204] if side == "before" else [500, 500, 204]
    assert noted == [attempt.status_code for attempt in delivery.attempts]
    assert [(delivery.id, "lookup-1", status) for status in (500, 500, 204)] == receiver.heard
    assert [] == crew.tracebacks()


@pytest.mark.timeout(120)
def test_deaths_at_random_lose_nothing_and_invent_nothing(
    crew: Crew, receiver: Receiver, database_url: str, chance: random.Random
) -> None:
    receiver.answer = lambda: chance.choice((204, 204, 503))
    worker = hire(crew, database_url)
    worker.ask("tell", url=receiver.url)
    for death in range(DEATHS):
        first = death * (RUNS // DEATHS)
        runs = [("lookup", f"lookup-{number}", [number]) for number in range(first, first + RUNS // DEATHS)]
        worker.ask("start", runs=runs)
        time.sleep(chance.uniform(0, 0.4))
        worker.kill()
        listed = {one.id for one in rows(database_url) if one.status == "delivered"}
        assert listed <= receiver.acknowledged()
        worker = hire(crew, database_url)
    receiver.answer = lambda: 204

    found = wait_delivered(database_url, RUNS, 60)

    assert {f"lookup-{number}" for number in range(RUNS)} == {one.workflow_id for one in found}
    assert {one.id for one in found} == receiver.acknowledged()
    by_run: dict[str, set[str]] = {}
    for id, workflow_id, _ in receiver.heard:
        by_run.setdefault(workflow_id, set()).add(id)
    assert all(len(ids) == 1 for ids in by_run.values())
    assert [] == crew.tracebacks()
