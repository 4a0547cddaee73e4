"""Fixtures for pytest: `turbine_runtime` and `turbine_world` make as many runtimes and worlds as a test wants.

They work with every plugin that runs coroutine tests, because what they open is closed at the end of the test's own
coroutine, in its own event loop.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Generator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from turbine.runtime import Runtime
    from turbine.testing.world import World


class MakeRuntime(Protocol):
    """The fixture `turbine_runtime`: `rt = await turbine_runtime(workflows=[…])` is launched and ends with the test.

    The database is by default a file of its own for each runtime; the settings are those of `turbine.Runtime`.
    """

    async def __call__(self, database: str | None = None, *, workflows: Any = (), **settings: Any) -> Runtime: ...


class MakeWorld(Protocol):
    """The fixture `turbine_world`: `world = await turbine_world(workflows=[…])` is entered and ends with the test.

    The settings are those of `turbine.testing.World`.
    """

    async def __call__(self, database: str | None = None, *, workflows: Any = (), **settings: Any) -> World: ...


class _Opened:
    """What a test has opened, and must be closed in the loop in which it was opened."""

    def __init__(self) -> None:
        self.stack = AsyncExitStack()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.count = 0

    async def enter(self, what: Any) -> Any:
        self.loop = asyncio.get_running_loop()
        self.count += 1
        return await self.stack.enter_async_context(what)

    async def close(self) -> None:
        self.count = 0
        await self.stack.aclose()

    def close_late(self) -> None:
        """For a test that is no coroutine, but drives a loop itself: that loop must still be there."""
        if self.count and self.loop is not None and not self.loop.is_closed():
            self.loop.run_until_complete(self.close())


_opened = pytest.StashKey[_Opened]()


@pytest.fixture
def turbine_runtime(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[MakeRuntime]:
    """Runtimes that end with the test, as many as it wants: a function that takes what `turbine.Runtime` takes."""
    from turbine.runtime import Runtime

    opened = _of(request)

    async def make(database: str | None = None, *, workflows: Any = (), **settings: Any) -> Runtime:
        url = database or f"sqlite:///{tmp_path / f'turbine-{opened.count}.db'}"
        settings.setdefault("shutdown_timeout", 1.0)
        return await opened.enter(Runtime(url, workflows=workflows, **settings))

    yield make
    opened.close_late()


@pytest.fixture
def turbine_world(request: pytest.FixtureRequest) -> Generator[MakeWorld]:
    """Worlds that end with the test, as many as it wants: a function that takes what `turbine.testing.World` takes."""
    from turbine.testing.world import World

    opened = _of(request)

    async def make(database: str | None = None, *, workflows: Any = (), **settings: Any) -> World:
        return await opened.enter(World(database, workflows=workflows, **settings))

    yield make
    opened.close_late()


def _of(request: pytest.FixtureRequest) -> _Opened:
    stash = request.node.stash
    if _opened not in stash:
        stash[_opened] = _Opened()
    return stash[_opened]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Let a coroutine test end with closing what it has opened, whoever runs it."""
    opened = item.stash.get(_opened, None)
    if opened is not None and isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
        item.obj = _closing(item.obj, opened)
    return (yield)


def _closing(test: Callable[..., Any], opened: _Opened) -> Callable[..., Any]:
    @functools.wraps(test)
    async def closing(*args: Any, **kwargs: Any) -> None:
        try:
            await test(*args, **kwargs)
        finally:
            await opened.close()

    return closing
