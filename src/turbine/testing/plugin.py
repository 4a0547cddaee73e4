"""Fixtures for pytest: `turbine_runtime` and `turbine_world` make as many runtimes and worlds as a test needs.

They work with every plugin that runs coroutine tests, because they close at the end of the test's own coroutine, in its
own event loop.
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


class _Resources:
    """The runtimes and worlds of a test, which must be closed in the event loop in which they were opened."""

    def __init__(self) -> None:
        self.stack = AsyncExitStack()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.count = 0

    async def enter(self, resource: Any) -> Any:
        self.loop = asyncio.get_running_loop()
        self.count += 1
        return await self.stack.enter_async_context(resource)

    async def close(self) -> None:
        self.count = 0
        await self.stack.aclose()

    def close_late(self) -> None:
        """Close after a test that is not a coroutine but drives an event loop, which must still be open."""
        if self.count and self.loop is not None and not self.loop.is_closed():
            self.loop.run_until_complete(self.close())


_resources = pytest.StashKey[_Resources]()


@pytest.fixture
def turbine_runtime(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[MakeRuntime]:
    """A function that launches a runtime, which ends with the test; it takes the arguments of `turbine.Runtime`."""
    from turbine.runtime import Runtime

    resources = _of(request)

    async def make(database: str | None = None, *, workflows: Any = (), **settings: Any) -> Runtime:
        url = database or f"sqlite:///{tmp_path / f'turbine-{resources.count}.db'}"
        settings.setdefault("shutdown_timeout", 1.0)
        return await resources.enter(Runtime(url, workflows=workflows, **settings))

    yield make
    resources.close_late()


@pytest.fixture
def turbine_world(request: pytest.FixtureRequest) -> Generator[MakeWorld]:
    """A function that enters a world, which ends with the test; it takes the arguments of `turbine.testing.World`."""
    from turbine.testing.world import World

    resources = _of(request)

    async def make(database: str | None = None, *, workflows: Any = (), **settings: Any) -> World:
        return await resources.enter(World(database, workflows=workflows, **settings))

    yield make
    resources.close_late()


def _of(request: pytest.FixtureRequest) -> _Resources:
    stash = request.node.stash
    if _resources not in stash:
        stash[_resources] = _Resources()
    return stash[_resources]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Let a coroutine test end by closing its resources, whichever plugin runs it."""
    resources = item.stash.get(_resources, None)
    if resources is not None and isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
        item.obj = _closing(item.obj, resources)
    return (yield)


def _closing(test: Callable[..., Any], resources: _Resources) -> Callable[..., Any]:
    @functools.wraps(test)
    async def closing(*args: Any, **kwargs: Any) -> None:
        try:
            await test(*args, **kwargs)
        finally:
            await resources.close()

    return closing
