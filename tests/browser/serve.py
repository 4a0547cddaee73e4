"""The shop behind a real server, for the browser: `python serve.py FOLDER [PREFIX]` prints where it listens."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from pathlib import Path

import shop
import uvicorn

import turbine
from turbine.http.bootstrap import print_setup_link


async def main(folder: Path, prefix: str) -> None:
    app, rt = turbine.new_app(
        f"sqlite:///{folder / 'shop.db'}",
        workflows=shop.WORKFLOWS,
        prefix=prefix,
        lifespan=False,
        shutdown_timeout=0,
        allow_private_addresses=True,
    )
    rt.queue("render", global_concurrency=2)
    rt.queue("imports", partitioned=True, rate_limit=turbine.RateLimit(100, per=60))
    await rt.launch()
    try:
        await fill(rt)
        token = (await rt.tokens.create("tests", "admin")).token
        link = await print_setup_link(rt, f"{prefix}/_/turbine/setup")
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            where = f"http://127.0.0.1:{listener.getsockname()[1]}"
            server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            print(json.dumps({"where": where, "prefix": prefix, "link": f"{where}{link}", "token": token}), flush=True)
            await serving
    finally:
        await rt.shutdown()


async def fill(rt: turbine.Runtime) -> None:
    """Start what the pages show, and wait until what can end has ended."""
    for wish in shop.wishes():
        await rt.trigger(wish.name, wish.input, id=wish.id)
    await rt.kv.set("config/limits", {"release_above": 1500, "currencies": ["EUR"]})
    await rt.kv.set_schema("config/limits", shop.LIMITS)
    await rt.kv.set("greeting", "hello")
    for wish in shop.wishes():
        if wish.name == "send_invoice" or wish.id.startswith(("order-10", "order-11")):
            try:
                await rt.retrieve(wish.id).result()
            except turbine.WorkflowFailed:
                assert wish.id.startswith("order-11"), wish


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""))
