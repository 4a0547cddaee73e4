"""The event stream: changes for every open dashboard.

One poller serves all clients, and runs only while there are any: it reads at once after a commit of this process or a
hint of another one, else every second, because a hint may be lost. Events are made of rows, never of hints, so a
client that reconnects with the id of its last event gets what it missed from the same rows.
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
from turbine.engine.app import App
from turbine.errors import StoreUnavailable, TurbineError
from turbine.http.auth import Authenticator
from turbine.http.request_context import Viewing, app_of
from turbine.http.servers import is_ending, uvicorn_here
from turbine.model.times import moment_text
from turbine.model.workflows import Event
from turbine.queries.changes import ChangedRun, ListMarks, RunMark, current_marks, moved_runs
from turbine.runtime import Runtime
from turbine.runtime.signals import SIGNALS

log = logging.getLogger("turbine.http")
router = APIRouter(tags=["stream"])

SPACING = 0.5
"""Seconds between two reads, at least."""
RUNS_MAX = 4
"""Events about single runs after one read; with the event for lists no client gets more than ten events a second."""
SLOW_POLL = 1.0
PING = 15.0
BACKLOG_MAX = 100
"""Events that wait for a client; a slower client is reset."""
MISSED_MAX = 200
"""Runs that are sent to a client that reconnects; with more it is reset."""
OVERLAP_MS = 2000
"""A commit may become visible after one with younger rows, so this much time is read again."""
SENT_MAX = 5000
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
        self._events: dict[str, Event] = {}
        """Events of this process since the last read, by run."""
        self._sent: OrderedDict[tuple[int, str], None] = OrderedDict()
        self._is_closed = False

    async def join(self, last_id: str | None) -> tuple[asyncio.Queue[bytes | None], list[bytes]]:
        """Adds a client. Returns its queue and its first messages: what it missed, or the current position."""
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(BACKLOG_MAX)
        if self._is_closed:
            queue.put_nowait(None)
        # The client listens before the read, so that nothing falls in between.
        self._clients.add(queue)
        try:
            first = await self._first_messages(last_id)
        except BaseException:
            self.leave(queue)
            raise
        if self._poller is None or self._poller.done():
            self._loop = asyncio.get_running_loop()
            SIGNALS.look_again()  # the server has installed its handlers by now, and this is its loop
            self._hint = asyncio.Event()
            self._poller = asyncio.create_task(self._poll(), name="turbine event stream")
            server = uvicorn_here()
            if server is not None:
                self._watcher = asyncio.create_task(self._watch(server), name="turbine event stream's server")
        return queue, first

    async def _first_messages(self, last_id: str | None) -> list[bytes]:
        app = app_of(self._rt)
        marks = await current_marks(app)
        if not last_id:
            return [b"retry: 2000\n\n", f"id: {marks.runs}\n\n".encode()]
        mark = RunMark.parse(last_id)
        if mark is None or mark.ended_ms > marks.runs.ended_ms or mark.run > marks.runs.run:
            return [_message("reset", {}, marks.runs)]  # the id of another database, or of no stream
        missed = await moved_runs(app, mark, approval=None, limit=MISSED_MAX + 1)
        if len(missed) > MISSED_MAX:
            return [_message("reset", {}, marks.runs)]
        messages = [_run_message(run, marks.runs) for run in reversed(missed)]
        return [b"retry: 2000\n\n", *messages, _message("changed", {"lists": LISTS}, marks.runs)]

    def leave(self, queue: asyncio.Queue[bytes | None]) -> None:
        """Removes a client, and stops the poller after the last one."""
        self._clients.discard(queue)
        if not self._clients:
            for task in (self._poller, self._watcher):
                if task is not None:
                    task.cancel()
            self._poller = self._watcher = None

    def close(self) -> None:
        """Ends all streams because the server is about to end. May be called from a signal handler."""
        self._is_closed = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._dismiss)

    def _dismiss(self) -> None:
        for queue in list(self._clients):
            while not queue.empty():
                queue.get_nowait()
            queue.put_nowait(None)

    async def _watch(self, server: Any) -> None:
        while not is_ending(server):  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(SPACING)
        self._dismiss()

    def open(self) -> None:
        """Accepts clients (again)."""
        self._is_closed = False

    async def _poll(self) -> None:
        app = app_of(self._rt)
        loop = asyncio.get_running_loop()
        self._sent.clear()

        def on_commit() -> None:
            loop.call_soon_threadsafe(self._hint.set)

        def on_event(event: Event) -> None:
            if event.kind.startswith("workflow.") and event.status is not None:
                loop.call_soon_threadsafe(self._note, event)

        unsubscribe = app.wakes.subscribe("commit", None, on_commit)
        app.probe.listeners.append(on_event)
        previous: ListMarks | None = None
        try:
            while True:
                self._hint.clear()
                try:
                    previous = await self._read(app, previous)
                except TurbineError as error:
                    log.debug("The event stream could not read: %s", error)  # the database is away; it reads again
                await asyncio.sleep(SPACING)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(SLOW_POLL - SPACING):
                        await self._hint.wait()
        finally:
            unsubscribe()
            if on_event in app.probe.listeners:
                app.probe.listeners.remove(on_event)

    def _note(self, event: Event) -> None:
        self._events[event.workflow_id] = event
        self._hint.set()

    async def _read(self, app: App, previous: ListMarks | None) -> ListMarks:
        marks = await current_marks(app)
        events, self._events = self._events, {}
        if previous is None:
            return marks
        lists = [name for name in LISTS if marks.lists[name] != previous.lists[name]]
        moved: list[ChangedRun] = []
        if "workflows" in lists or "approvals" in lists:
            since = RunMark(max(0, previous.runs.ended_ms - OVERLAP_MS), previous.runs.run)
            moved = await moved_runs(app, since, approval=previous.approval, limit=50)
        fresh = [run for run in moved if self._is_unsent(run)]
        moved_ids = {run.id for run in moved}
        other_events = [event for run_id, event in events.items() if run_id not in moved_ids]
        if other_events and "workflows" not in lists:
            lists = ["workflows", *lists]
        messages = [_run_message(run, marks.runs) for run in reversed(fresh[:RUNS_MAX])]
        messages += [_event_message(event, marks.runs) for event in other_events[: RUNS_MAX - len(messages)]]
        if lists:
            messages.append(_message("changed", {"lists": lists}, marks.runs))
        for message in messages:
            self._send(message, marks.runs)
        return marks

    def _is_unsent(self, run: ChangedRun) -> bool:
        """Notes a run as sent; whether it was not sent before. Overlapping times are read twice."""
        key = (run.run, run.status)
        if key in self._sent:
            return False
        self._sent[key] = None
        if len(self._sent) > SENT_MAX:
            self._sent.popitem(last=False)
        return True

    def _send(self, message: bytes, mark: RunMark) -> None:
        for queue in self._clients:
            if not queue.full():
                queue.put_nowait(message)
                continue
            while not queue.empty():
                queue.get_nowait()
            queue.put_nowait(_message("reset", {}, mark))


def _run_message(run: ChangedRun, mark: RunMark) -> bytes:
    at = moment_text(to_datetime(run.at_ms))
    return _message("run", {"workflow_id": run.id, "name": run.name, "status": run.status, "at": at}, mark)


def _event_message(event: Event, mark: RunMark) -> bytes:
    at = moment_text(event.at)
    data = {"workflow_id": event.workflow_id, "name": event.name, "status": event.status, "at": at}
    return _message("run", data, mark)


def _message(name: str, data: dict[str, Any], mark: RunMark) -> bytes:
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
        _messages(source, queue, first, authenticator, request),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


async def _messages(
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
                # Checked on time however many messages there are: a client that was signed out gets none of them.
                if not await _is_signed_in(authenticator, request):
                    return
                check_at = loop.time() + PING
            if message is None:
                return
            yield message
    finally:
        source.leave(queue)


async def _is_signed_in(authenticator: Authenticator, request: Request) -> bool:
    try:
        return await authenticator.principal(request) is not None
    except StoreUnavailable:
        return True  # unknown for now, and without the database there is nothing to send
