"""Turbine inside an ASGI application: the API at `/api/pt`, the dashboard at `/_/turbine/`, and the runtime's life."""

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
from turbine.http.bootstrap import offer_setup
from turbine.http.dashboard import Dashboard
from turbine.registry import WorkflowBase
from turbine.runtime import Runtime

log = logging.getLogger("turbine.http")

API = "/api/pt"
DASHBOARD = "/_/turbine"
_OPEN = "Sign-in is off (auth='none'): whoever can reach this machine's own address administers Turbine"


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
    """Put Turbine into an existing FastAPI or Starlette application; returns its runtime.

    The API comes to `<prefix>/api/pt`, the dashboard to `<prefix>/_/turbine/`. With `lifespan` the runtime is launched
    after the application's own start, and shut down before its own end, so that workflows can use what the application
    has opened; without, the caller launches it. `auth` is `"accounts"`, `"none"` (this machine only), or a function
    of the request that tells the role of whoever asks (viewer, approver, operator, admin), role and e-mail address as a
    tuple (who has one has approvals assigned to him), or None. Other keywords are those of `Runtime`. Behind a proxy,
    tell the server its root path. Raises ValueError for a prefix that is none.
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
        _lead_home(app, prefix)
    return app, rt


def asgi_app_of(rt: Runtime, auth: Auth = "accounts") -> FastAPI:
    """An ASGI application around a runtime that is there already."""
    app = FastAPI(title="Turbine", openapi_url=None)
    mount(app, rt, prefix="", dashboard=True, lifespan=True, auth=auth)
    _lead_home(app, "")
    return app


def mount(app: Starlette, rt: Runtime, *, prefix: str, dashboard: bool, lifespan: bool, auth: Auth) -> None:
    """Enter API and dashboard before the application's own routes, so that no catch-all of it takes their place."""
    if prefix and (not prefix.startswith("/") or prefix.endswith("/")):
        raise ValueError(f"prefix begins with a slash and does not end with one, as in '/flows'; not {prefix!r}")
    rt.app = app
    gate, api = build(rt, auth)
    own = [_Mount(prefix + API, app=gate)]
    if dashboard:
        own.append(_Mount(prefix + DASHBOARD, app=Dashboard()))
    app.router.routes[:0] = own
    if dashboard:
        app.router.routes.insert(0, Route(prefix + DASHBOARD, _with_a_slash))
    rt._attached.append(api.state.stream)  # pyright: ignore[reportPrivateUsage] - this edge stands on the same rooms
    if lifespan:
        _live_with(app, rt, auth, f"{prefix}{DASHBOARD}/setup")
    elif auth == "none":
        log.warning(_OPEN)
    else:
        # Whoever launches the runtime himself has no moment of ours: the first visitor without an account is one.
        api.state.setup_path = f"{prefix}{DASHBOARD}/setup"


class _Mount(Mount):
    """A mount that any path below it belongs to: ids of runs may have line breaks."""

    def __init__(self, path: str, app: ASGIApp) -> None:
        super().__init__(path, app)
        self.path_regex = re.compile(self.path_regex.pattern, re.DOTALL)


def _live_with(app: Starlette, rt: Runtime, auth: Auth, setup_path: str) -> None:
    theirs = app.router.lifespan_context
    rt._is_hosted = True  # pyright: ignore[reportPrivateUsage]

    @asynccontextmanager
    async def lifespan(host: Any) -> AsyncGenerator[Any]:
        async with theirs(host) as state, rt:
            if auth == "accounts":
                await offer_setup(rt, setup_path)
            elif auth == "none":
                log.warning(_OPEN)
            yield state

    app.router.lifespan_context = lifespan


def _with_a_slash(request: Request) -> RedirectResponse:
    return RedirectResponse(f"{request.scope['path']}/")


def _lead_home(app: FastAPI, prefix: str) -> None:
    def home(request: Request) -> RedirectResponse:
        return RedirectResponse(f"{request.scope.get('root_path', '')}{prefix}{DASHBOARD}/")

    app.router.routes.append(Route("/", home))
