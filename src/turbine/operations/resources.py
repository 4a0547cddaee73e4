"""The base class of `rt.kv`, `rt.schedules` and the other resources of a runtime."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from turbine.engine.app import App
from turbine.model.accounts import Actor
from turbine.operations.audit_entries import audit_of
from turbine.store.store import Audit

T = TypeVar("T")
Method = Callable[..., Coroutine[Any, Any, T]]


class Resource:
    """A resource of a runtime. Its public coroutines run in the loop that launched the runtime, whichever loop calls.

    So a run that a call starts is executed, and a call in progress when the runtime closes raises ShuttingDown.
    """

    def __init__(self, app: Callable[[], App], actor: Actor | None = None) -> None:
        """`actor` is the author of changes in the audit log; changes of the process itself (None) are not audited."""
        self._app = app
        self._actor = actor

    def _audit(self, action: str, target: str, *, workflow_id: str | None = None, **detail: Any) -> Audit | None:
        """Returns a function that writes the audit entry of a change, for `Store.write_audited`."""
        return audit_of(self._app(), self._actor, action, target, workflow_id=workflow_id, **detail)

    def __init_subclass__(cls) -> None:
        for name, method in list(vars(cls).items()):
            if inspect.iscoroutinefunction(method) and not name.startswith("_"):
                setattr(cls, name, _in_loop(method))


def _in_loop(method: Method[T]) -> Method[T]:
    @functools.wraps(method)
    async def in_loop(self: Resource, *args: Any, **kwargs: Any) -> T:
        app = self._app()  # pyright: ignore[reportPrivateUsage] - its own
        return await app.in_loop(lambda: method(self, *args, **kwargs))

    return in_loop
