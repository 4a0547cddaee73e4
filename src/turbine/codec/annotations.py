"""Converts annotations to those for which pydantic can build a schema, and inspects schemas."""

from __future__ import annotations

import collections.abc
import sys
import types
import typing
from collections.abc import Mapping
from typing import Any, cast

import typing_extensions

# Their arguments are not just annotations: values, and a list of parameters.
_LEFT_ALONE: tuple[Any, ...] = (None, typing.Literal, cast("Any", collections.abc).Callable)
_ANY_ORDER = (collections.abc.Iterable, collections.abc.Collection)
_UNTYPED = (Any, object, typing.NoReturn, typing.Never)


def is_untyped(annotation: Any) -> bool:
    """Whether the annotation does not restrict the value."""
    return any(annotation is kind for kind in _UNTYPED) or isinstance(
        annotation, (typing.TypeVar, typing.ParamSpec, typing.ParamSpecArgs, typing.ParamSpecKwargs)
    )


def buildable(annotation: Any, names: Mapping[str, Any] | None = None) -> Any:
    """Returns an equivalent annotation that pydantic supports; `names` are local names for string annotations in it.

    An `Iterable` becomes a `Sequence`, because pydantic would read the former lazily and once. A `typing.TypedDict`
    becomes one of typing_extensions, which pydantic requires before Python 3.12.
    """
    if sys.version_info < (3, 12) and typing.is_typeddict(annotation) and type(annotation).__module__ == "typing":
        return _typed_dict(annotation, names)
    origin = typing.get_origin(annotation)
    if origin in _ANY_ORDER or any(annotation is kind for kind in _ANY_ORDER):
        annotation = collections.abc.Sequence[typing.get_args(annotation) or Any]
        origin = collections.abc.Sequence
    if any(origin is kind for kind in _LEFT_ALONE):
        return annotation
    args = typing.get_args(annotation)
    if origin is typing.Annotated:
        return typing.Annotated[(buildable(args[0], names), *args[1:])]
    new = tuple(buildable(arg, names) if isinstance(arg, type) or typing.get_origin(arg) else arg for arg in args)
    if all(before is after for before, after in zip(args, new, strict=True)):
        return annotation
    if origin in (typing.Union, types.UnionType):
        return typing.Union[new]  # noqa: UP007 - made from a tuple
    return origin[new] if isinstance(annotation, types.GenericAlias) else annotation.copy_with(new)


def _typed_dict(annotation: Any, names: Mapping[str, Any] | None) -> Any:
    fields: dict[str, Any] = {}
    required = cast("frozenset[str]", annotation.__required_keys__)
    for key, hint in typing.get_type_hints(annotation, None, names, include_extras=True).items():
        bare = hint.__args__[0] if typing.get_origin(hint) in (typing.Required, typing.NotRequired) else hint
        marker = typing_extensions.Required if key in required else typing_extensions.NotRequired
        fields[key] = marker[buildable(bare, names)]
    functional: Any = typing_extensions.TypedDict
    made = functional(annotation.__name__, fields)
    made.__doc__ = annotation.__doc__
    made.__module__ = annotation.__module__
    return made


def schema_types(schema: Any) -> set[str]:
    """Returns the types of all nodes in a core schema, such as `model`, `float` or `union`.

    `serialization` is among them if a node has a serialiser of its own.
    """
    kinds: set[str] = set()
    seen: set[int] = set()
    open_nodes: list[Any] = [schema]
    while open_nodes:
        node = open_nodes.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, dict):
            node = cast("dict[str, Any]", node)
            if isinstance(kind := node.get("type"), str):
                kinds.add(kind)
            if "serialization" in node:
                kinds.add("serialization")
            # Metadata may refer to anything; defaults are values, not schemas.
            open_nodes.extend(part for key, part in node.items() if key not in ("metadata", "default"))
        elif isinstance(node, (list, tuple)):
            open_nodes.extend(cast("list[Any]", node))
    return kinds
