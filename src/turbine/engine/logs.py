"""The logger of runs: it knows where it was asked for, and is kept whatever the host does with its logging."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Protocol, cast


class LogSink(Protocol):
    """Where the log records of a runtime's runs are kept."""

    def take(self, record: logging.LogRecord) -> None:
        """Keep a record if it belongs to a run of this runtime. From any thread; never waits, never raises."""
        ...

    async def flush(self) -> None:
        """Store what was taken so far; returns when it can be read."""
        ...


class RunLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger whose records carry `workflow_id`, `step_id` and `executor_id`.

    What the level of its logger holds back from the handlers is still kept in the database, from INFO on.
    """

    def __init__(self, logger: Any, log_sink: LogSink | None, extra: Mapping[str, object]) -> None:
        super().__init__(logger, extra)
        self._logbook = log_sink

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        if self.isEnabledFor(level):
            # One frame more: the line that is shown as the place of the call is the user's.
            super().log(level, msg, *args, **{**kwargs, "stacklevel": kwargs.get("stacklevel", 1) + 1})
        elif self._logbook is not None and level >= logging.INFO and level > logging.root.manager.disable:
            self._logbook.take(self._record(level, msg, args, kwargs))

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Add what this logger knows to what the caller says in `extra`."""
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
