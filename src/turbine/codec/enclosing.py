"""The local names around a definition, for string annotations.

With `from __future__ import annotations` an annotation is a string that is resolved when it is first needed. By then
the function that defined the type may have returned, and its local names are gone. So they are captured when the
workflow or step is defined, while that function is on the stack.
"""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, cast

_TYPING = ("typing", "typing_extensions", "types", "pydantic")
"""Modules whose objects may be used in annotations although they are not classes."""


class Enclosing:
    """The local names around a definition: types, and everything else that the annotations use."""

    __slots__ = ("_frames", "_names", "_used")

    def __init__(self, frames: list[types.FrameType], used: set[str]) -> None:
        self._names = _local_names(frames, used)
        self._used = used
        # A type that is defined later can be found in the frame once the function has returned.
        self._frames = frames if any(name not in self._names for name in used) else []

    def names(self) -> Mapping[str, Any]:
        """Returns the names, with those that have been defined since."""
        if self._frames:
            self._names = {**_local_names(self._frames, self._used), **self._names}
            self._frames = []
        return self._names


def enclosing(fn: Any) -> Enclosing | None:
    """Captures the local names around a function that is being defined; None if its annotations need none."""
    fn = function_of(fn)
    if "<locals>" not in getattr(fn, "__qualname__", ""):
        return None
    try:
        annotations = dict(getattr(fn, "__annotations__", {}))
    except NameError:  # Python 3.14 evaluates them here; those that are not strings resolve their names later
        return None
    frames = list(_frames_around(fn))
    local = {name for frame in frames for name in frame.f_locals}
    module = getattr(fn, "__globals__", {})
    used = {
        name
        for hint in annotations.values()
        for name in _names_in(hint)
        if name in local or not (name in module or hasattr(builtins, name))
    }
    return Enclosing(frames, used) if frames and used else None


def function_of(fn: Any) -> Any:
    """Returns the Python function behind wrappers, methods and partials."""
    while True:
        inner = inspect.unwrap(fn)
        if isinstance(inner, functools.partial):
            inner = cast("Any", inner).func
        elif inspect.ismethod(inner):
            inner = inner.__func__
        elif isinstance(inner, type):
            inner = inner.__init__
        elif not hasattr(inner, "__globals__") and callable(inner) and not inspect.isbuiltin(inner):
            inner = type(inner).__call__
        if inner is fn:
            return fn
        fn = inner


def _names_in(annotation: Any) -> Iterator[str]:
    """Yields the names that the strings in an annotation use."""
    if isinstance(annotation, typing.ForwardRef):
        annotation = annotation.__forward_arg__
    if not isinstance(annotation, str):
        for arg in typing.get_args(annotation):
            yield from _names_in(arg)
        return
    try:
        tree = ast.parse(annotation, mode="eval")
    except SyntaxError:  # reported when the annotation is resolved
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from _names_in(node.value)


def _frames_around(fn: Any) -> Iterator[types.FrameType]:
    """Yields the frames of the functions in which a function is being defined, innermost first."""
    code = getattr(fn, "__code__", None)
    frame: types.FrameType | None = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame is not None and code is not None:
        if _makes(frame.f_code, code):
            code = frame.f_code
            if code.co_name != "<module>":
                yield frame
        frame = frame.f_back


def _makes(outer: types.CodeType, inner: types.CodeType) -> bool:
    """Whether one code object defines the other, perhaps through a scope for type parameters."""
    codes = [const for const in outer.co_consts if isinstance(const, types.CodeType)]
    return any(code is inner or any(const is inner for const in code.co_consts) for code in codes)


def _local_names(frames: list[types.FrameType], used: set[str]) -> dict[str, Any]:
    names: dict[str, Any] = {}
    for frame in reversed(frames):
        names |= {name: value for name, value in frame.f_locals.items() if name in used or _may_be_type(value)}
    return names


def _may_be_type(value: Any) -> bool:
    return isinstance(value, (type, types.ModuleType)) or type(value).__module__ in _TYPING
