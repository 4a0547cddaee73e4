"""Errors as problem documents (RFC 9457). Each class of error has one HTTP status, mapped only here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

import pydantic
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from turbine.errors import (
    AlreadyLaunched,
    Conflict,
    Deduplicated,
    DeliveryFailed,
    ErrorCode,
    ForkedProcess,
    NotAllowed,
    NotFound,
    NotRegistered,
    NotSignedIn,
    NotTriggerable,
    RegistrationConflict,
    SerializationError,
    ShuttingDown,
    StoreUnavailable,
    TooManyAttempts,
    TurbineError,
    ValidationFailed,
    WorkflowConflict,
)
from turbine.http.schemas import NO_ZONE

log = logging.getLogger("turbine.http")

_STATUS: dict[type[TurbineError], int] = {
    ValidationFailed: 422,
    SerializationError: 422,
    NotFound: 404,
    NotRegistered: 404,
    NotTriggerable: 409,
    Conflict: 409,
    WorkflowConflict: 409,
    Deduplicated: 409,
    RegistrationConflict: 409,
    AlreadyLaunched: 409,
    NotSignedIn: 401,
    NotAllowed: 403,
    TooManyAttempts: 429,
    DeliveryFailed: 502,
    ShuttingDown: 503,
    ForkedProcess: 503,
    StoreUnavailable: 503,
}
_CODES = {
    400: ErrorCode.BAD_REQUEST,
    401: ErrorCode.NOT_SIGNED_IN,
    403: ErrorCode.NOT_ALLOWED,
    404: ErrorCode.NOT_FOUND,
    409: ErrorCode.CONFLICT,
    413: ErrorCode.TOO_LARGE,
    422: ErrorCode.VALIDATION,
    503: ErrorCode.STORE_UNAVAILABLE,
}


class Problem(pydantic.BaseModel):
    """An error, for people and programs."""

    type: str = pydantic.Field(examples=["urn:turbine:not-found"])
    title: str = pydantic.Field(examples=["Not Found"])
    status: int = pydantic.Field(examples=[404])
    detail: str = pydantic.Field(examples=["There is no schedule 'nightly'. Check the id; it may have been deleted."])
    code: int = pydantic.Field(description="The number of `turbine.ErrorCode`.", examples=[3])
    errors: list[dict[str, Any]] | None = pydantic.Field(
        default=None, examples=[[{"path": ["order", "id"], "message": "Field required", "type": "missing"}]]
    )


def respond(
    status: int,
    detail: str,
    *,
    code: ErrorCode | None = None,
    errors: Sequence[dict[str, Any]] = (),
    headers: dict[str, str] | None = None,
) -> Response:
    """Builds the response with a problem document."""
    number = code or _CODES.get(status, ErrorCode.BAD_REQUEST if status < 500 else ErrorCode.INTERNAL)
    document: dict[str, Any] = {
        "type": f"urn:turbine:{number.name.lower().replace('_', '-')}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail.encode("utf-8", "replace").decode(),
        "code": int(number),
    }
    if errors:
        document["errors"] = list(errors)
    return JSONResponse(document, status, headers, media_type="application/problem+json")


def of_turbine(error: TurbineError) -> Response:
    """Builds the response to an error of Turbine."""
    status = next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), 503 if _is_down(error) else 500)
    headers: dict[str, str] = {}
    if isinstance(error, TooManyAttempts):
        headers["Retry-After"] = str(max(1, error.retry_after))
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    errors = error.errors if isinstance(error, ValidationFailed) else ()
    return respond(status, str(error), code=error.code, errors=errors, headers=headers)


def _is_down(error: TurbineError) -> bool:
    # A runtime that is not launched raises the base class itself.
    return type(error) is TurbineError


def _detail(error: dict[str, Any]) -> dict[str, Any]:
    location, message = error["loc"][1:], str(error["msg"])
    if error["type"] == "json_invalid":
        reason = error.get("ctx", {}).get("error", message)
        location, message = (), f"This is not valid JSON: {reason} (character {error['loc'][-1]})"
    path = [part if isinstance(part, int) else str(part) for part in location]
    return {"path": path, "message": message, "type": str(error["type"])}


def install(app: FastAPI, methods: Callable[[Request], Sequence[str]]) -> None:
    """Makes an application answer every error with a problem document; `methods` returns those of a path."""

    async def turbine(request: Request, error: Exception) -> Response:
        assert isinstance(error, TurbineError)
        return of_turbine(error)

    async def value(request: Request, error: Exception) -> Response:
        # Operations refuse invalid arguments with ValueError; a response model that does not fit is a bug.
        if isinstance(error, pydantic.ValidationError):
            return await unexpected(request, error)
        if request.method in ("GET", "HEAD", "DELETE"):
            return respond(400, str(error))
        return respond(422, str(error), errors=[{"path": [], "message": str(error), "type": "value_error"}])

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        errors = error.errors()
        details = [_detail(item) for item in errors]
        # A query is part of the URL, so an invalid one is a bad request; a time without a zone is well formed, and
        # refused for its meaning in a query, too.
        is_well_formed = any(item["loc"][0] == "body" or item["type"] == NO_ZONE for item in errors)
        text = "; ".join(
            f"{'.'.join(str(part) for part in detail['path']) or 'the body'}: {detail['message']}" for detail in details
        )
        return respond(422 if is_well_formed else 400, text, code=ErrorCode.VALIDATION, errors=details)

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        headers = dict(error.headers) if error.headers else {}
        detail = str(error.detail)
        if error.status_code in (204, 304):
            return Response(status_code=error.status_code, headers=headers)
        if error.status_code == 404 and detail == HTTPStatus.NOT_FOUND.phrase:
            detail = f"There is nothing at {request.url.path[:500]}; see openapi.json for all paths"
        elif error.status_code == 405:
            headers["Allow"] = ", ".join(methods(request))
            detail = f"{request.method} is not allowed here, only {headers['Allow']}"
        return respond(error.status_code, detail, headers=headers)

    async def unexpected(request: Request, error: Exception) -> Response:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return respond(500, "Something went wrong on the server; its log has the details.", code=ErrorCode.INTERNAL)

    app.add_exception_handler(TurbineError, turbine)
    app.add_exception_handler(ValueError, value)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, unexpected)
