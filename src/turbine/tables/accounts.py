"""Accounts, their sessions, API tokens and set-up links, and the count of attempts to sign in.

Whoever asks brings a secret; only hashes are compared here.
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
"""Attempts to sign in within the window, after which everybody waits: by account and by address."""
ATTEMPTS_WINDOW_MS = 5 * 60 * 1000
NEWEST = 2**62


class NewSession(NamedTuple):
    """A browser that signs in."""

    id: str
    token_hash: str
    address: str | None
    agent: str | None
    now_ms: int
    expires_ms: int


class Known(NamedTuple):
    """What is needed to judge a password."""

    account: int
    id: str
    password: str
    role: Role
    enabled: bool


# Accounts


def add(tx: Tx, *, id: str, email: str, password: str, role: Role, now_ms: int) -> AccountRecord | Conflict:
    """Create an account. Refuses an e-mail address that is taken with Conflict."""
    if tx.row(SQL.add, id=id, email=email, password=password, role=role, now=now_ms) is None:
        return Conflict(f"There is an account for {email} already; change that one, or delete it first")
    return AccountRecord(id, email, role, True, to_datetime(now_ms))


def is_empty(tx: Tx) -> bool:
    """Whether there is no account at all."""
    return tx.row(SQL.any) is None


def get(tx: Tx, *, id: str) -> AccountRecord | None:
    """An account by its id."""
    row = tx.row(SQL.get, id=id)
    return None if row is None else _account(row)


def listing(tx: Tx, *, after: int, limit: int) -> list[tuple[int, AccountRecord]]:
    """Accounts with their keys, in the order in which they were made."""
    return [(row[0], _account(row)) for row in tx.rows(SQL.listing, after=after, limit=limit)]


def _account(row: tuple[Any, ...]) -> AccountRecord:
    _, id_, email, role, enabled, created, login = row
    return AccountRecord(
        id_, email, Role(role), bool(enabled), to_datetime(created), None if login is None else to_datetime(login)
    )


def password_of(tx: Tx, *, email: str) -> Known | None:
    """The account of an e-mail address, with the hash of its password."""
    row = tx.row(SQL.password_of, email=email)
    return None if row is None else Known(row[0], row[1], row[2], Role(row[3]), bool(row[4]))


def change(
    tx: Tx, *, id: str, role: Role | None, enabled: bool | None, password: str | None, kept_session: str, now_ms: int
) -> AccountRecord | NotFound | Conflict:
    """Change an account. Refuses with NotFound, and with Conflict what would leave no admin who can sign in.

    A new password or a disabled account ends its sessions, but for `kept_session`.
    """
    tx.rows(SQL.hold_all)
    row = tx.row(SQL.get, id=id)
    if row is None:
        return NotFound(kind="account", id=id)
    key, now_known = row[0], _account(row)
    new_role = now_known.role if role is None else role
    is_enabled = now_known.enabled if enabled is None else enabled
    stays_admin = new_role is Role.ADMIN and is_enabled
    if now_known.role is Role.ADMIN and now_known.enabled and not stays_admin and _is_last_admin(tx, key):
        return _last_admin()
    tx.run(SQL.change, account=key, role=new_role, enabled=int(is_enabled), password=password, now=now_ms)
    if password is not None or not is_enabled:
        tx.run(SQL.remove_sessions_of, account=key, kept=kept_session)
    return replace(now_known, role=new_role, enabled=is_enabled)


def remove(tx: Tx, *, id: str) -> bool | Exception:
    """Delete an account and its sessions. Refuses with NotFound, and with Conflict for the last admin."""
    tx.rows(SQL.hold_all)
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
    return Conflict("This is the last account that may administer; make another admin first")


# Sessions


def sign_in(tx: Tx, *, account: int, email: str, session: NewSession) -> None:
    """Open a session for somebody whose password was right; that attempt no longer counts."""
    tx.run(SQL.forget_attempts, kind="account", subject=email)
    if session.address is not None:
        tx.run(SQL.forget_last_attempt, kind="address", subject=session.address)
    tx.run(SQL.forget_expired_sessions, now=session.now_ms)
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
    """Whose session it is: (session id, last seen, e-mail, role); None when it is over."""
    row = tx.row(SQL.by_session, token_hash=token_hash, now=now_ms, idle_since=idle_since_ms)
    return None if row is None else (row[0], row[1], row[2], Role(row[3]))


def see_session(tx: Tx, *, id: str, now_ms: int) -> None:
    """Note that a session is in use."""
    tx.run(SQL.see_session, id=id, now=now_ms)


def sessions(tx: Tx, *, now_ms: int) -> list[SessionRecord]:
    """The sessions that are open, newest first."""
    return [
        SessionRecord(
            id_, account, email, address, agent, to_datetime(created), to_datetime(seen), to_datetime(expires)
        )
        for id_, account, email, address, agent, created, seen, expires in tx.rows(SQL.sessions, now=now_ms)
    ]


def remove_session(tx: Tx, *, id: str) -> bool | Exception:
    """End a session. Refuses with NotFound."""
    return True if tx.run(SQL.remove_session, id=id) else NotFound(kind="session", id=id)


# The first account


def offer_link(tx: Tx, *, token_hash: str, now_ms: int, expires_ms: int) -> bool:
    """Make a set-up link, if there is no account and no other live process has offered one. Older ones end."""
    if not is_empty(tx) or tx.row(SQL.live_link, now=now_ms, executor=tx.executor) is not None:
        return False
    tx.run(SQL.forget_links)
    tx.run(SQL.add_link, token_hash=token_hash, executor=tx.executor, expires=expires_ms)
    return True


def set_up(tx: Tx, *, token_hash: str, id: str, email: str, password: str, session: NewSession) -> bool | Exception:
    """Make the first account by a set-up link, and sign it in. Refuses with Conflict or NotAllowed."""
    if not is_empty(tx):
        return Conflict("This Turbine is set up already; sign in, or ask an administrator for an account")
    if tx.run(SQL.use_link, token_hash=token_hash, now=session.now_ms) == 0:
        return NotAllowed(
            "This set-up link is wrong, used, too old, or from an earlier start; restart to get a new one"
        )
    row = tx.row(SQL.add, id=id, email=email, password=password, role=Role.ADMIN, now=session.now_ms)
    assert row is not None  # there is no other account
    tx.run(SQL.forget_links)
    _open(tx, row[0], session)
    return True


# Attempts to sign in


def record_login_attempt(tx: Tx, *, address: str | None, email: str, now_ms: int) -> int:
    """Count an attempt to sign in before its password is judged; the milliseconds to wait when there were too many."""
    since_ms = now_ms - ATTEMPTS_WINDOW_MS
    tx.run(SQL.forget_old_attempts, since=since_ms)
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


# Tokens


def add_token(tx: Tx, *, id: str, name: str, role: Role, token_hash: str, now_ms: int, expires_ms: int | None) -> bool:
    """Keep the hash of a new token."""
    tx.run(SQL.add_token, id=id, name=name, role=role, token_hash=token_hash, now=now_ms, expires=expires_ms)
    return True


def by_token(tx: Tx, *, token_hash: str, now_ms: int) -> tuple[str, Role] | None:
    """The name and role of a token that is good."""
    row = tx.row(SQL.by_token, token_hash=token_hash, now=now_ms)
    return None if row is None else (row[0], Role(row[1]))


def token(tx: Tx, *, id: str) -> TokenRecord | None:
    """What is known of a token; never the token itself."""
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
