"""Accounts: people who may sign in, their roles, and the browsers in which they are signed in."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any

from turbine.errors import NotFound, ValidationFailed
from turbine.ids import new_id
from turbine.model.accounts import AccountRecord, Principal, Role, SessionRecord, email_of
from turbine.model.pages import after_key, check_limit, page_of
from turbine.model.workflows import Page
from turbine.operations.resources import Resource
from turbine.tables import accounts
from turbine.threads import Threads

# Argon2 takes 64 MiB and a core for each password, so at most two are checked at once.
_HASHING = Threads(2, "turbine-passwords")

PASSWORD_MIN = 8
PASSWORD_MAX = 1024


class Accounts(Resource):
    """People who sign in with e-mail and password: `rt.accounts`."""

    async def create(self, email: str, password: str, role: str = Role.VIEWER) -> AccountRecord:
        """Create an account. Raises Conflict for an address that is taken, ValidationFailed."""
        app = self._app()
        address, checked_role = check_email(email), check_role(role)
        record: Any = await app.store.write_audited(
            self._audit("account.create", address, role=checked_role),
            accounts.add,
            id=new_id(),
            email=address,
            password=await hash_password(check_password(password)),
            role=checked_role,
            now_ms=app.clock.now_ms(),
        )
        return record

    async def get(self, id: str) -> AccountRecord:
        """One account. Raises NotFound."""
        record = await self._app().store.read(accounts.get, id=id)
        if record is None:
            raise NotFound(kind="account", id=id)
        return record

    async def list(self, *, limit: int = 100, cursor: str | None = None) -> Page[AccountRecord]:
        """One page of accounts, the oldest first."""
        rows = await self._app().store.read(
            accounts.listing, after=after_key(cursor) or 0, limit=check_limit(limit) + 1
        )
        return page_of(rows, limit)

    async def update(
        self, id: str, *, role: str | None = None, enabled: bool | None = None, password: str | None = None
    ) -> AccountRecord:
        """Change an account, at once for all its sessions; a new password ends them, but for the session that sets it.

        Raises NotFound, ValidationFailed, and Conflict if no account with the role admin would be left.
        """
        app = self._app()
        email = (await self.get(id)).email
        checked_role = None if role is None else check_role(role)
        hashed = None if password is None else await hash_password(check_password(password))
        changed = None if password is None else "changed"
        actor = self._actor
        own_session = actor.session_id if isinstance(actor, Principal) and actor.email == email else None
        record: Any = await app.store.write_audited(
            self._audit("account.update", email, password=changed, role=checked_role, enabled=enabled),
            accounts.change,
            id=id,
            role=checked_role,
            enabled=enabled,
            password=hashed,
            kept_session=own_session or "",
            now_ms=app.clock.now_ms(),
        )
        return record

    async def delete(self, id: str) -> None:
        """Remove an account and end its sessions. Raises NotFound, and Conflict for the last admin."""
        audit = self._audit("account.delete", (await self.get(id)).email)
        await self._app().store.write_audited(audit, accounts.remove, id=id)

    async def sessions(self) -> Page[SessionRecord]:
        """The browsers that are signed in, newest first, at most a thousand."""
        app = self._app()
        return Page(await app.store.read(accounts.sessions, now_ms=app.clock.now_ms()))

    async def revoke(self, session_id: str) -> None:
        """End a session. Raises NotFound."""
        audit = self._audit("session.revoke", session_id)
        await self._app().store.write_audited(audit, accounts.remove_session, id=session_id)


def check_email(email: str) -> str:
    """The address as it is stored: without spaces around it, in lower case. Raises ValidationFailed."""
    try:
        return email_of(email)
    except ValueError as error:
        raise _invalid("email", str(error), "email") from None


def check_password(password: str) -> str:
    """The password, if it is long enough (NIST SP 800-63B: length counts, composition rules do not help)."""
    if not PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
        raise _invalid("password", f"A password has {PASSWORD_MIN} to {PASSWORD_MAX} characters", "length")
    return password


def check_role(role: str) -> Role:
    """The role of a name. Raises ValidationFailed."""
    try:
        return Role(role)
    except ValueError:
        raise _invalid("role", f"{role!r} is not a role; choose one of {', '.join(Role)}", "enum") from None


def _invalid(field: str, message: str, kind: str) -> ValidationFailed:
    return ValidationFailed(errors=[{"path": [field], "message": message, "type": kind}])


def new_secret() -> str:
    """256 random bits as text."""
    return token_urlsafe(32)


def hash_secret(secret: str) -> str:
    """The stored form of a random secret. A slow hash would add nothing to 256 random bits."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


async def hash_password(password: str) -> str:
    """The stored form of a password (Argon2id, parameters of RFC 9106's low-memory profile)."""
    return await _HASHING.run(lambda: _hasher().hash(password.encode("utf-8", "surrogatepass")))


async def is_password(password: str, hashed: str | None) -> bool:
    """Whether a password is the right one; takes as long when there is no account to compare with."""
    return await _HASHING.run(lambda: _is_password(password, hashed))


def _is_password(password: str, hashed: str | None) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        _hasher().verify(hashed or _dummy_hash(), password.encode("utf-8", "surrogatepass"))
    except (VerificationError, InvalidHashError):
        return False
    return hashed is not None


@cache
def _hasher() -> Any:
    from argon2 import PasswordHasher  # not at the top: `import turbine` shall be quick

    return PasswordHasher()


@cache
def _dummy_hash() -> str:
    return _hasher().hash(token_urlsafe(32))
