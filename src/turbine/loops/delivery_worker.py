"""The courier: everything that leaves the process. It claims what is due, lets each way make an attempt, and notes it.

An attempt that is not noted is made again, under the same id, by this courier or another one. So a receiver may hear of
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

log = logging.getLogger("turbine")

AT_ONCE = 32
"""Deliveries of one kind that are under way at once: a kind whose receivers hang holds up no other kind."""
LAST_MINUTE = 2.0
"""Seconds that deliveries under way get at a shutdown; what takes longer is given back and not counted."""
GIVEN_BACK_MS = 1000
"""Pause before a delivery is tried again that could not be tried now."""
ERROR_MAX = 2000


class Attempt(NamedTuple):
    """An attempt that was made and is to be noted."""

    held: ClaimedDelivery
    note: SettledAttempt


class DeliveryWorker:
    """Delivers webhooks, alerts and products."""

    def __init__(self, app: App, ways: Mapping[str, Transport]) -> None:
        """`ways` may change at any time; what has no way here is left to other processes."""
        self._app = app
        self._ways = ways
        self._under_way: dict[asyncio.Task[None], ClaimedDelivery] = {}
        self._attempts: list[Attempt] = []
        self._given_back: list[ReturnedDelivery] = []
        self.loop_task = Loop("courier", self.tick, app.clock)

    def heard(self, kind: str, key: int | str | None) -> None:
        """Something is to be delivered (at a time), or was."""
        if kind == "delivered":
            self._app.wakes.publish(kind, key)
        else:
            self.loop_task.call_at(int(key or 0))

    async def tick(self) -> int | None:
        """Note what was tried, take what is due, and send it off."""
        app = self._app
        now_ms = app.clock.now_ms()
        room = self._room()
        if not (self._attempts or self._given_back):
            due_ms = await app.store.read(deliveries.next_due, kinds=list(room))
            if due_ms is None or due_ms > now_ms:
                return due_ms
        claimed, due_ms = await self._turn(room, now_ms)
        under_way = {held.delivery for held in self._under_way.values()}
        for held in claimed:
            if held.delivery in under_way:
                continue  # others thought us dead and had set it free; the attempt that is under way will do
            task = asyncio.create_task(self._carry(held), name=f"turbine delivery {held.id}")
            self._under_way[task] = held
            task.add_done_callback(self._arrived)
        return due_ms

    def _room(self) -> dict[str, int]:
        """How many more of each kind may be under way."""
        taken = Counter(held.kind for held in self._under_way.values())
        room = {kind: AT_ONCE - taken[kind] for kind in self._ways}
        return {kind: count for kind, count in room.items() if count > 0}

    async def _turn(self, room: dict[str, int], now_ms: int) -> tuple[list[ClaimedDelivery], int | None]:
        attempts, given_back = list(self._attempts), list(self._given_back)
        answer = await self._app.store.write(
            _note_and_claim,
            attempts=attempts,
            given_back=given_back,
            room=room,
            now_ms=now_ms,
        )
        # Only now: had the write failed, the next tick would do it again.
        del self._attempts[: len(attempts)]
        del self._given_back[: len(given_back)]
        return answer

    async def _carry(self, held: ClaimedDelivery) -> None:
        """Make one attempt; how it went is noted by the next tick."""
        app = self._app
        at_ms, began = app.clock.now_ms(), app.loop.time()
        way = self._ways.get(held.kind)
        if way is None:
            self._give_back(held)
            return
        try:
            attempt_result = await way.deliver(held)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():  # by us; else a sender raises it as any other error
                self._given_back.append(ReturnedDelivery(held.delivery, at_ms))
                return
            attempt_result = AttemptResult("CancelledError")
        except Exception as error:  # noqa: BLE001 - the user's sender, and the whole network: its error is the verdict
            if isinstance(error, (ShuttingDown, StoreUnavailable)) and error.origin is app.store:
                self._give_back(held)  # this runtime cannot go on now, and the receiver is not to blame
                return
            attempt_result = AttemptResult(f"{type(error).__name__}: {error}")
        if attempt_result.not_before_ms is not None:
            self._given_back.append(ReturnedDelivery(held.delivery, attempt_result.not_before_ms))
            return
        self._attempts.append(self._noted(held, attempt_result, at_ms, round((app.loop.time() - began) * 1000)))

    def _give_back(self, held: ClaimedDelivery) -> None:
        self._given_back.append(ReturnedDelivery(held.delivery, self._app.clock.now_ms() + GIVEN_BACK_MS))

    def _noted(self, held: ClaimedDelivery, attempt_result: AttemptResult, at_ms: int, duration_ms: int) -> Attempt:
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
        note = SettledAttempt(
            held.delivery, number, at_ms, duration_ms, attempt_result.status_code, error, status, next_ms, now_ms
        )
        return Attempt(held, note)

    def _arrived(self, task: asyncio.Task[None]) -> None:
        del self._under_way[task]
        self.loop_task.call()

    @property
    def is_busy(self) -> bool:
        """Whether anything is under way, or not noted yet."""
        return bool(self._under_way or self._attempts or self._given_back)

    async def is_idle(self) -> bool:
        """Whether nothing is under way here and nothing is due that could be."""
        if self.is_busy:
            return False
        due_ms = await self._app.store.read(deliveries.next_due, kinds=list(self._ways))
        if due_ms is None or due_ms > self._app.clock.now_ms():
            return True
        self.loop_task.call()
        return False

    async def stop(self, seconds: float) -> None:
        """Take nothing more, give what is under way its last minute, and give back what did not arrive in it.

        All of that within this time, also when the database is away.
        """
        until = self._app.loop.time() + seconds
        await self.loop_task.stop(seconds)
        if self._under_way:
            await asyncio.wait(set(self._under_way), timeout=max(0.0, min(LAST_MINUTE, seconds)))
        await self._break_off()
        if self.is_busy:
            try:
                async with asyncio.timeout_at(until):
                    await self._turn({}, self._app.clock.now_ms())
            except (StoreUnavailable, TimeoutError) as error:
                log.warning("%s deliveries were not noted and will be made again: %r", len(self._attempts), error)

    async def die(self) -> None:
        """Drop everything as the death of the process would."""
        self.loop_task.drop()
        await self._break_off()

    async def _break_off(self) -> None:
        tasks = list(self._under_way)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _note_and_claim(
    tx: Tx,
    *,
    attempts: Sequence[Attempt],
    given_back: Sequence[ReturnedDelivery],
    room: Mapping[str, int],
    now_ms: int,
) -> tuple[list[ClaimedDelivery], int | None]:
    """Note attempts, and what they make of products; then claim. Also answers when the next delivery is due."""
    settled = deliveries.settle(tx, [attempt.note for attempt in attempts]) if attempts else set[SettledAttempt]()
    for held, note in attempts:
        is_over = note in settled and note.status != DeliveryStatus.PENDING
        if is_over and held.kind == DeliveryKind.PRODUCT:
            products.note_delivery(tx, product_id=held.target, error=note.error, now_ms=now_ms)
    if given_back:
        deliveries.give_back(tx, given_back)
    claimed = [
        held for kind, limit in room.items() for held in deliveries.claim(tx, kind=kind, limit=limit, now_ms=now_ms)
    ]
    return claimed, deliveries.next_due(tx, kinds=room)


def _storable(text: str) -> str:
    """The text of an error as any database takes it."""
    return text[:ERROR_MAX].encode(errors="backslashreplace").decode().replace("\0", "\\x00")
