"""Signatures for display: without the modules of the types, and with long defaults cut."""

from __future__ import annotations

import inspect
import re
import types
import typing
from typing import Any, cast

DEFAULT_MAX = 60
"""The number of characters of a default that are shown."""


def signature_text(signature: inspect.Signature) -> str:
    """Returns text such as `(order: Order, speed: Literal['low', 'high'] = 'low') -> str | None`."""
    ordered = [
        parameter.replace(annotation=_annotation(parameter.annotation), default=_default(parameter.default))
        for parameter in signature.parameters.values()
    ]
    return str(inspect.Signature(ordered, return_annotation=_annotation(signature.return_annotation)))


class _Words(str):
    """A string that a signature shows without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _default(value: Any) -> Any:
    if value is inspect.Parameter.empty:
        return value
    try:
        text = re.sub(r" at 0x[0-9a-f]+", "", repr(value))
    except Exception:  # noqa: BLE001 - the user's object; a signature is only for display
        text = "..."
    return _Words(text if len(text) <= DEFAULT_MAX else f"{text[:DEFAULT_MAX]}...")


def _annotation(hint: Any) -> Any:
    if hint is inspect.Parameter.empty:
        return hint
    return _Words(_name_of(hint))


def _name_of(hint: Any) -> str:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if isinstance(hint, str):
        return hint
    if isinstance(hint, typing.ForwardRef):
        return hint.__forward_arg__
    if hint is None or hint is type(None):
        return "None"
    if hint is ...:
        return "..."
    if isinstance(hint, list):  # the arguments of a Callable
        return f"[{', '.join(map(_name_of, cast('list[Any]', hint)))}]"
    if origin is typing.Annotated:
        return _name_of(inner[0])
    if origin is typing.Literal:
        return f"Literal[{', '.join(map(repr, inner))}]"
    if origin in (typing.Union, types.UnionType):
        return " | ".join(map(_name_of, inner))
    if origin is not None and inner:
        return f"{_name_of(origin)}[{', '.join(map(_name_of, inner))}]"
    return getattr(hint, "__name__", None) or repr(hint).removeprefix("typing.")
