"""The scribe: keeps what bodies and steps log, without letting them wait for it.

Records are taken where they are made, in any thread, into a bounded buffer; a duty stores them in bulk a moment later.
A process that dies loses the last moment; a database that is away loses what the buffer does not hold, and how much
that was is a record of its own. Nothing here may slow a run down, fail it, or log anything about a log record.
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
from turbine.engine.branches import StepScope, WorkflowScope
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
"""How long a record waits for company."""
MESSAGE_MAX = 32_768
"""Characters of a message with its traceback; the middle of a longer one is left out."""
_TAIL = MESSAGE_MAX // 4
_NAME_MAX = 1000


class LogWriter:
    """The logbook of one runtime: what its runs log, and the duty that stores it."""

    def __init__(self, store: Store, clock: Clock, loop: asyncio.AbstractEventLoop, executor_id: str) -> None:
        self._store = store
        self._clock = clock
        self._loop = loop
        self._executor_id = executor_id
        self._lock = threading.Lock()
        self._lines: list[LogLine] = []
        self._dropped = 0
        self._in_flight = 0
        self._tap = _Tap(self)
        self._logger = logging.root
        self._is_forked = False
        self.loop_task = Loop("scribe", self._tick, clock)

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

    def drop(self) -> None:
        """Listen no more."""
        for logger in {_ABOVE, self._logger}:
            logger.removeHandler(self._tap)
        if logging.root.parent is _ABOVE and not len(_ABOVE.handlers):
            logging.root.parent = None

    def forked(self) -> None:
        """In a forked child: keep nothing, the duty is in the parent."""
        self._is_forked = True
        self._lock = threading.Lock()
        self.drop()

    def close(self) -> None:
        """Listen no more, and let what is left enter the store, which finishes it before it closes."""
        self.drop()
        while lines := self._next():
            try:
                self._store.post(logs.add, lines)
            except StoreUnavailable as error:  # its writer has died, and the log says so: logs may be lost in a crash
                logging.getLogger("turbine.store").warning("%s log lines of runs were not kept: %s", len(lines), error)
                return

    # Taking

    def take(self, record: logging.LogRecord) -> None:
        """Keep a record if it belongs to a run of this runtime; see `turbine.logger` for which ones are kept."""
        place = None if self._is_forked else self._place_of(record)
        if place is None or not _is_wanted(record) or record.__dict__.get("_turbine_kept") is self:
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
            self._call(lambda: self.loop_task.call_at(self._now() + FLUSH_MS))
        elif count == BATCH_MAX:
            self._call(self.loop_task.call)

    def _place_of(self, record: logging.LogRecord) -> tuple[str, str | None] | None:
        """The run and step that a record belongs to; None for one of somebody else, or one that a replay repeats."""
        here = current_scope.get()
        if isinstance(here, StepScope):
            return (here.execution.id, here.position) if here.execution.app.log_sink is self else None
        if isinstance(here, WorkflowScope):
            # While the history goes on beyond this place, an earlier life has been here and said this already.
            if here.execution.app.log_sink is not self or here.line.has_more():
                return None
            return here.execution.id, None
        # Where the context did not come along, in a thread of the user's, the run's own logger still knows.
        told = record.__dict__
        workflow_id, step_id = told.get("workflow_id"), told.get("step_id")
        if told.get("executor_id") != self._executor_id or not isinstance(workflow_id, str):
            return None
        return workflow_id, step_id if isinstance(step_id, str) else None

    def _now(self) -> int:
        return self._clock.now_ms()

    def _call(self, act: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed: the lines are lost with the process
            self._loop.call_soon_threadsafe(act)

    # Storing

    async def _tick(self) -> int | None:
        self._listen()  # the host may have set up its logging anew since
        if self._lines or self._dropped:
            await self.flush()
        return None

    async def flush(self) -> None:
        """Store what was taken so far; returns when it can be read. Raises StoreUnavailable, having lost nothing."""
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
                room = BUFFER_MAX - len(self._lines)
                self._lines[:0] = lines[:room]
            lost = len(lines[room:])
            raise
        except Exception:
            lost = len(lines)
            raise
        finally:
            with self._lock:
                self._dropped += lost
                self._in_flight -= bool(lines)

    def _next(self) -> list[LogLine]:
        """Take the next lines out of the buffer; the first ones after a loss say how great it was."""
        with self._lock:
            lines, self._lines = self._lines[:BATCH_MAX], self._lines[BATCH_MAX:]
            dropped, self._dropped = self._dropped, 0
            self._in_flight += bool(lines or dropped)
        if dropped:
            told = f"{dropped} log records were dropped: they came faster than the database took them"
            lines.append(LogLine(None, None, logging.WARNING, "turbine", told, LogSource.SYSTEM, self._now()))
        return lines


class _Unseen(list[logging.Handler]):
    """Handlers that are called, and that look like none to whoever asks whether logging is set up already."""

    def __bool__(self) -> bool:
        return False


# Above the root logger: records of all loggers come by here, and whatever the program does to its logging, before or
# after the launch (basicConfig also with force, dictConfig, its own handlers), neither sees this nor takes it away.
_ABOVE = logging.Logger("turbine: above the root logger")  # noqa: LOG001 - one that no program can get hold of
_ABOVE.propagate = False
_ABOVE.handlers = _Unseen()


class _Tap(logging.Handler):
    """Shows every record of the process to a scribe."""

    def __init__(self, log_writer: LogWriter) -> None:
        super().__init__()
        self._scribe = log_writer

    def handle(self, record: logging.LogRecord) -> bool:
        # Without the handler's lock: the scribe has its own, and holds it for less.
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._scribe.take(record)
        except Exception:  # noqa: BLE001 - as every handler does: a record that cannot be written is told on stderr
            self.handleError(record)
        # Python prints warnings that no handler hears on stderr, and takes this one for a handler that did.
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
    """The last logger whose handlers hear the records of this one (or of what it is an adapter of)."""
    while isinstance(logger, logging.LoggerAdapter):
        logger = cast("Any", logger).logger
    current: logging.Logger = logger
    while current.propagate and current.parent is not None:
        current = current.parent
    return current


def _is_wanted(record: logging.LogRecord) -> bool:
    """From INFO on, and below it what the level of its very logger asks for: not all that a loud root lets through."""
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
    """What both databases can store: NUL and lone surrogates are written as escapes."""
    if "\0" in text:
        text = text.replace("\0", "\\x00")
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
