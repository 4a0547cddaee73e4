"""A real server with real runs, and a real browser in front of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "src" / "turbine" / "http" / "static"
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
EMAIL = "ada@example.com"
PASSWORD = "correct horse battery"
PREFIX = "/shop"
"""Where the host application has mounted Turbine; the dashboard must find that out by itself."""


@dataclass(frozen=True)
class Site:
    """A server that runs."""

    where: str
    prefix: str
    link: str
    token: str

    def page(self, path: str) -> str:
        return f"{self.where}{self.prefix}/_/turbine/{path}"

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The API, as a program asks it."""
        headers = {"authorization": f"Bearer {self.token}"}
        answer = httpx.request(method, f"{self.where}{self.prefix}/api/pt/{path}", json=body, headers=headers)
        answer.raise_for_status()
        return answer.json() if answer.content else None


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if not (STATIC / "index.html").is_file():
        pytest.skip("THE DASHBOARD IS NOT BUILT: run `npm ci && npm run build` in ui/")
    command = [sys.executable, str(Path(__file__).with_name("serve.py")), str(tmp_path_factory.mktemp("shop")), PREFIX]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield Site(**json.loads(next(line for line in server.stdout or [] if line.startswith("{"))))
        finally:
            server.terminate()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    path = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if path is None:
        pytest.skip(f"NO BROWSER ON THIS MACHINE: looked for {', '.join(CHROMIUMS)}; the dashboard is not tested")
    # Only here: this file is read wherever tests are collected, and the test files skip themselves without playwright.
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=SWITCHES)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def signed_in(chromium: Any, site: Site) -> Iterator[Any]:
    """The browser of the first admin, who made the account with the link that the server printed."""
    context = chromium.new_context(reduced_motion="reduce")
    page = context.new_page()
    page.goto(site.link)
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    page.get_by_role("heading", name="Runs").wait_for()
    page.close()
    yield context
    context.close()


@pytest.fixture
def open_page(chromium: Any, site: Site, signed_in: Any) -> Iterator[Callable[..., Any]]:
    """Opens a page of the dashboard as the admin; at the end nothing may have gone wrong in it."""
    strangers: list[Any] = []
    pages: list[Any] = []
    troubles: list[str] = []

    def open_page(path: str = "runs", *, width: int = 1440, height: int = 900, is_known: bool = True) -> Any:
        context = signed_in
        if not is_known:
            context = chromium.new_context(reduced_motion="reduce")
            strangers.append(context)
        page = context.new_page()
        pages.append(page)
        page.set_default_timeout(8000)
        page.set_viewport_size({"width": width, "height": height})

        def note(message: Any) -> None:
            # The browser itself writes a line for each refused request; whether that was right the test says.
            if message.type == "error" and not message.text.startswith("Failed to load resource"):
                troubles.append(message.text)

        def check(request: Any) -> None:
            if not request.url.startswith((site.where, "blob:", "data:")):
                troubles.append(f"asked a stranger: {request.url}")

        page.on("console", note)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", check)
        page.goto(site.page(path))
        return page

    yield open_page
    for page in pages:
        page.evaluate("localStorage.clear()")
        page.close()
    for context in strangers:
        context.close()
    assert [] == troubles
