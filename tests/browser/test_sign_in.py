"""The doors of the dashboard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="NO PLAYWRIGHT: pip install playwright")
pytestmark = pytest.mark.browser

EMAIL = "ada@example.com"
PASSWORD = "correct horse battery"


def sign_in(page: Any, password: str) -> None:
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def test_the_setup_link_works_once(open_page: Callable[..., Any], site: Any, signed_in: Any) -> None:
    page = open_page(site.link.partition("/_/turbine/")[2], is_known=False)
    page.get_by_label("E-mail").fill("second@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    page.get_by_role("alert").wait_for()


def test_a_wrong_password_is_refused_and_the_right_one_leads_to_the_page_that_was_asked_for(
    open_page: Callable[..., Any], site: Any
) -> None:
    page = open_page("queues/render?x=1", is_known=False)
    sign_in(page, "something else")
    page.get_by_text("Wrong e-mail or password.").wait_for()
    sign_in(page, PASSWORD)
    page.get_by_role("heading", name="render").wait_for()
    assert site.page("queues/render") == page.url.partition("?")[0]


def test_signing_out_leads_to_the_door(open_page: Callable[..., Any]) -> None:
    page = open_page("runs", is_known=False)
    sign_in(page, PASSWORD)
    page.get_by_role("button", name="Account").click()
    page.get_by_role("menuitem", name="Sign out").click()
    page.get_by_role("heading", name="Sign in").wait_for()


def test_a_session_that_ends_leads_to_the_door(open_page: Callable[..., Any]) -> None:
    page = open_page("runs", is_known=False)
    sign_in(page, PASSWORD)
    page.get_by_role("table", name="Runs").wait_for()
    page.context.clear_cookies()
    page.get_by_role("link", name="Queues").click()
    page.get_by_role("heading", name="Sign in").wait_for()
