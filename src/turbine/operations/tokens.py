"""API tokens: keys for programs, shown once."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from turbine.clock import span_ms, to_ms
from turbine.errors import NotFound
from turbine.ids import check_name, new_id
from turbine.model.accounts import TokenRecord
from turbine.model.workflows import Page
from turbine.operations.accounts import check_role, hash_secret, new_secret
from turbine.operations.pages import after_key, check_limit
from turbine.operations.resources import Resource
from turbine.tables import accounts

PREFIX = "turbine_"
"""Begins every token, so that scanners of leaked secrets find it and a host's own tokens are told from ours."""


class Tokens(Resource):
    """Keys with which programs use the HTTP API: `rt.tokens`."""

    async def create(self, name: str, role: str, expires: datetime | timedelta | None = None) -> TokenRecord:
        """Make a token; `.token` of the answer is the only time it is seen. It ends at `expires` (a time or a span).

        Raises ValidationFailed for an unknown role, ValueError for a name or an expiry that can never be right.
        """
        app = self._app()
        now_ms = app.clock.now_ms()
        if expires is None:
            expires_ms = None
        else:
            expires_ms = now_ms + span_ms(expires) if isinstance(expires, timedelta) else to_ms(expires, "expires")
            if expires_ms <= now_ms:
                raise ValueError(f"the token would be over before it begins: {expires!r}")
        id_, secret = new_id(), PREFIX + new_secret()
        await app.store.write(
            accounts.add_token,
            id=id_,
            name=check_name(name, "token name"),
            role=check_role(role),
            token_hash=hash_secret(secret),
            now_ms=now_ms,
            expires_ms=expires_ms,
        )
        return replace(await self.get(id_), token=secret)

    async def get(self, id: str) -> TokenRecord:
        """What is known of a token, without the token. Raises NotFound."""
        found = await self._app().store.read(accounts.token, id=id)
        if found is None:
            raise NotFound(kind="token", id=id)
        return found

    async def list(self, *, limit: int = 100, cursor: str | None = None) -> Page[TokenRecord]:
        """One page of tokens, newest first; those that have expired are listed too."""
        key = after_key(cursor)
        found = await self._app().store.read(
            accounts.tokens, before=accounts.NEWEST if key is None else key, limit=check_limit(limit) + 1
        )
        items = [record for _, record in found[:limit]]
        return Page(items, str(found[limit - 1][0]) if len(found) > limit else None)

    async def delete(self, id: str) -> None:
        """Revoke a token, from its next use on. Raises NotFound."""
        await self._app().store.write(accounts.remove_token, id=id)
