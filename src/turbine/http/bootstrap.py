"""The first start: while there is no account, the process prints a link for creating the first one."""

from __future__ import annotations

import os

from turbine.http.request_context import app_of
from turbine.operations.sign_in import offer_link
from turbine.runtime import Runtime


async def print_setup_link(rt: Runtime, path: str) -> str | None:
    """Print the set-up link, if there is no account yet; it works once, for 15 minutes, while this process lives."""
    token = await offer_link(app_of(rt))
    if token is None:
        return None
    # Only `turbine serve` knows its address; behind any other server the link is relative.
    link = f"{os.environ.get('TURBINE_SERVE_ADDRESS', '')}{path}?token={token}"
    print(
        "Turbine has no account yet. Open this link on this server within 15 minutes to create the first one:\n"
        f"  {link}",
        flush=True,
    )
    return link
