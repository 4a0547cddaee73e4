"""Signing in: browser sessions, API tokens, the set-up link of the first account, and changing one's own password."""

from __future__ import annotations

import secrets
from typing import NamedTuple

from turbine.engine.app import App
from turbine.errors import NotAllowed, NotSignedIn, TooManyAttempts
from turbine.ids import new_id
from turbine.model.accounts import Actor, Principal, Role
from turbine.operations.accounts import (
    check_email,
    check_password,
    hash_password,
    hash_secret,
    is_password,
    new_secret,
)
from turbine.operations.audit_entries import audit_of
from turbine.tables import accounts
from turbine.tables.accounts import NewSession

SESSION_MS = 30 * 24 * 3600 * 1000
"""How long a session lasts at most."""
IDLE_MS = 7 * 24 * 3600 * 1000
"""How long it lasts unused."""
SEEN_EVERY_MS = 5 * 60 * 1000
"""How often the use of a session is written down."""
LINK_MS = 15 * 60 * 1000
AGENT_MAX = 300


class Browser(NamedTuple):
    """The browser that signs in: its network address and what it calls itself."""

    address: str | None
    agent: str | None


class OpenedSession(NamedTuple):
    """A session whose secret goes into the cookie of its browser."""

    secret: str
    email: str
    role: Role


async def sign_in(app: App, email: str, password: str, browser: Browser) -> OpenedSession:
    """Open a session. Raises NotSignedIn, and TooManyAttempts for an account or from an address."""
    email = check_email(email)
    await _record_attempt(app, browser.address, email)
    account = await app.store.read(accounts.password_of, email=email)
    is_right = await is_password(password, None if account is None else account.password)
    if account is None or not is_right or not account.enabled:
        raise NotSignedIn("E-mail address or password is wrong")
    secret, session = _new_session(app, browser)
    audit = audit_of(app, Actor(email, account.role), "session.login", email, address=browser.address)
    await app.store.write_audited(audit, accounts.sign_in, account=account.account, email=email, session=session)
    return OpenedSession(secret, email, account.role)


async def sign_out(app: App, principal: Principal) -> None:
    """End the session of a principal, if it has one. Raises NotFound when it has ended."""
    if principal.session_id is not None:
        audit = audit_of(app, principal, "session.logout", principal.name)
        await app.store.write_audited(audit, accounts.remove_session, id=principal.session_id)


async def set_up(app: App, token: str, email: str, password: str, browser: Browser) -> OpenedSession:
    """Create the first account, an admin, by the token of the set-up link. Raises Conflict, NotAllowed."""
    email = check_email(email)
    hashed = await hash_password(check_password(password))
    secret, session = _new_session(app, browser)
    await app.store.write_audited(
        audit_of(app, Actor(email, Role.ADMIN), "account.setup", email),
        accounts.set_up,
        token_hash=hash_secret(token),
        id=new_id(),
        email=email,
        password=hashed,
        session=session,
    )
    return OpenedSession(secret, email, Role.ADMIN)


async def change_password(app: App, principal: Principal, current: str, new: str) -> None:
    """Change the principal's own password and end its other sessions. Raises NotAllowed, TooManyAttempts."""
    email = principal.email
    if email is None or principal.session_id is None:
        raise NotAllowed("Only an account that signed in with a password can change it")
    await _record_attempt(app, None, email)
    account = await app.store.read(accounts.password_of, email=email)
    if account is None or not await is_password(current, account.password):
        raise NotAllowed("The current password is wrong")
    await app.store.write_audited(
        audit_of(app, principal, "account.password", email),
        accounts.change,
        id=account.id,
        role=None,
        enabled=None,
        password=await hash_password(check_password(new)),
        kept_session=principal.session_id,
        now_ms=app.clock.now_ms(),
    )


async def needs_setup(app: App) -> bool:
    """Whether there is no account yet."""
    return await app.store.read(accounts.is_empty)


async def offer_link(app: App) -> str | None:
    """The token of a new set-up link, valid once and for 15 minutes; None when there is an account already."""
    token, now_ms = new_secret(), app.clock.now_ms()
    is_offered = await app.store.write(
        accounts.offer_link, token_hash=hash_secret(token), now_ms=now_ms, expires_ms=now_ms + LINK_MS
    )
    return token if is_offered else None


async def principal_of_token(app: App, token: str) -> Principal | None:
    """The principal of an API token, if it is valid."""
    row = await app.store.read(accounts.by_token, token_hash=hash_secret(token), now_ms=app.clock.now_ms())
    return None if row is None else Principal(f"token:{row[0]}", row[1])


async def principal_of_session(app: App, secret: str) -> Principal | None:
    """The principal of a session's secret, if the session is open."""
    now_ms = app.clock.now_ms()
    row = await app.store.read(
        accounts.by_session, token_hash=hash_secret(secret), now_ms=now_ms, idle_since_ms=now_ms - IDLE_MS
    )
    if row is None:
        return None
    session_id, seen_ms, email, role = row
    if now_ms - seen_ms > SEEN_EVERY_MS:
        await app.store.write(accounts.touch_session, id=session_id, now_ms=now_ms)
    return Principal(email, role, email=email, session_id=session_id)


async def _record_attempt(app: App, address: str | None, email: str) -> None:
    wait_ms = await app.store.write(
        accounts.record_login_attempt, address=address, email=email, now_ms=app.clock.now_ms()
    )
    if wait_ms:
        raise TooManyAttempts(retry_after=-(-wait_ms // 1000))


def _new_session(app: App, browser: Browser) -> tuple[str, NewSession]:
    secret, now_ms = new_secret(), app.clock.now_ms()
    return secret, NewSession(
        id=secrets.token_hex(8),
        token_hash=hash_secret(secret),
        address=browser.address,
        agent=None if browser.agent is None else browser.agent.replace("\0", "")[:AGENT_MAX],
        now_ms=now_ms,
        expires_ms=now_ms + SESSION_MS,
    )
