"""Takes the pictures of the dashboard: `python scripts/screenshots.py [FOLDER] [--every] [--only NAME …]`.

Lives through a month of a small shop in two minutes, serves what is left of it, and looks at it with a Chromium. The
pictures go to docs/screenshots; with --every each page is taken in light, in dark and on a phone, for a check by eye.
Needs a built dashboard and `pip install playwright`.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import shutil
import socket
import struct
import tempfile
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import shop_month
import uvicorn
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from turbine.http import dashboard
from turbine.http.asgi import app_of

ROOT = Path(__file__).parents[1]
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
    press: tuple[str, ...] = ()
    """The names of buttons, links or tabs."""
    keys: tuple[str, ...] = ()


PAGES = [
    Picture("runs", "runs"),
    Picture("run", "runs/order-1200?step=5"),
    Picture("run-failed", "runs/order-1100"),
    Picture("run-graph", "runs/order-1002", press=("Graph",)),
    Picture("run-logs", "runs/order-1002?tab=logs"),
    Picture("compare", "runs/order-1002-again?tab=compare"),
    Picture("palette", "runs", keys=("Control+k", "o", "r", "d", "e", "r")),
    Picture("start", "start?workflow=place_order"),
    Picture("approvals", "approvals"),
    Picture("errors", "errors"),
    Picture("metrics", "metrics"),
    Picture("calendar", "calendar"),
    Picture("logs", "logs"),
    Picture("workflows", "workflows"),
    Picture("workflow", "workflows/place_order"),
    Picture("queues", "queues"),
    Picture("queue", "queues/render"),
    Picture("queue-partitioned", "queues/imports"),
    Picture("schedules", "schedules"),
    Picture("schedule", "schedules", press=("count_stock",)),
    Picture("backfill", "schedules", press=("nightly_report", "Backfill")),
    Picture("products", "products"),
    Picture("kv", "kv", press=("config/limits",)),
    Picture("notifications", "notifications"),
    Picture("webhooks", "webhooks"),
    Picture("deliveries", "deliveries"),
    Picture("executors", "executors"),
    Picture("audit", "audit"),
    Picture("sql", "sql", press=("Run",)),
    Picture("api", "api"),
    Picture("settings", "settings"),
    Picture("storage", "settings?tab=storage"),
    Picture("accounts", "settings?tab=accounts"),
    Picture("tokens", "settings?tab=tokens"),
]
MAIN = ("runs", "run", "approvals", "start", "queues", "errors")
"""Pages that are shown in dark and on a phone too."""


def pictures(every: bool, only: list[str]) -> list[Picture]:
    """What is to be taken."""
    wanted = [page for page in PAGES if not only or page.name in only]
    also = [page for page in wanted if every or page.name in MAIN]
    return [
        *wanted,
        *(replace(page, name=f"{page.name}-dark", theme="dark") for page in also),
        *(replace(page, name=f"{page.name}-phone", size=PHONE) for page in also),
    ]


async def main(out: Path, wanted: list[Picture]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = f"sqlite:///{folder}/shop.db"
        async with shop_month.accounting() as where:
            await shop_month.live_through(database, where)
            await shop_month.lose_a_colleague(database)
            async with serving(database) as base:
                await take(base, out, wanted)


@asynccontextmanager
async def serving(database: str) -> AsyncIterator[str]:
    """The shop of today: this server, which people are signed in to, and one more process."""
    rt = shop_month.runtime(database, executor_id="web-1", application_version="2026.11")
    app = app_of(rt)
    await rt.launch()
    colleague = await shop_month.colleague(database, "shop-3")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        where = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            while not server.started:  # noqa: ASYNC110 - it has no other sign
                await asyncio.sleep(0.01)
            await shop_month.staff(rt, f"{where}/api/pt/")
            await asyncio.sleep(4)  # the first heartbeat has the figures of a process that works
            yield f"{where}/_/turbine/"
        finally:
            colleague.terminate()
            server.should_exit = True
            await task
            await rt.shutdown()


async def take(base: str, out: Path, wanted: list[Picture]) -> None:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        raise SystemExit("no Chromium on this machine")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=SWITCHES)
        context = await sign_in(browser, base)
        painter = await context.new_page()
        for picture in wanted:
            try:
                page = await open_page(context, base, picture)
            except Exception as error:
                error.add_note(f"in the picture {picture.name}")
                raise
            (out / f"{picture.name}.png").write_bytes(await small(painter, await page.screenshot()))
            await page.evaluate("localStorage.clear()")
            await page.close()
            print(out / f"{picture.name}.png")
        await browser.close()


async def sign_in(browser: Browser, base: str) -> BrowserContext:
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(f"{base}login")
    await page.get_by_label("E-mail").fill(shop_month.EMAIL)
    await page.get_by_label("Password").fill(shop_month.PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_role("heading", name="Runs").wait_for()
    await page.close()
    return context


async def open_page(context: BrowserContext, base: str, picture: Picture) -> Page:
    width, height = picture.size
    page = await context.new_page()
    page.set_default_timeout(8000)
    await page.set_viewport_size({"width": width, "height": height})
    await page.emulate_media(color_scheme="dark" if picture.theme == "dark" else "light")
    await page.goto(base + picture.path)
    await page.locator("main [aria-label=Loading]").first.wait_for(state="detached")
    await page.wait_for_timeout(900)
    for name in picture.press:
        named = (page.get_by_role(role, name=name).first for role in ("button", "link", "tab"))
        for one in named:
            if await one.count():
                await one.click()
                break
        else:
            raise LookupError(f"nothing to press is called {name!r}")
        await page.wait_for_timeout(700)
    for key in picture.keys:
        await page.keyboard.press(key)
    await page.wait_for_timeout(400)
    return page


PALETTE = """async url => {
    const image = await createImageBitmap(await (await fetch(url)).blob());
    const canvas = new OffscreenCanvas(image.width, image.height);
    const pen = canvas.getContext("2d");
    pen.drawImage(image, 0, 0);
    const pixels = new Uint32Array(pen.getImageData(0, 0, image.width, image.height).data.buffer);
    const counts = new Map();
    for (const pixel of pixels) counts.set(pixel, (counts.get(pixel) ?? 0) + 1);
    const colours = [...counts].sort((a, b) => b[1] - a[1]);
    const apart = (a, b) => ((a & 255) - (b & 255)) ** 2 + ((a >> 8 & 255) - (b >> 8 & 255)) ** 2
        + ((a >> 16 & 255) - (b >> 16 & 255)) ** 2;
    // The most frequent colours, then again and again the one whose nearest so far does it most wrong.
    const chosen = colours.slice(0, 96).map(one => one[0]);
    const error = colours.map(([colour]) => Math.min(...chosen.map(one => apart(colour, one))));
    while (chosen.length < Math.min(256, colours.length)) {
        let worst = 0;
        colours.forEach((one, at) => { if (error[at] * one[1] > error[worst] * colours[worst][1]) worst = at; });
        const next = colours[worst][0];
        chosen.push(next);
        colours.forEach((one, at) => { error[at] = Math.min(error[at], apart(one[0], next)); });
    }
    const nearest = new Map(colours.map(([colour]) => {
        let best = 0;
        chosen.forEach((one, at) => { if (apart(colour, one) < apart(colour, chosen[best])) best = at; });
        return [colour, best];
    }));
    let text = "";
    for (let at = 0; at < pixels.length; at += 8192)
        text += String.fromCharCode(...pixels.slice(at, at + 8192).map(pixel => nearest.get(pixel)));
    return {width: image.width, height: image.height, indices: btoa(text),
            palette: chosen.flatMap(one => [one & 255, one >> 8 & 255, one >> 16 & 255])};
}"""


async def small(painter: Page, png: bytes) -> bytes:
    """The same picture with at most 256 colours, which the browser chooses; it is a third as large."""
    found = await painter.evaluate(PALETTE, f"data:image/png;base64,{base64.b64encode(png).decode()}")
    width, height = found["width"], found["height"]
    indices = base64.b64decode(found["indices"])
    rows = b"".join(b"\0" + indices[at * width : (at + 1) * width] for at in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"PLTE", bytes(found["palette"])), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")]
    packed = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + packed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "docs" / "screenshots")
    parser.add_argument("--every", action="store_true", help="each page in light, in dark and on a phone")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", choices=[page.name for page in PAGES])
    parser.add_argument("--dashboard", type=Path, help="another build of the dashboard than the one in the package")
    asked = parser.parse_args()
    if asked.dashboard is not None:
        dashboard.Dashboard.__init__.__defaults__ = (asked.dashboard.resolve(),)
    asked.folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(asked.folder, pictures(asked.every, asked.only)))
