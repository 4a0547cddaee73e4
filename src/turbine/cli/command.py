"""Makes a command of a coroutine function: the options that all commands share, the client, and exit codes."""

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

from turbine.cli.client import Misused, RequestRefused, moment_text
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
    """The options of every command."""


def with_client(function: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Make a command of `async def name(client, output, …)`: its other parameters are arguments and options."""
    own = list(inspect.signature(function, eval_str=True).parameters.values())[2:]
    common = inspect.signature(_options, eval_str=True).parameters.values()
    signature = inspect.Signature(
        [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in (*own, *common)]
    )

    @functools.wraps(function)
    def command(
        *,
        context: typer.Context,
        database: str | None,
        server: str | None,
        token: str | None,
        as_json: bool,
        **arguments: Any,
    ) -> None:
        async def run() -> None:
            from turbine.cli.connect import open_client

            async with open_client(database, server, token) as client:
                await function(client, Output(is_json=as_json), **arguments)

        with _failures(context.command_path.removeprefix("turbine "), database, server, tokens=[token]):
            asyncio.run(run())

    command.__signature__ = signature  # pyright: ignore[reportAttributeAccessIssue] - what typer reads
    command.__annotations__ = {name: parameter.annotation for name, parameter in signature.parameters.items()}
    del command.__wrapped__
    return command


@contextmanager
def _failures(name: str, *urls: str | None, tokens: Sequence[str | None]) -> Generator[None]:
    """End a failed command with one line on stderr and an exit code that tells a refusal from misuse.

    Secrets of these URLs and tokens, and of those in the environment, are masked in that line.
    """
    urls = (*urls, os.environ.get("TURBINE_DATABASE_URL"), os.environ.get("TURBINE_SERVER"))
    tokens = (*tokens, os.environ.get("TURBINE_TOKEN"))
    try:
        yield
    except BrokenPipeError:
        raise  # the reader of the pipe has closed it
    except (TurbineError, RequestRefused, OSError) as error:
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
    raise ValueError(f"{name} is not JSON")


def moment_of(text: str, option: str) -> str:
    """A time as the API takes it, from how long ago (`90s`, `2h`, `7d`, `PT1H`) or ISO 8601 with a time zone.

    Raises Misused.
    """
    try:
        return moment_text(datetime.now(UTC) - duration_of(text, option))
    except Misused:
        return absolute_moment_of(text, option, "2h, 7d or 2026-03-27T03:00:00Z")


def absolute_moment_of(text: str, option: str, examples: str = "2026-03-27T03:00:00Z") -> str:
    """A time as the API takes it, from ISO 8601 with a time zone. Raises Misused."""
    try:
        return moment_text(parse_moment(text).astimezone(UTC))
    except NoTimeZone as error:
        raise Misused(f"{option} {error}") from None
    except (ValueError, OverflowError):
        raise Misused(f"{option} {text!r} is not a time; write for example {examples}") from None


def duration_of(text: str, option: str) -> timedelta:
    """A duration in seconds, with a unit (`30m`, `2h`) or in ISO 8601. Raises Misused."""
    number, unit = text[:-1], text[-1:]
    try:
        if unit in _UNITS:
            return timedelta(seconds=float(number) * _UNITS[unit])
        return parse_duration(text)
    except (ValueError, OverflowError):
        raise Misused(f"{option} {text!r} is not a duration; write for example 90s, 30m, 2h or PT1H30M") from None
