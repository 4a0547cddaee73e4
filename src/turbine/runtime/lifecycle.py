"""Launch and shutdown of a runtime, in the event loop that launches it."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
import weakref
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from turbine.clock import Clock, SystemClock
from turbine.config import Config, Database, database_url
from turbine.engine.app import App
from turbine.errors import AlreadyLaunched, ForkedProcess, ShuttingDown, TurbineError
from turbine.forking import tell_after_fork
from turbine.ids import new_id
from turbine.loops.lease import Lease
from turbine.registry import Registry
from turbine.runtime.live import UNWIND, Live
from turbine.runtime.signals import SIGNALS
from turbine.store import Store, open_store
from turbine.threads import in_thread, made_in_thread

T = TypeVar("T")


class Attached(Protocol):
    """A part of a server that is open while the runtime is launched."""

    def open(self) -> None: ...

    def close(self) -> None:
        """Closes it; called from any thread, and more than once."""
        ...


class Lifecycle:
    """The base of `Runtime`: its settings, and the state between launch and shutdown."""

    def __init__(
        self, database: Database | None, config: Config | None, clock: Clock | None, config_fields: dict[str, Any]
    ) -> None:
        self.database = database if callable(database) else database_url(database)
        self.config = Config.load(config, **config_fields)
        self.app: Any = None
        """The host ASGI application, if there is one."""
        self._clock = clock or SystemClock()
        self._registry = Registry()
        self._live: Live | None = None
        self._draining = False
        self._executor_id = self.config.executor_id
        self._was_launched = False
        self._was_forked = False
        self._launching: asyncio.Future[None] | None = None
        self._is_hosted = False
        """Whether a server launches the runtime and shuts it down."""
        self._is_observer = False
        """Whether `launch` only opens the database, without becoming an executor."""
        self._attached: list[Attached] = []
        """Parts that are opened by a launch, and closed when the runtime or its process is about to end."""
        self._left_behind: Lease | None = None
        """The lock of a former launch whose blocking code still runs in a thread."""
        self._instrument: Callable[[Live], None] | None = None
        """A hook of the testing kit, called with the launched runtime before it starts."""
        tell_after_fork(self._forked)

    async def launch(self) -> None:
        """Open the database, recover runs, and start the loops. Runs of dead executors continue within a second.

        If it fails or is cancelled, it leaves no thread, lock or connection, and this runtime, or another one with its
        executor id, can be launched. Raises AlreadyLaunched, StoreInvalid for a database that cannot be used,
        StoreUnavailable for one that cannot be reached, StoreTooNew for one of a newer version of Turbine.
        """
        if self._live is not None or self._launching is not None:
            raise AlreadyLaunched("This runtime is launched already. Shut it down before you launch it again")
        self._launching = asyncio.get_running_loop().create_future()
        try:
            await self._launch()
        finally:
            launching, self._launching = self._launching, None
            launching.set_result(None)

    async def _launch(self) -> None:
        if self._was_launched and self.config.executor_id is None:
            self._executor_id = None
        if self._left_behind is not None:  # its runs are recovered by this launch
            self._left_behind.drop_lock()
            self._left_behind = None
        if self.config.switch_interval is not None:
            sys.setswitchinterval(self.config.switch_interval)
        config = self.config
        abandoned = threading.Event()
        store = await made_in_thread(
            lambda: open_store(self.database, pooler=config.pooler, listen_url=config.listen_url, abandoned=abandoned),
            _close_at_once,
            patience=UNWIND,
            give_up=abandoned.set,
        )
        runtime: Any = self
        try:
            live = Live(runtime, store)
            if self._instrument is not None:
                self._instrument(live)
        except BaseException:
            await in_thread(_close_at_once, store)
            raise
        self._draining = self._was_forked = False
        self._was_launched = True
        await (live.observe() if self._is_observer else live.start())
        self._live = live
        _launched.add(self)
        for attached in self._attached:
            attached.open()
        if self.config.handle_signals:
            SIGNALS.listen()
            SIGNALS.watch(live)

    async def shutdown(self) -> None:
        """Shut down in good order: nothing new starts, running steps may finish, waiting runs are parked at once.

        After `shutdown_timeout` the rest is interrupted: these runs stay PENDING, their attempts are not counted, and
        they continue with the next launch here or elsewhere. Calls that are still running then raise ShuttingDown. It
        returns within `shutdown_timeout` and a few seconds for closing, also when the database is unavailable.
        Idempotent; may be called from any event loop.
        """
        if self._launching is not None and self._launching.get_loop() is asyncio.get_running_loop():
            await asyncio.wait({self._launching})
        if self._live is not None:
            await self._end(self._live, self.config.shutdown_timeout.total_seconds())

    async def _end(self, live: Live, seconds: float) -> None:
        """Shuts a launch down, from any event loop; a second call waits for the first one."""
        loop = live.app.loop
        if loop is asyncio.get_running_loop():
            self._draining = True
            if live.stopping is None:
                live.stopping = asyncio.ensure_future(self._stop(live, seconds))
            await asyncio.shield(live.stopping)
        elif loop.is_running():
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._end(live, seconds), loop))
        elif self._live is live:  # its loop has ended before it, and with it the tasks that could end in good order
            self._live, self._draining = None, True
            await in_thread(live.leave)
            SIGNALS.unwatch(live)

    async def _stop(self, live: Live, seconds: float) -> None:
        try:
            await live.stop(seconds)
        finally:
            if live.is_stuck:
                self._left_behind = live.lease
            if self._live is live:
                self._live = None
            SIGNALS.unwatch(live)

    async def run_until_signal(self) -> None:
        """Run until SIGTERM or SIGINT, then shut down, and return: `asyncio.run(rt.run_until_signal())`.

        Launches the runtime unless it is launched already, as in `async with rt: await rt.run_until_signal()`. Also
        returns when the runtime is shut down by other means. Other signal handlers are called, too, and all are
        restored when it returns. Raises what `launch` raises, and RuntimeError outside of the main thread.
        """
        loop, received = asyncio.get_running_loop(), asyncio.Event()
        with SIGNALS.caught(lambda: loop.call_soon_threadsafe(received.set)):
            if self._live is None:
                await self.launch()
            assert self._live is not None
            ends = [asyncio.ensure_future(received.wait()), asyncio.ensure_future(self._live.wait_over())]
            try:
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for end in ends:
                    end.cancel()
                await self.shutdown()

    def _forked(self) -> None:
        """Forgets the launch of the parent in a forked child, which keeps only the declarations."""
        self._was_forked = self._was_forked or self._live is not None or self._launching is not None
        self._live = self._launching = self._left_behind = None
        self._draining = False
        if self.config.executor_id is None:
            self._executor_id = None

    async def _die(self) -> None:
        """Ends the launch as kill -9 would: nothing is written any more. The runtime may be launched again."""
        live, self._live = self._live, None
        if live is not None:
            SIGNALS.unwatch(live)
            await live.die()

    async def __aenter__(self) -> Self:
        await self.launch()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.shutdown()

    @property
    def executor_id(self) -> str:
        """The configured executor id, else a new one for each start of the process."""
        if self._executor_id is None:
            self._executor_id = f"{socket.gethostname()}-{os.getpid()}-{new_id()}"
        return self._executor_id

    @property
    def application_id(self) -> str:
        """The configured application id."""
        return self.config.application_id

    @property
    def application_version(self) -> str:
        """The configured version, else a hash over the source of the registered workflows."""
        if self._live is not None:
            return self._live.app.application_version
        return self.config.application_version or self._registry.version()

    @property
    def is_launched(self) -> bool:
        """Whether the runtime is launched and no shutdown has begun."""
        return self._live is not None and not self._draining

    @property
    def is_draining(self) -> bool:
        """Whether a shutdown has begun since the last launch."""
        return self._draining

    def _app(self) -> App:
        if self._live is None:
            if self._was_forked:
                raise ForkedProcess
            if self._draining:
                raise ShuttingDown("This runtime was shut down. Launch it again before you use it")
            raise TurbineError(
                "This runtime is not launched. Use `async with Runtime(...)` or `await rt.launch()` first"
            )
        return self._live.app

    async def _in_loop(self, act: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Runs a coroutine function in the event loop that launched the runtime, from any event loop."""
        return await self._app().in_loop(act)


_launched: weakref.WeakSet[Lifecycle] = weakref.WeakSet()


async def shut_all_down() -> None:
    """Shuts down every launched runtime of this process at once, each in its own event loop."""
    await asyncio.gather(*(runtime.shutdown() for runtime in list(_launched)))


def _close_at_once(store: Store) -> None:
    store.close(seconds=UNWIND)
