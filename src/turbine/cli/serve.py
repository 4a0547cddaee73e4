"""`turbine serve`: an application with Turbine in it, or a runtime, behind uvicorn."""

from __future__ import annotations

import ipaddress
import os
import signal
from types import FrameType
from typing import Annotated, Any, Literal, cast

import typer

from turbine.cli.target import TargetUnfit, load
from turbine.cli.tty import MISUSED, leave
from turbine.platform import ENDING_SIGNALS

TARGET = "TURBINE_SERVE_TARGET"
AUTH = "TURBINE_SERVE_AUTH"
ADDRESS = "TURBINE_SERVE_ADDRESS"
"""Environment variables from which the processes that uvicorn starts learn what they serve, and where."""
PATIENCE = 10
"""Seconds that open requests have to end; runs then have the `shutdown_timeout` of the runtime."""


def serve(
    target: Annotated[str, typer.Argument(metavar="MODULE:NAME", help="An ASGI application, or a runtime.")],
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen at.")] = 8090,
    workers: Annotated[int, typer.Option(min=1, help="How many processes; each is an executor.")] = 1,
    auth: Annotated[str, typer.Option(help="For a runtime: accounts, or none (this machine only).")] = "accounts",
    root_path: Annotated[str, typer.Option(help="The path under which a proxy shows this server.")] = "",
) -> None:
    """Serve API and dashboard until SIGTERM or SIGINT; then nothing new starts, and running steps may finish."""
    import uvicorn

    if auth not in ("accounts", "none"):
        leave("serve", f"--auth is accounts or none, not {auth!r}", MISUSED)
    if auth == "none" and not _is_loopback(host):
        leave("serve", f"--auth none is for this machine only, and {host} is not; use accounts", MISUSED)
    os.environ |= {TARGET: target, AUTH: auth, ADDRESS: _address(host, port, root_path)}
    try:
        application()
    except TargetUnfit as error:
        leave("serve", str(error), MISUSED)
    # uvicorn raises the signal that ended it once more, for the handlers that were installed before its own.
    for number in ENDING_SIGNALS:
        signal.signal(number, _ignore)
    uvicorn.run(
        "turbine.cli.serve:application",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        root_path=root_path,
        timeout_graceful_shutdown=PATIENCE,
        # Set-up links are secrets and stand in URLs.
        access_log=False,
        server_header=False,
        ws="none",
    )


def _ignore(number: int, frame: FrameType | None) -> None:
    """Exit with code 0: a requested end is not a failure."""


def application() -> Any:
    """The application that this process serves. Raises TargetUnfit."""
    return _application(load(os.environ[TARGET]))


_applications: dict[int, Any] = {}
"""One application for each runtime."""


def _application(target: Any) -> Any:
    from turbine.http.asgi import asgi_app_of
    from turbine.runtime import Runtime

    inner = getattr(target, "inner", None)
    runtime = inner if isinstance(inner, Runtime) else target  # a runtime of `turbine.sync` wraps one
    if isinstance(runtime, Runtime):
        if id(runtime) not in _applications:
            auth = cast('Literal["accounts", "none"]', os.environ[AUTH])
            _applications[id(runtime)] = asgi_app_of(runtime, auth)
        return _applications[id(runtime)]
    if not callable(target):
        raise TargetUnfit(f"{os.environ[TARGET]} is neither an ASGI application nor a runtime, but {target!r:.100}")
    return target


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _address(host: str, port: int, root_path: str) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{shown}:{port}{root_path}"
