"""No answer over HTTP has a password of a URL in it: of the database, a webhook, a channel, a place of products."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

import turbine

PIECES = ("Zq7hid3n", "Zq7s3cret", "Zq7w0rd")
HOOK = f"https://u:{PIECES[0]}@hooks.example.invalid/hook?token={PIECES[1]}"
SHOWN = "https://u:***@hooks.example.invalid/hook?token=***"


@turbine.step
async def make() -> None:
    await turbine.send_product("report", b"bytes")


@turbine.workflow
async def report() -> None:
    await make()


async def every_answer(admin: httpx.AsyncClient, known: dict[str, str]) -> dict[str, str]:
    """What every route that can be looked at answers."""
    described = (await admin.get("openapi.json")).json()["paths"]
    answers: dict[str, str] = {}
    for path, operations in described.items():
        if "get" not in operations or path.endswith(("/stream", "/backup")):
            continue
        noun = path.strip("/").removeprefix("api/pt/").split("/")[0]
        route = path.removeprefix("/api/pt").strip("/").replace("{id}", known.get(noun, "none"))
        if "{" not in route:
            answers[route] = (await admin.get(route)).text
    return answers


async def test_no_route_shows_a_password(open_site) -> None:
    site = await open_site(report, product_storage=f"memory://u:{PIECES[2]}@bucket")
    admin = await site.holder("admin")
    await (await site.rt.run(report.options(id="run"))).result()
    hook = (await admin.post("webhooks", json={"url": HOOK, "events": ["workflow.ERROR"]})).json()
    channel = f"json://u:{PIECES[0]}@example.com"
    made = (await admin.post("alert-channels", json={"name": "ops", "url": channel, "events": []})).json()
    await admin.patch(f"webhooks/{hook['id']}", json={"url": SHOWN, "enabled": False})
    await admin.post(f"webhooks/{hook['id']}/test")
    await admin.post("sql", json={"query": "select * from pt_products"})

    answers = await every_answer(admin, {"webhooks": hook["id"], "alert-channels": made["id"], "workflows": "run"})
    asked = await admin.post("sql", json={"query": "select storage from pt_products"})
    assert SHOWN == hook["url"] == (await admin.get(f"webhooks/{hook['id']}")).json()["url"]
    assert "memory://u:***@bucket" in answers["settings"]
    assert "webhook.create" in answers["audit"]
    assert len(answers) >= 30
    for route, text in (*answers.items(), ("sql", asked.text)):
        assert [] == [piece for piece in PIECES if piece in text], route


@pytest.mark.parametrize(
    "url",
    [
        f"https://u:{'/'.join(PIECES)}@example.com/hook",
        f"https://u:{PIECES[0]}@example.com:port/hook",
        f"ftp://u:{PIECES[0]}@example.com/hook",
        f"https://u:{PIECES[0]}@127.0.0.1/hook",
    ],
)
async def test_a_webhook_that_is_refused_is_quoted_without_its_password(open_site, url: str) -> None:
    admin = await (await open_site(report)).holder("admin")
    for answer in (
        await admin.post("webhooks", json={"url": url, "events": ["workflow.ERROR"]}),
        await admin.post("alert-channels", json={"name": "ops", "url": url.replace("https", "no-such"), "events": []}),
    ):
        assert 422 == answer.status_code
        assert [] == [piece for piece in PIECES if piece in answer.text]


@pytest.mark.postgres
async def test_the_settings_and_the_health_of_a_server_show_no_password_of_its_database(postgres_url: str) -> None:
    head, _, rest = postgres_url.partition("://")
    url = f"{head}://postgres:{PIECES[0]}@{rest.partition('@')[2]}&password={PIECES[1]}"
    listen_url = url.replace(PIECES[0], PIECES[2])
    app, rt = turbine.new_app(url, auth=lambda request: "admin", listen_url=listen_url)
    async with app.router.lifespan_context(app):
        transport: Any = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost/api/pt/") as admin:
            answers = await every_answer(admin, {})
    assert 2 == answers["settings"].count("postgres:***@")
    for route, text in answers.items():
        assert [] == [piece for piece in PIECES if piece in text], route
    assert [] == [piece for piece in PIECES if piece in repr(rt)]
