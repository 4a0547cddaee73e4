"""The context of a request: the runtime and the principal that a route works with."""

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
from turbine.operations.resources import Resource
from turbine.runtime import Runtime

T = TypeVar("T")
AnyResource = TypeVar("AnyResource", bound=Resource)

ids.register()  # every route imports this module, and uses `{id:key}`


@dataclass(frozen=True, slots=True)
class RequestContext:
    """A request whose sender may make it."""

    rt: Runtime
    principal: Principal

    @property
    def app(self) -> App:
        return app_of(self.rt)

    def acting(self, resource: type[AnyResource]) -> AnyResource:
        """Returns a resource whose changes are audited as the principal's: `context.acting(Webhooks).delete(id)`."""
        return resource(lambda: self.app, self.principal)

    @property
    def only_as(self) -> str | None:
        """As whom approvals are decided: approvers decide those assigned to them or to no one, operators any."""
        return None if self.principal.role.allows(Role.OPERATOR) else self.principal.email or ""

    def now(self) -> datetime:
        """Returns the time of the runtime's clock."""
        return to_datetime(self.app.clock.now_ms())

    async def in_loop(self, act: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Runs a coroutine in the loop of the runtime, as starts of runs need, whichever loop serves requests."""
        return await self.rt._in_loop(act)  # pyright: ignore[reportPrivateUsage]


def app_of(rt: Runtime) -> App:
    """Returns the app of a launched runtime. Raises ShuttingDown after its shutdown, TurbineError before its launch."""
    return rt._app()  # pyright: ignore[reportPrivateUsage] - HTTP is an edge of the same package


def runtime_of(request: Request) -> Runtime:
    """Returns the runtime behind the API."""
    return request.app.state.turbine


def needs(role: Role) -> Callable[[Request], Coroutine[Any, Any, RequestContext]]:
    """Returns the dependency of a route that needs a role."""

    async def context(request: Request) -> RequestContext:
        principal: Principal | None = request.scope["turbine.principal"]
        if principal is None:
            raise NotSignedIn
        if not principal.role.allows(role):
            raise NotAllowed(f"This needs the role {role}, and {principal.name} is {principal.role}")
        return RequestContext(runtime_of(request), principal)

    context.role = role  # pyright: ignore[reportFunctionMemberAccess] - for the OpenAPI document
    return context


Viewing = Annotated[RequestContext, Depends(needs(Role.VIEWER))]
Deciding = Annotated[RequestContext, Depends(needs(Role.APPROVER))]
Operating = Annotated[RequestContext, Depends(needs(Role.OPERATOR))]
Administering = Annotated[RequestContext, Depends(needs(Role.ADMIN))]
