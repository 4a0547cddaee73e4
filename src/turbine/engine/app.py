"""The runtime as the engine, the operations and the loops see it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, TypeVar

from turbine.clock import Clock
from turbine.config import Config
from turbine.engine.logs import LogSink
from turbine.engine.open_calls import OpenCalls
from turbine.engine.payloads import Payloads
from turbine.engine.results import RunReader
from turbine.errors import ShuttingDown, TurbineError
from turbine.model.products import ProductStorages
from turbine.model.workflows import CodeLine
from turbine.probe import Probe
from turbine.registry import Registry, StepDefinition, WorkflowDefinition
from turbine.registry.scope import CodePlace
from turbine.store import Store
from turbine.tables.runs import Claimed
from turbine.threads import Threads
from turbine.wake import Wakes

T = TypeVar("T")


@dataclass(slots=True)
class App:
    """One launched runtime: what it is made of, and as callables what it needs from the layers above."""

    user_runtime: Any
    """The `Runtime` of the user, for `turbine.current().runtime`."""
    config: Config
    registry: Registry
    store: Store
    clock: Clock
    loop: asyncio.AbstractEventLoop
    context: Context
    """The context variables of the launch; every run starts with a copy."""
    threads: Threads
    """Threads for the code of users."""
    io: Threads
    """Threads for blocking file access of Turbine itself."""
    payloads: Payloads
    probe: Probe
    wakes: Wakes
    logger: logging.Logger
    executor_id: str
    application_version: str
    park_after_ms: int
    run_reader: RunReader
    adopt: Callable[[Claimed, WorkflowDefinition], object]
    """Carries out a run that was just started for this executor."""
    expect: Callable[[asyncio.Future[Any]], None]
    """Registers a write in flight that may start such a run; a shutdown waits for it."""
    code_location: Callable[[str], list[CodeLine] | None]
    """Where the code of a run stands; None when this process does not carry it out."""
    has_product_sender: Callable[[], bool]
    is_draining: Callable[[], bool]
    holds_lease: Callable[[], bool]
    """Whether the lease was renewed in time: if not, nothing can be written, and others may take over the runs."""
    is_torn_down: Callable[[], bool]
    """Whether the event loop ends without a shutdown: it then cancels every task, those of runs included."""
    open_calls: OpenCalls
    log_sink: LogSink
    """Stores what bodies and steps log."""
    storages: ProductStorages
    on_step_begin: Callable[[str, str, StepDefinition, int], None] | None = None
    """Called with workflow id, position, step and attempt before the body of a step runs; for the testing kit."""
    asgi_app: Any = None
    warned: set[CodePlace] = field(default_factory=set["CodePlace"])
    """Places in user code for which a warning was issued."""
    busy_steps: dict[tuple[int, str], tuple[int, Callable[[], None]]] = field(
        default_factory=dict["tuple[int, str]", "tuple[int, Callable[[], None]]"]
    )
    """Steps whose body runs, by run and position: since when, and a callable that writes their start."""

    async def in_loop(self, act: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a call from outside of runs in the loop that launched the runtime, whichever loop the caller is in.

        Raises ShuttingDown when the runtime closes before the call has ended.
        """
        if asyncio.get_running_loop() is self.loop:
            return await self.open_calls.run(act)
        return await asyncio.wrap_future(self.ask(self.open_calls.run(act)))

    def block_on(self, act: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the loop that launched the runtime, and block this thread until it ends.

        Raises ForkedProcess in a forked child, which has no such loop.
        """
        return self.ask(act).result()

    def ask(self, act: Coroutine[Any, Any, T]) -> Future[T]:
        """Submit a coroutine to the loop that launched the runtime. Raises ForkedProcess, ShuttingDown."""
        try:
            self.store.check_process()
            return asyncio.run_coroutine_threadsafe(act, self.loop)
        except RuntimeError:
            act.close()
            raise ShuttingDown("The event loop in which this runtime was launched has ended; launch it again") from None
        except TurbineError:
            act.close()
            raise
