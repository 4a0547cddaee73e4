"""Signatures of webhooks: the hex HMAC of the body, and Standard Webhooks (standardwebhooks.com, version 1).

Standard Webhooks also sign the delivery's id and the time of the attempt, so that a body cannot be replayed later.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence

PREFIX = "whsec_"


def key_of(secret: str) -> bytes:
    """The key of the Standard Webhooks signature: base64 after `whsec_`, else the text itself. Raises ValueError."""
    if not secret.startswith(PREFIX):
        return secret.encode()
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError(f"the part after {PREFIX} must be base64: {error}") from error
    if not key:
        raise ValueError(f"the part after {PREFIX} must be a key in base64; it is empty")
    return key


def body_signature(secret: str, body: bytes) -> str:
    """The value of X-Turbine-Signature: lower-case hex HMAC-SHA256 of the body under the secret's text."""
    return hmac.digest(secret.encode(), body, "sha256").hex()


def standard_signature(secrets: Sequence[str], id: str, seconds: int, body: bytes) -> str:
    """The value of webhook-signature: one signature for each valid secret, the newest first."""
    signed = b".".join((id.encode(), str(seconds).encode(), body))
    return " ".join(
        "v1," + base64.b64encode(hmac.digest(key_of(secret), signed, "sha256")).decode() for secret in secrets
    )
