"""The global key-value store, for code outside of runs and (through recorded steps) inside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from turbine.codec import payload_type
from turbine.engine.port import Port
from turbine.engine.talk import require_json
from turbine.ids import check_name
from turbine.registry import UNSET
from turbine.tables import kv


class Missing:
    """The type of `MISSING`, which expects that a key is not there."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = Missing()


class Kv:
    """Typed get, set with compare-and-set, delete. Durable when a call returns; not part of any replay by itself."""

    def __init__(self, port: Callable[[], Port]) -> None:
        self._port = port

    async def get(self, key: str, type: Any = Any, default: Any = None) -> Any:
        """The value of a key, decoded as `type`; `default` when there is none. Raises ValidationFailed, ValueError."""
        port = self._port()
        text = await port.store.read(kv.get, key=_key(key))
        if text is None:
            return default
        return payload_type(type).decode(port.payloads.open(text), f"the value of key {key!r}")

    async def get_or_missing(self, key: str) -> list[str] | None:
        """The JSON text of a key in a list of one, or None: what a body records of a look."""
        port = self._port()
        text = await port.store.read(kv.get, key=_key(key))
        return None if text is None else [port.payloads.open(text)]

    async def set(self, key: str, value: Any, expect: Any = UNSET) -> None:
        """Write a key. With `expect` only if the stored value is the expected one (`MISSING`: only if there is none).

        Raises Conflict on a mismatch, ValueError for an empty key or None, SerializationError.
        """
        port = self._port()
        what = f"the value of key {key!r}"
        text = port.payloads.seal(require_json(value, what), what)
        expected = None
        if expect is not UNSET and not isinstance(expect, Missing):
            expected = port.payloads.seal(require_json(expect, "the expected value"), "the expected value")
        await port.store.write(
            kv.set_,
            key=_key(key),
            value=text,
            now_ms=port.clock.now_ms(),
            expect=expected,
            expects_missing=isinstance(expect, Missing),
        )

    async def delete(self, key: str) -> None:
        """Remove a key; fine when there is none. Raises ValueError for an empty key."""
        await self._port().store.write(kv.delete, key=_key(key))


def _key(key: str) -> str:
    return check_name(key, "key")
