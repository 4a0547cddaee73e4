"""Webhooks: one signed POST to an address that was checked, with a time limit for the answer.

No connection is kept between two attempts: it would be reused by address, and two names may share one. Proxies of the
environment are not used, because the address would not be checked then.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from turbine.clock import Clock, to_datetime
from turbine.codec import describe_error
from turbine.config import Config
from turbine.delivery.addresses import AddressRefused, resolve
from turbine.delivery.signatures import body_signature, standard_signature
from turbine.masking import scrub
from turbine.model.deliveries import AttemptResult
from turbine.model.times import moment_text
from turbine.store import Store
from turbine.tables import webhooks
from turbine.tables.deliveries import ClaimedDelivery
from turbine.tables.webhooks import Receiver

if TYPE_CHECKING:
    import httpx

REDIRECTS_MAX = 3
ANSWER_MAX = 300
"""Characters of a refusal that are kept with the attempt."""


class WebhookTransport:
    """Posts events of runs to webhooks."""

    def __init__(self, store: Store, clock: Clock, config: Config, open: Callable[[str], str]) -> None:
        self._store = store
        self._clock = clock
        self._allow_private = config.allow_private_addresses
        self._timeout = config.webhook_timeout.total_seconds()
        self._open = open
        self._transport: httpx.AsyncHTTPTransport | None = None

    async def deliver(self, held: ClaimedDelivery) -> AttemptResult:
        receiver = await self._store.read(webhooks.receiver, id=held.target)
        if receiver is None:
            return AttemptResult("the webhook was deleted", final=True)
        if not receiver.enabled:
            return AttemptResult("the webhook is disabled; enable it and send this again", final=True)
        return await self.attempt(receiver, held)

    async def attempt(self, receiver: Receiver, held: ClaimedDelivery) -> AttemptResult:
        """Post to a receiver once."""
        body = body_of(held, self._open)
        headers = self._headers(held, receiver, body)
        import httpx

        try:
            async with asyncio.timeout(self._timeout):
                return await self._post(receiver.url, headers, body)
        except AddressRefused as error:
            return AttemptResult(str(error), final=True)
        except TimeoutError:
            return AttemptResult(f"no answer within {self._timeout:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return AttemptResult(scrub(f"{type(error).__name__}: {error}", receiver.url))

    async def close(self) -> None:
        """Close the connections."""
        if self._transport is not None:
            await self._transport.aclose()
            self._transport = None

    def _headers(self, held: ClaimedDelivery, receiver: Receiver, body: bytes) -> dict[str, str]:
        now_ms = self._clock.now_ms()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Turbine",
            "Accept-Encoding": "identity",
            "Connection": "close",
            "webhook-id": held.id,
            "webhook-timestamp": str(now_ms // 1000),
        }
        if receiver.secret is not None:
            secrets = [self._open(receiver.secret)]
            until_ms = receiver.secret_before_until_ms
            if receiver.secret_before is not None and until_ms is not None and now_ms < until_ms:
                secrets.append(self._open(receiver.secret_before))
            headers["X-Turbine-Signature"] = body_signature(secrets[0], body)
            headers["webhook-signature"] = standard_signature(secrets, held.id, now_ms // 1000, body)
        return headers

    async def _post(self, url: str, headers: dict[str, str], body: bytes) -> AttemptResult:
        """Post, following redirects that keep the method (307 and 308); other redirects are refusals."""
        import httpx

        target, code = httpx.URL(url), 0
        for _ in range(REDIRECTS_MAX + 1):
            response = await self._send(target, headers, body)
            code = response.status_code
            try:
                location = response.headers.get("location")
                if code not in (307, 308) or not location:
                    return await _result(response)
            finally:
                await response.aclose()
            before, target = target, target.join(location)
            if target.scheme not in ("http", "https") or not target.host:
                return AttemptResult("it redirects to something that is not an http URL", code, final=True)
            if before.scheme == "https" and target.scheme == "http":
                return AttemptResult("it redirects from https to http", code, final=True)
        return AttemptResult(f"it redirects more than {REDIRECTS_MAX} times", code, final=True)

    async def _send(self, url: httpx.URL, headers: dict[str, str], body: bytes) -> httpx.Response:
        """Send to the first address of the URL's host that accepts a connection; the name is not resolved again."""
        import httpx

        transport = self._opened()
        host = url.raw_host.decode("ascii")
        port = url.port or (443 if url.scheme == "https" else 80)
        addresses = await resolve(host, port, allow_private=self._allow_private)
        for index, address in enumerate(addresses):
            request = httpx.Request(
                "POST",
                url.copy_with(host=address, userinfo=b""),
                headers={**headers, **_credentials(url), "Host": url.netloc.decode("ascii")},
                content=body,
                # TLS uses the name for SNI and for checking the certificate.
                extensions={"sni_hostname": host},
            )
            try:
                return await transport.handle_async_request(request)
            except httpx.ConnectError:
                if index == len(addresses) - 1:
                    raise
        raise OSError(f"{host} has no address")

    def _opened(self) -> httpx.AsyncHTTPTransport:
        if self._transport is None:
            import httpx

            # Not a client, which would log the URL of each request with its secrets. `attempt` limits the time. Of the
            # environment only SSL_CERT_FILE and SSL_CERT_DIR are used.
            self._transport = httpx.AsyncHTTPTransport(
                verify=httpx.create_ssl_context(),
                trust_env=False,
                limits=httpx.Limits(max_keepalive_connections=0),
            )
        return self._transport


def _credentials(url: httpx.URL) -> dict[str, str]:
    """The header for a URL with `user:password@`."""
    if not url.userinfo:
        return {}
    return {"Authorization": f"Basic {b64encode(f'{url.username}:{url.password}'.encode()).decode()}"}


async def _result(response: httpx.Response) -> AttemptResult:
    code = response.status_code
    if 200 <= code < 300:
        return AttemptResult(status_code=code)
    text = f"{code} {response.reason_phrase}".strip()
    if answer := await _beginning(response):
        text = f"{text}: {answer}"
    return AttemptResult(text, code, final=code < 500 and code != 429)


async def _beginning(response: httpx.Response) -> str:
    body = b""
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) >= ANSWER_MAX:
            break
    text = body[:ANSWER_MAX].decode(errors="backslashreplace")
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def body_of(held: ClaimedDelivery, open: Callable[[str], str]) -> bytes:
    """The body of a webhook: the same bytes at every attempt. A missing output or error is left out."""
    from pydantic_core import from_json, to_json

    document: dict[str, Any] = {
        "event": held.event,
        "workflow_id": held.workflow_id,
        "name": held.name,
        "status": held.run_status,
    }
    output = None if held.output is None else from_json(open(held.output))
    if output is not None:
        document["output"] = output
    if held.error is not None:
        document["error"] = describe_error(held.error)
    if held.assignees is not None:
        document["assignees"] = from_json(held.assignees)
    document["timestamp"] = moment_text(to_datetime(held.created_ms))
    return to_json(document)
