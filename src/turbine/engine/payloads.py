"""The last step of a payload before the store: the size limit and the user's own codec."""

from __future__ import annotations

import logging

from turbine.config import PayloadCodec
from turbine.errors import SerializationError

log = logging.getLogger("turbine")

LARGE = 1024 * 1024
"""Bytes above which a warning is logged: a large payload is read again at every replay."""


class Payloads:
    """Seals texts on their way in and opens them on their way out."""

    def __init__(self, maximum: int, codec: PayloadCodec | None) -> None:
        self._maximum = maximum
        self._codec = codec

    def seal(self, text: str, what: str) -> str:
        """The text as it is stored. Raises SerializationError above `Config.payload_max`."""
        if len(text) > LARGE:  # characters; no text has fewer bytes than these
            size = len(text.encode())
            if size > self._maximum:
                raise SerializationError(
                    f"{what} is {size:,} bytes long, above the limit of {self._maximum:,} (Config.payload_max);"
                    " keep large data in a file or a product and pass its name"
                )
            log.warning("%s is %s bytes long; it is read again at every replay", what, f"{size:,}")
        elif len(text) > self._maximum // 4 and len(text.encode()) > self._maximum:
            raise SerializationError(
                f"{what} is above the limit of {self._maximum:,} bytes (Config.payload_max);"
                " keep large data in a file or a product and pass its name"
            )
        return text if self._codec is None else self._codec.encode(text)

    def open(self, stored: str) -> str:
        """The text as it was encoded."""
        return stored if self._codec is None else self._codec.decode(stored)
