"""Accounts, sessions, tokens, and the first start."""

from __future__ import annotations

import re
from datetime import timedelta

import httpx
import pytest
from argon2 import Type, extract_parameters

import turbine
from turbine.clock import SystemClock
from turbine.operations import accounts
from turbine.store import Statement

PASSWORD = "correct horse battery"
HASHER = accounts._hasher
"""The real one: in the tests passwords are cheap."""


class LateClock(SystemClock):
    """The system's clock, some time later."""

    def __init__(self) -> None:
        self.late_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.late_ms


def token_in(printed: str) -> str | None:
    found = re.search(r"/_/turbine/setup\?token=(\S+)", printed)
    return None if found is None else found[1]


async def test_the_first_start_prints_a_link_that_makes_one_admin(database_url, capsys) -> None:
    app, rt = turbine.new_app(database_url)
    async with app.router.lifespan_context(app):
        token = token_in(capsys.readouterr().out)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="https://turbine.example/api/pt/"
        ) as client:
            assert (await client.get("session")).json()["needs_setup"] is True
            asked = {"token": token, "email": " Ada@Example.com ", "password": PASSWORD}
            assert 403 == (await client.post("setup", json=asked | {"token": "wrong"})).status_code
            assert 422 == (await client.post("setup", json=asked | {"password": "short"})).status_code
            assert 422 == (await client.post("setup", json=asked | {"email": "nobody"})).status_code

            made = await client.post("setup", json=asked)

            assert {"role": "admin", "email": "ada@example.com"} == {k: made.json()[k] for k in ("role", "email")}
            cookie = made.headers["set-cookie"].lower()
            assert all(word in cookie for word in ("httponly", "samesite=lax", "secure", "path=/"))
            assert 200 == (await client.get("accounts")).status_code
            assert 409 == (await client.post("setup", json=asked)).status_code
            assert (await client.get("session")).json()["needs_setup"] is False
        assert ["account.setup"] == [line.action for line in (await rt.audit.list()).items]
    async with app.router.lifespan_context(app):
        assert token_in(capsys.readouterr().out) is None


async def test_a_set_up_link_is_good_for_its_own_start_and_a_quarter_of_an_hour(database_url, capsys) -> None:
    clock = LateClock()
    app, _ = turbine.new_app(database_url, clock=clock)
    async with app.router.lifespan_context(app):
        old = token_in(capsys.readouterr().out)
    async with app.router.lifespan_context(app):
        new = token_in(capsys.readouterr().out)
        assert new not in (None, old)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost/api/pt/") as client:
            asked = {"email": "ada@example.com", "password": PASSWORD}
            assert 403 == (await client.post("setup", json=asked | {"token": old})).status_code
            clock.late_ms = 15 * 60 * 1000
            assert 403 == (await client.post("setup", json=asked | {"token": new})).status_code
            clock.late_ms -= 60_000
            assert 200 == (await client.post("setup", json=asked | {"token": new})).status_code


async def test_who_launches_the_runtime_himself_gets_the_link_with_the_first_visit(open_site, capsys) -> None:
    visitor = await (await open_site()).client()
    assert (await visitor.get("session")).json()["needs_setup"] is True
    token = token_in(capsys.readouterr().out)
    assert (await visitor.get("session")).json()["needs_setup"] is True
    assert token_in(capsys.readouterr().out) is None
    made = await visitor.post("setup", json={"token": token, "email": "a@example.com", "password": PASSWORD})
    assert 200 == made.status_code


async def test_signing_in_and_out(open_site) -> None:
    site = await open_site()
    person = await site.person("operator")
    session = (await person.get("session")).json()
    assert (True, "operator", "operator@example.com") == tuple(
        session[name] for name in ("authenticated", "role", "email")
    )
    assert person.headers["x-csrf-token"] == session["csrf"]
    assert 204 == (await person.post("logout")).status_code
    assert 401 == (await person.get("workflows")).status_code
    assert (await person.get("session")).json()["authenticated"] is False


async def test_the_cookie_of_a_session_that_ended_opens_nothing(open_site) -> None:
    site = await open_site()
    person = await site.person("viewer")
    cookie = person.cookies["turbine_session"]
    await person.post("logout")
    again = await site.client(cookie=f"turbine_session={cookie}")
    assert 401 == (await again.get("workflows")).status_code


@pytest.mark.parametrize(
    ("email", "password"), [("viewer@example.com", "wrong password"), ("who@example.com", PASSWORD)]
)
async def test_a_wrong_password_and_an_unknown_account_look_the_same(open_site, email: str, password: str) -> None:
    site = await open_site()
    await site.person("viewer")
    answer = await (await site.client()).post("login", json={"email": email, "password": password})
    assert (401, "E-mail address or password is wrong") == (answer.status_code, answer.json()["detail"])
    assert "set-cookie" not in answer.headers


async def test_guessing_passwords_is_slowed_down_also_across_a_restart(open_site) -> None:
    clock = LateClock()
    site = await open_site(clock=clock)
    await site.person("admin")
    guesser = await site.client()
    wrong = {"email": "Admin@example.com", "password": "guess-guess"}
    right = {"email": "admin@example.com", "password": PASSWORD}
    statuses = [(await guesser.post("login", json=wrong)).status_code for _ in range(6)]
    assert [401] * 5 + [429] == statuses
    await site.rt.shutdown()
    await site.rt.launch()
    refused = await guesser.post("login", json=right)
    assert 429 == refused.status_code
    assert 0 < int(refused.headers["retry-after"]) <= 300
    clock.late_ms += int(refused.headers["retry-after"]) * 1000 + 1000
    assert 200 == (await guesser.post("login", json=right)).status_code


async def test_an_address_that_tries_many_accounts_is_slowed_down(open_site) -> None:
    guesser = await (await open_site()).client()
    asked = [{"email": f"p{number}@example.com", "password": "guess-guess"} for number in range(21)]
    statuses = [(await guesser.post("login", json=one)).status_code for one in asked]
    assert [401] * 20 + [429] == statuses


async def test_signing_in_well_grants_attempts_anew(open_site) -> None:
    site = await open_site()
    await site.person("viewer")
    client = await site.client()
    for _ in range(3):
        for password in ("guess-guess", "guess-again", PASSWORD):
            answer = await client.post("login", json={"email": "viewer@example.com", "password": password})
    assert 200 == answer.status_code


async def test_a_session_ends_after_a_week_unused_and_after_a_month_at_last(open_site) -> None:
    clock = LateClock()
    site = await open_site(clock=clock)
    idle, busy = await site.person("viewer"), await site.person("operator")
    day = 24 * 3600 * 1000
    for _ in range(4):
        clock.late_ms += 6 * day
        assert 200 == (await busy.get("queues")).status_code
    assert 401 == (await idle.get("queues")).status_code
    clock.late_ms += 6 * day
    assert 401 == (await busy.get("queues")).status_code


async def test_changing_the_password_signs_other_browsers_out(open_site) -> None:
    site = await open_site()
    here = await site.person("viewer")
    there = await site.client()
    await there.post("login", json={"email": "viewer@example.com", "password": PASSWORD})
    assert 403 == (await here.post("password", json={"current": "wrong-wrong", "new": "another-one"})).status_code
    assert 204 == (await here.post("password", json={"current": PASSWORD, "new": "another-one"})).status_code
    assert 200 == (await here.get("queues")).status_code
    assert 401 == (await there.get("queues")).status_code
    answer = await there.post("login", json={"email": "viewer@example.com", "password": "another-one"})
    assert 200 == answer.status_code


async def test_an_admin_keeps_accounts_and_what_changes_counts_at_once(open_site) -> None:
    site = await open_site()
    admin, viewer = await site.person("admin"), await site.person("viewer")
    asked = {"email": "New@example.com", "password": PASSWORD, "role": "operator"}
    made = await admin.post("accounts", json=asked)
    assert (201, "new@example.com", "operator", None) == (
        made.status_code,
        *(made.json()[name] for name in ("email", "role", "last_login")),
    )
    assert "password" not in made.text
    assert 409 == (await admin.post("accounts", json=asked)).status_code
    assert 422 == (await admin.post("accounts", json=asked | {"role": "king"})).status_code
    accounts = {one["email"]: one["id"] for one in (await admin.get("accounts")).json()["items"]}
    assert 403 == (await viewer.put("kv/a", json={"value": 1})).status_code
    address = f"accounts/{accounts['viewer@example.com']}"
    assert "operator" == (await admin.patch(address, json={"role": "operator"})).json()["role"]
    assert 200 == (await viewer.put("kv/a", json={"value": 1})).status_code
    assert (await admin.patch(address, json={"enabled": False})).json()["enabled"] is False
    assert 401 == (await viewer.get("kv")).status_code
    assert 204 == (await admin.delete(address)).status_code
    assert 404 == (await admin.delete(address)).status_code


async def test_the_last_admin_cannot_be_lost(open_site) -> None:
    site = await open_site()
    admin = await site.person("admin")
    (own,) = (await admin.get("accounts")).json()["items"]
    for change in ({"role": "viewer"}, {"enabled": False}):
        assert 409 == (await admin.patch(f"accounts/{own['id']}", json=change)).status_code
    assert 409 == (await admin.delete(f"accounts/{own['id']}")).status_code
    await site.person("admin", "second@example.com")
    assert 200 == (await admin.patch(f"accounts/{own['id']}", json={"role": "viewer"})).status_code


async def test_sessions_are_listed_and_revoked(open_site) -> None:
    site = await open_site()
    admin, viewer = await site.person("admin"), await site.person("viewer")
    sessions = (await admin.get("sessions")).json()["items"]
    assert ["viewer@example.com", "admin@example.com"] == [one["email"] for one in sessions]
    assert viewer.cookies["turbine_session"] not in (await admin.get("sessions")).text
    assert 204 == (await admin.delete(f"sessions/{sessions[0]['id']}")).status_code
    assert 401 == (await viewer.get("queues")).status_code


async def test_a_token_is_shown_once_and_opens_what_its_role_may_until_it_is_revoked(open_site) -> None:
    site = await open_site()
    admin = await site.person("admin")
    made = (await admin.post("tokens", json={"name": "ci", "role": "operator"})).json()
    assert made["token"].startswith("turbine_")
    assert made["token"] not in (await admin.get("tokens")).text
    program = await site.client(authorization=f"Bearer {made['token']}")
    assert 200 == (await program.put("kv/a", json={"value": 1})).status_code
    assert 403 == (await program.get("tokens")).status_code
    assert "token:ci" == (await admin.get("audit")).json()["items"][0]["actor"]
    assert 204 == (await admin.delete(f"tokens/{made['id']}")).status_code
    assert 401 == (await program.get("kv")).status_code


async def test_a_token_ends_when_it_expires(open_site) -> None:
    clock = LateClock()
    site = await open_site(clock=clock)
    made = await site.rt.tokens.create("short", "viewer", timedelta(hours=1))
    program = await site.client(authorization=f"Bearer {made.token}")
    assert 200 == (await program.get("queues")).status_code
    clock.late_ms = 3_600_000
    assert 401 == (await program.get("queues")).status_code


async def test_what_is_kept_of_secrets_does_not_open_anything(open_site) -> None:
    site = await open_site()
    person = await site.person("admin")
    made = await site.rt.tokens.create("ci", "admin")
    kept: list[str] = []
    for table in ("pt_tokens", "pt_sessions", "pt_accounts", "pt_audit"):
        rows = await site.rt._app().store.read(lambda tx, table=table: tx.rows(Statement.of(f"select * from {table}")))
        kept += [str(cell) for row in rows for cell in row]
    assert not any(
        secret in cell for cell in kept for secret in (made.token, person.cookies["turbine_session"], PASSWORD)
    )
    assert any(cell.startswith("$argon2id$") for cell in kept)


def test_a_password_costs_whoever_guesses_it_64_megabytes_each_time() -> None:
    """RFC 9106, the second recommended choice: Argon2id, three passes, four lanes, 64 MiB."""
    kept = extract_parameters(HASHER().hash("a"))
    assert (Type.ID, 3, 4, 64 * 1024) == (kept.type, kept.time_cost, kept.parallelism, kept.memory_cost)


async def test_every_change_leaves_a_line_in_its_own_transaction(open_site) -> None:
    site = await open_site()
    admin = await site.person("admin")
    await admin.put("kv/a", json={"value": 1})
    await admin.put("kv/a", json={"value": 2, "expect": 7})
    await admin.put("kv/b", json={"value": 1})
    lines = (await admin.get("audit", params={"action": "kv.set"})).json()["items"]
    assert [("kv.set", "b"), ("kv.set", "a")] == [(line["action"], line["target"]) for line in lines]
    assert {"admin@example.com"} == {line["actor"] for line in lines}
    assert [] == (await admin.get("audit", params={"actor": "nobody"})).json()["items"]
