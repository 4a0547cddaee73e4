"""The logger of runs: its records carry run and step, and are stored however the host configures its logging."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Protocol, cast


class LogSink(Protocol):
    """A store for the log records of a runtime's runs."""

    def take(self, record: logging.LogRecord) -> None:
        """Keep a record if it belongs to a run of this runtime. From any thread; never blocks, never raises."""
        ...

    async def flush(self) -> None:
        """Store the records taken so far; returns when they can be read."""
        ...


class RunLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger whose records carry `workflow_id`, `step_id` and `executor_id`.

    Records that the level of its logger keeps from the handlers are still stored in the database, from INFO on.
    """

    def __init__(self, logger: Any, log_sink: LogSink | None, extra: Mapping[str, object]) -> None:
        super().__init__(logger, extra)
        self._log_sink = log_sink

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        if self.isEnabledFor(level):
            # One frame more, so that the line shown as the origin is the user's.
            super().log(level, msg, *args, **{**kwargs, "stacklevel": kwargs.get("stacklevel", 1) + 1})
        elif self._log_sink is not None and level >= logging.INFO and level > logging.root.manager.disable:
            self._log_sink.take(self._record(level, msg, args, kwargs))

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Add the fields of this logger to the caller's `extra`."""
        kwargs["extra"] = {**(kwargs.get("extra") or {}), **(self.extra or {})}
        return msg, kwargs

    def _record(self, level: int, msg: object, args: tuple[object, ...], kwargs: dict[str, Any]) -> logging.LogRecord:
        failure: Any = kwargs.get("exc_info")
        if isinstance(failure, BaseException):
            failure = (type(failure), failure, failure.__traceback__)
        elif failure and not isinstance(failure, tuple):
            failure = sys.exc_info()
        record = logging.LogRecord(self.name, level, "", 0, msg, args, cast("Any", failure or None))
        record.__dict__.update(self.extra or {})
        return record
