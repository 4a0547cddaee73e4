"""The dashboard of the demo: a shop after a busy morning, served to this machine only.

Every run was really executed by the runtime that the dashboard shows; nothing is written into the database by hand.
"""

from __future__ import annotations

import asyncio
import importlib.util
import secrets
import signal
import socket
import sys
from datetime import timedelta
from functools import cache
from types import ModuleType
from typing import Literal

from turbine.config import Config
from turbine.demo import shop
from turbine.demo.crash_demo import POLL_SECONDS
from turbine.demo.worker import example
from turbine.http.asgi import DASHBOARD, asgi_app_of
from turbine.http.dashboard import FOLDER
from turbine.platform import ENDING_SIGNALS
from turbine.runtime import Runtime

HOST = "127.0.0.1"
PORTS = range(8090, 8110)
EMAIL = "demo@example.com"
ORDERS = 180
BAD_CARD = "4000 0000 0000 0002"
CUSTOMERS = ("ada", "barbara", "edsger", "grace", "radia", "tony")
ARTICLES: tuple[Literal["lamp", "cable", "shelf", "chair"], ...] = ("lamp", "cable", "shelf", "chair")
SUPPLIERS = ("Acme", "Globex", "Initech", "Umbrella")
SERVICES = ("shop", "warehouse", "search", "mail")
PATIENCE = timedelta(seconds=2)
"""How long a shutdown waits for steps and open requests."""


def listen(port: int | None) -> socket.socket:
    """Listen at this port, or else at a free one near 8090. Raises OSError when it is taken."""
    if port is not None:
        return socket.create_server((HOST, port))
    for near in PORTS:
        try:
            return socket.create_server((HOST, near))
        except OSError:
            continue  # taken by another program
    return socket.create_server((HOST, 0))


class Showcase:
    """The shop, on the database of the crash demo, so that the inventory is shown with it."""

    def __init__(self, database: str, listener: socket.socket) -> None:
        self._database = database
        self._listener = listener
        self.address = f"http://{HOST}:{listener.getsockname()[1]}{DASHBOARD}/"
        self.email = EMAIL
        self.password = secrets.token_urlsafe(9)
        self.is_built = (FOLDER / "index.html").is_file()

    async def fill(self) -> None:
        """Create the account, and let the shop work until open runs wait for a person or a time only."""
        async with self._runtime() as rt:
            await rt.accounts.create(self.email, self.password, "admin")
            await _take_orders(rt)
            # The newest runs come first in the dashboard, and these are more interesting than e-mails.
            await asyncio.gather(_deploy(rt), _ask_suppliers(rt), _remind(rt))

    def serve(self) -> bool:
        """Serve until SIGTERM or SIGINT; False if the server could not start."""
        import uvicorn

        # uvicorn raises the signal that ended it once more, for the handlers that were installed before its own.
        for number in ENDING_SIGNALS:
            signal.signal(number, _ignore)
        config = uvicorn.Config(
            asgi_app_of(self._runtime()),
            log_level="error",
            timeout_graceful_shutdown=int(PATIENCE.total_seconds()),
            server_header=False,
            ws="none",
        )
        server = uvicorn.Server(config)
        server.run(sockets=[self._listener])
        return server.started

    def _runtime(self) -> Runtime:
        # As in the crash demo: the settings in the environment are meant for the user's programs.
        rt = Runtime(self._database, workflows=shop.WORKFLOWS, config=Config(shutdown_timeout=PATIENCE))
        rt.queue(shop.EMAILS, rate_limit=shop.EMAIL_RATE)
        inventory = _inventory()
        rt.register(inventory.take_inventory, triggerable=True, tags=("inventory",))
        rt.register(inventory.hash_batch, tags=("inventory",))
        return rt


def _ignore(number: int, frame: object) -> None:
    """Exit with code 0: a requested end is not a failure."""


@cache
def _inventory() -> ModuleType:
    """The example as a module; it does not belong to a package."""
    name = "inventory"
    spec = importlib.util.spec_from_file_location(name, example())
    assert spec is not None
    assert spec.loader is not None
    # pydantic looks up the annotations of models in the module of that name.
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def _take_orders(rt: Runtime) -> None:
    """A morning of orders: every 17th card is declined, and one of these orders is retried with another card."""
    orders = [_order(number) for number in range(1001, 1001 + ORDERS)]
    handles = await asyncio.gather(
        *(rt.run(shop.place_order.options(id=f"order-{order.number}"), order) for order in orders)
    )
    outcomes = await asyncio.gather(*(handle.result() for handle in handles), return_exceptions=True)
    declined = [order for order, outcome in zip(orders, outcomes, strict=True) if isinstance(outcome, Exception)]
    again = declined[0].model_copy(update={"card": "4000 0000 0000 0077"})
    await (await rt.fork(f"order-{again.number}", args=[again], new_id=f"order-{again.number}-again")).result()
    for mail in (await rt.list(queue=shop.EMAILS, status="ENQUEUED", limit=5)).items:
        await rt.cancel(mail.workflow_id, reason="the customer wants no e-mail")


def _order(number: int) -> shop.Order:
    count = 1 + number % 3
    items = [
        shop.Item(article=ARTICLES[(number + line) % len(ARTICLES)], quantity=1 + number % 4) for line in range(count)
    ]
    customer = f"{CUSTOMERS[number % len(CUSTOMERS)]}@example.com"
    order = shop.Order(number=number, customer=customer, items=items)
    return order.model_copy(update={"card": BAD_CARD}) if number % 17 == 0 else order


async def _deploy(rt: Runtime) -> None:
    """Twelve deployments: six are approved, two are rejected, four wait."""
    releases = [(service, f"2.{minor}") for minor in range(3) for service in SERVICES]
    ids = [f"deploy-{service}-{version}" for service, version in releases]
    for id, (service, version) in zip(ids, releases, strict=True):
        await rt.run(shop.deploy.options(id=id), service, version)
    for number, id in enumerate(ids[:8]):
        await _approval_opens(rt, id)
        if number % 4 == 3:
            await rt.approve(id, approved=False, comment="not before the weekend", by="grace@example.com")
        else:
            rollout = {"strategy": "canary", "percent": 5 * (number + 1)}
            await rt.approve(id, comment="looks good", by="ada@example.com", data=rollout)
            await rt.retrieve(id).result()
    for id in ids[8:]:
        await _approval_opens(rt, id)


async def _approval_opens(rt: Runtime, id: str) -> None:
    while True:
        if (await rt.approvals.list(workflow_id=id)).items:
            return
        await asyncio.sleep(POLL_SECONDS)


async def _ask_suppliers(rt: Runtime) -> None:
    """Suppliers of which some answer at once, some after a few calls, and one never."""
    handles = [
        await rt.run(shop.sync_prices.options(id=f"prices-{supplier}-{day}"), supplier)
        for day in range(1, 6)
        for supplier in SUPPLIERS
    ]
    await asyncio.gather(*(handle.result() for handle in handles), return_exceptions=True)


async def _remind(rt: Runtime) -> None:
    """Reminders that sleep for days; some are cancelled because the invoice is paid."""
    for number in range(1, 13):
        id = f"reminder-{number}"
        await rt.run(shop.remind.options(id=id), f"{CUSTOMERS[number % len(CUSTOMERS)]}@example.com", 7 + number)
        if number % 3 == 0:
            await rt.cancel(id, reason="the invoice is paid")
