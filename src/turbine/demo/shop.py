"""The shop of the demo: a workflow for each thing that Turbine is used for.

Banks and suppliers answer by the arguments alone, so the same runs fail in every demo.
"""

# Written as users write it: a summary is a lambda, whose parameters have no types.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, Field

import turbine

EMAILS = "emails"
EMAIL_RATE = turbine.RateLimit(60, per=timedelta(minutes=1))
PRICES = {"lamp": Decimal("39.90"), "cable": Decimal("7.50"), "shelf": Decimal("112.00"), "chair": Decimal("84.30")}
FAILED_CALLS = {"Acme": 2, "Globex": 1, "Initech": 99}
"""How often each supplier's server hangs up before it answers."""


class CardDeclined(Exception):
    """The bank said no. Asking again would not help."""


class Item(BaseModel):
    """A line of an order."""

    article: Literal["lamp", "cable", "shelf", "chair"]
    quantity: int = Field(default=1, ge=1, le=100)


class Order(BaseModel):
    """The order of a customer."""

    number: int = Field(ge=1)
    customer: str
    items: list[Item] = Field(min_length=1)
    card: str = Field(default="4000 0000 0000 0000", description="A card that ends in 0002 is declined.")


class Rollout(BaseModel):
    """The decision about a deployment."""

    strategy: Literal["canary", "blue-green", "all at once"] = Field(description="Who gets the new version first.")
    percent: int = Field(default=10, ge=1, le=100, title="Share of the traffic at first")
    announce: bool = True


@turbine.step
async def add_up(order: Order) -> Decimal:
    """The price of the order."""
    turbine.logger().info("order %d has %d lines", order.number, len(order.items))
    return sum((PRICES[item.article] * item.quantity for item in order.items), Decimal(0))


@turbine.step
async def reserve(item: Item) -> str:
    """Reserve goods; returns where they are."""
    await asyncio.sleep(0.02 * item.quantity)
    return f"{item.quantity} x {item.article}: aisle {len(item.article)}"


@turbine.step(retries=3, base_interval=0.1, retry_on=(TimeoutError,))
async def charge(order: Order, total: Decimal) -> str:
    """Take the money. Every tenth call runs into a slow bank and is made again."""
    if order.card.endswith("0002"):
        turbine.logger().error("the card for %s EUR was declined", total)
        raise CardDeclined(f"the card ending in {order.card[-4:]} was declined by its bank")
    if order.number % 10 == 0 and turbine.current().attempt == 1:
        turbine.logger().warning("the bank is slow; trying again")
        raise TimeoutError("the bank did not answer in time")
    return f"charge-{order.number}"


@turbine.step
async def write_invoice(order: Order, total: Decimal) -> str:
    """Make the invoice, a product that can be downloaded."""
    lines = [f"{item.quantity:>4} x {item.article:<8}{PRICES[item.article]:>10}" for item in order.items]
    text = "\n".join([f"Invoice {order.number} for {order.customer}", "", *lines, f"{'Total, EUR':<15}{total:>10}", ""])
    product = await turbine.send_product(f"invoice-{order.number}.txt", text.encode(), {"customer": order.customer})
    return product.file_name


@turbine.step
async def hand_to_mail_server(to: str, subject: str) -> str:
    """Pretend to deliver an e-mail; none leaves the demo."""
    turbine.logger().info("%r for %s", subject, to)
    return "accepted"


@turbine.workflow(triggerable=True, tags=["mail"], summary=lambda to, subject: f"{subject}, to {to}")
async def send_email(to: str, subject: str) -> str:
    """One e-mail. The queue `emails` starts sixty of them a minute."""
    return await hand_to_mail_server(to, subject)


@turbine.workflow(triggerable=True, tags=["orders"], summary=lambda order: f"Order {order.number} of {order.customer}")
async def place_order(order: Order) -> str:
    """Reserve all goods at once, charge the card, write the invoice, and put an e-mail into the queue."""
    total = await add_up(order)
    await asyncio.gather(*(reserve(item) for item in order.items))
    await turbine.set_app_status("charging", "blue")
    charge_id = await charge(order, total)
    invoice = await write_invoice(order, total)
    await turbine.run(send_email.options(queue=EMAILS), order.customer, f"Your order {order.number}")
    await turbine.set_app_status("packed", "green")
    return f"{charge_id}, {invoice}"


@turbine.step
async def run_tests(service: str, suite: str) -> str:
    """Run one suite of tests."""
    await asyncio.sleep(0.1)
    return f"{service}: {suite} passed"


@turbine.step
async def shift_traffic(service: str, version: str, rollout: Rollout) -> str:
    """Send traffic to the new version."""
    turbine.logger().info("%s %s gets %d %% of the traffic", service, version, rollout.percent)
    return f"{service} {version} is live, {rollout.strategy}"


@turbine.workflow(triggerable=True, tags=["operations"], summary=lambda service, version: f"{service} {version}")
async def deploy(service: str, version: str) -> str:
    """Test, ask for an approval with a form, and deploy."""
    tested = await asyncio.gather(*(run_tests(service, suite) for suite in ("units", "contracts", "browser")))
    decision = await turbine.wait_for_approval(
        f"Deploy {service} {version}", timeout=timedelta(days=2), details={"tests": tested}, form=Rollout
    )
    if not decision.approved:
        return f"not deployed: {decision.comment}"
    return await shift_traffic(service, version, decision.data)


@turbine.step(retries=4, base_interval=0.1)
async def fetch_prices(supplier: str) -> dict[str, str]:
    """Ask a supplier, whose server sometimes hangs up."""
    attempt = turbine.current().attempt
    if attempt <= FAILED_CALLS.get(supplier, 0):
        turbine.logger().warning("%s hung up, attempt %d", supplier, attempt)
        raise ConnectionError(f"{supplier} hung up after {attempt * 40} rows")
    return {article: str(price / 2) for article, price in PRICES.items()}


@turbine.workflow(triggerable=True, tags=["suppliers"], summary=lambda supplier: f"Prices of {supplier}")
async def sync_prices(supplier: str) -> int:
    """Fetch a price list, with retries, and keep it in the key-value store."""
    prices = await fetch_prices(supplier)
    await turbine.kv.set(f"prices/{supplier}", prices)
    return len(prices)


@turbine.workflow(triggerable=True, tags=["mail"], summary=lambda customer, days=14: f"{customer}, in {days} days")
async def remind(customer: str, days: int = 14) -> str:
    """Sleep for days, through any number of restarts, and send a reminder unless it was cancelled."""
    await turbine.sleep(timedelta(days=days))
    return await hand_to_mail_server(customer, "Your invoice is still open")


@turbine.workflow(schedule="* * * * *", tags=["orders"], summary=lambda tick: f"Standing order of {tick:%H:%M}")
async def standing_order(tick: datetime) -> str:
    """A standing order that is due every minute."""
    number = 100_000 + int(tick.timestamp()) // 60 % 100_000
    return await place_order(Order(number=number, customer="erin@example.com", items=[Item(article="cable")]))


WORKFLOWS = [place_order, send_email, deploy, sync_prices, remind, standing_order]
