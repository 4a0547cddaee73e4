"""What a route works with: the runtime, who asks, and the one way to make a change."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request

from turbine.clock import to_datetime
from turbine.engine.app import App
from turbine.errors import NotAllowed, NotSignedIn
from turbine.http import ids
from turbine.model.accounts import Principal, Role
from turbine.operations.audit import audited
from turbine.operations.resources import Resource
from turbine.runtime import Runtime

T = TypeVar("T")
AnyResource = TypeVar("AnyResource", bound=Resource)

ids.register()  # every route stands on this room, and knows `{id:key}` by it


@dataclass(frozen=True, slots=True)
class RequestContext:
    """One request of somebody who may make it."""

    rt: Runtime
    principal: Principal

    @property
    def app(self) -> App:
        return app_of(self.rt)

    def change(self, action: str, target: str, *, workflow_id: str | None = None, **detail: Any) -> App:
        """The port for one change: `action` is noun and verb. Its transaction also writes the line of the audit."""
        known = {name: value for name, value in detail.items() if value is not None}
        return audited(self.app, self.principal, action, target, workflow_id=workflow_id, detail=known)

    def acting(self, resource: type[AnyResource]) -> AnyResource:
        """A resource whose changes the audit ascribes to the principal: `context.acting(Webhooks).delete(id)`."""
        return resource(lambda: self.app, self.principal)

    @property
    def only_as(self) -> str | None:
        """As whom approvals are decided: approvers decide what is theirs or nobody's, above them anybody may all."""
        return None if self.principal.role.allows(Role.OPERATOR) else self.principal.email or ""

    def now(self) -> datetime:
        """The time by the runtime's clock."""
        return to_datetime(self.app.clock.now_ms())

    async def in_loop(self, act: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do something in the loop of the runtime: what starts a run here must, whichever loop serves requests."""
        return await self.rt._in_loop(act)  # pyright: ignore[reportPrivateUsage]


def app_of(rt: Runtime) -> App:
    """The port of a launched runtime. Raises ShuttingDown after its shutdown, TurbineError before its launch."""
    return rt._app()  # pyright: ignore[reportPrivateUsage] - this edge stands on the same rooms


def runtime_of(request: Request) -> Runtime:
    """The runtime behind the API."""
    return request.app.state.turbine


def needs(role: Role) -> Callable[[Request], Coroutine[Any, Any, RequestContext]]:
    """What a route depends on that needs a role."""

    async def context(request: Request) -> RequestContext:
        principal: Principal | None = request.scope["turbine.caller"]
        if principal is None:
            raise NotSignedIn
        if not principal.role.allows(role):
            raise NotAllowed(f"This needs the role {role}, and {principal.name} is {principal.role}")
        return RequestContext(runtime_of(request), principal)

    context.role = role  # pyright: ignore[reportFunctionMemberAccess] - the documentation shows it
    return context


Viewing = Annotated[RequestContext, Depends(needs(Role.VIEWER))]
Deciding = Annotated[RequestContext, Depends(needs(Role.APPROVER))]
Operating = Annotated[RequestContext, Depends(needs(Role.OPERATOR))]
Administering = Annotated[RequestContext, Depends(needs(Role.ADMIN))]
