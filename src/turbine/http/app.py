"""The API as one ASGI application, to be mounted at `/api/pt`."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import ASGIApp

from turbine.http import (
    accounts,
    alert_channels,
    approvals,
    audit,
    deliveries,
    executors,
    failures,
    health,
    kv,
    logs,
    metrics,
    openapi,
    problems,
    products,
    queues,
    registered,
    retention,
    runs,
    schedules,
    settings,
    sign_in,
    sql,
    steps,
    stream,
    tokens,
    webhooks,
)
from turbine.http.auth import Auth, Authenticator
from turbine.http.middleware import Middleware
from turbine.http.request_context import app_of
from turbine.runtime import Runtime

ROUTERS: tuple[APIRouter, ...] = (
    sign_in.router,
    health.router,
    stream.router,
    openapi.router,
    metrics.router,
    failures.router,
    runs.router,
    steps.router,
    registered.router,
    queues.router,
    approvals.router,
    schedules.router,
    kv.router,
    products.router,
    webhooks.router,
    alert_channels.router,
    deliveries.router,
    executors.router,
    logs.router,
    audit.router,
    accounts.router,
    tokens.router,
    settings.router,
    retention.router,
    sql.router,
)
# Put together once: FastAPI makes what an application includes ready at its first request, which takes a while.
_WHOLE = APIRouter(responses={"default": {"model": problems.Problem, "description": "A problem document (RFC 9457)."}})
for _router in ROUTERS:
    _WHOLE.include_router(_router)
BODY_EXTRA = 64 * 1024
"""What a request may have beyond its largest payload."""


def build(rt: Runtime, auth: Auth) -> tuple[ASGIApp, FastAPI]:
    """The API of a runtime behind its gate, and the application inside."""
    api = FastAPI(
        title="Turbine",
        version=version("turbine-workflows"),
        description="Durable workflows: look at runs, act on them, and keep their queues, schedules and keys.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    problems.enter(api, _methods)
    api.router.routes.extend(_WHOLE.routes)
    api.state.turbine = rt
    api.state.authenticator = Authenticator(lambda: app_of(rt), auth)
    api.state.stream = stream.Stream(rt)
    api.state.counted = metrics.Counted()
    api.state.setup_path = None
    _describe(api)
    return Middleware(api, api.state.authenticator, rt.config.payload_max + BODY_EXTRA), api


def _methods(request: Request) -> list[str]:
    """The methods that a path can be asked with."""
    routes = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    matching = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in matching for method in route.methods or ()})


def _describe(api: FastAPI) -> None:
    """Say in the OpenAPI document which role each operation needs, and how to sign in."""
    usual = api.openapi

    def openapi() -> dict[str, Any]:
        if api.openapi_schema:
            return api.openapi_schema
        document = usual()
        document["servers"] = [{"url": "."}]
        schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
        schemes["token"] = {"type": "http", "scheme": "bearer"}
        schemes["session"] = {"type": "apiKey", "in": "cookie", "name": "turbine_session"}
        for path, method, role in roles_of(api):
            operation = document["paths"].get(path, {}).get(method.lower())
            if operation is not None and role is not None:
                operation["x-role"] = role
                operation["security"] = [{"token": []}, {"session": []}]
        _problem_documents(document)
        return document

    api.openapi = openapi


def _problem_documents(document: dict[str, Any]) -> None:
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("422", None)  # FastAPI's own form of it, which is not what we send
            problem = operation["responses"].get("default", {}).get("content")
            if problem is not None and "application/json" in problem:
                problem["application/problem+json"] = problem.pop("application/json")
    for unused in ("HTTPValidationError", "ValidationError"):
        document["components"].get("schemas", {}).pop(unused, None)


def roles_of(api: FastAPI) -> list[tuple[str, str, str | None]]:
    """Every operation and the role it needs: (path, method, role); None for those that are open."""
    found: list[tuple[str, str, str | None]] = []
    for router in ROUTERS:
        for route in router.routes:
            if isinstance(route, APIRoute):
                roles = [getattr(needed.call, "role", None) for needed in route.dependant.dependencies]
                role = next((str(one) for one in roles if one is not None), None)
                found += [(route.path_format, method, role) for method in sorted(route.methods or ())]
    return found
