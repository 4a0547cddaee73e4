"""The first start: while there is no account, the process prints a link with which the first one is made."""

from __future__ import annotations

import os

from turbine.http.request_context import app_of
from turbine.operations.accounts import hash_secret, new_secret
from turbine.runtime import Runtime
from turbine.tables import accounts

LINK_MS = 15 * 60 * 1000


async def offer_setup(rt: Runtime, path: str) -> str | None:
    """Print the set-up link, if there is no account yet; it works once, for 15 minutes, and only while we live."""
    port = app_of(rt)
    secret = new_secret()
    now_ms = port.clock.now_ms()
    is_offered = await port.store.write(
        accounts.offer_link, token_hash=hash_secret(secret), now_ms=now_ms, expires_ms=now_ms + LINK_MS
    )
    if not is_offered:
        return None
    # `turbine serve` knows where it listens; any other server is asked by whoever started it.
    link = f"{os.environ.get('TURBINE_SERVE_ADDRESS', '')}{path}?token={secret}"
    print(
        f"Turbine has no account yet. Open this link on this server within 15 minutes to make the first one:\n  {link}",
        flush=True,
    )
    return link
