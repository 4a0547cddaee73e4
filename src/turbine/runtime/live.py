"""A launched runtime: its store, its loops, and what is being carried out."""

from __future__ import annotations

import asyncio
import logging
from contextvars import copy_context
from typing import TYPE_CHECKING

from turbine.actions import triggers
from turbine.actions.schedules import sync_declared
from turbine.clock import span_ms, to_datetime
from turbine.engine.payloads import Payloads
from turbine.engine.port import Port
from turbine.engine.threads import Threads
from turbine.loops.courier import Courier
from turbine.loops.duty import Duty
from turbine.loops.garbage import Sweeper
from turbine.loops.indexer import Indexer
from turbine.loops.lease import Lease
from turbine.loops.letters import Letters
from turbine.loops.logs import Scribe
from turbine.loops.pulse import Pulse
from turbine.loops.queues import QueueClaimer
from turbine.loops.recovery import Recovery
from turbine.loops.runner import Runner
from turbine.loops.scheduler import Scheduler
from turbine.loops.surveyor import LOOK, Surveyor
from turbine.loops.timers import Timers
from turbine.model.workflows import Event, WorkflowStatus
from turbine.senders import Way
from turbine.senders.alert import AlertWay
from turbine.senders.products import ProductSender, ProductWay
from turbine.senders.storages import Storages
from turbine.senders.webhook import WebhookWay
from turbine.store import Store
from turbine.store.tx import Wake
from turbine.tables import queues as queue_table
from turbine.tables import workflows as workflow_table
from turbine.wake import Wakes

if TYPE_CHECKING:
    from turbine.runtime.runtime import Runtime

log = logging.getLogger("turbine")

LOOK_INTERVAL = 0.02
"""Seconds between looks at everything while other processes commit all the time."""
UNWIND = 2.0
"""Seconds that interrupted bodies get to end."""


class Live:
    """A launched runtime: its store, its loops, and what is being carried out."""

    def __init__(self, runtime: Runtime, store: Store) -> None:
        config = runtime.config
        self.store = store
        self.stopping: asyncio.Future[None] | None = None
        loop = asyncio.get_running_loop()
        wakes = Wakes()
        clock = runtime._clock  # pyright: ignore[reportPrivateUsage]
        self.scribe = Scribe(store, clock, loop, runtime.executor_id)
        self.port = Port(
            runtime=runtime,
            config=config,
            registry=runtime._registry,  # pyright: ignore[reportPrivateUsage]
            store=store,
            clock=clock,
            loop=loop,
            context=copy_context(),
            threads=Threads(config.max_threads),
            payloads=Payloads(config.payload_max, config.codec),
            probe=runtime._probe,  # pyright: ignore[reportPrivateUsage]
            wakes=wakes,
            logger=config.logger or logging.getLogger("turbine.run"),
            executor_id=runtime.executor_id,
            application_version=runtime.application_version,
            park_after_ms=span_ms(config.park_after),
            # The runner is made of this port, so it is looked up when it is called.
            paused=lambda execution, by_itself: self.runner.paused(execution, by_itself),  # noqa: PLW0108
            adopt=lambda claimed, definition: self.runner.adopt(claimed, definition),  # noqa: PLW0108
            expect=lambda entered: self.runner.expect(entered),  # noqa: PLW0108
            held=lambda workflow_id: self.runner.by_id.get(workflow_id),  # noqa: PLW0108
            is_draining=lambda: runtime.is_draining,
            logbook=self.scribe,
            storages=Storages(store, config.product_storage),
            app=runtime.app,
        )
        self._webhooks = WebhookWay(store, clock, config, self.port.payloads.open)
        self._alerts = AlertWay(store, clock, self.port.payloads.open)
        self.ways: dict[str, Way] = {"webhook": self._webhooks, "alert": self._alerts}
        """How each kind of delivery leaves this process; what has no way here is left to others."""
        self._set_product_way(runtime.product_sender)
        self.courier = Courier(self.port, self.ways)
        self.runner = Runner(self.port)
        self.pulse = Pulse(loop, self.port.threads)
        self.lease = Lease(
            store,
            runtime.executor_id,
            lease_ms=span_ms(config.lease),
            application_id=config.application_id,
            version=runtime.application_version,
            names=self.port.registry.names(),
            vitals=self.pulse.take,
        )
        recovery = Recovery(self.port, self.lease, self.runner, config.lease.total_seconds())
        self.recovery = Duty("recovery", recovery.tick, clock, slow_poll=0.5)
        self.timers = Duty("timers", Timers(self.port, self.runner).tick, clock)
        self.letters = Duty("letters", Letters(self.port, self.runner).tick, clock)
        self._scheduler = Scheduler(self.port)
        self.schedules = Duty("scheduler", self._scheduler.tick, clock)
        garbage = Duty("garbage", Sweeper(self.port, runtime.garbage_collect).tick, clock)
        self.watch = Duty("step watch", self.runner.show_long_steps, clock, slow_poll=0.5)
        self._duties = (self.recovery, self.timers, self.letters, self.watch, self.schedules, garbage, self.scribe.duty)
        indexer = Duty("indexer", Indexer(self.port).tick, clock)
        surveyor = Duty("surveyor", Surveyor(self.port).tick, clock, slow_poll=LOOK)
        self._duties = (*self._duties, self.courier.duty, indexer, surveyor)
        self._first_look = recovery.tick
        self._looked_at = 0.0
        self._next_look: asyncio.TimerHandle | None = None
        declared = runtime._queues  # pyright: ignore[reportPrivateUsage]
        listened = runtime._listened  # pyright: ignore[reportPrivateUsage]
        self._declared = list(declared.values())
        self.claimers = {
            name: QueueClaimer(self.port, self.runner, name)
            for name in declared
            if listened is None or name in listened
        }

    def only_look(self) -> None:
        """Before the start, for whoever only looks in: send nothing, and leave garbage and measuring to the others.

        His network and his settings are not the application's.
        """
        self.ways.clear()
        self._duties = tuple(duty for duty in self._duties if duty.name not in ("garbage", "surveyor"))

    def set_product_sender(self, sender: ProductSender | None) -> None:
        """Send products this way from now on, or leave them to other processes. From any thread."""

        def set_way() -> None:
            self._set_product_way(sender)
            self.courier.duty.call()

        self.port.loop.call_soon_threadsafe(set_way)

    def _set_product_way(self, sender: ProductSender | None) -> None:
        if sender is None:
            self.ways.pop("product", None)
        else:
            self.ways["product"] = ProductWay(self.store, self.port.storages, self.port.payloads.open, sender)

    async def start(self) -> None:
        await asyncio.to_thread(self.lease.take)
        self.store.listen(self.port.loop, self.port.executor_id, self._heard)
        await self.store.write(queue_table.declare, queues=self._declared, now_ms=self.port.clock.now_ms())
        await self._first_look()
        await self.store.write(
            workflow_table.retry_set_aside, names=self.port.registry.names(), now_ms=self.port.clock.now_ms()
        )
        await triggers.mirror(self.port)
        await sync_declared(self.port)
        self.scribe.open(self.port.logger)
        self.pulse.start()
        for duty in self._duties:
            duty.start()
        for claimer in self.claimers.values():
            claimer.duty.start()

    def _heard(self, wakes: list[Wake]) -> None:
        """Pass wakes on to whoever sleeps. They are hints: each of these looks at the rows itself."""
        self.port.wakes.publish("commit", None)
        for kind, key in wakes:
            match kind:
                case "wait":
                    self.runner.nudge(key[0], key[1])
                case "cancelled":
                    if self.runner.cancelled(*key):
                        self.store.post(workflow_table.take_letters_of, (key[0], key[1]))
                case "due" | "deadline":
                    self.timers.call_at(key)
                case "done":
                    self.port.wakes.publish("done", key[0])
                    self._tell(key[0], key[1], WorkflowStatus(key[2]))
                case "status":
                    self._tell(key[0], key[1], WorkflowStatus(key[2]))
                case "schedule":
                    self.schedules.call()
                case "value":
                    self.port.wakes.publish("value", tuple(key))
                case "delivery" | "delivered":
                    self.courier.heard(kind, key)
                case "queue":
                    if key in self.claimers:
                        self.claimers[key].call()
                case "everything":
                    self._look_everywhere_soon()
                case _:
                    log.debug("A wake of an unknown kind was heard: %s", kind)

    def _look_everywhere_soon(self) -> None:
        """Another process has committed something. Look now, or soon after the last look while it goes on and on."""
        if self._next_look is None:
            now = self.port.loop.time()
            left = self._looked_at + LOOK_INTERVAL - now
            self._next_look = self.port.loop.call_later(max(0.0, left), self._look_everywhere)

    def _look_everywhere(self) -> None:
        self._next_look = None
        self._looked_at = self.port.loop.time()
        for claimer in self.claimers.values():
            claimer.duty.call()
        self.letters.call()
        self.timers.call()
        self.courier.duty.call()
        self.port.wakes.publish_all(("done", "value", "delivered"))

    def _tell(self, workflow_id: str, name: str, status: WorkflowStatus) -> None:
        probe = self.port.probe
        if probe.listeners:
            now = to_datetime(self.port.clock.now_ms())
            probe.tell(Event(f"workflow.{status}", workflow_id, name, status, None, now))

    async def stop(self, seconds: float) -> None:
        """Drain, then interrupt, then close."""
        await self.timers.stop()
        for claimer in self.claimers.values():
            await claimer.duty.stop()
        self.runner.park_idle()
        is_empty = await self.runner.wait_empty(seconds)
        if not is_empty:
            self.runner.interrupt()
            is_empty = await self.runner.wait_empty(UNWIND)
        await self.courier.stop()
        await self._webhooks.close()
        await self._alerts.close()
        self.pulse.stop()
        for duty in self._duties:
            await duty.stop()
        self.scribe.close()
        self.port.threads.close()
        if is_empty:
            await asyncio.to_thread(self.lease.give_up)
        else:
            # A thread still runs a step of ours. The lock file stays held until it or the process ends.
            log.warning("%s runs did not end in time; they are recovered later", len(self.runner.executions))
            await asyncio.to_thread(self.lease.stop)
        await asyncio.to_thread(self.store.close)

    @property
    def duties(self) -> tuple[Duty, ...]:
        """All loops of this runtime."""
        return *self._duties, *(claimer.duty for claimer in self.claimers.values())

    @property
    def is_at_rest(self) -> bool:
        """Whether no loop does anything or was called; what runs is not looked at."""
        is_calm = self._next_look is None and not self.courier.is_busy
        return is_calm and all(duty.is_resting for duty in self.duties)

    async def die(self) -> None:
        """End as a killed process does: nothing is written or told any more, and the rest is for whoever comes next.

        For the testing kit. Its own threads cannot be killed: code of users that runs in one goes on until its next
        durable word, which refuses.
        """
        await asyncio.to_thread(self.store.die)
        self.pulse.stop()
        for duty in self.duties:
            duty.drop()
        self.scribe.drop()
        if self._next_look is not None:
            self._next_look.cancel()
        await self.courier.die()
        await self._webhooks.close()
        await self._alerts.close()
        await self.runner.die()
        self.port.threads.close()
        await asyncio.to_thread(self.lease.die)

    async def wait_idle(self) -> None:
        calm = 0
        claiming = (self.timers, self.schedules, *(claimer.duty for claimer in self.claimers.values()))
        while calm < 2:
            await asyncio.sleep(0.002)
            executions = list(self.runner.executions.values())
            if self.store.depth or not all(execution.is_idle for execution in executions):
                calm = 0
                continue
            # One that was called, or is at it, may have a run in its hands that is in no memory yet.
            if not (self.port.is_draining() or all(duty.is_resting for duty in claiming)):
                calm = 0
                continue
            if not await self.courier.is_idle():
                calm = 0
                continue
            names = self.port.registry.names()
            due_ms = await self.store.read(workflow_table.next_due, names=names, executor=self.port.executor_id)
            now_ms = self.port.clock.now_ms()
            if due_ms is not None and due_ms <= now_ms:
                self.timers.call()
                calm = 0
                continue
            if await self._scheduler.has_due():
                self.schedules.call()
                calm = 0
                continue
            dues = (w.due_ms for e in executions for w in e.waits.values() if w.due_ms is not None)
            calm = 0 if any(due <= now_ms for due in dues) else calm + 1
