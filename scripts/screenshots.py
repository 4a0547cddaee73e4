"""Takes the pictures of the dashboard: `python scripts/screenshots.py [FOLDER]`, by default docs/screenshots.

Lives through a day and a half of a small shop in a minute (the clock is set back and jumps forward), serves what is
left of it, and looks at it with a Chromium. Needs a built dashboard and `pip install playwright`.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import random
import shutil
import socket
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import uvicorn
from playwright.async_api import Browser, Page, async_playwright

import turbine
from turbine.testing.clock import VirtualClock

ROOT = Path(__file__).parents[1]
HISTORY = timedelta(hours=36)
ROUNDS = 30
SECONDS_PER_ROUND = 2.0
DESKTOP = (1440, 900)
PHONE = (390, 844)
SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync", "--no-first-run"]


@dataclass(frozen=True)
class Picture:
    """A page, and what is pressed on it before it is taken."""

    name: str
    path: str
    theme: str = "light"
    size: tuple[int, int] = DESKTOP
    press: str | None = None
    """The text of a button or row."""
    keys: tuple[str, ...] = ()


PICTURES = [
    Picture("runs", "runs"),
    Picture("runs-dark", "runs", "dark"),
    Picture("runs-phone", "runs", size=PHONE),
    Picture("run", "runs/order-1200?step=5"),
    Picture("run-dark", "runs/order-1001", "dark"),
    Picture("run-failed", "runs/order-1100"),
    Picture("run-graph", "runs/order-1002", press="Graph"),
    Picture("run-phone", "runs/order-1200", "dark", PHONE),
    Picture("palette", "runs", keys=("Control+k", "o", "r", "d", "e", "r")),
    Picture("start", "start?workflow=place_order"),
    Picture("approvals", "approvals"),
    Picture("approvals-phone", "approvals", size=PHONE),
    Picture("errors", "errors", "dark"),
    Picture("calendar", "calendar"),
    Picture("workflow", "workflows/place_order"),
    Picture("queue", "queues/render", "dark"),
    Picture("schedules", "schedules"),
    Picture("logs", "logs", "dark"),
    Picture("kv", "kv", press="config/limits"),
    Picture("storage", "settings?tab=storage"),
]


def load_shop() -> ModuleType:
    """The shop of the browser tests, at a pace at which its steps can be seen."""
    os.environ.setdefault("SHOP_PACE", "1")
    spec = importlib.util.spec_from_file_location("shop", ROOT / "tests" / "browser" / "shop.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["shop"] = module
    spec.loader.exec_module(module)
    return module


shop = load_shop()


async def main(out: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = f"sqlite:///{folder}/shop.db"
        await live_through(database)
        app, rt = turbine.new_app(database, workflows=shop.WORKFLOWS, lifespan=False, auth="none", shutdown_timeout=0)
        declare_queues(rt)
        await rt.launch()
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            try:
                await take(f"http://127.0.0.1:{listener.getsockname()[1]}/_/turbine/", out)
            finally:
                server.should_exit = True
                await serving
                await rt.shutdown()


def declare_queues(rt: turbine.Runtime) -> None:
    rt.queue("render", global_concurrency=2)
    rt.queue("imports", partitioned=True, rate_limit=turbine.RateLimit(100, per=60))


async def live_through(database: str) -> None:
    """A day and a half of the shop, ending now."""
    clock = VirtualClock(datetime.now(UTC) - HISTORY)
    behind = HISTORY

    async def tick() -> None:
        while True:
            clock.move_to(round((time.time() - behind.total_seconds()) * 1000))
            await asyncio.sleep(0.005)

    rt = turbine.Runtime(database, workflows=shop.WORKFLOWS, clock=clock, shutdown_timeout=0)
    declare_queues(rt)
    ticking = asyncio.create_task(tick())
    await rt.launch()
    await rt.kv.set("config/limits", {"release_above": 1500, "currencies": ["EUR"]})
    await rt.kv.set_schema("config/limits", shop.LIMITS)
    wishes = shop.wishes()
    lasting = [wish for wish in wishes if wish.name not in ("send_invoice", "place_order")]
    passing = [wish for wish in wishes if wish not in lasting]
    for number in range(ROUNDS):
        for again in range(random.randint(2, 6)):
            wish = random.choice(passing)
            await rt.trigger(wish.name, wish.input, id=f"{wish.id}-{number}{again}")
        await asyncio.sleep(SECONDS_PER_ROUND)
        behind = HISTORY * (1 - (number + 1) / ROUNDS)
    for wish in (*passing, *lasting):
        await rt.trigger(wish.name, wish.input, id=wish.id)
    await asyncio.sleep(2 * SECONDS_PER_ROUND)
    await rt.shutdown()
    ticking.cancel()


async def take(base: str, out: Path) -> None:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        raise SystemExit("no Chromium on this machine")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=SWITCHES)
        for picture in PICTURES:
            page = await open_page(browser, base, picture)
            await page.screenshot(path=out / f"{picture.name}.png")
            await page.context.close()
            print(out / f"{picture.name}.png")
        await browser.close()


async def open_page(browser: Browser, base: str, picture: Picture) -> Page:
    width, height = picture.size
    context = await browser.new_context(viewport={"width": width, "height": height}, color_scheme=picture.theme)
    page = await context.new_page()
    await page.goto(base + picture.path)
    await page.locator("main [aria-label=Loading]").first.wait_for(state="detached")
    await page.wait_for_timeout(900)
    if picture.press is not None:
        await page.get_by_role("button", name=picture.press).first.click()
        await page.wait_for_timeout(900)
    for key in picture.keys:
        await page.keyboard.press(key)
    await page.wait_for_timeout(400)
    return page


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(folder))
