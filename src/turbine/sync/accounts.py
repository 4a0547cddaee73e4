"""Accounts, API tokens and the audit of a blocking `Runtime`; each waits for its asynchronous twin."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from turbine.model.accounts import AccountRecord, SessionRecord, TokenRecord
from turbine.model.audit import AuditRecord
from turbine.model.workflows import Page

if TYPE_CHECKING:
    from turbine.sync.runtime import Runtime


class Accounts:
    """People who sign in to the dashboard; see `turbine.Runtime.accounts`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def create(self, email: str, password: str, role: str = "viewer") -> AccountRecord:
        """Make an account. Raises Conflict for an address that is taken, ValidationFailed."""
        return self._runtime.wait_for(self._runtime.inner.accounts.create(email, password, role))

    def get(self, id: str) -> AccountRecord:
        """One account. Raises NotFound."""
        return self._runtime.wait_for(self._runtime.inner.accounts.get(id))

    def list(self, *, limit: int = 100, cursor: str | None = None) -> Page[AccountRecord]:
        """One page of accounts, the oldest first."""
        return self._runtime.wait_for(self._runtime.inner.accounts.list(limit=limit, cursor=cursor))

    def update(
        self, id: str, *, role: str | None = None, enabled: bool | None = None, password: str | None = None
    ) -> AccountRecord:
        """Change an account. Raises NotFound, ValidationFailed, and Conflict for the last admin."""
        changes = self._runtime.inner.accounts.update(id, role=role, enabled=enabled, password=password)
        return self._runtime.wait_for(changes)

    def delete(self, id: str) -> None:
        """Remove an account and end its sessions. Raises NotFound, and Conflict for the last admin."""
        self._runtime.wait_for(self._runtime.inner.accounts.delete(id))

    def sessions(self) -> Page[SessionRecord]:
        """The browsers that are signed in, newest first."""
        return self._runtime.wait_for(self._runtime.inner.accounts.sessions())

    def revoke(self, session_id: str) -> None:
        """End a session. Raises NotFound."""
        self._runtime.wait_for(self._runtime.inner.accounts.revoke(session_id))


class Tokens:
    """Keys with which programs use the HTTP API; see `turbine.Runtime.tokens`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def create(self, name: str, role: str, expires: datetime | timedelta | None = None) -> TokenRecord:
        """Make a token; `.token` of the answer is the only time it is seen."""
        return self._runtime.wait_for(self._runtime.inner.tokens.create(name, role, expires))

    def get(self, id: str) -> TokenRecord:
        """What is known of a token, without the token. Raises NotFound."""
        return self._runtime.wait_for(self._runtime.inner.tokens.get(id))

    def list(self, *, limit: int = 100, cursor: str | None = None) -> Page[TokenRecord]:
        """One page of tokens, newest first."""
        return self._runtime.wait_for(self._runtime.inner.tokens.list(limit=limit, cursor=cursor))

    def delete(self, id: str) -> None:
        """Revoke a token. Raises NotFound."""
        self._runtime.wait_for(self._runtime.inner.tokens.delete(id))


class Audit:
    """Who changed what over HTTP; see `turbine.Runtime.audit`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def list(self, **filters: Any) -> Page[AuditRecord]:
        """One page of changes, newest first; the filters are those of `turbine.Runtime.audit.list`."""
        return self._runtime.wait_for(self._runtime.inner.audit.list(**filters))
