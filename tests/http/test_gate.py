"""Who gets in: every route against every kind of caller."""

from __future__ import annotations

import asyncio
import re
from urllib.parse import quote

import httpx
import pytest

import turbine
from turbine.http.app import roles_of

PASSWORD = "correct horse battery"
OPEN, VIEWER, APPROVER, OPERATOR, ADMIN = None, "viewer", "approver", "operator", "admin"
RANKS = {VIEWER: 0, APPROVER: 1, OPERATOR: 2, ADMIN: 3}
TABLE = {
    OPEN: "GET session; POST login; POST setup; GET health; POST decide; POST decide/look",
    VIEWER: """
        POST logout; POST password; GET metrics; GET stream; GET openapi.json; GET docs
        GET workflows; GET workflows/count; GET workflows/stats; GET errors; GET tags; GET scatter; GET calendar
        GET metrics/summary; GET workflows/{id}; GET workflows/{id}/input; GET workflows/{id}/output
        GET workflows/{id}/steps; GET workflows/{id}/steps/{position}/output; GET workflows/{id}/steps-tree
        GET workflows/{id}/family; GET workflows/{id}/explain; GET workflows/{id}/waits; GET workflows/{id}/messages
        GET workflows/{id}/values; GET workflows/{id}/logs; GET workflows/{id}/audit; GET workflows/{id}/export
        GET registered; GET registered/{name}; GET queues; GET queues/{name}; GET queues/{name}/stats
        GET approvals; GET approvals/{id}; GET schedules; GET schedules/{id}; GET schedules/{id}/preview
        POST schedules/preview; GET kv; GET kv/{key}; GET products; GET products/{id}; GET products/{id}/download
        GET webhooks; GET webhooks/{id}; GET alert-channels; GET alert-channels/{id}; GET deliveries
        GET deliveries/{id}; GET executors; GET logs; GET settings; GET errors/{fingerprint}
        GET kv/{key}/history; GET retention
    """,
    APPROVER: "POST workflows/{id}/approve; POST approvals/{id}/decide",
    OPERATOR: """
        POST workflows/bulk; POST trigger; POST workflows/{id}/cancel; POST workflows/{id}/resume
        POST workflows/{id}/fork; POST workflows/{id}/send; POST workflows/{id}/release
        DELETE workflows/{id}; PATCH queues/{name}; POST queues/{name}/pause; POST queues/{name}/resume
        POST schedules; PATCH schedules/{id}; DELETE schedules/{id}
        POST schedules/{id}/enable; POST schedules/{id}/disable; POST schedules/{id}/run-now; PUT kv/{key}
        POST schedules/{id}/backfill
        DELETE kv/{key}; PUT kv/{key}/schema; POST products/{id}/resend; POST deliveries/{id}/resend
        PUT errors/{fingerprint}/state; POST approvals/{id}/link
    """,
    ADMIN: """
        POST webhooks; PATCH webhooks/{id}; DELETE webhooks/{id}; POST alert-channels; PATCH alert-channels/{id}
        DELETE alert-channels/{id}; POST alert-channels/{id}/test; POST webhooks/{id}/test; GET audit; GET accounts
        POST accounts
        PATCH accounts/{id}; DELETE accounts/{id}; GET sessions; DELETE sessions/{id}; GET tokens; POST tokens
        DELETE tokens/{id}; GET backup; POST sql; GET sql/tables; GET garbage; POST garbage
        POST vacuum; PUT retention; DELETE retention
    """,
}
ROUTES = [
    (method, path, role)
    for role, text in TABLE.items()
    for method, path in (one.split() for one in re.split(r"[;\n]", text) if one.strip())
]
ENDLESS = ("GET", "stream")


def api_of(site):
    return next(route.app.app for route in site.app.router.routes if getattr(route, "path", "") == "/api/pt")


async def ask(client: httpx.AsyncClient, method: str, path: str) -> int:
    body = {"json": {}} if method in ("POST", "PUT", "PATCH") else {}
    return (await client.request(method, re.sub(r"\{\w+\}", "nothing", path), **body)).status_code


async def test_every_route_is_in_the_table_of_roles(open_site) -> None:
    found = {(method, path.lstrip("/"), role) for path, method, role in roles_of(api_of(await open_site()))}
    assert set(ROUTES) == found


async def test_nobody_gets_in_without_a_session_or_a_token(open_site) -> None:
    site = await open_site()
    stranger = await site.client()
    liar = await site.client(authorization="Bearer turbine_made-up", cookie="turbine_session=made-up")
    for method, path, role in ROUTES:
        for client in (stranger, liar):
            status = await ask(client, method, path)
            assert (status == 401) == (role is not OPEN), f"{method} {path}: {status}"


@pytest.mark.parametrize("holds", [VIEWER, APPROVER, OPERATOR, ADMIN])
async def test_a_role_opens_what_the_table_gives_it_and_nothing_else(open_site, holds: str) -> None:
    site = await open_site()
    client = await site.holder(holds)
    for method, path, role in ROUTES:
        if (method, path) == ENDLESS:
            continue
        status = await ask(client, method, path)
        expected = role is OPEN or RANKS[holds] >= RANKS[role]
        assert expected == (status not in (401, 403)), f"{holds}: {method} {path}: {status}"


async def test_a_browser_changes_nothing_without_the_token_of_its_session(open_site) -> None:
    site = await open_site()
    admin = await site.person(ADMIN)
    right = admin.headers.pop("x-csrf-token")
    for wrong in (None, "", "0" * 64, right[:-1]):
        for method, path, _ in ROUTES:
            if method == "GET" or path in ("login", "setup", "decide", "decide/look"):
                continue
            headers = {} if wrong is None else {"x-csrf-token": wrong}
            status = (await admin.request(method, re.sub(r"\{\w+\}", "nothing", path), headers=headers)).status_code
            assert 403 == status, f"{method} {path}"
    assert 422 == (await admin.post("tokens", json={}, headers={"x-csrf-token": right})).status_code


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
    ids=str,
)
async def test_a_page_of_another_site_changes_nothing(open_site, headers: dict[str, str]) -> None:
    site = await open_site()
    admin = await site.person(ADMIN)
    for method, path, _ in ROUTES:
        if method != "GET":
            body = {"json": {"email": "admin@example.com", "password": PASSWORD}} if path == "login" else {}
            status = (await admin.request(method, re.sub(r"\{\w+\}", "x", path), headers=headers, **body)).status_code
            assert 403 == status, f"{method} {path}"


async def test_a_page_of_this_server_may_change_things_also_behind_a_proxy_that_ends_tls(open_site) -> None:
    site = await open_site()
    admin = await site.person(ADMIN)
    for origin, host in (("http://localhost:8090", "localhost:8090"), ("https://ops.example.com", "ops.example.com")):
        answer = await admin.put("kv/a", json={"value": 1}, headers={"origin": origin, "host": host})
        assert 200 == answer.status_code, answer.text


async def test_a_request_that_is_too_large_is_refused_whoever_sends_it_and_however(open_site) -> None:
    site = await open_site(payload_max=2000)
    operator = await site.holder(OPERATOR)
    stranger = await site.client()

    async def in_pieces():
        for _ in range(200):
            yield b"x" * 1000

    for client, path in ((operator, "trigger"), (stranger, "login")):
        for content in (b"x" * 200_000, in_pieces()):
            answer = await client.post(path, content=content, headers={"content-type": "application/json"})
            assert (413, 45) == (answer.status_code, answer.json()["code"])


async def test_every_answer_forbids_what_browsers_might_do_with_it(open_site) -> None:
    site = await open_site()
    viewer = await site.holder(VIEWER)
    for path in ("workflows", "nowhere", "health", "docs"):
        headers = (await viewer.get(path)).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "script-src" not in headers["content-security-policy"]
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "nosniff" == headers["x-content-type-options"]
        assert "no-referrer" == headers["referrer-policy"]


async def test_what_has_not_changed_is_not_sent_again(open_site) -> None:
    viewer = await (await open_site()).holder(VIEWER)
    first = await viewer.get("queues")
    tag = first.headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = await viewer.get("queues", headers={"if-none-match": known})
        assert (304, b"") == (again.status_code, again.content), known
    head = await viewer.head("queues")
    assert (200, b"", tag) == (head.status_code, head.content, head.headers["etag"])


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "told"),
    [
        ("GET", "nowhere", {}, 404, "There is nothing at /api/pt/nowhere"),
        ("POST", "kv/a", {"json": {}}, 405, "only DELETE, GET, PUT"),
        ("OPTIONS", "workflows", {}, 405, "only GET"),
        ("HEAD", "stream", {}, 405, ""),
        ("HEAD", "health", {}, 200, ""),
        ("POST", "trigger", {"content": b"name=count"}, 415, "Content-Type: application/json"),
        ("POST", "trigger", {"data": {"name": "count"}}, 415, "Content-Type: application/json"),
        (
            "POST",
            "trigger",
            {"content": b'{"name": ', "headers": {"content-type": "application/json"}},
            422,
            "valid JSON",
        ),
        ("POST", "trigger", {"content": b"{}", "headers": {"content-type": "application/x+json"}}, 422, "Give a work"),
        ("PUT", "kv/a", {"content": b"\xff", "headers": {"content-type": "application/json"}}, 400, ""),
        ("POST", "workflows/nothing/cancel", {}, 404, "nothing"),
    ],
)
async def test_whatever_is_asked_wrongly_is_answered_with_a_problem_that_says_what_to_do(
    open_site, method: str, path: str, sent: dict, status: int, told: str
) -> None:
    operator = await (await open_site()).holder(OPERATOR)
    answer = await operator.request(method, path, **sent)
    assert status == answer.status_code, answer.text
    if method != "HEAD":
        assert "application/problem+json" == answer.headers["content-type"]
        assert (status, True) == (answer.json()["status"], told in answer.json()["detail"]), answer.text
    if status == 405 and method != "HEAD":
        assert answer.headers["allow"] == told.removeprefix("only ")


async def test_without_sign_in_only_this_machine_gets_in(open_site) -> None:
    site = await open_site(auth="none")
    here = await site.client()
    assert 200 == (await here.get("accounts")).status_code
    rebound = await site.client()
    assert 403 == (await rebound.get("accounts", headers={"host": "evil.example:8090"})).status_code
    elsewhere = httpx.AsyncClient(
        transport=httpx.ASGITransport(site.app, client=("192.0.2.7", 1)), base_url="http://localhost/api/pt/"
    )
    async with elsewhere:
        assert 403 == (await elsewhere.get("accounts")).status_code


async def test_the_host_may_tell_who_is_there(open_site) -> None:
    async def role_of(request) -> str | None:
        return request.headers.get("x-role")

    site = await open_site(auth=role_of)
    client = await site.client()
    assert 401 == (await client.get("workflows")).status_code
    assert 200 == (await client.get("workflows", headers={"x-role": "viewer"})).status_code
    assert 403 == (await client.get("accounts", headers={"x-role": "viewer"})).status_code
    assert 200 == (await client.get("accounts", headers={"x-role": "admin"})).status_code
    assert 403 == (await client.post("login", json={"email": "a@b.c", "password": "x" * 10})).status_code
    assert "host" == (await client.get("session", headers={"x-role": "viewer"})).json()["auth"]


async def test_the_host_may_tell_an_address_too_to_which_approvals_are_assigned(open_site) -> None:
    @turbine.workflow
    async def ask(email: str) -> str | None:
        return (await turbine.wait_for_approval("Sure?", assignees=[email])).by

    site = await open_site(ask, auth=lambda request: ("approver", request.headers["x-email"]))
    client = await site.client()
    handle = await site.rt.run(ask.options(id="a1"), "ada@example.com")
    while not (gates := (await site.rt.approvals.list()).items):  # noqa: ASYNC110 - rows are the only witness
        await asyncio.sleep(0.002)
    for email, status in (("bob@example.com", 403), ("Ada@example.com", 200)):
        headers = {"x-email": email}
        assert email.lower() == (await client.get("session", headers=headers)).json()["email"]
        inbox = (await client.get("approvals?assignee=me", headers=headers)).json()["items"]
        assert (status == 200) == (inbox != [])
        answer = await client.post(f"approvals/{gates[0].id}/decide", json={"approved": True}, headers=headers)
        assert status == answer.status_code, answer.text
    assert "host:ada@example.com" == await handle.result()


async def test_an_id_with_slashes_and_every_other_sign_is_still_one_id(open_site) -> None:
    operator = await (await open_site()).holder(OPERATOR)
    for key in ("a/b", "/", "100%/2f", "ü #?&", "a/schema", "..", "a\nb\n"):
        address = f"kv/{quote(key, safe='').replace('.', '%2E')}"
        assert 200 == (await operator.put(address, json={"value": key})).status_code
        assert key == (await operator.get(address)).json()["value"]
    assert 400 == (await operator.get("kv/a%00b")).status_code
