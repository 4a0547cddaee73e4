"""Accounts, sessions and tokens for HTTP, and their roles."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

from turbine.model.records import DESCRIBED
from turbine.model.times import Moment

_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+")


class Role(StrEnum):
    """The permissions of an account or token; each role includes the ones before it."""

    VIEWER = "viewer"
    """Sees everything except accounts, tokens and secrets."""
    APPROVER = "approver"
    """Also decides approvals that are assigned to them or unassigned."""
    OPERATOR = "operator"
    """Also changes runs, approvals, schedules, queues, keys and products."""
    ADMIN = "admin"
    """Also changes accounts, tokens, webhooks and alert channels."""

    def allows(self, needed: Role) -> bool:
        """Whether this role includes another one."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(needed)


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """A person who signs in with e-mail and password."""

    id: str
    email: str
    role: Role
    enabled: bool
    created: Moment
    last_login: Moment | None = None

    __pydantic_config__ = DESCRIBED


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A signed-in browser, until the session is revoked or expires."""

    id: str
    account_id: str
    email: str
    address: str | None
    agent: str | None
    created: Moment
    seen: Moment
    """The time of the last request, to within five minutes."""
    expires: Moment

    __pydantic_config__ = DESCRIBED


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """A key for programs. `token` is set only when it is created; only its hash is stored."""

    id: str
    name: str
    role: Role
    expires: Moment | None
    created: Moment
    token: str | None = field(default=None, repr=False)

    __pydantic_config__ = DESCRIBED


@dataclass(frozen=True, slots=True)
class Actor:
    """The author of a change, as the audit log names them, and their role."""

    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class Principal(Actor):
    """The authenticated sender of a request."""

    email: str | None = None
    session_id: str | None = None
    """The session of a browser; None for a token, the host's own sign-in, or no sign-in."""


def email_of(text: str) -> str:
    """Returns the address as it is stored: stripped, in lower case. Raises ValueError if it is not an address."""
    address = text.strip().lower()
    if len(address) > 320 or not _EMAIL.fullmatch(address) or not address.isprintable():
        raise ValueError(f"{text[:80]!r} is not an e-mail address")
    return address
