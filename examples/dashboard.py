"""An application that is nothing but Turbine: HTTP API and dashboard around a few workflows.

    cd examples && turbine serve dashboard:app      # then open http://127.0.0.1:8090/
    python examples/dashboard.py                    # only asks it a few things, and ends

Anybody on this machine administers it, because sign-in is off. Leave `auth=` out and the first start prints a link with
which you make the first account.
"""

import asyncio
from datetime import timedelta

import httpx

import turbine


@turbine.step(retries=2)
async def bake(kind: str) -> str:
    return f"a fresh {kind}"


@turbine.workflow(triggerable=True, tags=["bakery"], summary=lambda kind, minutes=0: f"{kind}, {minutes} minutes")
async def order_bread(kind: str, minutes: int = 0) -> str:
    """The dashboard makes a form of the parameters; what does not fit them is refused before a run is made."""
    await turbine.sleep(timedelta(minutes=minutes))
    return await bake(kind)


app, rt = turbine.new_app("sqlite:///dashboard.db", workflows=[order_bread], auth="none")


async def main() -> None:
    asgi = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=asgi, base_url="http://localhost") as api:
        print("health:", (await api.get("/api/pt/health")).json()["status"])

        order = {"name": "order_bread", "input": {"kind": "rye loaf"}}
        workflow_id = (await api.post("/api/pt/trigger", json=order)).json()["workflow_id"]
        await rt.wait_idle()
        run = (await api.get(f"/api/pt/workflows/{workflow_id}")).json()
        print(run["status"], "-", run["summary"], "->", run["output"])

        refused = await api.post("/api/pt/trigger", json={"name": "order_bread", "input": {"minutes": "soon"}})
        print(refused.status_code, [error["path"] for error in refused.json()["errors"]])

        page = await api.get("/_/turbine/")
        print("dashboard:", page.headers["content-type"])


if __name__ == "__main__":
    asyncio.run(main())

# Prints:
# health: ok
# SUCCESS - rye loaf, 0 minutes -> a fresh rye loaf
# 422 [['kind'], ['minutes']]
# dashboard: text/html; charset=utf-8
