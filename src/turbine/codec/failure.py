"""Errors as JSON text, recorded so that `except` takes the same branch at first, in a replay and in another process.

An error is rebuilt as `type(*args)` with its attributes, and counts as rebuilt if type and text are the same. All other
errors become `StepFailed`, at first as well as in a replay. Modules are imported by recorded names; anyone who can
write to the database can make Turbine execute code anyway.
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
    """A recorded error for display; its texts are safe to store anywhere."""

    type_name: str
    message: str
    traceback: str | None


class _Unrecordable(Exception):
    """An argument or attribute of an error has no exact JSON form."""


def encode_error(exc: BaseException, *, traceback: bool = True) -> str:
    """Writes any error as JSON: type, text, traceback, and its parts if it can be rebuilt from them. Never raises."""
    document = _document(exc, _DEPTH_MAX)
    if traceback:
        document["traceback"] = _traceback_of(exc)
    return _dump(document)


def decode_error(text: str) -> Exception:
    """Returns the error if it can be rebuilt, else `StepFailed` with the name of its type and its text."""
    return _rebuilt(json.loads(text))


def recall_error(text: str, what: str) -> Exception:
    """Returns the recorded error with its original type. Raises Misfit when it can no longer be rebuilt."""
    document = json.loads(text)
    error = _rebuilt(document)
    if "args" in document and type(error) is StepFailed and document["type"] != _STEP_FAILED:
        raise Misfit(
            f"{what} was the error {document['type']}, which the current code does not have or constructs differently"
        )
    return error


def settle_error(exc: BaseException) -> tuple[str, Exception]:
    """Returns the JSON text of an error, and the error to raise now, which is the one that a replay will raise.

    That is `exc` itself if it can be rebuilt, else `StepFailed` with `__cause__ = exc`. If only errors inside it (the
    causes of exhausted retries, members of a group) cannot be rebuilt, it is a copy with `StepFailed` in their places.
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
    """Returns `Type: message` with the short name of the type, for lists."""
    facts = error_facts(text)
    short = facts.type_name.rpartition(".")[2]
    return f"{short}: {facts.message}" if facts.message else short


def error_facts(text: str) -> ErrorFacts:
    """Returns type, text and traceback; those of the original error in the case of `StepFailed`."""
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
            # ValueError: an int too long to be written. Without parts the error becomes StepFailed.
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
    except Exception as error:  # a class may refuse pickling with any error
        raise _Unrecordable from error
    # The constructor arguments as the class gives them to pickle; OSError has its file name only there.
    if isinstance(reduced, tuple) and reduced[0] is type(exc):
        args = cast("tuple[Any, ...]", reduced[1])
        if len(cast("tuple[Any, ...]", reduced)) > 2 and isinstance(reduced[2], dict):
            attributes |= cast("dict[str, Any]", reduced[2])
    if isinstance(exc, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[Exception]", exc)
        args = (group.message, list(group.exceptions))
    parts: dict[str, Any] = {"args": [_to_json(item, depth) for item in args]}
    if attributes:
        parts["attributes"] = {name: _to_json(value, depth) for name, value in attributes.items()}
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
        made = kind(*[_from_json(item) for item in document["args"]])
        if attributes := document.get("attributes"):
            made.__setstate__({name: _from_json(value) for name, value in attributes.items()})
        same = type(made) is kind and str(made) == document["message"]
    except Exception:  # noqa: BLE001 - the constructor may raise anything; then it is StepFailed
        return None
    return made if same else None


def _find(module_name: str, type_name: str) -> type[Exception] | None:
    qualname = type_name.removeprefix(f"{module_name}.")
    if "<locals>" in qualname:
        return None
    try:
        member: Any = sys.modules.get(module_name) or importlib.import_module(module_name)
        for part in qualname.split("."):
            member = getattr(member, part)
    except (Exception, SystemExit):  # noqa: BLE001 - an import may raise anything; then it is StepFailed
        return None
    return member if isinstance(member, type) and issubclass(member, Exception) else None


def _isoformat(value: datetime | time) -> str:
    # ISO text has no zone name, and does not tell the repeated hour (fold) from the first.
    if value.fold or not (value.tzinfo is None or type(value.tzinfo) is timezone):
        raise _Unrecordable
    return value.isoformat()


# The exact JSON form of types that JSON does not have.
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
    "tuple": lambda parts: tuple(_from_json(item) for item in parts),
    "dict": lambda pairs: {_from_json(key): _from_json(value) for key, value in pairs},
    "error": _rebuilt,
}


def _to_json(value: Any, depth: int) -> Any:
    """Writes a value exactly; only exact types, because a subclass would come back as its base."""
    kind: type[Any] = type(value)  # pyright: ignore[reportUnknownVariableType]
    if value is None or kind in (str, int, bool) or (kind is float and math.isfinite(value)):
        return value
    if isinstance(value, BaseException):
        return {_TAG: "error", "v": _document(value, depth)}
    if depth <= -_DEPTH_MAX:
        raise _Unrecordable
    if kind is list:
        return [_to_json(item, depth - 1) for item in value]
    if kind is tuple:
        return {_TAG: "tuple", "v": [_to_json(item, depth - 1) for item in value]}
    if kind is dict:
        if all(type(key) is str for key in value) and _TAG not in value:
            return {key: _to_json(item, depth - 1) for key, item in value.items()}
        return {
            _TAG: "dict",
            "v": [[_to_json(key, depth - 1), _to_json(item, depth - 1)] for key, item in value.items()],
        }
    if kind not in _WRITTEN:
        raise _Unrecordable
    name, write = _WRITTEN[kind]
    return {_TAG: name, "v": write(value)}


def _from_json(data: Any) -> Any:
    if isinstance(data, list):
        return [_from_json(item) for item in cast("list[Any]", data)]
    if isinstance(data, dict):
        data = cast("dict[str, Any]", data)
        if _TAG in data:
            return _READ[data[_TAG]](data["v"])
        return {key: _from_json(item) for key, item in data.items()}
    return data


def _lost_inside(data: Any) -> bool:
    """Whether these parts contain an error that cannot be rebuilt."""
    if isinstance(data, list):
        return any(_lost_inside(item) for item in cast("list[Any]", data))
    if not isinstance(data, dict):
        return False
    data = cast("dict[str, Any]", data)
    if data.get(_TAG) == "error":
        inner = data["v"]
        return "args" not in inner or _lost_inside([inner["args"], inner.get("attributes")])
    return any(_lost_inside(item) for item in data.values())


def _dump(document: dict[str, Any]) -> str:
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:  # lone surrogates, which databases refuse, are escaped
        text = json.dumps(document, separators=(",", ":"))
    return text


def _text_of(exc: BaseException) -> str:
    try:
        return str(exc)
    except Exception as error:  # noqa: BLE001 - __str__ may raise anything, and the error must still be recorded
        return f"<text not available: {type(error).__name__}>"


def _traceback_of(exc: BaseException) -> str:
    try:
        text = "".join(tracebacks.format_exception(exc))
    except Exception as error:  # noqa: BLE001 - as for the text
        text = f"The traceback is not available: {type(error).__name__}"
    return _printable(_middle_cut(text, _TRACEBACK_MAX))


def _middle_cut(text: str, length_max: int) -> str:
    if len(text) <= length_max:
        return text
    half = length_max // 2 - 30
    return f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"


def _printable(text: str) -> str:
    """Replaces NUL and lone surrogates by visible escapes, so that the text can be stored anywhere."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\x00")
