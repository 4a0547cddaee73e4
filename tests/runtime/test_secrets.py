"""A password in a URL is in no error, no log line and no answer, whatever is wrong with the URL."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

import turbine
import turbine.sync
from turbine import DeliveryFailed, Runtime, ValidationFailed

PIECES = ("Zq7hid3n", "Zq7s3cret", "Zq7w0rd")
PASSWORDS = (PIECES[0], "@".join(PIECES), "/".join(PIECES), ":".join(PIECES), "?".join(PIECES), "%".join(PIECES))
WHOLE = quote("@/: ".join(PIECES), safe="")


def broken(password: str) -> dict[str, str]:
    """Database URLs with a password, none of which can be used."""
    return {
        "unreachable": f"postgresql://u:{password}@127.0.0.1:1/db",
        "unreachable by name": f"postgresql://u:{password}@no.such.host.invalid/db",
        "unreachable by IPv6": f"postgresql://u:{password}@[::1]:1/db",
        "malformed port": f"postgresql://u:{password}@127.0.0.1:port/db",
        "bad option": f"postgresql://u:{password}@127.0.0.1:1/db?bogus=1",
        "bad value of an option": f"postgresql://u:{password}@127.0.0.1:1/db?connect_timeout=soon",
        "bad encoding": f"postgresql://u:{password}%zz@127.0.0.1:1/db",
        "in the query": f"postgresql://u@127.0.0.1:1/db?password={password}&sslpassword={password}",
        "in the query, and a bad option": f"postgresql://u@127.0.0.1:1/db?bogus=1&password={password}",
        "without a separator": f"postgresql://u@127.0.0.1:1/db?password={PIECES[0]}&{PIECES[1]}",
        "no value": f"postgresql://u:{password}@127.0.0.1:1/db?password",
        "wrong scheme": f"mysql://u:{password}@h/db",
        "with a driver": f"postgresql+psycopg://u:{password}@h/db",
        "libpq": f"host=127.0.0.1 port=1 user=u password={password}",
        "libpq, quoted": f"host=127.0.0.1 port=1 user=u password='{PIECES[0]} {PIECES[1]}'",
        "SQLite with a host": f"sqlite://u:{password}@h/x.db",
        "SQLite path": f"sqlite:////proc/u:{password}@h/x.db",
        "SQLite query": f"sqlite:////proc/nowhere/x.db?password={password}",
        "SQLite folder": f"sqlite:////proc?key={password}",
    }


URLS = sorted({url for password in (*PASSWORDS, WHOLE) for url in broken(password).values()})


def everything_said(error: BaseException) -> Iterator[str]:
    """All that an error may show to whoever catches, logs or prints it."""
    yield "".join(traceback.format_exception(error))
    seen: list[BaseException] = []
    chain: list[BaseException | None] = [error]
    while chain:
        one = chain.pop()
        if one is None or one in seen:
            continue
        seen.append(one)
        yield from (str(one), repr(one), repr(one.args), repr(vars(one)))
        chain += [one.__cause__, one.__context__]


def shown_in(*texts: str) -> list[str]:
    """The pieces of passwords that stand in these texts, with the text around them."""
    return [f"{piece} in {text}" for text in texts for piece in PIECES if piece in text]


@pytest.mark.parametrize("url", URLS, ids=lambda url: f"url{URLS.index(url)}")
async def test_a_launch_that_fails_shows_no_password(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    rt = Runtime(url)
    with pytest.raises((turbine.StoreInvalid, turbine.StoreUnavailable)) as caught:
        await rt.launch()
    assert [] == shown_in(*everything_said(caught.value), caplog.text, repr(rt), repr(rt.config))


@pytest.mark.parametrize("what", broken(""))
def test_a_launch_of_blocking_code_that_fails_shows_no_password(what: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    rt = turbine.sync.Runtime(broken(PASSWORDS[2])[what])
    with pytest.raises((turbine.StoreInvalid, turbine.StoreUnavailable)) as caught:
        rt.launch()
    assert [] == shown_in(*everything_said(caught.value), caplog.text, repr(rt))


async def test_a_refusing_server_is_quoted_without_the_password(postgres_url: str) -> None:
    head, _, rest = postgres_url.partition("://")
    rest = rest.partition("@")[2] or rest
    for database in (f"{head}://nobody_here:{WHOLE}@{rest}", f"{head}://postgres:{WHOLE}@{rest}&password={PIECES[0]}"):
        url = database if "nobody" in database else database.replace("/test_", "/no_test_")
        with pytest.raises(turbine.StoreInvalid) as caught:
            await Runtime(url).launch()
        assert [] == shown_in(*everything_said(caught.value))
        assert "does not exist" in str(caught.value)


async def test_a_server_that_goes_away_is_told_of_without_the_password(
    caplog: pytest.LogCaptureFixture,
) -> None:
    from turbine.store.postgres.connection import Source
    from turbine.store.postgres.notifications import Listener

    caplog.set_level(logging.DEBUG)
    source = Source(f"postgresql://u:{PASSWORDS[2]}@127.0.0.1:1/db")
    listener = Listener(source, "channel", "x", lambda wakes: None)
    while "Listening to Postgres failed" not in caplog.text:
        listener._ready.wait(0.01)
    listener.close(120)
    assert [] == shown_in(caplog.text)


@turbine.step
async def make() -> None:
    await turbine.send_product("report", b"bytes")


@turbine.workflow
async def report() -> None:
    await make()


async def test_a_webhook_is_shown_without_its_password_and_sent_with_it(launch, receiver, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    rt = await launch(report, allow_private_addresses=True)
    url = receiver.url("/hook?token=Zq7s3cret").replace("://", "://u:Zq7hid3n@")
    made = await rt.webhooks.create(url=url, events=["workflow.*"])
    shown = receiver.url("/hook?token=***").replace("://", "://u:***@")
    assert shown == made.url == (await rt.webhooks.get(made.id)).url == (await rt.webhooks.list()).items[0].url
    assert shown == (await rt.webhooks.update(made.id, url=shown, events=["workflow.SUCCESS"])).url
    with pytest.raises(ValidationFailed, match="give the password"):
        await rt.webhooks.update(made.id, url=shown.replace("/hook", "/other"))
    await (await rt.run(report)).result()
    (request,) = await receiver.arrived(1)
    assert ("/hook?token=Zq7s3cret", "Basic dTpacTdoaWQzbg==") == (request.path, request.headers["authorization"])
    await rt.webhooks.test(made.id)
    await rt.webhooks.update(made.id, url=receiver.url("/other"))
    assert receiver.url("/other") == (await rt.webhooks.get(made.id)).url
    assert [] == shown_in(caplog.text)


@pytest.mark.parametrize("password", PASSWORDS)
async def test_a_webhook_that_fails_shows_no_password(launch, free_tcp_port, password, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    rt = await launch(report, allow_private_addresses=True, webhook_attempts=1)
    refused: list[BaseException] = []
    for url in (
        f"http://u:{password}@127.0.0.1:port/hook",
        f"ftp://u:{password}@127.0.0.1/hook",
        f"http://u:{password}@/hook",
        f"http://u:{password}@127.0.0.1:{free_tcp_port}/hook",
        f"http://127.0.0.1:{free_tcp_port}/hook?token={password}",
    ):
        try:
            made = await rt.webhooks.create(url=url, events=["workflow.*"])
            await rt.webhooks.test(made.id)
        except (ValidationFailed, DeliveryFailed) as error:
            refused.append(error)
    assert len(refused) == 5
    await (await rt.run(report)).result()
    while not (sent := (await rt.deliveries.list(status="dead")).items):
        await rt.wait_idle()
    assert [] == shown_in(*(text for error in refused for text in everything_said(error)), repr(sent), caplog.text)


async def test_an_alert_channel_shows_no_password(launch, free_tcp_port, caplog) -> None:
    caplog.set_level(logging.DEBUG, logger="turbine")
    caplog.set_level(logging.INFO)
    rt = await launch(report, delivery_attempts=1)
    wrong = "mailto://u:Zq7hid3n@"
    with pytest.raises(ValidationFailed) as caught:
        await rt.alert_channels.create(name="wrong", url=wrong)
    made = await rt.alert_channels.create(name="ops", url=f"json://u:Zq7s3cret@127.0.0.1:{free_tcp_port}/Zq7w0rd")
    with pytest.raises(DeliveryFailed) as failed:
        await rt.alert_channels.test(made.id)
    said = [*everything_said(caught.value), *everything_said(failed.value)]
    assert [] == shown_in(*said, repr(made), repr((await rt.deliveries.list()).items), caplog.text)


class Sender:
    def send(self, product: Any, data: Any) -> None:
        raise RuntimeError(f"401 for https://u:{PASSWORDS[1]}@shop.example/upload?token={PIECES[2]}")


async def test_what_a_sender_of_products_says_is_kept_without_passwords(launch, caplog) -> None:
    rt = await launch(report, product_sender=Sender(), delivery_attempts=1)
    await (await rt.run(report)).result()
    while not (sent := (await rt.deliveries.list(status="dead")).items):
        await rt.wait_idle()
    (product,) = (await rt.products.list()).items
    assert "shop.example" in (product.error or "")
    assert [] == shown_in(repr(sent), repr(product), caplog.text)


@pytest.mark.parametrize(
    "storage",
    [
        f"file://u:{PASSWORDS[0]}@host/folder",
        f"no-such://u:{PASSWORDS[1]}@host/folder",
        f"ftp://u:{WHOLE}@127.0.0.1:1/x",
    ],
)
async def test_a_storage_of_products_that_cannot_be_used_shows_no_password(sqlite_url, storage, caplog) -> None:
    rt = Runtime(sqlite_url, product_storage=storage)
    with pytest.raises((ValueError, OSError)) as caught:
        await rt.launch()
    assert [] == shown_in(*everything_said(caught.value), repr(rt.config), caplog.text)


async def test_a_console_shows_where_products_are_without_the_password(launch) -> None:
    from turbine.operations import console

    rt = await launch(report, product_storage="memory://u:Zq7hid3n@bucket")
    await (await rt.run(report)).result()
    found = await console.run_query(rt._app(), "select storage from pt_products", 10)
    assert [["memory://u:***@bucket"]] == found.rows
