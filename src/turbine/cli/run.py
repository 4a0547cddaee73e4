"""`turbine run`: a program that launches runtimes, until it ends or is told to end."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import signal
from collections.abc import Callable
from typing import Annotated, Any

import typer

from turbine.cli.target import TargetUnfit, load
from turbine.cli.tty import MISUSED, leave


def run(
    target: Annotated[
        str, typer.Argument(metavar="MODULE:NAME", help="A function without arguments, def or async def.")
    ],
) -> None:
    """Call a function that launches a runtime. SIGTERM and SIGINT end it: runtimes drain first, and the exit code is 0.

    The function hears of it as of Ctrl-C: `def` by KeyboardInterrupt, `async def` by being cancelled. A number that it
    returns is the exit code.
    """
    try:
        main = load(target)
    except TargetUnfit as error:
        leave("run", str(error), MISUSED)
    if not callable(main):
        leave("run", f"{target} is no function, but {main!r:.100}", MISUSED)
    # Here the program is the user's, not a command: what ends it is heard below, and by its runtimes.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    result = asyncio.run(_awaited(main)) if inspect.iscoroutinefunction(main) else _called(main)
    raise typer.Exit(result if isinstance(result, int) else 0)


async def _awaited(main: Callable[[], Any]) -> Any:
    from turbine.runtime import shut_all_down
    from turbine.runtime.signals import SIGNALS

    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(main())
    was_told = False

    def told() -> None:
        nonlocal was_told
        was_told = True
        loop.call_soon_threadsafe(task.cancel)

    with SIGNALS.caught(told):
        try:
            return await task
        except asyncio.CancelledError:
            if not was_told:
                raise
        finally:
            await shut_all_down()


def _called(main: Callable[[], Any]) -> Any:
    from turbine.runtime import shut_all_down
    from turbine.runtime.signals import SIGNALS

    was_told = False

    def told() -> None:
        nonlocal was_told
        was_told = True
        raise KeyboardInterrupt

    with SIGNALS.caught(told):
        try:
            return main()
        except KeyboardInterrupt:
            if not was_told:
                raise
        finally:
            with contextlib.closing(asyncio.new_event_loop()) as loop:
                loop.run_until_complete(shut_all_down())
