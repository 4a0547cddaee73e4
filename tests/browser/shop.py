"""A small shop whose runs the tests and the pictures of the dashboard show."""

from __future__ import annotations

import asyncio
import os
import random
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, Field

import turbine

LIMITS = {
    "type": "object",
    "properties": {
        "release_above": {"type": "integer", "title": "Release above", "minimum": 0},
        "currencies": {"type": "array", "title": "Currencies", "items": {"enum": ["EUR", "USD"]}},
    },
    "required": ["release_above"],
}


class Item(BaseModel):
    """A line of an order."""

    sku: str
    quantity: int = Field(default=1, ge=1)


class Order(BaseModel):
    """What a customer wants."""

    order_id: str = Field(examples=["1001"])
    customer: str
    items: list[Item] = Field(min_length=1)
    priority: Literal["low", "normal", "high"] = "normal"
    due: datetime | None = None
    total: Decimal = Decimal("84.30")


class Shipment(BaseModel):
    """What the person who releases an order decides."""

    carrier: Literal["dhl", "ups", "post"] = Field(description="Who brings it.")
    insured: bool = True
    limit: int = Field(default=500, ge=10, le=5000, title="Insured up to")


class Size(StrEnum):
    """How large a van must be."""

    SMALL = "small"
    LARGE = "large"


class ByCard(BaseModel):
    """Paid with a card."""

    kind: Literal["card"] = "card"
    last_digits: str = Field(pattern=r"^\d{4}$")


class ByInvoice(BaseModel):
    """Paid later."""

    kind: Literal["invoice"] = "invoice"
    days: int = Field(default=14, ge=1, le=90)


class Address(BaseModel):
    """Where somebody lives."""

    street: str
    city: str = "Bremen"


class Pickup(BaseModel):
    """Goods that a van shall fetch: every kind of field that a form may have."""

    customer: str = Field(description="Who is at the door.")
    day: date
    ring_at: time | None = None
    booked: datetime | None = None
    van: Size = Size.SMALL
    stairs: bool = False
    floor: int = Field(default=0, ge=0, le=40)
    parcel_number: int = 0
    weight: float = 1.0
    fee: Decimal = Decimal("9.90")
    notes: list[str] = Field(default_factory=list)
    counts: dict[str, int] = Field(default_factory=dict)
    address: Address
    payment: ByCard | ByInvoice = Field(default_factory=ByInvoice)


class PaymentDeclined(Exception):
    """The bank said no."""


PACE = float(os.environ.get("SHOP_PACE", "0"))
"""How slow the steps are: nothing waits in tests, and pictures want bars that one can see."""


async def work(seconds: float) -> None:
    if PACE:
        await asyncio.sleep(seconds * PACE * random.uniform(0.6, 1.6))


@turbine.step
async def validate_order(order: Order) -> dict[str, Any]:
    turbine.logger().info("order %s has %d items", order.order_id, len(order.items))
    await work(0.05)
    return {"ok": True, "wei": 123456789012345678901234567890}


@turbine.step
async def reserve_stock(order: Order) -> list[dict[str, str]]:
    await work(0.2)
    return [{"sku": item.sku, "shelf": "B-14"} for item in order.items]


@turbine.step
async def fetch_rates(carrier: str) -> float:
    await work(0.3)
    return {"dhl": 6.9, "ups": 8.4}.get(carrier, 5.5)


@turbine.step(retries=3, base_interval=0.05, jitter=0)
async def charge(order: Order) -> str:
    await work(0.15)
    if order.customer == "Mallory":
        turbine.logger().error("the card of order %s was declined", order.order_id)
        raise PaymentDeclined("card ending in 4242 was declined by the issuer")
    if turbine.current().attempt < 2:
        turbine.logger().warning("the gateway did not answer, trying again")
        raise TimeoutError("gateway did not answer within 600 ms")
    return f"ch_{order.order_id}"


@turbine.step
async def print_label(order: Order) -> str:
    await work(0.2)
    text = f"order,customer\n{order.order_id},{order.customer}\n"
    await turbine.send_product(f"label-{order.order_id}.csv", text.encode(), {"carrier": "dhl"})
    return f"parcel-{order.order_id}"


@turbine.workflow(triggerable=True, tags=["billing"], summary=lambda order_id: f"Invoice {order_id}")
async def send_invoice(order_id: str) -> str:
    """Write an invoice and send it."""
    await turbine.sleep(0.01)
    if order_id.startswith("void"):
        raise LookupError(f"order {order_id} was never placed")
    return f"invoice {order_id}"


@turbine.workflow(
    triggerable=True, tags=["orders"], summary=lambda order: f"Order {order.order_id} for {order.customer}"
)
async def place_order(order: Order) -> str:
    """Take an order from the shop to the parcel.

    Charges the card, asks for a release of what is urgent, and ships.
    """
    await validate_order(order)
    await reserve_stock(order)
    await turbine.gather(fetch_rates("dhl"), fetch_rates("ups"))
    await turbine.set_app_status("charging", "blue")
    charge_id = await charge(order)
    await turbine.set_value("charge", {"id": charge_id})
    await send_invoice(order.order_id)
    if order.priority == "high":
        decision = await turbine.wait_for_approval(
            f"Release order {order.order_id}",
            timeout=timedelta(hours=8),
            details={"customer": order.customer, "total": str(order.total)},
            form=Shipment,
        )
        if not decision.approved:
            return f"rejected: {decision.comment}"
    await turbine.set_app_status("shipped", "green")
    return await print_label(order)


@turbine.workflow(triggerable=True, tags=["billing"], summary=lambda ticket, amount: f"Refund {amount} for {ticket}")
async def refund_payment(ticket: str, amount: str = "10.00") -> str:
    """Pay back what was wrong."""
    decision = await turbine.wait_for_approval(f"Refund {amount} EUR for {ticket}", details="The parcel was damaged.")
    return "refunded" if decision.approved else f"kept: {decision.comment}"


@turbine.workflow(triggerable=True, tags=["sales"], summary=lambda customer, ask: f"Contract with {customer}")
async def sign_contract(customer: str, ask: list[str]) -> str:
    """Have a contract signed by one of those who are asked."""
    decision = await turbine.wait_for_approval(f"Sign the contract with {customer}", assignees=ask)
    return f"{'signed' if decision.approved else 'refused'} by {decision.by}"


@turbine.workflow(triggerable=True, summary=lambda name: f"Reminder for {name}")
async def remind_later(name: str) -> str:
    """Wait a day, then remind."""
    await validate_name(name)
    await turbine.sleep(timedelta(days=1))
    return f"reminded {name}"


@turbine.workflow(triggerable=True, summary=lambda name: f"Callback for {name}")
async def await_payment(name: str) -> Any:
    """Wait for the bank's message."""
    return await turbine.recv("payment", timeout=timedelta(days=3))


@turbine.step
async def validate_name(name: str) -> str:
    return name.title()


@turbine.workflow(triggerable=True, queue="render", summary=lambda title: title)
async def render_video(title: str) -> str:
    """Render a film in the queue."""
    await turbine.sleep(timedelta(hours=1))
    return title


@turbine.workflow(triggerable=True, tags=["vans"], summary=lambda pickup: f"Pickup at {pickup.customer}")
async def fetch_goods(pickup: Pickup) -> Pickup:
    """Send a van to a customer."""
    return pickup


_booked: set[str] = set()


@turbine.step
async def read_ledger(day: str) -> int:
    if day not in _booked:
        _booked.add(day)
        raise TimeoutError(f"the ledger of {day} is still being written")
    return 42


@turbine.workflow(triggerable=True, tags=["reports"], summary=lambda day: f"Books of **{day}**")
async def close_books(day: str) -> str:
    """Close the books of a day; the ledger is always late."""
    return f"{await read_ledger(day)} entries"


@turbine.workflow(schedule="0 3 * * *", tags=["reports"])
async def nightly_report(tick: datetime) -> str:
    """Sum up the day."""
    return tick.isoformat()


WORKFLOWS = [
    send_invoice,
    place_order,
    refund_payment,
    sign_contract,
    remind_later,
    await_payment,
    render_video,
    close_books,
    fetch_goods,
    nightly_report,
]


@dataclass(frozen=True)
class Wish:
    """A run to start: workflow, id, input."""

    name: str
    id: str
    input: Any


def wishes() -> list[Wish]:
    """Runs that between them show every status."""
    people = ["Ada Lovelace", "Grace Hopper", "Alan Turing", "Barbara Liskov", "Tony Hoare", "Radia Perlman"]
    lamps = [{"sku": "LAMP-2", "quantity": 2}, {"sku": "CABLE-1", "quantity": 1}]

    def order(number: int, customer: str, **more: Any) -> Wish:
        wish = {"order_id": str(number), "customer": customer, "items": lamps, **more}
        return Wish("place_order", f"order-{number}", {"order": wish})

    return [
        *(order(1001 + index, person) for index, person in enumerate(people)),
        *(Wish("send_invoice", f"invoice-{number}", {"order_id": str(number)}) for number in range(40)),
        order(1100, "Mallory"),
        order(1101, "Mallory"),
        order(1200, "Edsger Dijkstra", priority="high"),
        Wish("refund_payment", "refund-77", {"ticket": "T-77", "amount": "120.00"}),
        Wish("refund_payment", "refund-78", {"ticket": "T-78", "amount": "35.50"}),
        Wish("remind_later", "reminder-1", {"name": "grace"}),
        Wish("await_payment", "payment-1", {"name": "ada"}),
        *(Wish("render_video", f"film-{number}", {"title": f"Film {number}"}) for number in range(6)),
    ]
