"""A launched runtime: its store, its loops, and what is being carried out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from concurrent.futures import Future
from contextvars import copy_context
from typing import TYPE_CHECKING

from turbine.clock import span_ms, to_datetime
from turbine.delivery import Transport
from turbine.delivery.alert import AlertTransport
from turbine.delivery.products import ProductSender, ProductTransport
from turbine.delivery.storages import Storages
from turbine.delivery.webhook import WebhookTransport
from turbine.engine.app import App
from turbine.engine.open_calls import OpenCalls
from turbine.engine.payloads import Payloads
from turbine.errors import TurbineError
from turbine.forking import keep_for_ever, tell_after_fork
from turbine.loops.cancellation_listener import CancellationListener
from turbine.loops.delivery_worker import AT_ONCE, DeliveryWorker
from turbine.loops.garbage_collector import GarbageCollector
from turbine.loops.heartbeat import Heartbeat
from turbine.loops.indexer import Indexer
from turbine.loops.lease import Lease
from turbine.loops.log_writer import LogWriter
from turbine.loops.loop import BACKOFF_MAX, Loop, stop_together
from turbine.loops.queues import QueueClaimer
from turbine.loops.recovery import Recovery
from turbine.loops.runner import Runner
from turbine.loops.scheduler import Scheduler
from turbine.loops.size_sampler import LOOK, SizeSampler
from turbine.loops.timers import Timers
from turbine.model.workflows import Event, WorkflowStatus
from turbine.operations import triggers
from turbine.operations.schedules import sync_declared
from turbine.registry import threads
from turbine.store import Store, Tx
from turbine.store.tx import Wake
from turbine.tables import queues as queue_table
from turbine.tables import runs as run_table
from turbine.threads import Threads, in_thread, made_in_thread, unbroken
from turbine.wake import Wakes

if TYPE_CHECKING:
    from turbine.runtime.runtime import Runtime

log = logging.getLogger("turbine")

LOOK_INTERVAL = 0.02
"""Seconds between looks at everything while other processes commit all the time."""
UNWIND = 2.0
"""Seconds beyond `shutdown_timeout` that interrupted bodies get to end, and once more that closing may take."""
IO_THREADS = 16
TURNS = 10
"""Turns of the event loop that an answer takes until the call that asked for it has ended, at most."""
ANSWER = 1.0
"""Seconds that a closing runtime waits for the answers to what was asked before."""


class Live:
    """A launched runtime: its store, its loops, and what is being carried out."""

    def __init__(self, runtime: Runtime, store: Store) -> None:
        config = runtime.config
        self.store = store
        self._runtime = runtime
        self.stopping: asyncio.Future[None] | None = None
        self._started = contextlib.AsyncExitStack()
        """What was started and must be ended, the last one first."""
        self._close_by: float | None = None
        self.is_stuck = False
        """Whether blocking code was left behind in a thread; the lock file is kept for it."""
        self._is_over = asyncio.Event()
        self._guardian: asyncio.Task[None] | None = None
        self._has_left = False
        loop = asyncio.get_running_loop()
        wakes = Wakes()
        clock = runtime._clock  # pyright: ignore[reportPrivateUsage]
        self.log_writer = LogWriter(store, clock, loop, runtime.executor_id)
        self.app = App(
            runtime=runtime,
            config=config,
            registry=runtime._registry,  # pyright: ignore[reportPrivateUsage]
            store=store,
            clock=clock,
            loop=loop,
            context=copy_context(),
            threads=Threads(config.max_threads),
            io=Threads(IO_THREADS, "turbine-io"),
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
            is_draining=lambda: runtime.is_draining or self.is_torn_down,
            holds_lease=lambda: self.lease.is_held,
            is_torn_down=lambda: self.is_torn_down,
            open_calls=OpenCalls(),
            log_sink=self.log_writer,
            storages=Storages(store, config.product_storage),
            asgi_app=runtime.app,
        )
        self._sender_threads = Threads(AT_ONCE, "turbine-sender")
        self._webhooks = WebhookTransport(store, clock, config, self.app.payloads.open)
        self._alerts = AlertTransport(store, clock, self.app.payloads.open)
        self.ways: dict[str, Transport] = {"webhook": self._webhooks, "alert": self._alerts}
        """How each kind of delivery leaves this process; what has no way here is left to others."""
        self._set_product_transport(runtime.product_sender)
        self.delivery_worker = DeliveryWorker(self.app, self.ways)
        self.runner = Runner(self.app)
        self.pulse = Heartbeat(loop, self.app.threads)
        self.lease = Lease(
            store,
            runtime.executor_id,
            lease_ms=span_ms(config.lease),
            application_id=config.application_id,
            version=runtime.application_version,
            names=self.app.registry.names(),
            process_metrics=self.pulse.take,
        )
        recovery = Recovery(self.app, self.lease, self.runner, config.lease.total_seconds())
        self.recovery = Loop("recovery", recovery.tick, clock, slow_poll=0.5)
        self.timers = Loop("timers", Timers(self.app, self.runner).tick, clock)
        self.letters = Loop("letters", CancellationListener(self.app, self.runner).tick, clock)
        self._scheduler = Scheduler(self.app)
        self.schedules = Loop("scheduler", self._scheduler.tick, clock)
        garbage = Loop("garbage", GarbageCollector(self.app, runtime.garbage_collect).tick, clock)
        self.watch = Loop("step watch", self.runner.show_long_steps, clock, slow_poll=0.5)
        self._duties = (
            self.recovery,
            self.timers,
            self.letters,
            self.watch,
            self.schedules,
            garbage,
            self.log_writer.loop_task,
        )
        indexer = Loop("indexer", Indexer(self.app).tick, clock)
        surveyor = Loop("surveyor", SizeSampler(self.app).tick, clock, slow_poll=LOOK)
        self._duties = (*self._duties, self.delivery_worker.loop_task, indexer, surveyor)
        self._first_look = recovery.tick
        self._looked_at = 0.0
        self._next_look: asyncio.TimerHandle | None = None
        declared = runtime._queues  # pyright: ignore[reportPrivateUsage]
        listened = runtime._listened  # pyright: ignore[reportPrivateUsage]
        self._declared = list(declared.values())
        self.claimers = {
            name: QueueClaimer(self.app, self.runner, name) for name in declared if listened is None or name in listened
        }
        tell_after_fork(self._forked)

    def only_look(self) -> None:
        """Before the start, for whoever only looks in: send nothing, and leave garbage and measuring to the others.

        His network and his settings are not the application's.
        """
        self.ways.clear()
        self._duties = tuple(loop_task for loop_task in self._duties if loop_task.name not in ("garbage", "surveyor"))

    def set_product_sender(self, sender: ProductSender | None) -> None:
        """Send products this way from now on, or leave them to other processes. From any thread."""

        def set_way() -> None:
            self._set_product_transport(sender)
            self.delivery_worker.loop_task.call()

        self.app.loop.call_soon_threadsafe(set_way)

    def _set_product_transport(self, sender: ProductSender | None) -> None:
        if sender is None:
            self.ways.pop("product", None)
        else:
            self.ways["product"] = ProductTransport(
                self.store, self.app.storages, self.app.payloads.open, sender, self._sender_threads
            )

    async def start(self) -> None:
        """Start everything; when a part fails, or the caller is cancelled, what was started is ended again."""
        try:
            await self._start()
        except BaseException:
            await unbroken(self._started.aclose())
            raise

    async def _start(self) -> None:
        ended = self._started
        ended.push_async_callback(self._close_store)
        threads.watch()
        await made_in_thread(self.lease.take, lambda _: self.lease.give_up(UNWIND), patience=UNWIND)
        ended.push_async_callback(self._give_up_lease)
        ended.callback(self._close_threads)
        self.store.listen(self.app.loop, self.app.executor_id, self._heard, self._on_remote_wakes)
        await self.store.write(queue_table.declare, queues=self._declared, now_ms=self.app.clock.now_ms())
        await self._first_look()
        await self.store.write(
            run_table.retry_set_aside, names=self.app.registry.names(), now_ms=self.app.clock.now_ms()
        )
        await triggers.mirror(self.app)
        await sync_declared(self.app)
        ended.callback(self.log_writer.close)
        self.log_writer.open(self.app.logger)
        ended.callback(self.pulse.stop)
        self.pulse.start()
        ended.push_async_callback(self._end_calls)
        ended.push_async_callback(self._stop_loops)
        for loop_task in self.loops:
            loop_task.start()
        ended.callback(self._is_over.set)
        self._guardian = asyncio.create_task(self._guard(), name="turbine guardian")

    async def publish_code(self, name: str) -> None:
        """Tell the database that the code of a workflow was replaced here, and try what was set aside of it again."""
        try:
            await triggers.mirror(self.app)
            await sync_declared(self.app)
            now_ms = self.app.clock.now_ms()
            await self.store.write(run_table.retry_set_aside, names=[name], now_ms=now_ms)
        except Exception as error:
            log.warning("The new code of workflow %r counts here, but the database does not know it: %s", name, error)
            raise

    def _heard(self, wakes: list[Wake]) -> None:
        """Pass wakes on to whoever sleeps. They are hints: each of these looks at the rows itself."""
        self.app.wakes.publish("commit", None)
        for kind, key in wakes:
            match kind:
                case "wait":
                    self.runner.nudge(key[0], key[1])
                case "cancelled":
                    if self.runner.cancelled(*key):
                        self.store.post(run_table.acknowledge_cancellation, (key[0], key[1]))
                case "due" | "deadline":
                    self.timers.call_at(key)
                case "done":
                    self.app.wakes.publish("done", key[0])
                    self._tell(key[0], key[1], WorkflowStatus(key[2]))
                case "status":
                    self._tell(key[0], key[1], WorkflowStatus(key[2]))
                case "schedule":
                    self.schedules.call()
                case "value":
                    self.app.wakes.publish("value", tuple(key))
                case "delivery" | "delivered":
                    self.delivery_worker.heard(kind, key)
                case "queue":
                    if key in self.claimers:
                        self.claimers[key].call()
                case "everything":
                    self._look_everywhere_soon()
                case _:
                    log.debug("A wake of an unknown kind was heard: %s", kind)

    def _on_remote_wakes(self, wakes: list[Wake]) -> None:
        """The same for wakes of other processes, which are hints: that a run was cancelled is read from its row."""
        own = [wake for wake in wakes if wake[0] != "cancelled"]
        if len(own) < len(wakes):
            self.letters.call()
        self._heard(own)

    def _look_everywhere_soon(self) -> None:
        """Another process has committed something. Look now, or soon after the last look while it goes on and on."""
        if self._next_look is None:
            now = self.app.loop.time()
            left = self._looked_at + LOOK_INTERVAL - now
            self._next_look = self.app.loop.call_later(max(0.0, left), self._look_everywhere)

    def _look_everywhere(self) -> None:
        self._next_look = None
        self._looked_at = self.app.loop.time()
        for claimer in self.claimers.values():
            claimer.loop_task.call()
        self.letters.call()
        self.timers.call()
        self.delivery_worker.loop_task.call()
        self.app.wakes.publish_all(("done", "value", "delivered"))

    def _tell(self, workflow_id: str, name: str, status: WorkflowStatus) -> None:
        probe = self.app.probe
        if probe.listeners:
            now = to_datetime(self.app.clock.now_ms())
            probe.tell(Event(f"workflow.{status}", workflow_id, name, status, None, now))

    async def stop(self, seconds: float) -> None:
        """Drain, then interrupt, then close: within this time and twice `UNWIND`, whatever is away or hangs."""
        until = self.app.loop.time() + seconds
        self._close_by = until + 2 * UNWIND
        self.tell_ending()
        try:
            await stop_together(
                (self.timers, *(claimer.loop_task for claimer in self.claimers.values())), seconds + UNWIND
            )
            self.runner.park_idle()
            await self.runner.wait_empty(until - self.app.loop.time())
        finally:  # also when this is broken off itself, because the event loop ends
            self._close_by = min(self._close_by, self.app.loop.time() + 2 * UNWIND)
            await self._close()

    async def _close(self) -> None:
        self.runner.interrupt()
        try:
            await self.runner.wait_empty(UNWIND)
            self.is_stuck = await self.runner.abandon(self._left() / 2)
        finally:
            await self._started.aclose()

    async def _end_calls(self) -> None:
        with contextlib.suppress(TurbineError, TimeoutError):  # a database that is away answers no open call either
            async with asyncio.timeout(min(ANSWER, self._left())):
                await self.store.write(_nothing)  # the calls whose writes have entered get their answers
        for _ in range(TURNS):
            await asyncio.sleep(0)
        self.app.open_calls.close()
        self.app.probe.end()

    def _left(self) -> float:
        """Seconds that closing may still take."""
        if self._close_by is None:
            self._close_by = self.app.loop.time() + UNWIND
        return max(0.0, self._close_by - self.app.loop.time())

    async def _stop_loops(self) -> None:
        seconds = min(BACKOFF_MAX, self._left() / 2)
        others = [loop_task for loop_task in self.loops if loop_task is not self.delivery_worker.loop_task]
        await asyncio.gather(self.delivery_worker.stop(seconds), stop_together(others, seconds))
        await self._webhooks.close()
        await self._alerts.close()

    async def _give_up_lease(self) -> None:
        if self.is_stuck:
            # The lock file stays held until this process ends, or is launched again.
            log.warning("Blocking code did not end in time; its runs go on elsewhere when this process has ended")
            await in_thread(self.lease.stop, self._left())
        else:
            await in_thread(self.lease.give_up, self._left())

    async def _close_store(self) -> None:
        await in_thread(self.store.close, seconds=self._left())

    def _close_threads(self) -> None:
        for pool in (self.app.threads, self.app.io, self._sender_threads):
            pool.close()

    async def _guard(self) -> None:
        """Shut down in good order when the event loop ends first: `asyncio.run` cancels every task then, this one too.

        The runs whose tasks it cancels with it are interrupted, which is no outcome of theirs.
        """
        try:
            await self._is_over.wait()
        except asyncio.CancelledError:
            if self._has_left:
                raise
            await asyncio.sleep(0)  # who was cancelled inside of `async with` begins the shutdown itself
            await self._runtime._end(self, 0.0)  # pyright: ignore[reportPrivateUsage]
            raise

    @property
    def is_torn_down(self) -> bool:
        """Whether the event loop ends without a shutdown."""
        return self._guardian is not None and self._guardian.cancelling() > 0

    # The process is told to end

    def tell_ending(self) -> None:
        """Close what is held open for others. From any thread."""
        for one in self._runtime._attached:  # pyright: ignore[reportPrivateUsage]
            one.close()

    def drain(self) -> Future[None]:
        """Shut down in good order. From any thread; done at once when the event loop has ended, or stands still."""
        done: Future[None] = Future()
        if not self.app.loop.is_running():
            done.set_result(None)
            return done
        ending = self._runtime.shutdown()
        try:
            return asyncio.run_coroutine_threadsafe(ending, self.app.loop)
        except RuntimeError:
            ending.close()
            done.set_result(None)
            return done

    @property
    def patience(self) -> float:
        """Seconds that draining takes, at most."""
        return self.app.config.shutdown_timeout.total_seconds() + 2 * UNWIND

    @property
    def is_hosted(self) -> bool:
        """Whether the server that launched this shuts it down."""
        return self._runtime._is_hosted  # pyright: ignore[reportPrivateUsage]

    async def wait_over(self) -> None:
        """Until a shutdown has come to its end."""
        await self._is_over.wait()

    def leave(self) -> None:
        """Let go of everything that others wait for, when the event loop of this runtime has ended already."""
        self._has_left = True
        self.log_writer.drop()
        self._close_threads()
        self.lease.give_up(UNWIND)
        self.store.close(seconds=UNWIND)

    def _forked(self) -> None:
        """In a forked child: this life is the parent's."""
        keep_for_ever(self)
        self.runner.forked()
        self.log_writer.forked()

    @property
    def loops(self) -> tuple[Loop, ...]:
        """All loops of this runtime."""
        return *self._duties, *(claimer.loop_task for claimer in self.claimers.values())

    @property
    def is_at_rest(self) -> bool:
        """Whether no loop does anything or was called; what runs is not looked at."""
        is_calm = self._next_look is None and not self.delivery_worker.is_busy
        return is_calm and all(loop_task.is_resting for loop_task in self.loops)

    async def die(self) -> None:
        """End as a killed process does: nothing is written or told any more, and the rest is for whoever comes next.

        For the testing kit. Its own threads cannot be killed: code of users that runs in one goes on until its next
        durable word, which refuses.
        """
        await in_thread(self.store.die)
        self._is_over.set()
        self.app.probe.end()
        self.pulse.stop()
        for loop_task in self.loops:
            loop_task.drop()
        self.log_writer.drop()
        if self._next_look is not None:
            self._next_look.cancel()
        await self.delivery_worker.die()
        await self._webhooks.close()
        await self._alerts.close()
        await self.runner.die()
        self._close_threads()
        await in_thread(self.lease.die)

    async def wait_idle(self) -> None:
        calm = 0
        claiming = (self.timers, self.schedules, *(claimer.loop_task for claimer in self.claimers.values()))
        while calm < 2:
            await asyncio.sleep(0.002)
            executions = list(self.runner.executions.values())
            if self.store.depth or not all(execution.is_idle for execution in executions):
                calm = 0
                continue
            # One that was called, or is at it, may have a run in its hands that is in no memory yet.
            if not (self.app.is_draining() or all(loop_task.is_resting for loop_task in claiming)):
                calm = 0
                continue
            if not await self.delivery_worker.is_idle():
                calm = 0
                continue
            names = self.app.registry.names()
            due_ms = await self.store.read(run_table.next_due, names=names, executor=self.app.executor_id)
            now_ms = self.app.clock.now_ms()
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


def _nothing(tx: Tx) -> None:
    """Write nothing: what counts is that it comes after all that has entered."""
