"""What makes a coroutine function a command: the options that all have, the open door, and how it fails."""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import os
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from turbine.cli.client import Misused, Refused, open_client
from turbine.cli.output import Output
from turbine.cli.tty import FAILED, MISUSED, leave
from turbine.clock import NoTimeZone, parse_moment
from turbine.config import parse_duration
from turbine.errors import TurbineError
from turbine.masking import scrub

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def _options(
    context: typer.Context,
    database: Annotated[
        str | None, typer.Option("--database", metavar="URL", help="The database. [env: TURBINE_DATABASE_URL]")
    ] = None,
    server: Annotated[
        str | None, typer.Option("--server", metavar="URL", help="A Turbine server instead. [env: TURBINE_SERVER]")
    ] = None,
    token: Annotated[
        str | None, typer.Option("--token", metavar="TOKEN", help="An API token for it. [env: TURBINE_TOKEN]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """What every command takes."""


def with_client(function: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Make a command of `async def name(door, screen, …)`: the other parameters are its own arguments and options."""
    own = list(inspect.signature(function, eval_str=True).parameters.values())[2:]
    common = [
        one.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for one in inspect.signature(_options, eval_str=True).parameters.values()
    ]
    signature = inspect.Signature([*(one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own), *common])

    @functools.wraps(function)
    def command(
        *,
        context: typer.Context,
        database: str | None,
        server: str | None,
        token: str | None,
        as_json: bool,
        **given: Any,
    ) -> None:
        async def carry_out() -> None:
            async with open_client(database, server, token) as client:
                await function(client, Output(is_json=as_json), **given)

        with refusals(context.command_path.removeprefix("turbine "), database, server, tokens=[token]):
            asyncio.run(carry_out())

    command.__signature__ = signature  # pyright: ignore[reportAttributeAccessIssue] - what typer reads
    command.__annotations__ = {name: one.annotation for name, one in signature.parameters.items()}
    del command.__wrapped__
    return command


@contextmanager
def refusals(name: str, *urls: str | None, tokens: Sequence[str | None] = ()) -> Generator[None]:
    """End the command with one line when it is refused, and an exit code that says whose fault that is.

    No secret of these URLs, of those in the environment, or of these tokens is in that line.
    """
    urls = (*urls, os.environ.get("TURBINE_DATABASE_URL"), os.environ.get("TURBINE_SERVER"))
    tokens = (*tokens, os.environ.get("TURBINE_TOKEN"))
    try:
        yield
    except BrokenPipeError:
        raise  # who reads has seen enough
    except (TurbineError, Refused, OSError) as error:
        leave(name, scrub(_one_line(error), *urls, tokens=tokens), FAILED)
    except (Misused, ValueError) as error:
        leave(name, scrub(_one_line(error), *urls, tokens=tokens), MISUSED)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def parsed(text: str | None, option: str) -> Any:
    """The JSON value of an option or argument. Raises Misused."""
    if text is None:
        return None
    try:
        return json.loads(text, parse_constant=_no_constant)
    except ValueError as error:
        hint = f"; a text needs quotes: {option} '{json.dumps(text)}'" if text.isidentifier() else ""
        raise Misused(f"{option} is not JSON ({error}){hint}") from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def moment_of(text: str, option: str) -> datetime:
    """A time as people say it: how long ago (`90s`, `30m`, `2h`, `7d`, `PT1H`) or when, in ISO 8601 with a time zone.

    Raises Misused.
    """
    try:
        return datetime.now(UTC) - duration_of(text, option)
    except Misused:
        return absolute_moment_of(text, option, "2h, 7d or 2026-03-27T03:00:00Z")


def absolute_moment_of(text: str, option: str, examples: str = "2026-03-27T03:00:00Z") -> datetime:
    """A time in ISO 8601 with a time zone. Raises Misused."""
    try:
        return parse_moment(text).astimezone(UTC)
    except NoTimeZone as error:
        raise Misused(f"{option} {error}") from None
    except (ValueError, OverflowError):
        raise Misused(f"{option} {text!r} is no time; write for example {examples}") from None


def duration_of(text: str, option: str) -> timedelta:
    """A duration as people say it: seconds, `30m`, `2h`, ISO 8601. Raises Misused."""
    number, unit = text[:-1], text[-1:]
    try:
        if unit in _UNITS:
            return timedelta(seconds=float(number) * _UNITS[unit])
        return parse_duration(text)
    except (ValueError, OverflowError):
        raise Misused(f"{option} {text!r} is no duration; write for example 90s, 30m, 2h or PT1H30M") from None
