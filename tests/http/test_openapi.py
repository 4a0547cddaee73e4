"""What the OpenAPI document promises is what the server does, whatever it is sent."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import turbine

ENDLESS = ("GET /stream", "POST /alert-channels/{id}/test", "POST /webhooks/{id}/test")
"""The others wait for a service, and here nothing leaves the process."""
ORDER = ("get", "put", "patch", "post", "delete")
"""Things are looked at first, and removed last."""


@turbine.step
async def double(x: int) -> int:
    return 2 * x


@turbine.workflow(triggerable=True, tags=["a"])
async def count(x: int) -> int:
    return await double(x)


@turbine.step
async def draw() -> None:
    await turbine.send_product("a.txt", b"text")


@turbine.workflow
async def make() -> None:
    await draw()


@turbine.workflow(triggerable=True)
async def gate(x: float) -> bool:
    return (await turbine.wait_for_approval("Sure?")).approved


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
    """A real server with a few things in it, and their ids; it answers this machine without sign-in."""
    path = tmp_path_factory.mktemp("openapi") / "turbine.db"
    app, rt = turbine.new_app(f"sqlite:///{path}", workflows=[count, gate, make], auth="none", shutdown_timeout=0)
    rt.queue("mail", global_concurrency=1)
    # Hooks and channels that are made here name hosts of elsewhere.
    rt._instrument = lambda live: live.transports.clear()
    http = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", ws="none", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=http.run)
    thread.start()
    while not http.started:
        assert thread.is_alive()
    port = http.servers[0].sockets[0].getsockname()[1]
    known = asyncio.run_coroutine_threadsafe(fill(rt), rt._app().loop).result(30)
    yield f"http://127.0.0.1:{port}/api/pt", known
    http.should_exit = True
    thread.join()


async def fill(rt: turbine.Runtime) -> dict[str, str]:
    await (await rt.run(count.options(id="run-1"), 1)).result()
    await (await rt.run(make)).result()
    await rt.run(gate.options(id="run-2", queue="mail"), 1.5)
    await rt.kv.set("color", {"r": 1})
    while not (gates := (await rt.approvals.list()).items):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    return {
        "workflows": "run-1",
        "approvals": gates[0].id,
        "products": (await rt.products.list()).items[0].id,
        "schedules": (await rt.schedules.create("count", "0 3 * * *", input=1, name="nightly")).id,
        "webhooks": (await rt.webhooks.create(url="https://example.com/hook", events=["workflow.ERROR"])).id,
        "alert-channels": (await rt.alert_channels.create(name="ops", url="json://example.com")).id,
        "accounts": (await rt.accounts.create("ada@example.com", "correct horse", "viewer")).id,
        "tokens": (await rt.tokens.create("ci", "viewer")).id,
        "registered": "count",
        "queues": "mail",
        "kv": "color",
        "position": "0",
    }


@pytest.fixture(scope="module")
def schema(server: tuple[str, dict[str, str]]) -> Any:
    return schemathesis.openapi.from_url(f"{server[0]}/openapi.json")


@pytest.mark.timeout(300)
def test_no_request_makes_the_server_fail_or_answer_otherwise_than_described(
    server: tuple[str, dict[str, str]], schema: Any, request: pytest.FixtureRequest
) -> None:
    address, known = server
    examples = 100 if request.config.getoption("--long") else 6
    seen = 0
    operations = [found.ok() for found in schema.get_all_operations()]
    operations.sort(key=lambda one: (ORDER.index(one.method), one.path == "/workflows/bulk"))
    for operation in operations:
        if operation.label in ENDLESS:
            continue
        seen += 1

        @given(case=operation.as_strategy())
        @settings(
            max_examples=examples,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def try_out(case: Any) -> None:
            noun = case.operation.path.split("/")[1]
            for is_known in (False, True):
                if is_known:
                    case.path_parameters = {
                        name: known.get(name) or known.get(noun, "none") for name in case.path_parameters or {}
                    }
                response = case.call(base_url=address)
                case.validate_response(
                    response,
                    checks=[
                        not_a_server_error,
                        status_code_conformance,
                        content_type_conformance,
                        response_schema_conformance,
                    ],
                )
                if not case.path_parameters:
                    break

        try_out()
    assert seen > 70
