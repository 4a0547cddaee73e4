"""Deliveries: who may look at what leaves the process, and send it again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from turbine.errors import Conflict, NotFound
from turbine.ids import check_id, check_name
from turbine.model.deliveries import DeliveryKind, DeliveryRecord, DeliveryStatus
from turbine.model.workflows import Page
from turbine.operations.pages import after_key, check_limit
from turbine.operations.resources import Resource
from turbine.store import Tx
from turbine.tables import deliveries, products
from turbine.tables.deliveries import DeliveryFilter


class Deliveries(Resource):
    """Everything outgoing, with its attempts: `rt.deliveries`."""

    async def list(
        self,
        *,
        status: str | Sequence[str] | None = None,
        kind: str | Sequence[str] | None = None,
        event: str | Sequence[str] | None = None,
        workflow_id: str | Sequence[str] | None = None,
        target: str | Sequence[str] | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[DeliveryRecord]:
        """One page of deliveries, newest first; all that is given must hold, each as one value or several.

        `target` is the id of a webhook, an alert channel or a product. Raises ValueError for a status, kind, limit or
        cursor that can never be right.
        """
        wanted = DeliveryFilter(
            status=_several(status, lambda one: str(DeliveryStatus(one))),
            kind=_several(kind, lambda one: str(DeliveryKind(one))),
            event=_several(event, lambda one: check_name(one, "event")),
            workflow_id=_several(workflow_id, check_id),
            target=_several(target, lambda one: check_name(one, "target")),
        )
        before = after_key(cursor)
        found = await self._app().store.read(
            deliveries.page, filter=wanted, limit=check_limit(limit) + 1, before=before
        )
        items = [record for _, record in found[:limit]]
        return Page(items, str(found[limit - 1][0]) if len(found) > limit else None)

    async def get(self, id: str) -> DeliveryRecord:
        """One delivery. Raises NotFound."""
        found = await self._app().store.read(deliveries.get, delivery_id=check_name(id, "delivery id"))
        if found is None:
            raise NotFound(kind="delivery", id=id)
        return found

    async def resend(self, id: str) -> DeliveryRecord:
        """Send something again that was delivered or is dead: at once, with all attempts anew, under the same id.

        Durable when it returns; the attempts that were made stay listed. Raises NotFound, and Conflict while it is
        pending, or when it is of a product that has not failed.
        """
        app = self._app()
        resent = await app.store.write(_resend, delivery_id=check_name(id, "delivery id"), now_ms=app.clock.now_ms())
        assert isinstance(resent, DeliveryRecord)  # a refusal was raised
        return resent


def _resend(tx: Tx, *, delivery_id: str, now_ms: int) -> DeliveryRecord | NotFound | Conflict:
    known = deliveries.get(tx, delivery_id=delivery_id)
    if known is not None and known.kind == DeliveryKind.PRODUCT and known.status != DeliveryStatus.PENDING:
        refusal = products.reopen(tx, product_id=known.target, now_ms=now_ms)
        if refusal is not None:
            return refusal
    held = deliveries.resend(tx, delivery_id=delivery_id, now_ms=now_ms)
    if isinstance(held, NotFound | Conflict):
        return held
    resent = deliveries.get(tx, delivery_id=delivery_id)
    assert resent is not None  # it was changed in this transaction
    return resent


def _several(value: str | Sequence[str] | None, check: Callable[[str], str]) -> list[str] | None:
    if value is None:
        return None
    return [check(one) for one in ([value] if isinstance(value, str) else value)]
