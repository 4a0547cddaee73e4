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
from turbine.queries.metrics import StatusCache
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
# Built once: FastAPI prepares included routers at the first request of each application, which takes a while.
_ROUTES = APIRouter(responses={"default": {"model": problems.Problem, "description": "A problem document (RFC 9457)."}})
for _router in ROUTERS:
    _ROUTES.include_router(_router)
BODY_EXTRA = 64 * 1024
"""Bytes that a request may have beyond its largest payload."""


def build(rt: Runtime, auth: Auth) -> tuple[ASGIApp, FastAPI]:
    """Builds the API of a runtime with its middleware, and the application inside."""
    api = FastAPI(
        title="Turbine",
        version=version("turbine-workflows"),
        description="Durable workflows: inspect and change runs, queues, schedules and keys.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    problems.install(api, _methods)
    api.router.routes.extend(_ROUTES.routes)
    api.state.turbine = rt
    api.state.authenticator = Authenticator(lambda: app_of(rt), auth)
    api.state.stream = stream.Stream(rt)
    api.state.status_cache = StatusCache()
    api.state.setup_path = None
    _describe(api)
    return Middleware(api, api.state.authenticator, rt.config.payload_max + BODY_EXTRA), api


def _methods(request: Request) -> list[str]:
    """Returns the methods of a path."""
    routes = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    matching = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in matching for method in route.methods or ()})


def _describe(api: FastAPI) -> None:
    """Adds the role that each operation needs to the OpenAPI document, and how to sign in."""
    build_document = api.openapi

    def openapi() -> dict[str, Any]:
        if api.openapi_schema:
            return api.openapi_schema
        document = build_document()
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
            operation["responses"].pop("422", None)  # FastAPI's own error form, which is not used
            problem = operation["responses"].get("default", {}).get("content")
            if problem is not None and "application/json" in problem:
                problem["application/problem+json"] = problem.pop("application/json")
    for unused in ("HTTPValidationError", "ValidationError"):
        document["components"].get("schemas", {}).pop(unused, None)


def roles_of(api: FastAPI) -> list[tuple[str, str, str | None]]:
    """Lists all operations as (path, method, role); the role is None for open ones."""
    operations: list[tuple[str, str, str | None]] = []
    for router in ROUTERS:
        for route in router.routes:
            if isinstance(route, APIRoute):
                roles = [getattr(dependency.call, "role", None) for dependency in route.dependant.dependencies]
                role = next((str(role) for role in roles if role is not None), None)
                operations += [(route.path_format, method, role) for method in sorted(route.methods or ())]
    return operations
