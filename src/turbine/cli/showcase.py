"""The dashboard of the demo: a shop that has had a busy morning, served to this machine only.

Every run was really carried out by the runtime that the dashboard shows; nothing is written into the database by hand.
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

from turbine.cli import shop
from turbine.cli.crash_demo import LOOK_SECONDS
from turbine.cli.worker import example
from turbine.config import Config
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
"""How long an end waits for steps and open requests: whoever presses Ctrl-C has seen enough."""


def open_client(port: int | None) -> socket.socket:
    """Listen at this port, or else at a free one near 8090. Raises OSError when it is taken."""
    if port is not None:
        return socket.create_server((HOST, port))
    for near in PORTS:
        try:
            return socket.create_server((HOST, near))
        except OSError:
            continue  # somebody else's
    return socket.create_server((HOST, 0))


class Showcase:
    """The shop on the database of the rehearsal, whose inventory is shown with it."""

    def __init__(self, database: str, listener: socket.socket) -> None:
        self._database = database
        self._listener = listener
        self.address = f"http://{HOST}:{listener.getsockname()[1]}{DASHBOARD}/"
        self.email = EMAIL
        self.password = secrets.token_urlsafe(9)
        self.is_built = (FOLDER / "index.html").is_file()

    async def fill(self) -> None:
        """Open the account, and let the shop work until only that is open which waits for a person or a time."""
        async with self._runtime() as rt:
            await rt.accounts.create(self.email, self.password, "admin")
            await _take_orders(rt)
            # What comes last stands first in the dashboard, and not everybody wants to see e-mails first.
            await asyncio.gather(_deploy(rt), _ask_suppliers(rt), _remind(rt))

    def serve(self) -> bool:
        """Serve until SIGTERM or SIGINT; False if the server could not start."""
        import uvicorn

        # uvicorn sends itself the signal that ended it once more, to whoever listened before.
        for number in ENDING_SIGNALS:
            signal.signal(number, _ended)
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
        # As in the rehearsal: the settings in the environment are meant for the user's programs.
        rt = Runtime(self._database, workflows=shop.WORKFLOWS, config=Config(shutdown_timeout=PATIENCE))
        rt.queue(shop.EMAILS, rate_limit=shop.EMAIL_RATE)
        inventory = _inventory()
        rt.register(inventory.take_inventory, triggerable=True, tags=("inventory",))
        rt.register(inventory.hash_batch, tags=("inventory",))
        return rt


def _ended(number: int, frame: object) -> None:
    """An end that was asked for is no failure."""


@cache
def _inventory() -> ModuleType:
    """The example as a module; it is no part of a package."""
    name = "inventory"
    spec = importlib.util.spec_from_file_location(name, example())
    assert spec is not None
    assert spec.loader is not None
    # pydantic looks up the annotations of the models where their module says that it is.
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def _take_orders(rt: Runtime) -> None:
    """A morning of orders: every 17th card is declined, one order is made good with another card."""
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
    """Twelve deployments: people have released six and refused two; four wait."""
    wanted = [(service, f"2.{minor}") for minor in range(3) for service in SERVICES]
    ids = [f"deploy-{service}-{version}" for service, version in wanted]
    for id, (service, version) in zip(ids, wanted, strict=True):
        await rt.run(shop.deploy.options(id=id), service, version)
    for place, id in enumerate(ids[:8]):
        await _gate_opens(rt, id)
        if place % 4 == 3:
            await rt.approve(id, approved=False, comment="not before the weekend", by="grace@example.com")
        else:
            rollout = {"strategy": "canary", "percent": 5 * (place + 1)}
            await rt.approve(id, comment="looks good", by="ada@example.com", data=rollout)
            await rt.retrieve(id).result()
    for id in ids[8:]:
        await _gate_opens(rt, id)


async def _gate_opens(rt: Runtime, id: str) -> None:
    while True:
        if (await rt.approvals.list(workflow_id=id)).items:
            return
        await asyncio.sleep(LOOK_SECONDS)


async def _ask_suppliers(rt: Runtime) -> None:
    """Some answer at once, some after a few calls, one never."""
    handles = [
        await rt.run(shop.sync_prices.options(id=f"prices-{supplier}-{day}"), supplier)
        for day in range(1, 6)
        for supplier in SUPPLIERS
    ]
    await asyncio.gather(*(handle.result() for handle in handles), return_exceptions=True)


async def _remind(rt: Runtime) -> None:
    """Reminders that sleep for days; who has paid needs none."""
    for number in range(1, 13):
        id = f"reminder-{number}"
        await rt.run(shop.remind.options(id=id), f"{CUSTOMERS[number % len(CUSTOMERS)]}@example.com", 7 + number)
        if number % 3 == 0:
            await rt.cancel(id, reason="the invoice is paid")
