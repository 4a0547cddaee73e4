"""The audit: how a change and its line come into one transaction, and how lines are read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from turbine.engine.app import App
from turbine.model.accounts import Principal
from turbine.store import Store, Tx
from turbine.store.tx import take_locks
from turbine.tables import audit
from turbine.tables.audit import AuditLine

DETAIL_MAX = 4096
"""Characters of what is noted beside a change; a payload is no business of the audit."""


class AuditedStore(Store):
    """The store of a runtime for the length of one change: the write that makes the change also writes its line.

    Actions are one write each. Of an action that writes more than once, the first write that changes something has
    the line. A write that refuses, or says that nothing changed (False or 0), has none.
    """

    def __init__(self, inner: Store, line: AuditLine) -> None:
        self.__dict__.update(inner.__dict__)
        self._inner = inner
        self._line: AuditLine | None = line

    def submit(self, function: Callable[..., Any], argument: Any, size: int = 0) -> asyncio.Future[Any]:
        if self._line is None:
            return self._inner.submit(function, argument, size)
        future = self._inner.submit(_with_line, {"function": function, "argument": argument, "line": self._line}, size)
        future.add_done_callback(self._note)
        return future

    def _note(self, future: asyncio.Future[Any]) -> None:
        if not future.cancelled() and future.exception() is None and not _is_nothing(future.result()):
            self._line = None

    async def read(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """A look changes nothing, also where it goes through the writer (`:memory:`)."""
        return await self._inner.read(function, *args, **kwargs)


def _with_line(tx: Tx, *, function: Callable[..., Any], argument: Any, line: AuditLine) -> Any:
    if getattr(function, "bulk", False):
        take_locks(tx, [(function, argument)])
        (answer,) = function(tx, [argument])
    else:
        answer = function(tx, **argument)
    if not _is_nothing(answer):
        audit.add(tx, line=line)
    return answer


def _is_nothing(answer: Any) -> bool:
    return isinstance(answer, Exception) or (isinstance(answer, int) and not answer)


def audited(
    app: App,
    principal: Principal,
    action: str,
    target: str,
    *,
    workflow_id: str | None = None,
    detail: dict[str, Any] | None = None,
) -> App:
    """The same port for one change, whose transaction also says who asked for it."""
    line = line_of(app.clock.now_ms(), principal, action, target, workflow_id=workflow_id, detail=detail)
    return replace(app, store=AuditedStore(app.store, line))


def line_of(
    now_ms: int,
    principal: Principal,
    action: str,
    target: str,
    *,
    workflow_id: str | None = None,
    detail: dict[str, Any] | None = None,
) -> AuditLine:
    """The line of a change."""
    text = None if not detail else json.dumps(detail, default=str)
    if text is not None and len(text) > DETAIL_MAX:
        text = json.dumps({"cut": text[: DETAIL_MAX // 2]})
    return AuditLine(now_ms, principal.name, principal.role, action, target, workflow_id, text)
