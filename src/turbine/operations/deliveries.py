"""Deliveries: what leaves the process, and how to send it again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from turbine.errors import Conflict, NotFound
from turbine.ids import check_id, check_name
from turbine.model.deliveries import DeliveryKind, DeliveryRecord, DeliveryStatus
from turbine.model.pages import after_key, check_limit, page_of
from turbine.model.workflows import Page
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
        """One page of deliveries, newest first; each filter is one value or several, and all must hold.

        `target` is the id of a webhook, an alert channel or a product. Raises ValueError for an invalid status, kind,
        limit or cursor.
        """
        filter_ = DeliveryFilter(
            status=_several(status, DeliveryStatus),
            kind=_several(kind, DeliveryKind),
            event=_several(event, lambda text: check_name(text, "event")),
            workflow_id=_several(workflow_id, check_id),
            target=_several(target, lambda text: check_name(text, "target")),
        )
        rows = await self._app().store.read(
            deliveries.page, filter=filter_, limit=check_limit(limit) + 1, before=after_key(cursor)
        )
        return page_of(rows, limit)

    async def get(self, id: str) -> DeliveryRecord:
        """One delivery. Raises NotFound."""
        record = await self._app().store.read(deliveries.get, delivery_id=check_name(id, "delivery id"))
        if record is None:
            raise NotFound(kind="delivery", id=id)
        return record

    async def resend(self, id: str) -> DeliveryRecord:
        """Send a delivered or dead delivery again: at once, with all attempts granted anew, under the same id.

        Durable when it returns; earlier attempts stay listed. Raises NotFound, and Conflict while it is pending, or
        when it belongs to a product that has not failed.
        """
        app = self._app()
        workflow_id = (await self.get(id)).workflow_id
        record: Any = await app.store.write_audited(
            self._audit("delivery.resend", id, workflow_id=workflow_id),
            _resend,
            delivery_id=id,
            now_ms=app.clock.now_ms(),
        )
        return record


def _resend(tx: Tx, *, delivery_id: str, now_ms: int) -> DeliveryRecord | NotFound | Conflict | None:
    record = deliveries.get(tx, delivery_id=delivery_id)
    if record is not None and record.kind == DeliveryKind.PRODUCT and record.status != DeliveryStatus.PENDING:
        refusal = products.reopen(tx, product_id=record.target, now_ms=now_ms)
        if refusal is not None:
            return refusal
    result = deliveries.resend(tx, delivery_id=delivery_id, now_ms=now_ms)
    return result if isinstance(result, NotFound | Conflict) else deliveries.get(tx, delivery_id=delivery_id)


def _several(value: str | Sequence[str] | None, check: Callable[[str], str]) -> list[str] | None:
    if value is None:
        return None
    return [str(check(text)) for text in ([value] if isinstance(value, str) else value)]
