"""A launched runtime: its store, its loops, and what is being carried out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from concurrent.futures import Future
from contextvars import copy_context
from typing import Any, cast

from turbine.clock import span_ms, to_datetime
from turbine.delivery import Transport
from turbine.delivery.alert import AlertTransport
from turbine.delivery.products import ProductSender, ProductTransport
from turbine.delivery.storages import Storages
from turbine.delivery.webhook import WebhookTransport
from turbine.engine.app import App
from turbine.engine.code_location import stack
from turbine.engine.open_calls import OpenCalls
from turbine.errors import TurbineError
from turbine.forking import keep_for_ever, tell_after_fork
from turbine.loops.cancellation_listener import CancellationListener
from turbine.loops.delivery_worker import DeliveryWorker
from turbine.loops.garbage_collector import GarbageCollector
from turbine.loops.heartbeat import Heartbeat
from turbine.loops.indexer import Indexer
from turbine.loops.lease import Lease
from turbine.loops.log_writer import LogWriter
from turbine.loops.long_step_marker import LongStepMarker
from turbine.loops.loop import BACKOFF_MAX, Loop, stop_together
from turbine.loops.queues import QueueClaimer
from turbine.loops.recovery import Recovery
from turbine.loops.runner import Runner
from turbine.loops.scheduler import Scheduler
from turbine.loops.size_sampler import SizeSampler
from turbine.loops.timers import Timers
from turbine.model.workflows import CodeLine, Event, WorkflowStatus
from turbine.operations import triggers
from turbine.operations.schedules import sync_declared
from turbine.registry import threads
from turbine.store import Store, Tx
from turbine.store.tx import Wake
from turbine.tables import queues as queue_table
from turbine.tables import runs as run_table
from turbine.threads import RuntimeThreads, in_thread, made_in_thread, unbroken
from turbine.wake import WakeKind, Wakes

log = logging.getLogger("turbine")

LOOK_INTERVAL = 0.02
"""Seconds between two rounds of all loops while other processes commit all the time."""
UNWIND = 2.0
"""Seconds beyond `shutdown_timeout` that interrupted bodies get to end; closing may take as long again."""
TURNS = 10
"""Turns of the event loop in which a call ends once it has its answer."""
ANSWER = 1.0
"""Seconds that a closing runtime waits for the answers to earlier writes."""


class Live:
    """A launched runtime: its store, its loops, and what is being carried out."""

    def __init__(self, runtime: Any, store: Store) -> None:  # a Runtime; its module imports this one
        config = runtime.config
        self.store = store
        self._runtime = runtime
        self.stopping: asyncio.Future[None] | None = None
        self._started = contextlib.AsyncExitStack()
        """The parts that were started and must be ended, the last one first."""
        self._close_by: float | None = None
        self.is_stuck = False
        """Whether blocking code was left behind in a thread; the lock file is kept for it."""
        self._is_over = asyncio.Event()
        self._guardian: asyncio.Task[None] | None = None
        self._has_left = False
        loop = asyncio.get_running_loop()
        wakes = Wakes()
        self._threads = RuntimeThreads(config.max_threads)
        clock = runtime._clock
        self.log_writer = LogWriter(store, clock, loop, runtime.executor_id)
        self.app = App(
            user_runtime=runtime,
            config=config,
            registry=runtime._registry,
            store=store,
            clock=clock,
            loop=loop,
            context=copy_context(),
            threads=self._threads.user,
            io=self._threads.io,
            payloads=runtime._run_reader.payloads,
            probe=runtime._probe,
            wakes=wakes,
            logger=config.logger or logging.getLogger("turbine.run"),
            executor_id=runtime.executor_id,
            application_version=runtime.application_version,
            park_after_ms=span_ms(config.park_after),
            run_reader=runtime._run_reader,
            # The runner is made of this app, so it is looked up when it is called.
            adopt=lambda claimed, definition: self.runner.adopt(claimed, definition),  # noqa: PLW0108
            expect=lambda entered: self.runner.expect(entered),  # noqa: PLW0108
            code_location=self._code_location,
            has_product_sender=lambda: runtime.product_sender is not None,
            is_draining=lambda: runtime.is_draining or self.is_torn_down,
            holds_lease=lambda: self.lease.is_held,
            is_torn_down=lambda: self.is_torn_down,
            open_calls=OpenCalls(),
            log_sink=self.log_writer,
            storages=Storages(store, config.product_storage),
            asgi_app=runtime.app,
        )
        self._webhooks = WebhookTransport(store, clock, config, self.app.payloads.open)
        self._alerts = AlertTransport(store, clock, self.app.payloads.open)
        self.transports: dict[str, Transport] = {"webhook": self._webhooks, "alert": self._alerts}
        """How each kind of delivery leaves this process; kinds without a transport are left to other processes."""
        self._set_product_transport(runtime.product_sender)
        self.delivery_worker = DeliveryWorker(self.app, self.transports)
        self.runner = Runner(self.app)
        self.heartbeat = Heartbeat(loop, self.app.threads)
        self.lease = Lease(
            store,
            runtime.executor_id,
            lease_ms=span_ms(config.lease),
            application_id=config.application_id,
            version=runtime.application_version,
            names=self.app.registry.names(),
            process_metrics=self.heartbeat.take,
        )
        self.recovery = Recovery(self.app, self.lease, self.runner, config.lease.total_seconds())
        self.timers = Timers(self.app, self.runner)
        self.cancellation_listener = CancellationListener(self.app, self.runner)
        self.scheduler = Scheduler(self.app)
        self._loops: tuple[Loop, ...] = (
            self.recovery,
            self.timers,
            self.cancellation_listener,
            self.scheduler,
            self.log_writer,
            self.delivery_worker,
            LongStepMarker(self.app),
            Indexer(self.app),
            GarbageCollector(self.app, runtime.garbage_collect),
            SizeSampler(self.app),
        )
        self._looked_at = 0.0
        self._next_look: asyncio.TimerHandle | None = None
        declared = runtime._queues
        listened = runtime._listened
        self._declared = list(declared.values())
        self.claimers = {
            name: QueueClaimer(self.app, self.runner, name) for name in declared if listened is None or name in listened
        }
        tell_after_fork(self._forked)

    def _code_location(self, workflow_id: str) -> list[CodeLine] | None:
        execution = self.runner.by_id.get(workflow_id)
        return None if execution is None else stack(execution)

    def set_product_sender(self, sender: ProductSender | None) -> None:
        """Send products with this sender from now on, or leave them to other processes. From any thread."""

        def set_transport() -> None:
            self._set_product_transport(sender)
            self.delivery_worker.call()

        self.app.loop.call_soon_threadsafe(set_transport)

    def _set_product_transport(self, sender: ProductSender | None) -> None:
        if sender is None:
            self.transports.pop("product", None)
        else:
            self.transports["product"] = ProductTransport(
                self.store, self.app.storages, self.app.payloads.open, sender, self._threads.senders
            )

    async def start(self) -> None:
        """Start everything. If a part fails, or the caller is cancelled, the started parts are ended again."""
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
        ended.callback(self._threads.close)
        self.store.listen(self.app.loop, self.app.executor_id, self._on_wakes, self._on_remote_wakes)
        await self.store.write(queue_table.declare, queues=self._declared, now_ms=self.app.clock.now_ms())
        await self.recovery.tick()
        await self.store.write(
            run_table.retry_set_aside, names=self.app.registry.names(), now_ms=self.app.clock.now_ms()
        )
        await triggers.mirror(self.app)
        await sync_declared(self.app)
        ended.callback(self.log_writer.close)
        self.log_writer.open(self.app.logger)
        ended.callback(self.heartbeat.stop)
        self.heartbeat.start()
        ended.push_async_callback(self._end_calls)
        ended.push_async_callback(self._stop_loops)
        for loop in self.loops:
            loop.start()
        ended.callback(self._is_over.set)
        self._guardian = asyncio.create_task(self._guard(), name="turbine guardian")

    async def observe(self) -> None:
        """Open the database without becoming an executor: no registration, no lease, no recovery, no loop.

        Reads and single changes work; the runs that they start or release are left to the executors.
        """
        self._started.push_async_callback(self._close_store)
        self._started.callback(self._threads.close)
        self._started.callback(self.app.open_calls.close)

    async def publish_code(self, name: str) -> None:
        """Publish that the code of a workflow was replaced in this process, and retry its runs that were set aside."""
        try:
            await triggers.mirror(self.app)
            await sync_declared(self.app)
            now_ms = self.app.clock.now_ms()
            await self.store.write(run_table.retry_set_aside, names=[name], now_ms=now_ms)
        except Exception as error:
            log.warning("The new code of workflow %r is in use, but the database could not be told: %s", name, error)
            raise

    def _on_wakes(self, wakes: list[Wake]) -> None:
        """Dispatch wakes. They are hints: each receiver looks at the rows itself."""
        self.app.wakes.publish(WakeKind.COMMIT, None)
        for kind, key in wakes:
            match kind:
                case WakeKind.WAIT:
                    self.runner.nudge(key[0], key[1])
                case WakeKind.CANCELLED:
                    if self.runner.cancelled(*key):
                        self.store.post(run_table.acknowledge_cancellation, (key[0], key[1]))
                case WakeKind.DUE | WakeKind.DEADLINE:
                    self.timers.call_at(key)
                case WakeKind.DONE:
                    self.app.wakes.publish(WakeKind.DONE, key[0])
                    self._publish_status(key[0], key[1], WorkflowStatus(key[2]))
                case WakeKind.STATUS:
                    self._publish_status(key[0], key[1], WorkflowStatus(key[2]))
                case WakeKind.SCHEDULE:
                    self.scheduler.call()
                case WakeKind.DELIVERY:
                    self.delivery_worker.call_at(int(key or 0))
                case WakeKind.VALUE | WakeKind.DELIVERED:
                    self.app.wakes.publish(kind, tuple(cast("list[Any]", key)) if isinstance(key, list) else key)
                case WakeKind.QUEUE:
                    if key in self.claimers:
                        self.claimers[key].claim_soon()
                case WakeKind.EVERYTHING:
                    self._call_all_soon()
                case _:
                    log.debug("Ignored a wake of an unknown kind: %s", kind)

    def _on_remote_wakes(self, wakes: list[Wake]) -> None:
        """Dispatch wakes of other processes; that a run was cancelled is read from its row."""
        others = [wake for wake in wakes if wake[0] != WakeKind.CANCELLED]
        if len(others) < len(wakes):
            self.cancellation_listener.call()
        self._on_wakes(others)

    def _call_all_soon(self) -> None:
        """Call all loops that look at rows: now, or soon after the last time while commits go on and on."""
        if self._next_look is None:
            left = self._looked_at + LOOK_INTERVAL - self.app.loop.time()
            self._next_look = self.app.loop.call_later(max(0.0, left), self._call_all)

    def _call_all(self) -> None:
        self._next_look = None
        self._looked_at = self.app.loop.time()
        for loop in (*self.claimers.values(), self.cancellation_listener, self.timers, self.delivery_worker):
            loop.call()
        self.app.wakes.publish_all((WakeKind.DONE, WakeKind.VALUE, WakeKind.DELIVERED))

    def _publish_status(self, workflow_id: str, name: str, status: WorkflowStatus) -> None:
        probe = self.app.probe
        if probe.listeners:
            now = to_datetime(self.app.clock.now_ms())
            probe.tell(Event(f"workflow.{status}", workflow_id, name, status, None, now))

    async def stop(self, seconds: float) -> None:
        """Drain, then interrupt, then close, within this time and twice `UNWIND` whatever is away or hangs."""
        until = self.app.loop.time() + seconds
        self._close_by = until + 2 * UNWIND
        self.close_attached()
        try:
            await stop_together((self.timers, *self.claimers.values()), seconds + UNWIND)
            self.runner.park_idle()
            await self.runner.wait_empty(until - self.app.loop.time())
        finally:  # also when this is cancelled because the event loop ends
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
        with contextlib.suppress(TurbineError, TimeoutError):  # a database that is away answers no open call
            async with asyncio.timeout(min(ANSWER, self._left())):
                await self.store.write(_nothing)  # calls whose writes have entered get their answers
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
        await stop_together(self.loops, seconds)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._left()):
                await self._close_transports()

    async def _close_transports(self) -> None:
        await self._webhooks.close()
        await self._alerts.close()

    async def _give_up_lease(self) -> None:
        if self.is_stuck:
            # The lock file stays held until this process ends, or is launched again.
            log.warning("Blocking code did not end in time; its runs go on in other processes once this one has ended")
            await in_thread(self.lease.stop, self._left())
        else:
            await in_thread(self.lease.give_up, self._left())

    async def _close_store(self) -> None:
        await in_thread(self.store.close, seconds=self._left())

    async def _guard(self) -> None:
        """Shut down when the event loop ends first: `asyncio.run` then cancels every task, this one included.

        The runs whose tasks are cancelled with it are interrupted, which is no outcome.
        """
        try:
            await self._is_over.wait()
        except asyncio.CancelledError:
            if self._has_left:
                raise
            await asyncio.sleep(0)  # a task cancelled inside `async with` begins the shutdown itself
            await self._runtime._end(self, 0.0)
            raise

    @property
    def is_torn_down(self) -> bool:
        """Whether the event loop ends without a shutdown."""
        return self._guardian is not None and self._guardian.cancelling() > 0

    # Ending the process

    def close_attached(self) -> None:
        """Close what is held open for others, such as event streams. From any thread."""
        for attached in self._runtime._attached:
            attached.close()

    def drain(self) -> Future[None]:
        """Start a shutdown, from any thread. Done at once when the event loop does not run."""
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
        return self._runtime._is_hosted

    async def wait_over(self) -> None:
        """Wait until a shutdown is complete."""
        await self._is_over.wait()

    def leave(self) -> None:
        """Release everything that others wait for, when the event loop of this runtime has already ended."""
        self._has_left = True
        self.log_writer.detach()
        self._threads.close()
        self.lease.give_up(UNWIND)
        self.store.close(seconds=UNWIND)

    def _forked(self) -> None:
        """Turn into a dead copy in a forked child; the launch belongs to the parent."""
        keep_for_ever(self)
        self.runner.forked()
        self.log_writer.forked()

    @property
    def loops(self) -> tuple[Loop, ...]:
        """All loops of this runtime."""
        return *self._loops, *self.claimers.values()

    @property
    def is_at_rest(self) -> bool:
        """Whether no loop ticks or was called; runs in memory do not count."""
        is_calm = self._next_look is None and not self.delivery_worker.is_busy
        return is_calm and all(loop.is_resting for loop in self.loops)

    async def die(self) -> None:
        """End as a killed process does: from now on nothing is written or published. For the testing kit.

        Threads cannot be killed: user code that runs in one goes on until its next durable call, which refuses.
        """
        await in_thread(self.store.die)
        self._is_over.set()
        self.app.probe.end()
        self.heartbeat.stop()
        for loop in self.loops:
            loop.drop()
        self.log_writer.detach()
        if self._next_look is not None:
            self._next_look.cancel()
        await self.delivery_worker.die()
        await self._close_transports()
        await self.runner.die()
        self._threads.close()
        await in_thread(self.lease.die)

    async def wait_idle(self) -> None:
        """Wait until nothing executes and nothing is due, in two looks in a row."""
        idle_looks = 0
        while idle_looks < 2:
            await asyncio.sleep(0.002)
            idle_looks = idle_looks + 1 if await self._is_idle() else 0

    async def _is_idle(self) -> bool:
        executions = list(self.runner.executions.values())
        if self.store.depth or not all(execution.is_idle for execution in executions):
            return False
        # A loop that was called, or ticks, may have claimed a run that is not in memory yet.
        claiming = (self.timers, self.scheduler, *self.claimers.values())
        if not (self.app.is_draining() or all(loop.is_resting for loop in claiming)):
            return False
        if not await self.delivery_worker.is_idle():
            return False
        names = self.app.registry.names()
        due_ms = await self.store.read(run_table.next_due, names=names, executor=self.app.executor_id)
        now_ms = self.app.clock.now_ms()
        if due_ms is not None and due_ms <= now_ms:
            self.timers.call()
            return False
        if await self.scheduler.has_due():
            self.scheduler.call()
            return False
        dues = (w.due_ms for e in executions for w in e.waits.values() if w.due_ms is not None)
        return not any(due <= now_ms for due in dues)


def _nothing(tx: Tx) -> None:
    """Write nothing; awaited because it comes after all writes that have entered."""
