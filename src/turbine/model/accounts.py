"""Who may come in over HTTP, and with which role."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

from turbine.model.records import DESCRIBED
from turbine.model.times import Moment

_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+")


class Role(StrEnum):
    """What somebody may do; each role includes the ones before it."""

    VIEWER = "viewer"
    """Looks at everything but accounts and tokens; never sees a secret."""
    APPROVER = "approver"
    """Decides approvals that are assigned to them or to nobody, and does nothing else."""
    OPERATOR = "operator"
    """Acts on runs, approvals, schedules, queues, keys and products."""
    ADMIN = "admin"
    """Also on accounts, tokens, webhooks and alert channels."""

    def allows(self, needed: Role) -> bool:
        """Whether this role includes another one."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(needed)


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """Somebody who signs in with e-mail and password."""

    id: str
    email: str
    role: Role
    enabled: bool
    created: Moment
    last_login: Moment | None = None

    __pydantic_config__ = DESCRIBED


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A browser that is signed in, until it is revoked or expires."""

    id: str
    account_id: str
    email: str
    address: str | None
    agent: str | None
    created: Moment
    seen: Moment
    """When it was last used, within five minutes."""
    expires: Moment

    __pydantic_config__ = DESCRIBED


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """A key for programs. `token` is there once, when it is made; only its hash is kept."""

    id: str
    name: str
    role: Role
    expires: Moment | None
    created: Moment
    token: str | None = field(default=None, repr=False)

    __pydantic_config__ = DESCRIBED


@dataclass(frozen=True, slots=True)
class Actor:
    """Who makes a change, as the audit names them, and with which role."""

    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class Principal(Actor):
    """The authenticated sender of a request."""

    email: str | None = None
    session_id: str | None = None
    """The session of a browser; None for a token, the host's own sign-in, or no sign-in at all."""


def email_of(text: str) -> str:
    """The address as it is stored: without spaces around it, in lower case. Raises ValueError for what is none."""
    address = text.strip().lower()
    if len(address) > 320 or not _EMAIL.fullmatch(address) or not address.isprintable():
        raise ValueError(f"{text[:80]!r} is no e-mail address")
    return address
