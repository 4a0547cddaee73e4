"""Deliveries: claims what is due, lets the transport of each kind make an attempt, and records it.

An attempt that is not recorded is made again under the same id, by this process or another one. So a receiver may get
something twice, and nothing is listed as delivered that no receiver has acknowledged.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from turbine.delivery import Transport
from turbine.engine.app import App
from turbine.errors import ShuttingDown, StoreUnavailable
from turbine.loops.loop import Loop
from turbine.masking import mask_text
from turbine.model.deliveries import AttemptResult, DeliveryKind, DeliveryStatus, backoff_ms
from turbine.store import Tx
from turbine.tables import deliveries, products
from turbine.tables.deliveries import ClaimedDelivery, ReturnedDelivery, SettledAttempt
from turbine.threads import SENDER_THREADS

log = logging.getLogger("turbine")

AT_ONCE = SENDER_THREADS
"""Deliveries of one kind that are in flight at once; receivers of one kind that hang delay no other kind."""
LAST_MINUTE = 2.0
"""Seconds that deliveries in flight get at a shutdown; a longer attempt is given back and not counted."""
GIVEN_BACK_MS = 1000
"""Pause before a delivery that could not be attempted is tried again."""
ERROR_MAX = 2000


class MadeAttempt(NamedTuple):
    """An attempt that was made and is to be recorded."""

    held: ClaimedDelivery
    row: SettledAttempt


class DeliveryWorker(Loop):
    """Delivers webhooks, alerts and products."""

    name = "delivery_worker"

    def __init__(self, app: App, transports: Mapping[str, Transport]) -> None:
        """`transports` may change at any time; kinds without one are left to other processes."""
        super().__init__(app.clock)
        self._app = app
        self._transports = transports
        self._in_flight: dict[asyncio.Task[None], ClaimedDelivery] = {}
        self._attempts: list[MadeAttempt] = []
        self._given_back: list[ReturnedDelivery] = []

    async def tick(self) -> int | None:
        """Record attempts, claim what is due, and send it."""
        app = self._app
        now_ms = app.clock.now_ms()
        free = self._free()
        if not (self._attempts or self._given_back):
            due_ms = await app.store.read(deliveries.next_due, kinds=list(free))
            if due_ms is None or due_ms > now_ms:
                return due_ms
        claimed, due_ms = await self._write(free, now_ms)
        in_flight = {held.delivery for held in self._in_flight.values()}
        for held in claimed:
            if held.delivery in in_flight:
                continue  # another process thought this one dead and freed it; the attempt in flight will do
            task = asyncio.create_task(self._carry(held), name=f"turbine delivery {held.id}")
            self._in_flight[task] = held
            task.add_done_callback(self._arrived)
        return due_ms

    def _free(self) -> dict[str, int]:
        """How many more deliveries of each kind may be in flight."""
        taken = Counter(held.kind for held in self._in_flight.values())
        free = {kind: AT_ONCE - taken[kind] for kind in self._transports}
        return {kind: count for kind, count in free.items() if count > 0}

    async def _write(self, free: dict[str, int], now_ms: int) -> tuple[list[ClaimedDelivery], int | None]:
        attempts, given_back = list(self._attempts), list(self._given_back)
        answer = await self._app.store.write(
            _record_and_claim,
            attempts=attempts,
            given_back=given_back,
            free=free,
            now_ms=now_ms,
        )
        # Only after the write: if it fails, the next tick tries again.
        del self._attempts[: len(attempts)]
        del self._given_back[: len(given_back)]
        return answer

    async def _carry(self, held: ClaimedDelivery) -> None:
        """Make one attempt; the next tick records it."""
        app = self._app
        at_ms, began = app.clock.now_ms(), app.loop.time()
        transport = self._transports.get(held.kind)
        if transport is None:
            self._give_back(held)
            return
        try:
            attempt_result = await transport.deliver(held)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():  # by this loop; else a sender raises it like any other error
                self._given_back.append(ReturnedDelivery(held.delivery, at_ms))
                return
            attempt_result = AttemptResult("CancelledError")
        except Exception as error:  # noqa: BLE001 - the user's sender, or the network: the error is the result of the attempt
            if isinstance(error, (ShuttingDown, StoreUnavailable)) and error.origin is app.store:
                self._give_back(held)  # this runtime cannot go on, and the receiver is not to blame
                return
            attempt_result = AttemptResult(f"{type(error).__name__}: {error}")
        if attempt_result.not_before_ms is not None:
            self._given_back.append(ReturnedDelivery(held.delivery, attempt_result.not_before_ms))
            return
        self._attempts.append(self._attempt_of(held, attempt_result, at_ms, round((app.loop.time() - began) * 1000)))

    def _give_back(self, held: ClaimedDelivery) -> None:
        self._given_back.append(ReturnedDelivery(held.delivery, self._app.clock.now_ms() + GIVEN_BACK_MS))

    def _attempt_of(
        self, held: ClaimedDelivery, attempt_result: AttemptResult, at_ms: int, duration_ms: int
    ) -> MadeAttempt:
        number = held.attempts + 1
        made = number - held.attempts_before
        config, now_ms = self._app.config, self._app.clock.now_ms()
        granted = config.webhook_attempts if held.kind == DeliveryKind.WEBHOOK else config.delivery_attempts
        next_ms = None
        error = None if attempt_result.error is None else mask_text(attempt_result.error)
        if error is None:
            status = DeliveryStatus.DELIVERED
        elif attempt_result.final or made >= granted:
            status = DeliveryStatus.DEAD
            log.warning(
                "Delivery %s (%s to %s) has failed %s times and is not tried again: %s",
                held.id,
                held.event or held.kind,
                held.target,
                made,
                error,
            )
        else:
            status = DeliveryStatus.PENDING
            next_ms = now_ms + backoff_ms(made)
        error = None if error is None else _storable(error)
        row = SettledAttempt(
            held.delivery, number, at_ms, duration_ms, attempt_result.status_code, error, status, next_ms, now_ms
        )
        return MadeAttempt(held, row)

    def _arrived(self, task: asyncio.Task[None]) -> None:
        del self._in_flight[task]
        self.call()

    @property
    def is_busy(self) -> bool:
        """Whether an attempt is in flight, or not recorded yet."""
        return bool(self._in_flight or self._attempts or self._given_back)

    async def is_idle(self) -> bool:
        """Whether nothing is in flight here, and nothing is due that could be."""
        if self.is_busy:
            return False
        due_ms = await self._app.store.read(deliveries.next_due, kinds=list(self._transports))
        if due_ms is None or due_ms > self._app.clock.now_ms():
            return True
        self.call()
        return False

    async def stop(self, seconds: float) -> None:
        """Claim nothing more, wait a moment for attempts in flight, and give back those that did not arrive.

        Keeps to this time also when the database is away.
        """
        until = self._app.loop.time() + seconds
        await super().stop(seconds)
        if self._in_flight:
            await asyncio.wait(set(self._in_flight), timeout=max(0.0, min(LAST_MINUTE, seconds)))
        await self._break_off()
        if self.is_busy:
            try:
                async with asyncio.timeout_at(until):
                    await self._write({}, self._app.clock.now_ms())
            except (StoreUnavailable, TimeoutError) as error:
                log.warning("%s deliveries were not recorded and will be made again: %r", len(self._attempts), error)

    async def die(self) -> None:
        """Drop everything as the death of the process would; for the testing kit."""
        self.drop()
        await self._break_off()

    async def _break_off(self) -> None:
        tasks = list(self._in_flight)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _record_and_claim(
    tx: Tx,
    *,
    attempts: Sequence[MadeAttempt],
    given_back: Sequence[ReturnedDelivery],
    free: Mapping[str, int],
    now_ms: int,
) -> tuple[list[ClaimedDelivery], int | None]:
    """Record attempts, and the products that they finish; then claim. Also returns when the next delivery is due."""
    settled = deliveries.settle(tx, [attempt.row for attempt in attempts]) if attempts else set[SettledAttempt]()
    for held, row in attempts:
        is_over = row in settled and row.status != DeliveryStatus.PENDING
        if is_over and held.kind == DeliveryKind.PRODUCT:
            products.note_delivery(tx, product_id=held.target, error=row.error, now_ms=now_ms)
    if given_back:
        deliveries.give_back(tx, given_back)
    claimed = [
        held for kind, limit in free.items() for held in deliveries.claim(tx, kind=kind, limit=limit, now_ms=now_ms)
    ]
    return claimed, deliveries.next_due(tx, kinds=free)


def _storable(text: str) -> str:
    """The text of an error as both databases take it."""
    return text[:ERROR_MAX].encode(errors="backslashreplace").decode().replace("\0", "\\x00")
