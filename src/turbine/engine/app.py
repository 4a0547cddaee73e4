"""What the engine needs of the world, given to it by the runtime."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextvars import Context
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from turbine.clock import Clock
from turbine.config import Config
from turbine.engine.logs import LogSink
from turbine.engine.open_calls import OpenCalls
from turbine.engine.payloads import Payloads
from turbine.errors import ShuttingDown, TurbineError
from turbine.model.products import ProductStorages
from turbine.probe import Probe
from turbine.registry import Registry, StepDefinition, WorkflowDefinition
from turbine.registry.threads import CodePlace
from turbine.store import Store
from turbine.tables.runs import Claimed
from turbine.threads import Threads
from turbine.wake import Wakes

if TYPE_CHECKING:
    from turbine.engine.execution import Execution

T = TypeVar("T")


@dataclass(slots=True)
class App:
    """One runtime as the engine sees it."""

    runtime: Any
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
    """Threads for our own blocking work with files."""
    payloads: Payloads
    probe: Probe
    wakes: Wakes
    logger: logging.Logger
    executor_id: str
    application_version: str
    park_after_ms: int
    paused: Callable[[Execution, bool], None]
    """Hears that an execution has nothing to do but wait, and whether it is the caller who waits."""
    adopt: Callable[[Claimed, WorkflowDefinition], Execution]
    """Carries out a run that was just started for this executor."""
    expect: Callable[[asyncio.Future[Any]], None]
    """Hears of a write in flight that may start such a run: a shutdown waits for it."""
    held: Callable[[str], Execution | None]
    """The execution of a run that this process carries out now."""
    is_draining: Callable[[], bool]
    holds_lease: Callable[[], bool]
    """Whether the lease was renewed in time: if not, nothing can be written, and others may take over the runs."""
    is_torn_down: Callable[[], bool]
    """Whether the event loop ends without a shutdown: it cancels every task then, the runs' among them."""
    open_calls: OpenCalls
    log_sink: LogSink
    """Keeps what bodies and steps log."""
    storages: ProductStorages
    begun: Callable[[Execution, str, StepDefinition, int], None] | None = None
    """Hears, with position and attempt, that the body of a step is about to run; the testing kit counts them."""
    asgi_app: Any = None
    warned: set[CodePlace] = field(default_factory=set["CodePlace"])
    """Where code of users was warned of what it does."""
    busy_steps: dict[tuple[Execution, str], tuple[int, Callable[[], None]]] = field(
        default_factory=dict["tuple[Execution, str]", "tuple[int, Callable[[], None]]"]
    )
    """Steps whose body runs: since when, and what notes that for those who look."""

    async def in_loop(self, act: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Carry out a call from outside in the loop that launched the runtime, whichever loop asks.

        Raises ShuttingDown when the runtime closes before the call has ended.
        """
        if asyncio.get_running_loop() is self.loop:
            return await self.open_calls.run(act)
        asked = self.ask(self.open_calls.run(act))
        return await asyncio.wrap_future(asked)

    def block_on(self, act: Coroutine[Any, Any, T]) -> T:
        """Carry out a coroutine in the loop that launched the runtime, for a thread that waits for it.

        Raises ForkedProcess in a forked child, where that loop is not.
        """
        return self.ask(act).result()

    def ask(self, act: Coroutine[Any, Any, T]) -> Future[T]:
        """Have a coroutine run in the loop that launched the runtime. Raises ForkedProcess, ShuttingDown."""
        try:
            self.store.check_process()
            return asyncio.run_coroutine_threadsafe(act, self.loop)
        except RuntimeError:
            act.close()
            raise ShuttingDown("The event loop in which this runtime was launched has ended; launch it again") from None
        except TurbineError:
            act.close()
            raise
