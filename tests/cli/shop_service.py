"""A service as users run it, in a thread of its own, and a command line that runs in the process of the test."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from datetime import timedelta
from typing import Any, Protocol, TypeVar

import uvicorn
from pydantic import BaseModel
from typer.testing import CliRunner

import turbine
from turbine.cli.app import app

T = TypeVar("T")


class Shipping(BaseModel):
    carrier: str


@turbine.step(retries=1, base_interval=0.001)
async def charge(amount: int) -> str:
    turbine.logger().info("charging %s", amount)
    if amount < 0:
        raise ValueError(f"{amount} is no amount")
    return f"charged {amount}"


@turbine.step
async def ship(receipt: str) -> str:
    return f"shipped: {receipt}"


@turbine.workflow(tags=["shop"], triggerable=True)
async def order(amount: int) -> str:
    return await ship(await charge(amount))


@turbine.workflow(triggerable=True)
async def gate() -> dict[str, Any]:
    decision = await turbine.wait_for_approval("Ship it?", form=Shipping)
    carrier = decision.data.carrier if decision.data else None
    return {"approved": decision.approved, "comment": decision.comment, "by": decision.by, "carrier": carrier}


@turbine.workflow
async def mailbox() -> Any:
    return await turbine.recv("news")


@turbine.workflow(triggerable=True)
async def report(on: str = "today") -> str:
    return on


class Service:
    """An application with workflows, API and dashboard, which runs until the test ends."""

    def __init__(self, database_url: str) -> None:
        self.database_url = database_url
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="service")
        self._thread.start()
        self.app, self.rt = turbine.new_app(
            database_url, workflows=[order, gate, mailbox, report], shutdown_timeout=0, park_after=timedelta(hours=1)
        )
        self.rt.queue("narrow", global_concurrency=1)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._server = uvicorn.Server(uvicorn.Config(self.app, log_config=None, ws="none", lifespan="on"))
        self._serving: Future[None] | None = None

    def start(self) -> None:
        self._serving = asyncio.run_coroutine_threadsafe(self._server.serve(sockets=[self._socket]), self._loop)
        self.do(self._until_launched())
        self.token = self.do(self.rt.tokens.create("command line", "admin")).token

    async def _until_launched(self) -> None:
        while not (self._server.started and self.rt.is_launched):  # noqa: ASYNC110 - uvicorn tells by a flag only
            await asyncio.sleep(0.005)

    def do(self, act: Coroutine[Any, Any, T]) -> T:
        """Do something in the service's own loop."""
        return asyncio.run_coroutine_threadsafe(act, self._loop).result(30)

    def run(self, workflow: Any, *args: Any) -> str:
        """Start a run; its id."""
        return self.do(self.rt.run(workflow, *args)).workflow_id

    def finish(self, workflow: Any, *args: Any) -> str:
        """Carry a run out to its end, whatever that is; its id."""
        return self.do(self._finish(workflow, *args))

    async def _finish(self, workflow: Any, *args: Any) -> str:
        handle = await self.rt.run(workflow, *args)
        try:
            await handle.result()
        except turbine.TurbineError:
            assert (await handle.status()).status.is_terminal
        return handle.workflow_id

    def result(self, workflow_id: str) -> Any:
        return self.do(self.rt.retrieve(workflow_id).result(20))

    def status(self, workflow_id: str) -> turbine.Status:
        return self.do(self.rt.status(workflow_id))

    def wait_for(self, workflow_id: str, status: str) -> None:
        async def look() -> None:
            while (await self.rt.status(workflow_id)).status != status:  # noqa: ASYNC110 - rows are the only witnesses
                await asyncio.sleep(0.005)

        self.do(look())

    def appears(self, workflow_id: str) -> None:
        """Until there is a run of this id."""

        async def look() -> None:
            while not (await self.rt.list(ids=workflow_id)).items:  # noqa: ASYNC110 - rows are the only witnesses
                await asyncio.sleep(0.005)

        self.do(look())

    def stop(self) -> None:
        if self._serving is not None:
            self._server.should_exit = True
            self._serving.result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(120)
        self._loop.close()
        self._socket.close()


class Answer:
    """What a command has left behind."""

    def __init__(self, result: Any) -> None:
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        self.code: int = result.exit_code
        self.out: str = result.stdout
        self.err: str = result.stderr

    @property
    def json(self) -> Any:
        assert "" == self.err
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


class Cli(Protocol):
    def __call__(self, *arguments: str) -> Answer: ...


def invoke(*arguments: str, typed: str | None = None) -> Answer:
    return Answer(CliRunner().invoke(app, list(arguments), input=typed, prog_name="turbine"))
