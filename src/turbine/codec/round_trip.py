"""Checks whether a value comes back from JSON as it was, where the JSON text alone does not tell.

A union may read the text as another member, a model may write NaN as null, a secret is written as stars.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Set
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, cast

from turbine.codec.lazy_import import LazyImport

if TYPE_CHECKING:
    import pydantic
else:
    pydantic = LazyImport("pydantic")

_NOTHING = object()
_MASKED = "a secret would be stored as stars; pass it as text, or read it where it is used"


def round_trip_difference(before: Any, after: Any, path: str = "") -> str | None:
    """Describes the first difference in kind, for an error message; None when there is none.

    Kinds are compared, not values: a subclass may come back as its declared base, a tuple as a list, an int as a float.
    """
    where = f"at {path.lstrip('.')}, " if path else ""
    if _is_no_number(before) and not isinstance(after, float):
        cure = "model_config = ConfigDict(ser_json_inf_nan='constants') keeps it"
        return f"{where}{before} would come back as {after!r} ({cure})"
    secret = _secret(before)
    if secret is not _NOTHING:
        return None if secret == _secret(after) else f"{where}{_MASKED}"
    if not _same_kind(before, after):
        return f"{where}{type(before).__qualname__} would come back as {type(after).__qualname__}"
    for name, old, new in _pairs(before, after):
        if old is _NOTHING or new is _NOTHING:
            continue
        if (difference := round_trip_difference(old, new, path + name)) is not None:
            return difference
    return None


def secret_in(value: Any) -> str | None:
    """Returns the complaint if the value contains a secret that JSON would mask, else None."""
    if _secret(value) is not _NOTHING:
        return _MASKED
    parts: Any = (_fields(value) or {}).values()
    if isinstance(value, Mapping):
        parts = cast("Mapping[Any, Any]", value).values()
    elif isinstance(value, (list, tuple, Set)):
        parts = cast("list[Any]", value)
    return next((difference for part in parts if (difference := secret_in(part)) is not None), None)


def vanished(before: Any, after: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yields the paths of the keys that `before` has and `after` lacks."""
    if isinstance(before, dict) and isinstance(after, dict):
        new = cast("dict[str, Any]", after)
        for key, value in cast("dict[str, Any]", before).items():
            if key in new:
                yield from vanished(value, new[key], (*path, key))
            else:
                yield (*path, key)
    elif isinstance(before, list) and isinstance(after, list):
        both = cast("list[Any]", before), cast("list[Any]", after)
        if len(both[0]) == len(both[1]):
            for index, (old, new) in enumerate(zip(*both, strict=True)):
                yield from vanished(old, new, (*path, index))


def _is_no_number(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _secret(value: Any) -> Any:
    # Looked up on the type: on a model, a missing attribute is slow.
    kind: type[Any] = type(value)  # pyright: ignore[reportUnknownVariableType]
    return value.get_secret_value() if hasattr(kind, "get_secret_value") else _NOTHING


def _same_kind(before: Any, after: Any) -> bool:
    if isinstance(before, type(after)) or isinstance(after, type(before)):
        return True
    for kind in (int, float), (list, tuple), (Set,), (Mapping,):
        if isinstance(before, kind) and isinstance(after, kind):
            return True
    return False


def _pairs(before: Any, after: Any) -> list[tuple[str, Any, Any]]:
    old_fields, new_fields = _fields(before), _fields(after)
    if old_fields is not None and new_fields is not None:
        return [(f".{name}", old_fields.get(name, _NOTHING), value) for name, value in new_fields.items()]
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        old, new = cast("Mapping[Any, Any]", before), cast("Mapping[Any, Any]", after)
        keys = zip_longest(old, new, fillvalue=_NOTHING)
        pairs = [(f".{name}", old[name], new.get(name, _NOTHING)) for name in old]
        return pairs + [(f".{first}", first, second) for first, second in keys]
    if isinstance(before, (list, tuple)) and isinstance(after, (list, tuple)):
        both = zip_longest(cast("list[Any]", before), cast("list[Any]", after), fillvalue=_NOTHING)
        return [(f".{index}", old, new) for index, (old, new) in enumerate(both)]
    return []


def _fields(value: Any) -> dict[str, Any] | None:
    if isinstance(value, pydantic.BaseModel) or (dataclasses.is_dataclass(value) and not isinstance(value, type)):
        return getattr(value, "__dict__", None)
    return None
