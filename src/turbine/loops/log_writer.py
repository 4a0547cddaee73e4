"""Logs of bodies and steps, stored without letting them wait.

Records are taken where they are made, in any thread, into a bounded buffer; a loop stores them in bulk a moment later.
A process that dies loses the last moment; while the database is away, records beyond the buffer are lost, and a record
of its own says how many. This module must not slow a run down, fail it, or log anything about a log record.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any, cast

from turbine.clock import Clock
from turbine.engine.scope import WorkflowScope
from turbine.engine.step_scope import StepScope
from turbine.errors import StoreUnavailable
from turbine.loops.loop import Loop
from turbine.model.logs import LogSource
from turbine.registry import current_scope
from turbine.store import Store
from turbine.tables import logs
from turbine.tables.logs import LogLine

BUFFER_MAX = 10_000
BATCH_MAX = 500
"""Records in one write."""
FLUSH_MS = 200
"""How long a record waits for others."""
MESSAGE_MAX = 32_768
"""Characters of a message with its traceback; the middle of a longer one is left out."""
_TAIL = MESSAGE_MAX // 4
_NAME_MAX = 1000


class LogWriter(Loop):
    """Stores the log records of one runtime's runs."""

    name = "log_writer"

    def __init__(self, store: Store, clock: Clock, loop: asyncio.AbstractEventLoop, executor_id: str) -> None:
        super().__init__(clock)
        self._store = store
        self._loop = loop
        self._executor_id = executor_id
        self._lock = threading.Lock()
        self._lines: list[LogLine] = []
        self._dropped = 0
        self._in_flight = 0
        self._tap = _Tap(self)
        self._logger = logging.root
        self._is_forked = False

    def open(self, logger: Any) -> None:
        """Listen to all loggers of the process, and to `logger` also where its records do not reach the others."""
        self._logger = _top_of(logger)
        self._listen()

    def _listen(self) -> None:
        for logger in {_ABOVE, self._logger} - {logging.root}:
            if self._tap not in logger.handlers:
                logger.addHandler(self._tap)
        if logging.root.parent is None:
            logging.root.parent = _ABOVE
        logging.root.propagate = True  # which says something only since the root logger has a parent

    def detach(self) -> None:
        """Stop listening to loggers."""
        for logger in {_ABOVE, self._logger}:
            logger.removeHandler(self._tap)
        if logging.root.parent is _ABOVE and not len(_ABOVE.handlers):
            logging.root.parent = None

    def forked(self) -> None:
        """Keep nothing in a forked child: the loop is in the parent."""
        self._is_forked = True
        self._lock = threading.Lock()
        self.detach()

    def close(self) -> None:
        """Stop listening, and hand what is left to the store, which finishes it before it closes."""
        self.detach()
        while lines := self._next():
            try:
                self._store.post(logs.add, lines)
            except StoreUnavailable as error:  # its writer has died, and the log says so: logs may be lost in a crash
                logging.getLogger("turbine.store").warning("%s log lines were not stored: %s", len(lines), error)
                return

    # Taking

    def take(self, record: logging.LogRecord) -> None:
        """Keep a record if it belongs to a run of this runtime; `turbine.logger` says which ones are kept."""
        place = None if self._is_forked else self._place_of(record)
        if place is None or not _is_kept(record) or record.__dict__.get("_turbine_kept") is self:
            return
        record.__dict__["_turbine_kept"] = self
        line = LogLine(
            *place, record.levelno, _clean(record.name)[:_NAME_MAX], _text(record), _source(record), self._now()
        )
        with self._lock:
            if len(self._lines) >= BUFFER_MAX:
                self._dropped += 1
                return
            self._lines.append(line)
            count = len(self._lines)
        if count == 1:
            self._call_in_loop(lambda: self.call_at(self._now() + FLUSH_MS))
        elif count == BATCH_MAX:
            self._call_in_loop(self.call)

    def _place_of(self, record: logging.LogRecord) -> tuple[str, str | None] | None:
        """The run and step that a record belongs to; None for other records, and for those that a replay repeats."""
        scope = current_scope.get()
        if isinstance(scope, StepScope):
            return (scope.execution.id, scope.position) if scope.execution.app.log_sink is self else None
        if isinstance(scope, WorkflowScope):
            # While the history goes on beyond this point, an earlier pass has logged this already.
            if scope.execution.app.log_sink is not self or scope.branch.has_more():
                return None
            return scope.execution.id, None
        # In a thread of the user's without the context, the run's own logger has set these fields.
        fields = record.__dict__
        workflow_id, step_id = fields.get("workflow_id"), fields.get("step_id")
        if fields.get("executor_id") != self._executor_id or not isinstance(workflow_id, str):
            return None
        return workflow_id, step_id if isinstance(step_id, str) else None

    def _now(self) -> int:
        return self._clock.now_ms()

    def _call_in_loop(self, act: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed; the lines are lost with the process
            self._loop.call_soon_threadsafe(act)

    # Storing

    async def tick(self) -> int | None:
        self._listen()  # the host may have configured its logging anew
        if self._lines or self._dropped:
            await self.flush()
        return None

    async def flush(self) -> None:
        """Store the records taken so far; returns when they can be read. Raises StoreUnavailable, losing nothing."""
        while True:
            lines = self._next()
            if not lines and self._in_flight == 0:
                return
            # The store keeps the order, so an empty write ends after those that are in flight.
            await self._write(lines)
            if len(lines) < BATCH_MAX:
                return

    async def _write(self, lines: list[LogLine]) -> None:
        lost = 0
        try:
            await self._store.submit(logs.add, lines, sum(len(line.message) for line in lines))
        except StoreUnavailable:
            with self._lock:
                free = BUFFER_MAX - len(self._lines)
                self._lines[:0] = lines[:free]
            lost = len(lines[free:])
            raise
        except Exception:
            lost = len(lines)
            raise
        finally:
            with self._lock:
                self._dropped += lost
                self._in_flight -= bool(lines)

    def _next(self) -> list[LogLine]:
        """Take the next lines out of the buffer; after a loss, with a line that says how many were lost."""
        with self._lock:
            lines, self._lines = self._lines[:BATCH_MAX], self._lines[BATCH_MAX:]
            dropped, self._dropped = self._dropped, 0
            self._in_flight += bool(lines or dropped)
        if dropped:
            text = f"{dropped} log records were dropped: they came faster than the database took them"
            lines.append(LogLine(None, None, logging.WARNING, "turbine", text, LogSource.SYSTEM, self._now()))
        return lines


class _Unseen(list[logging.Handler]):
    """Handlers that are called, but look like none when code asks whether logging is configured already."""

    def __bool__(self) -> bool:
        return False


# Above the root logger: the records of all loggers pass it, and whatever the program does to its logging, before or
# after the launch (basicConfig also with force, dictConfig, its own handlers), neither sees nor removes it.
_ABOVE = logging.Logger("turbine: above the root logger")  # noqa: LOG001 - one that no program can get hold of
_ABOVE.propagate = False
_ABOVE.handlers = _Unseen()


class _Tap(logging.Handler):
    """Passes every log record of the process to a log writer."""

    def __init__(self, log_writer: LogWriter) -> None:
        super().__init__()
        self._log_writer = log_writer

    def handle(self, record: logging.LogRecord) -> bool:
        # Without the handler's lock: the log writer has its own, and holds it for less.
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._log_writer.take(record)
        except Exception:  # noqa: BLE001 - as every handler does: a record that cannot be written is reported on stderr
            self.handleError(record)
        # Python prints warnings without a handler on stderr, and takes this one for a handler.
        last = logging.lastResort
        if last is not None and record.levelno >= last.level and self._is_alone(record):
            last.handle(record)

    def _is_alone(self, record: logging.LogRecord) -> bool:
        handlers = list(_handlers_of(logging.root.manager.loggerDict.get(record.name)))
        return all(isinstance(handler, _Tap) for handler in handlers) and handlers[:1] == [self]


def _handlers_of(logger: object) -> Iterator[logging.Handler]:
    current = logger if isinstance(logger, logging.Logger) else logging.root
    while True:
        yield from current.handlers
        if current.parent is None or not current.propagate:
            return
        current = current.parent


def _top_of(logger: Any) -> logging.Logger:
    """The topmost logger whose handlers get the records of this one (or of the logger that it adapts)."""
    while isinstance(logger, logging.LoggerAdapter):
        logger = cast("Any", logger).logger
    current: logging.Logger = logger
    while current.propagate and current.parent is not None:
        current = current.parent
    return current


def _is_kept(record: logging.LogRecord) -> bool:
    """Whether a record is stored: from INFO on, and below it only if the level of its own logger asks for it."""
    if record.levelno >= logging.INFO:
        return True
    logger = logging.root if record.name == "root" else logging.root.manager.loggerDict.get(record.name)
    return isinstance(logger, logging.Logger) and logging.NOTSET < logger.level <= record.levelno


def _source(record: logging.LogRecord) -> LogSource:
    return LogSource.SYSTEM if record.name in ("turbine", "turbine.store") else LogSource.USER


def _text(record: logging.LogRecord) -> str:
    text = record.getMessage()
    if record.exc_info and record.exc_info[0] is not None:
        text = f"{text}\n{''.join(traceback.format_exception(*record.exc_info)).rstrip()}"
    elif record.exc_text:
        text = f"{text}\n{record.exc_text}"
    if record.stack_info:
        text = f"{text}\n{record.stack_info}"
    if len(text) > MESSAGE_MAX:
        left_out = len(text) - MESSAGE_MAX
        text = f"{text[: MESSAGE_MAX - _TAIL]}\n… {left_out:,} characters left out …\n{text[-_TAIL:]}"
    return _clean(text)


def _clean(text: str) -> str:
    """The text as both databases can store it: NUL and lone surrogates are written as escapes."""
    if "\0" in text:
        text = text.replace("\0", "\\x00")
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
