"""Errors as JSON text: recorded so that `except` takes the same branch live, on replay, and in another process.

An error is rebuilt as `type(*args)` and then its attributes, and counts as rebuilt when type and text are the same
again. Any other is `StepFailed`, live as well as on replay. Modules are imported by the names we recorded ourselves;
who can write the database can already make Turbine run code.
"""

from __future__ import annotations

import importlib
import json
import math
import sys
import traceback as tracebacks
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

from turbine.codec.misfit import Misfit
from turbine.errors import StepFailed

_MESSAGE_MAX = 100_000
_TRACEBACK_MAX = 20_000
_PARTS_MAX = 256_000
_DEPTH_MAX = 10
_TAG = "$"

_STEP_FAILED = f"{StepFailed.__module__}.{StepFailed.__qualname__}"


@dataclass(frozen=True, slots=True)
class ErrorFacts:
    """A recorded error for people: safe to show and to store anywhere."""

    type_name: str
    message: str
    traceback: str | None


class _Unrecordable(Exception):
    """Something in an error's arguments or attributes has no exact JSON form."""


def encode_error(exc: BaseException, *, traceback: bool = True) -> str:
    """The JSON text of any error: type, text, traceback, and its parts if it can be rebuilt from them; never raises."""
    document = _document(exc, _DEPTH_MAX)
    if traceback:
        document["traceback"] = _traceback_of(exc)
    return _dump(document)


def decode_error(text: str) -> Exception:
    """The error itself if it can be rebuilt, else `StepFailed` with its type's name and its text."""
    return _rebuilt(json.loads(text))


def recall_error(text: str, what: str) -> Exception:
    """The recorded error, of the type of which it was raised live. Raises Misfit when it cannot be made any more."""
    document = json.loads(text)
    error = _rebuilt(document)
    if "args" in document and type(error) is StepFailed and document["type"] != _STEP_FAILED:
        raise Misfit(
            f"{what} was the error {document['type']}, which today's code does not have or makes in another way"
        )
    return error


def settle_error(exc: BaseException) -> tuple[str, Exception]:
    """The text, and what must be raised live: what a replay will raise.

    That is `exc` itself if it can be rebuilt, else `StepFailed` with `__cause__ = exc`; and if only errors inside it
    (the causes of exhausted retries, members of a group) cannot, a copy of it with `StepFailed` in their places.
    """
    text = encode_error(exc)
    document = json.loads(text)
    if "args" in document and isinstance(exc, Exception):
        if not _lost_inside([document["args"], document.get("attributes")]):
            return text, exc
        return text, _rebuilt(document).with_traceback(exc.__traceback__)
    settled = _rebuilt(document)
    settled.__cause__ = exc
    return text, settled


def describe_error(text: str) -> str:
    """`Type: message` with the short name of the type, for lists."""
    facts = error_facts(text)
    short = facts.type_name.rpartition(".")[2]
    return f"{short}: {facts.message}" if facts.message else short


def error_facts(text: str) -> ErrorFacts:
    """Type, text and traceback; of the original error, where `StepFailed` stands for one."""
    document = json.loads(text)
    type_name, message = document["type"], document["message"]
    if type_name == _STEP_FAILED and "args" in document:
        type_name, message = document["args"]
    return ErrorFacts(_printable(type_name), _printable(message), document.get("traceback"))


def _document(exc: BaseException, depth: int) -> dict[str, Any]:
    kind = type(exc)
    message = _text_of(exc)
    document: dict[str, Any] = {
        "type": f"{kind.__module__}.{kind.__qualname__}",
        "module": kind.__module__,
        "message": _middle_cut(message, _MESSAGE_MAX),
    }
    if isinstance(exc, Exception) and len(message) <= _MESSAGE_MAX and depth > 0:
        try:
            parts = _parts_of(exc, depth - 1)
            signature_text = _dump(parts)
        except (_Unrecordable, ValueError, RecursionError):
            # ValueError: a whole number too long to be written. No parts means that it will be StepFailed.
            parts, signature_text = {}, ""
        if parts and len(signature_text) <= _PARTS_MAX:
            rebuilt = _rebuilt(json.loads(_dump({**document, **parts})))
            if type(rebuilt) is kind and str(rebuilt) == message:
                document.update(parts)
    if exc.__cause__ is not None and depth > 0:
        document["cause"] = _document(exc.__cause__, depth - 1)
    return document


def _parts_of(exc: Exception, depth: int) -> dict[str, Any]:
    args: tuple[Any, ...] = exc.args
    attributes: dict[str, Any] = dict(vars(exc))
    try:
        reduced: Any = exc.__reduce__()
    except Exception as error:  # a class may forbid pickling in any way it likes
        raise _Unrecordable from error
    # What the class itself says it is made of; OSError keeps its file name only there.
    if isinstance(reduced, tuple) and reduced[0] is type(exc):
        args = cast("tuple[Any, ...]", reduced[1])
        if len(cast("tuple[Any, ...]", reduced)) > 2 and isinstance(reduced[2], dict):
            attributes |= cast("dict[str, Any]", reduced[2])
    if isinstance(exc, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[Exception]", exc)
        args = (group.message, list(group.exceptions))
    parts: dict[str, Any] = {"args": [_told(one, depth) for one in args]}
    if attributes:
        parts["attributes"] = {name: _told(one, depth) for name, one in attributes.items()}
    return parts


def _rebuilt(document: dict[str, Any]) -> Exception:
    original = _remade(document) if "args" in document else None
    error = original or StepFailed(document["type"], document["message"])
    if "cause" in document:
        error.__cause__ = _rebuilt(document["cause"])
    return error


def _remade(document: dict[str, Any]) -> Exception | None:
    kind = _find(document["module"], document["type"])
    if kind is None:
        return None
    try:
        made = kind(*[_heard(one) for one in document["args"]])
        if attributes := document.get("attributes"):
            made.__setstate__({name: _heard(one) for name, one in attributes.items()})
        same = type(made) is kind and str(made) == document["message"]
    except Exception:  # noqa: BLE001 - the constructor is somebody else's; failing here means "not itself", a StepFailed
        return None
    return made if same else None


def _find(module_name: str, type_name: str) -> type[Exception] | None:
    qualname = type_name.removeprefix(f"{module_name}.")
    if "<locals>" in qualname:
        return None
    try:
        found: Any = sys.modules.get(module_name) or importlib.import_module(module_name)
        for part in qualname.split("."):
            found = getattr(found, part)
    except (Exception, SystemExit):  # noqa: BLE001 - a module runs any code when imported; without it, StepFailed
        return None
    return found if isinstance(found, type) and issubclass(found, Exception) else None


def _isoformat(value: datetime | time) -> str:
    # A named zone or the second of two equal hours is not in the ISO text.
    if value.fold or not (value.tzinfo is None or type(value.tzinfo) is timezone):
        raise _Unrecordable
    return value.isoformat()


# How each type that JSON does not know is written exactly, and read again.
_WRITTEN: dict[type, tuple[str, Callable[[Any], Any]]] = {
    float: ("float", repr),
    bytes: ("bytes", lambda value: value.hex()),
    datetime: ("datetime", _isoformat),
    date: ("date", lambda value: value.isoformat()),
    time: ("time", _isoformat),
    timedelta: ("timedelta", lambda value: [value.days, value.seconds, value.microseconds]),
    Decimal: ("decimal", str),
    UUID: ("uuid", str),
}
_READ: dict[str, Callable[[Any], Any]] = {
    "float": float,
    "bytes": bytes.fromhex,
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "timedelta": lambda parts: timedelta(*parts),
    "decimal": Decimal,
    "uuid": UUID,
    "tuple": lambda parts: tuple(_heard(one) for one in parts),
    "dict": lambda pairs: {_heard(key): _heard(value) for key, value in pairs},
    "error": _rebuilt,
}


def _told(value: Any, depth: int) -> Any:
    """The value in JSON, exactly; only exact types, since a subclass would come back as something else."""
    kind: type[Any] = type(value)  # pyright: ignore[reportUnknownVariableType]
    if value is None or kind in (str, int, bool) or (kind is float and math.isfinite(value)):
        return value
    if isinstance(value, BaseException):
        return {_TAG: "error", "v": _document(value, depth)}
    if depth <= -_DEPTH_MAX:
        raise _Unrecordable
    if kind is list:
        return [_told(one, depth - 1) for one in value]
    if kind is tuple:
        return {_TAG: "tuple", "v": [_told(one, depth - 1) for one in value]}
    if kind is dict:
        if all(type(key) is str for key in value) and _TAG not in value:
            return {key: _told(one, depth - 1) for key, one in value.items()}
        return {_TAG: "dict", "v": [[_told(key, depth - 1), _told(one, depth - 1)] for key, one in value.items()]}
    if kind not in _WRITTEN:
        raise _Unrecordable
    name, write = _WRITTEN[kind]
    return {_TAG: name, "v": write(value)}


def _heard(told: Any) -> Any:
    if isinstance(told, list):
        return [_heard(one) for one in cast("list[Any]", told)]
    if isinstance(told, dict):
        told = cast("dict[str, Any]", told)
        if _TAG in told:
            return _READ[told[_TAG]](told["v"])
        return {key: _heard(one) for key, one in told.items()}
    return told


def _lost_inside(told: Any) -> bool:
    """Whether an error somewhere inside these parts cannot be rebuilt."""
    if isinstance(told, list):
        return any(_lost_inside(one) for one in cast("list[Any]", told))
    if not isinstance(told, dict):
        return False
    told = cast("dict[str, Any]", told)
    if told.get(_TAG) == "error":
        inner = told["v"]
        return "args" not in inner or _lost_inside([inner["args"], inner.get("attributes")])
    return any(_lost_inside(one) for one in told.values())


def _dump(document: dict[str, Any]) -> str:
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:  # lone surrogates, which no database takes, are written as escapes
        text = json.dumps(document, separators=(",", ":"))
    return text


def _text_of(exc: BaseException) -> str:
    try:
        return str(exc)
    except Exception as error:  # noqa: BLE001 - __str__ is somebody else's, and the record must be made all the same
        return f"<its text cannot be had: {type(error).__name__}>"


def _traceback_of(exc: BaseException) -> str:
    try:
        text = "".join(tracebacks.format_exception(exc))
    except Exception as error:  # noqa: BLE001 - as for the text; the reason is told in its place
        text = f"The traceback cannot be had: {type(error).__name__}"
    return _printable(_middle_cut(text, _TRACEBACK_MAX))


def _middle_cut(text: str, length_max: int) -> str:
    if len(text) <= length_max:
        return text
    half = length_max // 2 - 30
    return f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"


def _printable(text: str) -> str:
    """The text with NUL and lone surrogates as visible escapes, so that it can go anywhere text can go."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\x00")
