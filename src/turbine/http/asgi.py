"""Turbine inside an ASGI application: the API at `/api/pt`, the dashboard at `/_/turbine/`, and the runtime."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from turbine.config import Database
from turbine.http.app import build
from turbine.http.auth import Auth
from turbine.http.bootstrap import print_setup_link
from turbine.http.dashboard import Dashboard
from turbine.registry import WorkflowBase
from turbine.runtime import Runtime

log = logging.getLogger("turbine.http")

API = "/api/pt"
DASHBOARD = "/_/turbine"
_OPEN = "Sign-in is off (auth='none'): every process on this machine can administer Turbine"


def setup(
    app: Starlette,
    database: Database | None = None,
    *,
    workflows: Iterable[WorkflowBase[..., Any]] = (),
    prefix: str = "",
    dashboard: bool = True,
    lifespan: bool = True,
    auth: Auth = "accounts",
    **config: Any,
) -> Runtime:
    """Mount Turbine in an existing FastAPI or Starlette application; returns its runtime.

    The API is at `<prefix>/api/pt`, the dashboard at `<prefix>/_/turbine/`. With `lifespan` the runtime is launched
    after the application has started, and shut down before it stops, so that workflows can use the resources of the
    application; without, the caller launches it. `auth` is `"accounts"`, `"none"` (this machine only), or a function
    of the request that returns the role of its sender (viewer, approver, operator, admin), a tuple of role and e-mail
    address (approvals can be assigned to the address), or None for an anonymous request. Other keywords are those of
    `Runtime`. Behind a proxy, tell the server its root path. Raises ValueError for an invalid prefix.
    """
    rt = Runtime(database, workflows=workflows, **config)
    mount(app, rt, prefix=prefix, dashboard=dashboard, lifespan=lifespan, auth=auth)
    return rt


def new_app(
    database: Database | None = None,
    *,
    workflows: Iterable[WorkflowBase[..., Any]] = (),
    prefix: str = "",
    dashboard: bool = True,
    lifespan: bool = True,
    auth: Auth = "accounts",
    **config: Any,
) -> tuple[FastAPI, Runtime]:
    """An ASGI application with API and dashboard, and its runtime: `app, rt = turbine.new_app(workflows=[...])`.

    Serve it with `uvicorn module:app` or `turbine serve module:app`. The keywords are those of `setup`.
    """
    app = FastAPI(title="Turbine", openapi_url=None)
    rt = setup(
        app,
        database,
        workflows=workflows,
        prefix=prefix,
        dashboard=dashboard,
        lifespan=lifespan,
        auth=auth,
        **config,
    )
    if dashboard:
        _redirect_home(app, prefix)
    return app, rt


def asgi_app_of(rt: Runtime, auth: Auth = "accounts") -> FastAPI:
    """An ASGI application around an existing runtime."""
    app = FastAPI(title="Turbine", openapi_url=None)
    mount(app, rt, prefix="", dashboard=True, lifespan=True, auth=auth)
    _redirect_home(app, "")
    return app


def mount(app: Starlette, rt: Runtime, *, prefix: str, dashboard: bool, lifespan: bool, auth: Auth) -> None:
    """Insert API and dashboard before the application's own routes, so that no catch-all route hides them."""
    if prefix and (not prefix.startswith("/") or prefix.endswith("/")):
        raise ValueError(f"prefix must begin with a slash and not end with one, as in '/flows'; not {prefix!r}")
    rt.app = app
    api_with_middleware, api = build(rt, auth)
    own = [_Mount(prefix + API, app=api_with_middleware)]
    if dashboard:
        own.append(_Mount(prefix + DASHBOARD, app=Dashboard()))
    app.router.routes[:0] = own
    if dashboard:
        app.router.routes.insert(0, Route(prefix + DASHBOARD, _append_slash))
    rt._attached.append(api.state.stream)  # pyright: ignore[reportPrivateUsage] - a part of this package
    if lifespan:
        _add_lifespan(app, rt, auth, f"{prefix}{DASHBOARD}/setup")
    elif auth == "none":
        log.warning(_OPEN)
    else:
        # The host application launches the runtime, so the link is printed at the first request without an account.
        api.state.setup_path = f"{prefix}{DASHBOARD}/setup"


class _Mount(Mount):
    """A mount that takes every path below it: ids of runs may contain line breaks."""

    def __init__(self, path: str, app: ASGIApp) -> None:
        super().__init__(path, app)
        self.path_regex = re.compile(self.path_regex.pattern, re.DOTALL)


def _add_lifespan(app: Starlette, rt: Runtime, auth: Auth, setup_path: str) -> None:
    lifespan_of_host = app.router.lifespan_context
    rt._is_hosted = True  # pyright: ignore[reportPrivateUsage]

    @asynccontextmanager
    async def lifespan(host: Any) -> AsyncGenerator[Any]:
        async with lifespan_of_host(host) as state, rt:
            if auth == "accounts":
                await print_setup_link(rt, setup_path)
            elif auth == "none":
                log.warning(_OPEN)
            yield state

    app.router.lifespan_context = lifespan


def _append_slash(request: Request) -> RedirectResponse:
    return RedirectResponse(f"{request.scope['path']}/")


def _redirect_home(app: FastAPI, prefix: str) -> None:
    def home(request: Request) -> RedirectResponse:
        return RedirectResponse(f"{request.scope.get('root_path', '')}{prefix}{DASHBOARD}/")

    app.router.routes.append(Route("/", home))
