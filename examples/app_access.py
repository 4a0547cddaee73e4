"""Turbine inside a FastAPI application: routes start runs, and steps use what the application has opened.

    python examples/app_access.py

Serve it with `uvicorn --app-dir examples app_access:app`; Turbine's API is then at /api/pt/, its dashboard at
/_/turbine/. Here the program asks itself a few things and ends.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, Request

import turbine


class Warehouse:
    """Stands for a pool of connections: opened by the application, used by its routes and by steps."""

    def __init__(self) -> None:
        self.stock = {"tea": 3, "salt": 1}

    async def take(self, goods: str) -> int:
        self.stock[goods] -= 1
        return self.stock[goods]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.warehouse = Warehouse()
    yield


@turbine.step
async def take_from_stock(goods: str) -> int:
    app: FastAPI = turbine.current().app
    return await app.state.warehouse.take(goods)


@turbine.workflow
async def order(goods: str) -> str:
    left = await take_from_stock(goods)
    return f"one {goods} taken, {left} left"


def role_of(request: Request) -> str | None:
    """Whoever has signed in to our application may look at runs. Without `auth=` Turbine keeps accounts of its own."""
    return "viewer" if request.headers.get("x-signed-in") else None


app = FastAPI(lifespan=lifespan)
# The runtime lives with the application: it is launched after the application's own start, and ends before its end.
rt = turbine.setup(app, "sqlite:///app_access.db", workflows=[order], auth=role_of)


@app.post("/orders/{goods}")
async def place_order(goods: str) -> dict[str, str]:
    handle = await rt.run(order, goods)
    return {"order": handle.workflow_id}


@app.get("/orders/{order_id}")
async def read_order(order_id: str) -> dict[str, str]:
    return {"result": await rt.retrieve(order_id, str).result(timeout=5)}


async def main() -> None:
    asgi = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=asgi, base_url="http://shop") as client:
        order_id = (await client.post("/orders/tea")).json()["order"]
        print((await client.get(f"/orders/{order_id}")).json())

        path = f"/api/pt/workflows/{order_id}/steps"
        print((await client.get(path)).status_code, "for strangers")
        steps = (await client.get(path, headers={"x-signed-in": "ada"})).json()["items"]
        print([(step["function_name"], step["output"]) for step in steps])


if __name__ == "__main__":
    asyncio.run(main())

# Prints:
# {'result': 'one tea taken, 2 left'}
# 401 for strangers
# [('take_from_stock', 2)]
