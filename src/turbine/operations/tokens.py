"""API tokens: keys for programs, shown once."""

from __future__ import annotations

from datetime import datetime, timedelta

from turbine.clock import span_ms, to_datetime, to_ms
from turbine.errors import NotFound
from turbine.ids import check_name, new_id
from turbine.model.accounts import TokenRecord
from turbine.model.pages import after_key, check_limit, page_of
from turbine.model.workflows import Page
from turbine.operations.accounts import check_role, hash_secret, new_secret
from turbine.operations.resources import Resource
from turbine.tables import accounts

PREFIX = "turbine_"
"""Begins every token, so that scanners for leaked secrets find it and a host's own tokens are told apart from ours."""


class Tokens(Resource):
    """Keys with which programs use the HTTP API: `rt.tokens`."""

    async def create(self, name: str, role: str, expires: datetime | timedelta | None = None) -> TokenRecord:
        """Create a token; only this record holds it, as `.token`. It ends at `expires`, a time or a span from now.

        Raises ValidationFailed for an unknown role, ValueError for an invalid name and an expiry in the past.
        """
        app = self._app()
        now_ms = app.clock.now_ms()
        expires_ms = None
        if expires is not None:
            expires_ms = now_ms + span_ms(expires) if isinstance(expires, timedelta) else to_ms(expires, "expires")
            if expires_ms <= now_ms:
                raise ValueError(f"the token would expire before it is created: {expires!r}")
        record = TokenRecord(
            id=new_id(),
            name=check_name(name, "token name"),
            role=check_role(role),
            expires=None if expires_ms is None else to_datetime(expires_ms),
            created=to_datetime(now_ms),
            token=PREFIX + new_secret(),
        )
        await app.store.write_audited(
            self._audit("token.create", record.name, role=record.role, expires=record.expires),
            accounts.add_token,
            id=record.id,
            name=record.name,
            role=record.role,
            token_hash=hash_secret(record.token or ""),
            now_ms=now_ms,
            expires_ms=expires_ms,
        )
        return record

    async def get(self, id: str) -> TokenRecord:
        """The record of a token, without the token. Raises NotFound."""
        record = await self._app().store.read(accounts.token, id=id)
        if record is None:
            raise NotFound(kind="token", id=id)
        return record

    async def list(self, *, limit: int = 100, cursor: str | None = None) -> Page[TokenRecord]:
        """One page of tokens, newest first; expired ones are listed too."""
        key = after_key(cursor)
        rows = await self._app().store.read(
            accounts.tokens, before=accounts.NEWEST if key is None else key, limit=check_limit(limit) + 1
        )
        return page_of(rows, limit)

    async def delete(self, id: str) -> None:
        """Revoke a token, from its next use on. Raises NotFound."""
        audit = self._audit("token.delete", (await self.get(id)).name)
        await self._app().store.write_audited(audit, accounts.remove_token, id=id)
