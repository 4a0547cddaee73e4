"""The event stream: what moves, told to every open dashboard.

One poller looks for all of them, and only while somebody listens: at once when this process has committed something or
heard of another's commit, else every second, because a hint may be lost. What it tells are rows, never hints; so a
browser that comes back with the id of the last event it saw gets what it has missed from the same rows.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections import OrderedDict
from collections.abc import AsyncGenerator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from starlette.responses import Response, StreamingResponse

from turbine.clock import to_datetime
from turbine.errors import StoreUnavailable, TurbineError
from turbine.http.auth import Authenticator
from turbine.http.request_context import Viewing, app_of
from turbine.http.servers import is_ending, uvicorn_here
from turbine.model.times import moment_text
from turbine.model.workflows import Event
from turbine.runtime import Runtime
from turbine.runtime.signals import SIGNALS
from turbine.tables import changes
from turbine.tables.changes import Mark, Marks, Moved

log = logging.getLogger("turbine.http")
router = APIRouter(tags=["stream"])

SPACING = 0.5
"""Seconds between two looks, at least."""
RUNS_MAX = 4
"""Runs that are told one by one after a look; with the event for lists no client gets more than ten events a second."""
SLOW_POLL = 1.0
PING = 15.0
BACKLOG_MAX = 100
"""Events that wait for a client; one that is slower than that starts anew."""
MISSED_MAX = 200
"""Runs that are told again to a client that comes back; if there are more, it starts anew."""
OVERLAP_MS = 2000
"""A commit may be seen after another one whose rows are younger: so much is looked at again."""
TOLD_MAX = 5000
LISTS = ("workflows", "approvals", "queues", "products", "deliveries", "schedules", "kv", "executors", "logs")


class Stream:
    """The poller and its clients."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self._clients: set[asyncio.Queue[bytes | None]] = set()
        self._poller: asyncio.Task[None] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._hint = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._heard: dict[str, Event] = {}
        self._told: OrderedDict[tuple[int, str], None] = OrderedDict()
        self._is_closed = False

    async def join(self, last_id: str | None) -> tuple[asyncio.Queue[bytes | None], list[bytes]]:
        """A new client's queue, and what it gets first: what it missed, or where the stream stands."""
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(BACKLOG_MAX)
        if self._is_closed:
            queue.put_nowait(None)
        # It listens before it looks, so that nothing falls between.
        self._clients.add(queue)
        try:
            first = await self._first(last_id)
        except BaseException:
            self.leave(queue)
            raise
        if self._poller is None or self._poller.done():
            self._loop = asyncio.get_running_loop()
            SIGNALS.look_again()  # the server has its handlers in place by now, and this is its loop
            self._hint = asyncio.Event()
            self._poller = asyncio.create_task(self._poll(), name="turbine event stream")
            server = uvicorn_here()
            if server is not None:
                self._watcher = asyncio.create_task(self._watch(server), name="turbine event stream's server")
        return queue, first

    async def _first(self, last_id: str | None) -> list[bytes]:
        app = app_of(self._rt)
        now: Marks = await app.store.read(changes.marks)
        if not last_id:
            return [b"retry: 2000\n\n", f"id: {now.runs}\n\n".encode()]
        mark = Mark.parse(last_id)
        if mark is None or mark.ended_ms > now.runs.ended_ms or mark.run > now.runs.run:
            return [_event("reset", {}, now.runs)]  # of another database, or of no stream at all
        missed = await app.store.read(changes.moved, since=mark, approval=None, limit=MISSED_MAX + 1)
        if len(missed) > MISSED_MAX:
            return [_event("reset", {}, now.runs)]
        told = [_run_event(one, now.runs) for one in reversed(missed)]
        return [b"retry: 2000\n\n", *told, _event("changed", {"lists": LISTS}, now.runs)]

    def leave(self, queue: asyncio.Queue[bytes | None]) -> None:
        """A client is gone; with the last one the poller rests."""
        self._clients.discard(queue)
        if not self._clients:
            for task in (self._poller, self._watcher):
                if task is not None:
                    task.cancel()
            self._poller = self._watcher = None

    def close(self) -> None:
        """End all streams: the server is about to end. May be called from a signal handler."""
        self._is_closed = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._dismiss)

    def _dismiss(self) -> None:
        for queue in list(self._clients):
            while not queue.empty():
                queue.get_nowait()
            queue.put_nowait(None)

    async def _watch(self, server: Any) -> None:
        while not is_ending(server):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(SPACING)
        self._dismiss()

    def open(self) -> None:
        """Let clients in (again)."""
        self._is_closed = False

    # The poller

    async def _poll(self) -> None:
        app = app_of(self._rt)
        loop = asyncio.get_running_loop()
        self._told.clear()

        def heard() -> None:
            loop.call_soon_threadsafe(self._hint.set)

        def listen(event: Event) -> None:
            if event.kind.startswith("workflow.") and event.status is not None:
                loop.call_soon_threadsafe(self._note, event)

        unsubscribe = app.wakes.subscribe("commit", None, heard)
        app.probe.listeners.append(listen)
        seen: Marks | None = None
        try:
            while True:
                self._hint.clear()
                try:
                    seen = await self._look(app, seen)
                except TurbineError as error:
                    log.debug("The event stream could not look: %s", error)  # the database is away; it looks again
                await asyncio.sleep(SPACING)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(SLOW_POLL - SPACING):
                        await self._hint.wait()
        finally:
            unsubscribe()
            if listen in app.probe.listeners:
                app.probe.listeners.remove(listen)

    def _note(self, event: Event) -> None:
        self._heard[event.workflow_id] = event
        self._hint.set()

    async def _look(self, app: Any, seen: Marks | None) -> Marks:
        now: Marks = await app.store.read(changes.marks)
        heard, self._heard = self._heard, {}
        if seen is None:
            return now
        lists = [name for name in LISTS if now.lists[name] != seen.lists[name]]
        moved: list[Moved] = []
        if "workflows" in lists or "approvals" in lists:
            since = Mark(max(0, seen.runs.ended_ms - OVERLAP_MS), seen.runs.run)
            moved = await app.store.read(changes.moved, since=since, approval=seen.approval, limit=50)
        rows = [one for one in moved if self._is_new(one)]
        known = {one.id for one in moved}
        others = [event for id_, event in heard.items() if id_ not in known]
        if others and "workflows" not in lists:
            lists = ["workflows", *lists]
        told = [_run_event(one, now.runs) for one in reversed(rows[:RUNS_MAX])]
        told += [_heard_event(event, now.runs) for event in others[: RUNS_MAX - len(told)]]
        if lists:
            told.append(_event("changed", {"lists": lists}, now.runs))
        for message in told:
            self._tell(message, now.runs)
        return now

    def _is_new(self, one: Moved) -> bool:
        """Whether this was not told yet: what overlaps is looked at twice."""
        key = (one.run, one.status)
        if key in self._told:
            return False
        self._told[key] = None
        if len(self._told) > TOLD_MAX:
            self._told.popitem(last=False)
        return True

    def _tell(self, message: bytes, mark: Mark) -> None:
        for queue in self._clients:
            told = message
            if queue.full():
                while not queue.empty():
                    queue.get_nowait()
                told = _event("reset", {}, mark)
            queue.put_nowait(told)


def _run_event(one: Moved, mark: Mark) -> bytes:
    at = moment_text(to_datetime(one.at_ms))
    return _event("run", {"workflow_id": one.id, "name": one.name, "status": one.status, "at": at}, mark)


def _heard_event(event: Event, mark: Mark) -> bytes:
    told = {"workflow_id": event.workflow_id, "name": event.name, "status": event.status, "at": moment_text(event.at)}
    return _event("run", told, mark)


def _event(name: str, data: dict[str, Any], mark: Mark) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\nid: {mark}\n\n".encode()


@router.get(
    "/stream",
    response_class=Response,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def stream(
    context: Viewing, request: Request, last_event_id: Annotated[str | None, Header(max_length=100)] = None
) -> Response:
    """Server-sent events: `run`: a run has moved; `changed`: fetch these lists again; `reset`: fetch everything."""
    source: Stream = request.app.state.stream
    queue, first = await source.join(last_event_id)
    authenticator: Authenticator = request.app.state.authenticator
    return StreamingResponse(
        _send(source, queue, first, authenticator, request),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


async def _send(
    source: Stream,
    queue: asyncio.Queue[bytes | None],
    first: list[bytes],
    authenticator: Authenticator,
    request: Request,
) -> AsyncGenerator[bytes]:
    loop = asyncio.get_running_loop()
    check_at = loop.time() + PING
    try:
        for message in first:
            yield message
        while True:
            try:
                async with asyncio.timeout_at(check_at):
                    message = await queue.get()
            except TimeoutError:
                message = b": ping\n\n"
            if loop.time() >= check_at:
                # Whoever was signed out meanwhile hears no more, however much there is to tell.
                if not await _may_hear(authenticator, request):
                    return
                check_at = loop.time() + PING
            if message is None:
                return
            yield message
    finally:
        source.leave(queue)


async def _may_hear(authenticator: Authenticator, request: Request) -> bool:
    try:
        return await authenticator.principal(request) is not None
    except StoreUnavailable:
        return True  # that cannot be known now, and without the database there is nothing to tell
