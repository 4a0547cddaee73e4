"""What the engine needs of the world, given to it by the runtime."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from turbine.clock import Clock
from turbine.config import Config
from turbine.engine.logs import Logbook
from turbine.engine.payloads import Payloads
from turbine.engine.threads import Threads
from turbine.model.products import ProductStorages
from turbine.probe import Probe
from turbine.registry import Registry, StepDefinition, WorkflowDefinition
from turbine.store import Store
from turbine.tables.workflows import Claimed
from turbine.wake import Wakes

if TYPE_CHECKING:
    from turbine.engine.execution import Execution


@dataclass(slots=True)
class Port:
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
    logbook: Logbook
    """Keeps what bodies and steps log."""
    storages: ProductStorages
    begun: Callable[[Execution, str, StepDefinition, int], None] | None = None
    """Hears, with position and attempt, that the body of a step is about to run; the testing kit counts them."""
    app: Any = None
    busy_steps: dict[tuple[Execution, str], tuple[int, Callable[[], None]]] = field(
        default_factory=dict["tuple[Execution, str]", "tuple[int, Callable[[], None]]"]
    )
    """Steps whose body runs: since when, and what notes that for those who look."""
