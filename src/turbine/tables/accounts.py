"""Accounts, their sessions, API tokens and set-up links, and the count of attempts to sign in.

Secrets are stored and compared as hashes.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from turbine.clock import to_datetime
from turbine.errors import Conflict, NotAllowed, NotFound
from turbine.model.accounts import AccountRecord, Role, SessionRecord, TokenRecord
from turbine.store import Statements, Tx

SQL = Statements(Path(__file__))

ATTEMPTS_MAX = {"account": 5, "address": 20}
"""Attempts to sign in within the window before further ones must wait: by account and by address."""
ATTEMPTS_WINDOW_MS = 5 * 60 * 1000
NEWEST = 2**62


class NewSession(NamedTuple):
    """A session to open for a browser that signs in."""

    id: str
    token_hash: str
    address: str | None
    agent: str | None
    now_ms: int
    expires_ms: int


class StoredPassword(NamedTuple):
    """An account with the hash of its password."""

    account: int
    id: str
    password: str
    role: Role
    enabled: bool


def add(tx: Tx, *, id: str, email: str, password: str, role: Role, now_ms: int) -> AccountRecord | Conflict:
    """Create an account. Refuses an e-mail address that is taken with Conflict."""
    if tx.row(SQL.add, id=id, email=email, password=password, role=role, now=now_ms) is None:
        return Conflict(f"There is already an account for {email}; change it, or delete it first")
    return AccountRecord(id, email, role, True, to_datetime(now_ms))


def is_empty(tx: Tx) -> bool:
    """Whether there are no accounts."""
    return tx.row(SQL.any) is None


def get(tx: Tx, *, id: str) -> AccountRecord | None:
    """An account by its id."""
    row = tx.row(SQL.get, id=id)
    return None if row is None else _account(row)


def listing(tx: Tx, *, after: int, limit: int) -> list[tuple[int, AccountRecord]]:
    """Accounts with their keys, oldest first."""
    return [(row[0], _account(row)) for row in tx.rows(SQL.listing, after=after, limit=limit)]


def _account(row: tuple[Any, ...]) -> AccountRecord:
    _, id_, email, role, enabled, created, login = row
    return AccountRecord(
        id_, email, Role(role), bool(enabled), to_datetime(created), None if login is None else to_datetime(login)
    )


def password_of(tx: Tx, *, email: str) -> StoredPassword | None:
    """The account of an e-mail address, with the hash of its password."""
    row = tx.row(SQL.password_of, email=email)
    return None if row is None else StoredPassword(row[0], row[1], row[2], Role(row[3]), bool(row[4]))


def change(
    tx: Tx, *, id: str, role: Role | None, enabled: bool | None, password: str | None, kept_session: str, now_ms: int
) -> AccountRecord | NotFound | Conflict:
    """Change an account. Refuses with NotFound, and with Conflict if no enabled admin would remain.

    A new password, or disabling the account, ends its sessions except `kept_session`.
    """
    tx.rows(SQL.lock_all)
    row = tx.row(SQL.get, id=id)
    if row is None:
        return NotFound(kind="account", id=id)
    key, account = row[0], _account(row)
    new_role = account.role if role is None else role
    is_enabled = account.enabled if enabled is None else enabled
    stays_admin = new_role is Role.ADMIN and is_enabled
    if account.role is Role.ADMIN and account.enabled and not stays_admin and _is_last_admin(tx, key):
        return _last_admin()
    tx.run(SQL.change, account=key, role=new_role, enabled=int(is_enabled), password=password, now=now_ms)
    if password is not None or not is_enabled:
        tx.run(SQL.remove_sessions_of, account=key, kept=kept_session)
    return replace(account, role=new_role, enabled=is_enabled)


def remove(tx: Tx, *, id: str) -> bool | Exception:
    """Delete an account and its sessions. Refuses with NotFound, and with Conflict for the last admin."""
    tx.rows(SQL.lock_all)
    row = tx.row(SQL.get, id=id)
    if row is None:
        return NotFound(kind="account", id=id)
    account = _account(row)
    if account.role is Role.ADMIN and account.enabled and _is_last_admin(tx, row[0]):
        return _last_admin()
    tx.run(SQL.remove_sessions_of, account=row[0], kept="")
    tx.run(SQL.remove, account=row[0])
    return True


def _is_last_admin(tx: Tx, account: int) -> bool:
    row = tx.row(SQL.other_admins, account=account)
    return row is None or row[0] == 0


def _last_admin() -> Conflict:
    return Conflict("This is the last admin account; make another account an admin first")


def sign_in(tx: Tx, *, account: int, email: str, session: NewSession) -> None:
    """Open a session after a correct password; the attempt no longer counts."""
    tx.run(SQL.delete_attempts, kind="account", subject=email)
    if session.address is not None:
        tx.run(SQL.delete_last_attempt, kind="address", subject=session.address)
    tx.run(SQL.delete_expired_sessions, now=session.now_ms)
    _open(tx, account, session)


def _open(tx: Tx, account: int, session: NewSession) -> None:
    tx.run(
        SQL.add_session,
        id=session.id,
        account=account,
        token_hash=session.token_hash,
        address=session.address,
        agent=session.agent,
        now=session.now_ms,
        expires=session.expires_ms,
    )
    tx.run(SQL.note_login, account=account, now=session.now_ms)


def by_session(tx: Tx, *, token_hash: str, now_ms: int, idle_since_ms: int) -> tuple[str, int, str, Role] | None:
    """The session of a token: (session id, last seen, e-mail, role); None when it has ended."""
    row = tx.row(SQL.by_session, token_hash=token_hash, now=now_ms, idle_since=idle_since_ms)
    return None if row is None else (row[0], row[1], row[2], Role(row[3]))


def touch_session(tx: Tx, *, id: str, now_ms: int) -> None:
    """Record that a session is in use."""
    tx.run(SQL.touch_session, id=id, now=now_ms)


def sessions(tx: Tx, *, now_ms: int) -> list[SessionRecord]:
    """The open sessions, newest first."""
    return [
        SessionRecord(
            id_, account, email, address, agent, to_datetime(created), to_datetime(seen), to_datetime(expires)
        )
        for id_, account, email, address, agent, created, seen, expires in tx.rows(SQL.sessions, now=now_ms)
    ]


def remove_session(tx: Tx, *, id: str) -> bool | Exception:
    """End a session. Refuses with NotFound."""
    return True if tx.run(SQL.remove_session, id=id) else NotFound(kind="session", id=id)


def offer_link(tx: Tx, *, token_hash: str, now_ms: int, expires_ms: int) -> bool:
    """Create a set-up link if there is no account and no other live process has offered one. Older links end."""
    if not is_empty(tx) or tx.row(SQL.link_of_other_process, now=now_ms, executor=tx.executor) is not None:
        return False
    tx.run(SQL.delete_links)
    tx.run(SQL.add_link, token_hash=token_hash, executor=tx.executor, expires=expires_ms)
    return True


def set_up(tx: Tx, *, token_hash: str, id: str, email: str, password: str, session: NewSession) -> bool | Exception:
    """Create the first account by a set-up link, and sign it in. Refuses with Conflict or NotAllowed."""
    if not is_empty(tx):
        return Conflict("This Turbine is already set up; sign in, or ask an administrator for an account")
    if tx.run(SQL.use_link, token_hash=token_hash, now=session.now_ms) == 0:
        return NotAllowed(
            "This set-up link is wrong, used, expired, or from an earlier start; restart to get a new one"
        )
    row = tx.row(SQL.add, id=id, email=email, password=password, role=Role.ADMIN, now=session.now_ms)
    assert row is not None  # there is no other account
    tx.run(SQL.delete_links)
    _open(tx, row[0], session)
    return True


def record_login_attempt(tx: Tx, *, address: str | None, email: str, now_ms: int) -> int:
    """Count an attempt to sign in before its password is checked; the milliseconds to wait if there were too many."""
    since_ms = now_ms - ATTEMPTS_WINDOW_MS
    tx.run(SQL.delete_old_attempts, since=since_ms)
    subjects = [("account", email)]
    if address is not None:
        subjects.append(("address", address))
    wait_ms = 0
    for kind, subject in subjects:
        limit = ATTEMPTS_MAX[kind]
        count, oldest = tx.row(SQL.attempts, kind=kind, subject=subject, since=since_ms, limit=limit) or (0, None)
        if count >= limit and oldest is not None:
            wait_ms = max(wait_ms, oldest + ATTEMPTS_WINDOW_MS - now_ms)
    if wait_ms <= 0:
        for kind, subject in subjects:
            tx.run(SQL.add_attempt, kind=kind, subject=subject, now=now_ms)
    return max(0, wait_ms)


def add_token(tx: Tx, *, id: str, name: str, role: Role, token_hash: str, now_ms: int, expires_ms: int | None) -> bool:
    """Store a new token."""
    tx.run(SQL.add_token, id=id, name=name, role=role, token_hash=token_hash, now=now_ms, expires=expires_ms)
    return True


def by_token(tx: Tx, *, token_hash: str, now_ms: int) -> tuple[str, Role] | None:
    """The name and role of a valid token."""
    row = tx.row(SQL.by_token, token_hash=token_hash, now=now_ms)
    return None if row is None else (row[0], Role(row[1]))


def token(tx: Tx, *, id: str) -> TokenRecord | None:
    """The record of a token, without its secret."""
    row = tx.row(SQL.token, id=id)
    return None if row is None else _token(row)


def tokens(tx: Tx, *, before: int, limit: int) -> list[tuple[int, TokenRecord]]:
    """Tokens with their keys, newest first."""
    return [(row[0], _token(row)) for row in tx.rows(SQL.tokens, before=before, limit=limit)]


def remove_token(tx: Tx, *, id: str) -> bool | Exception:
    """Revoke a token. Refuses with NotFound."""
    return True if tx.run(SQL.remove_token, id=id) else NotFound(kind="token", id=id)


def _token(row: tuple[Any, ...]) -> TokenRecord:
    _, id_, name, role, expires, created = row
    return TokenRecord(id_, name, Role(role), None if expires is None else to_datetime(expires), to_datetime(created))
