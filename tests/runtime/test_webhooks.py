"""Webhooks: what they say, how they are signed, whom they may reach, and that nothing about them can be read back."""

import base64
import hashlib
import hmac
import shutil
import socket
import ssl
import subprocess
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from receiver import Receiver, Request

import turbine
import turbine.sync
from turbine import Conflict, NotFound, Runtime, ValidationFailed
from turbine.testing import World

SECRET = "whsec_" + base64.b64encode(b"a key of many bytes").decode()


@turbine.workflow
async def greet(name: str) -> dict[str, Any]:
    return {"hello": name, "at": [1, None, 2.5]}


@turbine.workflow
async def fail(name: str) -> None:
    raise LookupError(f"nobody is called {name}")


@turbine.workflow
async def asks() -> bool:
    decision = await turbine.wait_for_approval("May I?")
    return decision.approved


WORKFLOWS = [greet, fail, asks]


@pytest.fixture
async def world(database_url: str):
    async with World(database_url, workflows=WORKFLOWS, allow_private_addresses=True) as world:
        yield world


async def one_delivery(rt: Runtime, **filters: Any) -> turbine.DeliveryRecord:
    (delivery,) = (await rt.deliveries.list(**filters)).items
    return delivery


def standard(secret: str, request: Request) -> str:
    signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.body
    key = base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


async def test_a_webhook_hears_of_a_success_with_the_output_as_json(world: World, receiver: Receiver) -> None:
    await world.runtime.webhooks.create(url=receiver.url("/a?b=c"), events=["workflow.SUCCESS"])
    handle = await world.runtime.run(greet.options(id="greet-1"), "Ada")
    await world.settle()

    (request,) = receiver.requests
    at = datetime.fromisoformat(request.json["timestamp"])

    assert {
        "event": "workflow.SUCCESS",
        "workflow_id": "greet-1",
        "name": "greet",
        "status": "SUCCESS",
        "output": {"hello": "Ada", "at": [1, None, 2.5]},
        "timestamp": request.json["timestamp"],
    } == request.json
    assert (await handle.status()).completed_at == at
    assert request.json["timestamp"].endswith("Z")
    assert ("POST", "/a?b=c", "application/json") == (request.method, request.path, request.headers["content-type"])


async def test_a_failure_says_its_error_as_text_and_no_output(world: World, receiver: Receiver) -> None:
    await world.runtime.webhooks.create(url=receiver.url(), events=["workflow.ERROR"])
    await world.runtime.run(fail, "Ada")
    await world.settle()

    assert "LookupError: nobody is called Ada" == receiver.requests[0].json["error"]
    assert "output" not in receiver.requests[0].json
    assert "ERROR" == receiver.requests[0].json["status"]


async def test_a_webhook_hears_of_what_it_listens_to_and_of_nothing_else(world: World, receiver: Receiver) -> None:
    rt = world.runtime
    await rt.webhooks.create(url=receiver.url("/errors"), events=["workflow.ERROR"])
    await rt.webhooks.create(url=receiver.url("/all"), events=["workflow.*"])
    await rt.webhooks.create(url=receiver.url("/off"), events=["workflow.*"], enabled=False)
    await rt.run(greet, "Ada")
    await rt.run(fail, "Ada")
    gate = await rt.run(asks)
    await world.settle()
    await rt.cancel(gate.workflow_id)
    await world.settle()

    heard = sorted((request.path, request.json["event"]) for request in receiver.requests)

    assert [
        ("/all", "workflow.CANCELLED"),
        ("/all", "workflow.ERROR"),
        ("/all", "workflow.SUCCESS"),
        ("/all", "workflow.WAITING_FOR_APPROVAL"),
        ("/errors", "workflow.ERROR"),
    ] == heard


@turbine.workflow
async def fails_when_cancelled() -> None:
    try:
        await turbine.recv("go")
    finally:
        raise RuntimeError("and cleaning up went wrong")


async def test_a_cancelled_run_is_announced_once_and_as_nothing_else(database_url: str, receiver: Receiver) -> None:
    async with World(database_url, workflows=[fails_when_cancelled], allow_private_addresses=True) as world:
        await world.runtime.webhooks.create(url=receiver.url(), events=["workflow.*"])
        handle = await world.runtime.run(fails_when_cancelled)
        await world.settle()
        await world.runtime.cancel(handle.workflow_id)
        await world.settle()
        await world.advance(minutes=10)

        assert ["workflow.CANCELLED"] == [request.json["event"] for request in receiver.requests]
        with pytest.raises(turbine.AwaitedCancelled):
            await handle.result()


async def test_the_body_is_signed_in_both_ways(world: World, receiver: Receiver) -> None:
    await world.runtime.webhooks.create(url=receiver.url(), events=["workflow.*"], secret=SECRET)
    await world.runtime.run(greet, "Ada")
    await world.settle()

    (request,) = receiver.requests
    delivery = await one_delivery(world.runtime)

    assert hmac.new(SECRET.encode(), request.body, hashlib.sha256).hexdigest() == request.headers["x-turbine-signature"]
    assert standard(SECRET, request) == request.headers["webhook-signature"]
    assert delivery.id == request.headers["webhook-id"]
    assert str(int(world.now.timestamp())) == request.headers["webhook-timestamp"]


async def test_without_a_secret_nothing_is_signed(world: World, receiver: Receiver) -> None:
    await world.runtime.webhooks.create(url=receiver.url(), events=["workflow.*"])
    await world.runtime.run(greet, "Ada")
    await world.settle()

    assert not {"x-turbine-signature", "webhook-signature"} & set(receiver.requests[0].headers)


async def test_a_replaced_secret_signs_beside_the_new_one_for_a_day(world: World, receiver: Receiver) -> None:
    rt = world.runtime
    webhook = await rt.webhooks.create(url=receiver.url(), events=["workflow.*"], secret="old")
    await rt.webhooks.update(webhook.id, secret="new")
    await rt.run(greet, "Ada")
    await world.advance(hours=24)
    await rt.run(greet, "Ada")
    await world.settle()

    during, after = receiver.requests

    assert f"{standard('new', during)} {standard('old', during)}" == during.headers["webhook-signature"]
    assert standard("new", after) == after.headers["webhook-signature"]
    for request in (during, after):
        expected = hmac.new(b"new", request.body, hashlib.sha256).hexdigest()
        assert expected == request.headers["x-turbine-signature"]


async def test_a_secret_that_is_taken_away_signs_no_more(world: World, receiver: Receiver) -> None:
    rt = world.runtime
    webhook = await rt.webhooks.create(url=receiver.url(), events=["workflow.*"], secret="old")

    assert not (await rt.webhooks.update(webhook.id, secret=None)).secret_set
    await rt.run(greet, "Ada")
    await world.settle()
    assert "webhook-signature" not in receiver.requests[0].headers


async def test_a_receiver_in_trouble_is_asked_three_times_with_one_id(world: World, receiver: Receiver) -> None:
    receiver.answers = [(500, {}), (429, {})]
    await world.runtime.webhooks.create(url=receiver.url(), events=["workflow.*"], secret=SECRET)
    await world.runtime.run(greet, "Ada")
    await world.settle()
    waiting = await one_delivery(world.runtime)
    assert ("pending", world.now + timedelta(seconds=1)) == (waiting.status, waiting.next_at)

    await world.advance(seconds=1)
    assert 2 == len(receiver.requests)
    await world.advance(seconds=2)

    delivery = await one_delivery(world.runtime)
    assert "delivered" == delivery.status
    assert [500, 429, 204] == [attempt.status_code for attempt in delivery.attempts]
    assert [1, 2, 3] == [attempt.number for attempt in delivery.attempts]
    assert ["500 Said: because 500", "429 Said: because 429", None] == [one.error for one in delivery.attempts]
    started = delivery.attempts[0].at
    assert [0, 1, 3] == [(one.at - started).total_seconds() for one in delivery.attempts]
    assert {delivery.id} == {request.headers["webhook-id"] for request in receiver.requests}
    assert 1 == len({request.body for request in receiver.requests})
    assert all(standard(SECRET, request) == request.headers["webhook-signature"] for request in receiver.requests)


async def test_after_the_last_attempt_a_delivery_is_dead(database_url: str, receiver: Receiver) -> None:
    receiver.answers = [(503, {})] * 5
    settings = {"allow_private_addresses": True, "webhook_attempts": 2}
    async with World(database_url, workflows=WORKFLOWS, **settings) as world:
        await world.runtime.webhooks.create(url=receiver.url(), events=["workflow.*"])
        await world.runtime.run(greet, "Ada")
        await world.advance(hours=1)

        delivery = await one_delivery(world.runtime, status="dead")

    assert (None, 2, 2) == (delivery.next_at, len(delivery.attempts), len(receiver.requests))


@pytest.mark.parametrize("status", [400, 404, 410, 301, 302, 303])
async def test_a_refusal_is_final(world: World, receiver: Receiver, status: int) -> None:
    receiver.answers = [(status, {"Location": "/elsewhere"})]
    await world.runtime.webhooks.create(url=receiver.url(), events=["workflow.*"])
    await world.runtime.run(greet, "Ada")
    await world.advance(hours=1)

    delivery = await one_delivery(world.runtime)

    assert ("dead", [status]) == (delivery.status, [attempt.status_code for attempt in delivery.attempts])
    assert 1 == len(receiver.requests)


async def test_a_receiver_that_is_not_there_is_a_failed_attempt(world: World, receiver: Receiver) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    await world.runtime.webhooks.create(url=f"http://127.0.0.1:{port}/", events=["workflow.*"])
    await world.runtime.run(greet, "Ada")
    await world.advance(hours=1)

    delivery = await one_delivery(world.runtime)

    assert "dead" == delivery.status
    assert 3 == len(delivery.attempts)
    assert all("ConnectError" in (attempt.error or "") for attempt in delivery.attempts)
    assert all(attempt.status_code is None for attempt in delivery.attempts)


async def test_a_receiver_that_says_nothing_is_given_up_in_time(database_url: str, receiver: Receiver) -> None:
    receiver.let_go.clear()
    settings = {"allow_private_addresses": True, "webhook_timeout": 0.05, "webhook_attempts": 1}
    async with World(database_url, workflows=WORKFLOWS, **settings) as world:
        await world.runtime.webhooks.create(url=receiver.url(), events=["workflow.*"])
        await world.runtime.run(greet, "Ada")
        await world.settle()

        (attempt,) = (await one_delivery(world.runtime, status="dead")).attempts

    assert "no answer within 0.05 s" == attempt.error
    assert attempt.duration >= timedelta(milliseconds=50)


# Where they may go


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://127.1/",
        "https://10.1.2.3:8443/x",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/",
        "http://[::ffff:192.168.0.1]/",
        "http://0x7f.1/",
        "http://2130706433/",
    ],
)
async def test_a_private_address_is_refused_when_it_is_saved(database_url: str, url: str) -> None:
    async with Runtime(database_url) as rt:
        with pytest.raises(ValidationFailed, match="public internet") as caught:
            await rt.webhooks.create(url=url, events=["workflow.*"])
        webhook = await rt.webhooks.create(url="https://example.com/", events=["workflow.*"])
        with pytest.raises(ValidationFailed):
            await rt.webhooks.update(webhook.id, url=url)

        assert ["url"] == caught.value.errors[0]["path"]
        assert [webhook] == (await rt.webhooks.list()).items


async def test_a_name_that_leads_inward_is_refused_at_delivery(database_url: str, receiver: Receiver) -> None:
    async with World(database_url, workflows=WORKFLOWS) as world:
        await world.runtime.webhooks.create(url=receiver.url(host="localhost"), events=["workflow.*"])
        await world.runtime.run(greet, "Ada")
        await world.settle()

        delivery = await one_delivery(world.runtime)

    assert ("dead", 1) == (delivery.status, len(delivery.attempts))
    assert "localhost leads to" in (delivery.attempts[0].error or "")
    assert [] == receiver.requests


async def test_the_connection_goes_to_the_address_that_was_judged(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    look_up = socket.getaddrinfo

    def changing(host: Any, port: Any, *rest: Any, **named: Any) -> Any:
        if host in ("rebinding.example", b"rebinding.example"):
            asked.append(host)
            host = "127.0.0.1" if len(asked) == 1 else "192.0.2.1"
        return look_up(host, port, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", changing)
    await world.runtime.webhooks.create(url=receiver.url(host="rebinding.example"), events=["workflow.*"])
    await world.runtime.run(greet, "Ada")
    await world.settle()

    assert ["rebinding.example"] == asked
    assert f"rebinding.example:{receiver.port}" == receiver.requests[0].headers["host"]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificate with openssl")
@pytest.mark.parametrize("name", ["hooks.example", "others.example"])
async def test_tls_greets_and_checks_the_name_although_the_connection_goes_to_an_address(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout key -out cert"
    made_for = ["-subj", "/CN=hooks.example", "-addext", "subjectAltName=DNS:hooks.example"]
    subprocess.run([*make.split(), *made_for], cwd=tmp_path, check=True, capture_output=True)  # noqa: ASYNC221
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert"))
    look_up = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **named: look_up("127.0.0.1", *rest, **named))
    greeted: list[Any] = []
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    tls.sni_callback = lambda _, said, __: greeted.append(said)
    receiver = Receiver()
    await receiver.open(tls)
    settings: dict[str, Any] = {"allow_private_addresses": True, "webhook_attempts": 1}
    async with World(database_url, workflows=WORKFLOWS, **settings) as world:
        await world.runtime.webhooks.create(url=receiver.url(host=name, scheme="https"), events=["workflow.*"])
        await world.runtime.run(greet, "Ada")
        await world.settle()

        delivery = await one_delivery(world.runtime)
    await receiver.close()

    assert [name] == greeted
    if name == "hooks.example":
        assert ("delivered", f"{name}:{receiver.port}") == (delivery.status, receiver.requests[0].headers["host"])
    else:
        assert "certificate is not valid for" in (delivery.attempts[0].error or "")
        assert ("dead", []) == (delivery.status, receiver.requests)


@pytest.mark.parametrize("status", [307, 308])
async def test_a_redirect_that_keeps_the_method_is_followed(world: World, receiver: Receiver, status: int) -> None:
    receiver.answers = [(status, {"Location": "/there"})]
    await world.runtime.webhooks.create(url=receiver.url("/here"), events=["workflow.*"])
    await world.runtime.run(greet, "Ada")
    await world.settle()

    here, there = receiver.requests

    assert ("/here", "/there", here.body, "POST") == (here.path, there.path, there.body, there.method)
    assert "delivered" == (await one_delivery(world.runtime)).status


async def test_a_redirect_inward_is_refused(
    database_url: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A public receiver cannot be had on one machine: its address is judged public, and all others as they are.
    from turbine.delivery import addresses

    judge = addresses.is_public
    monkeypatch.setattr(addresses, "is_public", lambda address: str(address) == "127.0.0.1" or judge(address))
    receiver.answers = [(307, {"Location": f"http://127.0.0.2:{receiver.port}/inside"})]
    async with World(database_url, workflows=WORKFLOWS) as world:
        await world.runtime.webhooks.create(url=receiver.url("/here"), events=["workflow.*"])
        await world.runtime.run(greet, "Ada")
        await world.settle()

        delivery = await one_delivery(world.runtime)

    assert "dead" == delivery.status
    assert "127.0.0.2" in (delivery.attempts[0].error or "")
    assert ["/here"] == [request.path for request in receiver.requests]


async def test_redirects_come_to_an_end(world: World, receiver: Receiver) -> None:
    receiver.answers = [(308, {"Location": "/again"})] * 10
    await world.runtime.webhooks.create(url=receiver.url("/here"), events=["workflow.*"])
    await world.runtime.run(greet, "Ada")
    await world.settle()

    delivery = await one_delivery(world.runtime)

    assert ("dead", "it redirects more than 3 times") == (delivery.status, delivery.attempts[0].error)
    assert 4 == len(receiver.requests)


# The records


async def test_webhooks_are_listed_changed_and_removed(database_url: str) -> None:
    async with Runtime(database_url) as rt:
        first = await rt.webhooks.create(url="https://example.com/1", events=["workflow.ERROR", "workflow.ERROR"])
        second = await rt.webhooks.create(url="https://example.com/2", events=["workflow.*"], secret="s3cret")

        assert (["workflow.ERROR"], True, False) == (first.events, first.enabled, first.secret_set)
        assert second.secret_set
        assert "s3cret" not in repr(second)
        page = await rt.webhooks.list(limit=1)
        assert [second] == page.items
        assert [first] == (await rt.webhooks.list(limit=1, cursor=page.next_cursor)).items

        changed = await rt.webhooks.update(second.id, enabled=False, events=["workflow.SUCCESS"])
        assert (False, ["workflow.SUCCESS"], second.url, True) == (
            changed.enabled,
            changed.events,
            changed.url,
            changed.secret_set,
        )
        assert changed == await rt.webhooks.get(second.id)

        await rt.webhooks.delete(second.id)
        for act in (rt.webhooks.get(second.id), rt.webhooks.delete(second.id), rt.webhooks.update(second.id)):
            with pytest.raises(NotFound) as caught:
                await act
            assert ("webhook", second.id) == (caught.value.kind, caught.value.id)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", "ftp://example.com/"),
        ("url", "example.com"),
        ("url", "http://"),
        ("url", ""),
        ("url", "https://exa mple.com/"),
        ("url", "https://example.com:99999/"),
        ("url", None),
        ("events", []),
        ("events", ["workflow.STARTED"]),
        ("events", "workflow.ERROR"),
        ("secret", ""),
        ("secret", "whsec_not base64"),
        ("enabled", "yes"),
    ],
)
async def test_a_field_that_can_never_be_right_is_named(sqlite_url: str, field: str, value: Any) -> None:
    async with Runtime(sqlite_url) as rt:
        with pytest.raises(ValidationFailed) as caught:
            await rt.webhooks.create(**{"url": "https://example.com/", "events": ["workflow.*"], field: value})

        assert [field] == caught.value.errors[0]["path"]
        assert isinstance(caught.value, ValueError)
        assert [] == (await rt.webhooks.list()).items


async def test_a_webhook_that_is_gone_or_off_by_then_is_not_called(world: World, receiver: Receiver) -> None:
    rt = world.runtime
    receiver.answers = [(500, {}), (500, {})]
    gone = await rt.webhooks.create(url=receiver.url(), events=["workflow.*"])
    off = await rt.webhooks.create(url=receiver.url(), events=["workflow.*"])
    await rt.run(greet, "Ada")
    await world.settle()
    await rt.webhooks.delete(gone.id)
    await rt.webhooks.update(off.id, enabled=False)
    await world.advance(minutes=1)

    ends = {one.target: one.attempts[-1].error for one in (await rt.deliveries.list(status="dead")).items}

    assert {
        gone.id: "the webhook was deleted",
        off.id: "the webhook is disabled; enable it and send this again",
    } == ends
    assert 2 == len(receiver.requests)


class Reversed:
    """A payload codec that anybody can see through, which is enough to see that it was used."""

    def encode(self, payload: str) -> str:
        return "~" + payload[::-1]

    def decode(self, payload: str) -> str:
        assert payload.startswith("~")
        return payload[:0:-1]


async def test_secrets_and_outputs_pass_through_the_payload_codec(database_url: str, receiver: Receiver) -> None:
    settings: dict[str, Any] = {"allow_private_addresses": True, "codec": Reversed()}
    async with World(database_url, workflows=WORKFLOWS, **settings) as world:
        await world.runtime.webhooks.create(url=receiver.url(), events=["workflow.*"], secret="abcdef")
        await world.runtime.run(greet, "Ada")
        await world.settle()

        from turbine.store.sql import Statement

        stored = await world.store.read(lambda tx: tx.row(Statement.of("select secret from pt_webhooks")))

    assert ("~fedcba",) == stored
    assert "Ada" == receiver.requests[0].json["output"]["hello"]
    assert standard("abcdef", receiver.requests[0]) == receiver.requests[0].headers["webhook-signature"]


def test_blocking_code_has_the_same_words(database_url: str) -> None:
    with turbine.sync.Runtime(database_url) as rt:
        webhook = rt.webhooks.create(url="https://example.com/", events=["workflow.*"], secret="s")

        assert not rt.webhooks.update(webhook.id, enabled=False).enabled
        assert [webhook.id] == [one.id for one in rt.webhooks.list().items]
        assert webhook.id == rt.webhooks.get(webhook.id).id
        assert [] == rt.deliveries.list().items
        with pytest.raises(NotFound):
            rt.deliveries.get("msg_0")
        rt.webhooks.delete(webhook.id)
        assert [] == rt.webhooks.list().items


async def test_a_pending_delivery_cannot_be_sent_again_and_a_dead_one_can(world: World, receiver: Receiver) -> None:
    receiver.answers = [(500, {}), (500, {}), (500, {})]
    await world.runtime.webhooks.create(url=receiver.url(), events=["workflow.*"])
    await world.runtime.run(greet, "Ada")
    await world.settle()
    pending = await one_delivery(world.runtime)
    with pytest.raises(Conflict):
        await world.runtime.deliveries.resend(pending.id)
    await world.advance(minutes=1)
    assert "dead" == (await world.runtime.deliveries.get(pending.id)).status

    again = await world.runtime.deliveries.resend(pending.id)
    await world.settle()

    assert ("pending", 3) == (again.status, len(again.attempts))
    delivery = await world.runtime.deliveries.get(pending.id)
    assert ("delivered", [1, 2, 3, 4]) == (delivery.status, [attempt.number for attempt in delivery.attempts])
    assert {pending.id} == {request.headers["webhook-id"] for request in receiver.requests}
