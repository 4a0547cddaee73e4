"""`turbine run`: a program that launches runtimes, until it ends or receives a signal."""

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

    A signal reaches the function as Ctrl-C does: `def` gets KeyboardInterrupt, `async def` is cancelled. If it returns
    an integer, that is the exit code.
    """
    try:
        main = load(target)
    except TargetUnfit as error:
        leave("run", str(error), MISUSED)
    if not callable(main):
        leave("run", f"{target} is no function, but {main!r:.100}", MISUSED)
    # This program is the user's: its signals are handled below, and by its runtimes.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    result = asyncio.run(_run_async(main)) if inspect.iscoroutinefunction(main) else _run_sync(main)
    raise typer.Exit(result if isinstance(result, int) else 0)


async def _run_async(main: Callable[[], Any]) -> Any:
    from turbine.runtime import shut_all_down
    from turbine.runtime.signals import SIGNALS

    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(main())
    is_ending = False

    def end() -> None:
        nonlocal is_ending
        is_ending = True
        loop.call_soon_threadsafe(task.cancel)

    with SIGNALS.caught(end):
        try:
            return await task
        except asyncio.CancelledError:
            if not is_ending:
                raise
        finally:
            await shut_all_down()


def _run_sync(main: Callable[[], Any]) -> Any:
    from turbine.runtime import shut_all_down
    from turbine.runtime.signals import SIGNALS

    is_ending = False

    def end() -> None:
        nonlocal is_ending
        is_ending = True
        raise KeyboardInterrupt

    with SIGNALS.caught(end):
        try:
            return main()
        except KeyboardInterrupt:
            if not is_ending:
                raise
        finally:
            with contextlib.closing(asyncio.new_event_loop()) as loop:
                loop.run_until_complete(shut_all_down())
