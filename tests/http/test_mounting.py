"""Turbine in somebody else's application."""

from __future__ import annotations

import asyncio
import mimetypes
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

import turbine
from turbine.http.dashboard import Dashboard


def client_of(app, base: str = "http://localhost") -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base)


@pytest.mark.parametrize("kind", [FastAPI, Starlette])
async def test_the_runtime_lives_within_the_life_of_its_host(sqlite_url, kind) -> None:
    seen: list[tuple[str, bool]] = []

    @asynccontextmanager
    async def incarnation(app):
        seen.append(("begins", rt.is_launched))
        yield {"pool": 1}
        seen.append(("ends", rt.is_launched))

    app = kind(lifespan=incarnation)
    rt = turbine.setup(app, sqlite_url, auth="none")
    assert rt.app is app
    async with app.router.lifespan_context(app) as state:
        assert ({"pool": 1}, True) == (state, rt.is_launched)
        async with client_of(app) as client:
            assert 200 == (await client.get("/api/pt/workflows")).status_code
    assert [("begins", False), ("ends", False)] == seen


async def test_with_a_life_of_its_own_the_caller_launches(sqlite_url) -> None:
    app = FastAPI()
    rt = turbine.setup(app, sqlite_url, lifespan=False, auth="none")
    async with app.router.lifespan_context(app), client_of(app) as client:
        assert not rt.is_launched
        assert 503 == (await client.get("/api/pt/workflows")).status_code
        health = await client.get("/api/pt/health")
        assert (503, "degraded", "stopped") == (health.status_code, *(health.json()[k] for k in ("status", "executor")))
        async with rt:
            assert 200 == (await client.get("/api/pt/health")).status_code
        health = await client.get("/api/pt/health")
        assert (503, "draining") == (health.status_code, health.json()["executor"])


async def test_a_prefix_and_a_catch_all_of_the_host_do_no_harm(sqlite_url) -> None:
    async def everything(request):
        return PlainTextResponse("host")

    app = Starlette(routes=[Mount("/", app=Starlette(routes=[Route("/{path:path}", everything)]))])
    rt = turbine.setup(app, sqlite_url, prefix="/flows", auth="none", lifespan=False)
    async with rt, client_of(app) as client:
        assert 200 == (await client.get("/flows/api/pt/workflows")).status_code
        assert "host" == (await client.get("/api/pt/workflows")).text
        assert "text/html" in (await client.get("/flows/_/turbine/")).headers["content-type"]
        moved = await client.get("/flows/_/turbine")
        assert (307, "/flows/_/turbine/") == (moved.status_code, moved.headers["location"])


async def test_behind_a_proxy_the_cookie_belongs_to_the_path_that_browsers_see(sqlite_url) -> None:
    app = FastAPI()
    rt = turbine.setup(app, sqlite_url, prefix="/flows", lifespan=False)
    async with rt:
        await rt.accounts.create("a@example.com", "correct horse", "viewer")
        transport = httpx.ASGITransport(app, root_path="/shop")
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            login = {"email": "a@example.com", "password": "correct horse"}
            answer = await client.post("/shop/flows/api/pt/login", json=login)
            assert "path=/shop/flows;" in answer.headers["set-cookie"].lower() + ";"
            assert 200 == (await client.get("/shop/flows/api/pt/workflows")).status_code


@pytest.mark.parametrize("prefix", ["flows", "/flows/", "/"])
def test_a_prefix_that_is_none_is_refused(sqlite_url, prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix"):
        turbine.setup(FastAPI(), sqlite_url, prefix=prefix)


def test_another_kind_of_sign_in_is_refused(sqlite_url) -> None:
    with pytest.raises(ValueError, match="auth"):
        turbine.setup(FastAPI(), sqlite_url, auth="passwords")


async def test_without_a_dashboard_there_is_the_api_alone(sqlite_url) -> None:
    app, rt = turbine.new_app(sqlite_url, dashboard=False, auth="none", lifespan=False)
    async with rt, client_of(app) as client:
        assert 200 == (await client.get("/api/pt/workflows")).status_code
        assert 404 == (await client.get("/_/turbine/")).status_code


async def test_the_front_page_leads_to_the_dashboard(sqlite_url) -> None:
    app, _ = turbine.new_app(sqlite_url, lifespan=False)
    async with client_of(app) as client:
        assert "/_/turbine/" == (await client.get("/")).headers["location"]


async def test_the_dashboard_is_one_page_at_every_path_and_its_assets_never_change(tmp_path) -> None:
    (tmp_path / "static" / "assets").mkdir(parents=True)
    (tmp_path / "static" / "index.html").write_text("<html><head></head><body>dashboard</body></html>")
    (tmp_path / "static" / "assets" / "app-1a2b.js").write_text("1")
    (tmp_path / "secret.txt").write_text("secret")
    app = Starlette(routes=[Mount("/shop/_/turbine", app=Dashboard(tmp_path / "static"))])
    async with client_of(app) as client:
        for path in ("", "workflows", "workflows/a.b/steps", "index.html"):
            page = await client.get(f"/shop/_/turbine/{path}")
            assert '<base href="/shop/_/turbine/">' in page.text
            assert "no-cache" == page.headers["cache-control"]
            assert "script-src 'self';" in page.headers["content-security-policy"]
        asset = await client.get("/shop/_/turbine/assets/app-1a2b.js")
        assert ("1", True) == (asset.text, "immutable" in asset.headers["cache-control"])
        assert 404 == (await client.get("/shop/_/turbine/assets/app-0000.js")).status_code
        for path in ("../secret.txt", "%2e%2e/secret.txt", "..%2fsecret.txt", "assets/..%2f..%2fsecret.txt"):
            assert "secret" not in (await client.get(f"/shop/_/turbine/{path}")).text
        assert 405 == (await client.post("/shop/_/turbine/")).status_code


async def test_scripts_of_the_dashboard_run_whatever_the_machine_takes_them_for(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(mimetypes, "_db", mimetypes.MimeTypes())
    mimetypes.add_type("text/plain", ".js")  # what programs for Windows leave in its registry
    (tmp_path / "assets").mkdir()
    types = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml", "woff2": "font/woff2"}
    async with client_of(Dashboard(tmp_path)) as client:
        for ending, expected in types.items():
            (tmp_path / "assets" / f"a.{ending}").write_text("")
            assert expected == (await client.get(f"/assets/a.{ending}")).headers["content-type"].partition(";")[0]


async def test_a_dashboard_that_is_not_built_says_how_to_build_it(tmp_path) -> None:
    app = Starlette(routes=[Mount("/_/turbine", app=Dashboard(tmp_path / "nothing"))])
    async with client_of(app) as client:
        page = await client.get("/_/turbine/workflows")
    assert 503 == page.status_code
    assert "npm run build" in page.text


async def test_streams_end_with_the_life_of_their_server(sqlite_url) -> None:
    app, rt = turbine.new_app(sqlite_url, auth="none")
    context = app.router.lifespan_context(app)
    await context.__aenter__()
    client = client_of(app, "http://localhost/api/pt/")
    listening = asyncio.create_task(client.get("stream"))
    await asyncio.sleep(0.1)
    await context.__aexit__(None, None, None)
    assert 200 == (await listening).status_code
    await client.aclose()
    assert not rt.is_launched
