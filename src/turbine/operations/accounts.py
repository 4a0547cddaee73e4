"""Accounts: who may sign in, with which role, and which browsers are signed in."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any

from turbine.errors import NotFound, ValidationFailed
from turbine.ids import new_id
from turbine.model.accounts import AccountRecord, Role, SessionRecord, email_of
from turbine.model.workflows import Page
from turbine.operations.pages import after_key, check_limit
from turbine.operations.resources import Resource
from turbine.tables import accounts
from turbine.threads import Threads

# Argon2 takes 64 MiB and a core for each password that is judged: nobody may ask for a hundred at once.
_BENCH = Threads(2, "turbine-passwords")

PASSWORD_MIN = 8
PASSWORD_MAX = 1024


class Accounts(Resource):
    """People who sign in with e-mail and password: `rt.accounts`."""

    async def create(self, email: str, password: str, role: str = Role.VIEWER) -> AccountRecord:
        """Make an account. Raises Conflict for an address that is taken, ValidationFailed."""
        app = self._app()
        id_, address, kind = new_id(), check_email(email), check_role(role)
        hashed = await hash_password(check_password(password))
        now_ms = app.clock.now_ms()
        await app.store.write(accounts.add, id=id_, email=address, password=hashed, role=kind, now_ms=now_ms)
        return await self.get(id_)

    async def get(self, id: str) -> AccountRecord:
        """One account. Raises NotFound."""
        found = await self._app().store.read(accounts.get, id=id)
        if found is None:
            raise NotFound(kind="account", id=id)
        return found

    async def list(self, *, limit: int = 100, cursor: str | None = None) -> Page[AccountRecord]:
        """One page of accounts, the oldest first."""
        found = await self._app().store.read(
            accounts.listing, after=after_key(cursor) or 0, limit=check_limit(limit) + 1
        )
        items = [record for _, record in found[:limit]]
        return Page(items, str(found[limit - 1][0]) if len(found) > limit else None)

    async def update(
        self,
        id: str,
        *,
        role: str | None = None,
        enabled: bool | None = None,
        password: str | None = None,
        kept_session: str = "",
    ) -> AccountRecord:
        """Change an account, at once for all its sessions; a new password ends them, but for `kept_session`.

        Raises NotFound, ValidationFailed, and Conflict for what would leave nobody who may administer.
        """
        app = self._app()
        kind = None if role is None else check_role(role)
        hashed = None if password is None else await hash_password(check_password(password))
        await app.store.write(
            accounts.change,
            id=id,
            role=kind,
            enabled=enabled,
            password=hashed,
            kept_session=kept_session,
            now_ms=app.clock.now_ms(),
        )
        return await self.get(id)

    async def delete(self, id: str) -> None:
        """Remove an account and end its sessions. Raises NotFound, and Conflict for the last admin."""
        await self._app().store.write(accounts.remove, id=id)

    async def sessions(self) -> Page[SessionRecord]:
        """The browsers that are signed in, newest first, at most a thousand."""
        app = self._app()
        return Page(await app.store.read(accounts.sessions, now_ms=app.clock.now_ms()))

    async def revoke(self, session_id: str) -> None:
        """End a session. Raises NotFound."""
        await self._app().store.write(accounts.remove_session, id=session_id)


def check_email(email: str) -> str:
    """The address as it is stored: without spaces around it, in lower case. Raises ValidationFailed."""
    try:
        return email_of(email)
    except ValueError as error:
        raise _wrong("email", str(error), "email") from None


def check_password(password: str) -> str:
    """The password, if it is long enough (NIST SP 800-63B: length counts, composition rules do not help)."""
    if not PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
        raise _wrong("password", f"A password has {PASSWORD_MIN} to {PASSWORD_MAX} characters", "length")
    return password


def check_role(role: str) -> Role:
    """The role of a name. Raises ValidationFailed."""
    try:
        return Role(role)
    except ValueError:
        raise _wrong("role", f"{role!r} is no role; choose {', '.join(Role)}", "enum") from None


def _wrong(field: str, message: str, kind: str) -> ValidationFailed:
    return ValidationFailed(errors=[{"path": [field], "message": message, "type": kind}])


def new_secret() -> str:
    """256 random bits as text."""
    return token_urlsafe(32)


def hash_secret(secret: str) -> str:
    """What is stored of a random secret. A slow hash would add nothing to 256 random bits."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


async def hash_password(password: str) -> str:
    """What is stored of a password (Argon2id, parameters of RFC 9106's low-memory profile)."""
    return await _BENCH.run(lambda: _hasher().hash(password.encode("utf-8", "surrogatepass")))


async def is_password(password: str, hashed: str | None) -> bool:
    """Whether a password is the right one; takes as long when there is no account to compare with."""
    return await _BENCH.run(lambda: _is_password(password, hashed))


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
