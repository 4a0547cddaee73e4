"""One annotation, and the JSON text of its values."""

from __future__ import annotations

import inspect
import math
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from turbine.cached import cached_property
from turbine.codec.annotations import buildable, is_untyped, schema_types
from turbine.codec.lazy_import import LazyImport
from turbine.codec.misfit import Misfit
from turbine.codec.numbers import bare, marked
from turbine.codec.round_trip import round_trip_difference, secret_in, vanished
from turbine.errors import SerializationError, ValidationFailed

if TYPE_CHECKING:
    import pydantic
    import pydantic_core
else:
    pydantic, pydantic_core = LazyImport("pydantic"), LazyImport("pydantic_core")

T = TypeVar("T")

_CONFIG: pydantic.ConfigDict = {
    "ser_json_bytes": "base64",
    "val_json_bytes": "base64",
    "ser_json_inf_nan": "constants",
}
LOOSE = " "
"""Begins the text of a payload that was made without the type which reads it, or by serialisers that write more than is
read. The type may pass over fields of such a text by design. (A space means nothing in JSON.)
"""
_STARS = "**********"
_RECORDS = {"model-fields", "dataclass-args", "typed-dict"}
_IGNORED = ("extra_forbidden", "unexpected_keyword_argument")
_INT_SHORT = 1 << 64
_UNEXPECTED = re.compile(
    r"UnexpectedValue\((Expected .*?)(?: - serialized value may not be as expected.*)?\)$", re.MULTILINE
)


def _write_text(value: str) -> str | None:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            return None
    return encode_basestring(value)


def _write_int(value: int) -> str | None:
    # Python refuses to write very long integers; the slow path says so in words.
    return repr(value) if -_INT_SHORT < value < _INT_SHORT else None


def _write_float(value: float) -> str | None:
    return repr(value) if math.isfinite(value) else None


# The hottest lines of the product: these types come back from JSON as they are, so nothing needs to be read back.
_SCALARS: dict[type[Any], Callable[[Any], str | None]] = {
    str: _write_text,
    int: _write_int,
    float: _write_float,
    bool: lambda value: "true" if value else "false",
    type(None): lambda value: "null",
}


class PayloadType(Generic[T]):
    """Writes values of one annotation as JSON text and reads them back as the same type.

    Without an annotation (`Any`) values are written by what they are and read back as plain JSON.
    """

    def __init__(self, annotation: Any, names: Mapping[str, Any] | None = None) -> None:
        """`names` are local ones that texts inside the annotated types may use."""
        self.annotation = annotation
        self._names = names
        self._untyped = is_untyped(annotation)
        self._scalars = _SCALARS if self._untyped else _scalars_of(annotation)

    def encode(self, value: Any, what: str) -> str:
        """The JSON text; SerializationError naming `what` if it would not come back as it is."""
        return self.settle(value, what)[0]

    def settle(self, value: Any, what: str) -> tuple[str, T]:
        """The JSON text, and the value that a replay will read from it; raises like `encode`."""
        write = self._scalars.get(type(value))  # pyright: ignore[reportUnknownArgumentType]
        if write is not None:
            text = write(value)
            if text is not None:
                return text, value
        return self._settle_untyped(value, what) if self._untyped else self._settle_typed(value, what)

    def decode(self, text: str, what: str) -> T:
        """The value; ValidationFailed, with the paths in `.errors`, if the text holds another type."""
        try:
            if self._untyped:
                return pydantic_core.from_json(bare(text))
            return self._read(text)
        except pydantic.ValidationError as error:
            raise ValidationFailed(what=what, errors=_complaints(error)) from error
        except ValueError as error:
            raise ValidationFailed(
                what=what, errors=[{"path": [], "message": str(error), "type": "json_invalid"}]
            ) from error
        except (pydantic.PydanticUserError, pydantic.PydanticUndefinedAnnotation) as error:
            raise SerializationError(f"{what} cannot be read: {_unbuildable(self.annotation, error)}") from error

    def recall(self, text: str, what: str, passed_over: Sequence[str] = ()) -> T:
        """The value of a text that this type has recorded, perhaps with an earlier version of the code.

        Raises Misfit when the type of today does not take it, or would drop fields of it in silence other than those
        that were `passed_over` then too.
        """
        try:
            value = self.decode(text, what)
        except Exception as error:  # validators of the user's own may raise anything
            raise Misfit(f"{what} does not fit {self.name}: {_reason(error)}") from error
        lost = [field for field in self.dropped(text, value) if field not in passed_over]
        if lost:
            reason = f"which would lose what it does not have: {', '.join(lost)}"
            raise Misfit(f"{what} does not fit {self.name}, {reason}", lost)
        return value

    def take(self, text: str, what: str) -> tuple[str, T]:
        """What is to be recorded of a text that others have written, and its value; raises like `decode`.

        It is recorded as this type writes it, so that `recall` finds nothing in it that the type passes over by design.
        """
        value = self.decode(text, what)
        if self.dropped(text, value):
            try:
                text = self.encode(value, what)
            except SerializationError:  # a type that is only read
                text = loose(text)
        return text, value

    def dropped(self, text: str, value: T) -> list[str]:
        """The fields in a text that are in no model of the value that was read from it; none in a loose text.

        What the code of a model has taken itself is not lost, for example by a validator that gives an old field its
        new name.
        """
        if self._untyped or self._scalars or text.startswith(LOOSE) or not self._kinds & _RECORDS:
            return []
        stored = bare(text)
        again = self._dump(value)
        if again is None or again == stored:
            return []
        gone = list(vanished(pydantic_core.from_json(stored), pydantic_core.from_json(again)))
        if not gone:
            return []
        try:
            # Where no model may ignore anything: what is gone all the same was not ignored.
            (strict,) = self._adapter.validate_json(
                f"[{stored}]", strict=True, extra="forbid", by_alias=False, by_name=True
            )
        except pydantic.ValidationError as error:
            ignored = {complaint["loc"][-1] for complaint in error.errors() if complaint["type"] in _IGNORED}
            gone = [path for path in gone if path[-1] in ignored]
        else:
            gone = [] if self._dump(strict) == again else gone
        return [".".join(str(part) for part in path) for path in gone]

    def _dump(self, value: Any) -> str | None:
        """The text of a value that was read, as it would be written now; None where its serialisers refuse."""
        try:
            text = self._adapter.dump_json([value], warnings=False, by_alias=False, round_trip=True)
        except Exception:  # noqa: BLE001 - serialisers of the user's own may raise anything
            return None
        return text.decode()[1:-1]

    @property
    def takes_anything(self) -> bool:
        """Whether it reads any JSON, all of it."""
        return self._untyped

    @property
    def name(self) -> str:
        """The annotation as people write it."""
        return _name(self.annotation)

    @property
    def needs_names(self) -> bool:
        """Whether a type inside names another one by a text that cannot be resolved without the local names."""
        if self._untyped or self._scalars:
            return False
        try:
            return not self._adapter.pydantic_complete
        except (pydantic.PydanticUserError, pydantic.PydanticUndefinedAnnotation):
            return True

    def accept(self, value: Any, what: str) -> tuple[Any, list[dict[str, Any]]]:
        """The typed value of plain JSON that somebody outside sent, and the complaints about it.

        Read in pydantic's strict JSON mode; keys that no model knows are complaints, unless the model says itself what
        to do with them. Fields go by their alias or their name.
        """
        text = pydantic_core.to_json(value, inf_nan_mode="constants", bytes_mode="base64", by_alias=False)
        if self._untyped:
            return pydantic_core.from_json(text), []
        listed = b"[" + text + b"]"
        try:
            read = self._adapter.validate_json
        except (pydantic.PydanticUserError, pydantic.PydanticUndefinedAnnotation) as error:
            raise SerializationError(f"{what} cannot be read: {_unbuildable(self.annotation, error)}") from error
        try:
            return read(listed, strict=True, extra="forbid", by_alias=True, by_name=True)[0], []
        except pydantic.ValidationError as error:
            complaints = _complaints(error)
            if any(one["type"] != "extra_forbidden" for one in complaints):
                return None, complaints
        lenient = read(listed, strict=True, by_alias=True, by_name=True)[0]
        return lenient, [one for one in complaints if not _is_welcome(lenient, one["path"])]

    def json_schema(self) -> dict[str, Any]:
        """The JSON Schema of what `accept` takes; `{}` (anything) where there is none."""
        if self._untyped:
            return {}
        try:
            schema = self._adapter.json_schema()
        except pydantic.PydanticUserError:
            # The type has a JSON form but no schema (a custom serialiser, say): then anything may be offered.
            return {}
        found = cast("dict[str, Any]", schema.get("items", {}))
        return {**found, "$defs": schema["$defs"]} if "$defs" in schema else found

    def _settle_untyped(self, value: Any, what: str) -> tuple[str, T]:
        try:
            text = pydantic_core.to_json(
                value, inf_nan_mode="constants", bytes_mode="base64", by_alias=False, round_trip=True
            ).decode()
            settled = pydantic_core.from_json(text)
            if "null" in text or _STARS in text:
                # A model inside writes its floats by its own configuration; this tells what they were.
                shown = pydantic_core.to_jsonable_python(
                    value, inf_nan_mode="constants", bytes_mode="base64", by_alias=False
                )
                told = round_trip_difference(shown, settled)
                if told is None and _STARS in text:
                    told = secret_in(value)
                if told is not None:
                    raise SerializationError(f"{what} cannot be stored as JSON: {told}.")
        except SerializationError:
            raise
        except Exception as error:  # models bring serialisers of their own, which may raise anything
            raise SerializationError(_refusal(value, what, error)) from error
        return marked(text, what), settled

    def _settle_typed(self, value: Any, what: str) -> tuple[str, T]:
        try:
            text = self._adapter.dump_json([value], warnings="error", by_alias=False, round_trip=True).decode()[1:-1]
            text = marked(text, what)
            settled = self._read(text)
            told = round_trip_difference(value, settled) if self._is_doubtful(value, text) else None
        except SerializationError:
            raise
        except (
            pydantic.PydanticSchemaGenerationError,
            pydantic.PydanticUndefinedAnnotation,
            pydantic.PydanticUserError,
        ) as error:
            raise SerializationError(f"{what} cannot be stored: {_unbuildable(self.annotation, error)}") from error
        except Exception as error:  # serialisers and validators of the user's own may raise anything
            raise SerializationError(_refusal(value, what, error, self.annotation)) from error
        if told is not None:
            raise SerializationError(f"{what} cannot be stored as {_name(self.annotation)}: {told}.")
        if "serialization" in self._kinds and self.dropped(text, settled):
            text = loose(text)
        return text, settled

    def _read(self, text: str) -> Any:
        return self._adapter.validate_json(f"[{bare(text)}]", strict=True, by_alias=False, by_name=True)[0]

    def _is_doubtful(self, value: Any, text: str) -> bool:
        kinds = self._kinds
        if "union" in kinds or _STARS in text:
            return True
        if "null" not in text or "model" not in kinds or not kinds & {"float", "any"}:
            return False
        # Models write NaN as null unless configured; as Python values they still show it.
        shown = self._adapter.dump_python([value], mode="json", by_alias=False, round_trip=True, warnings=False)
        words = pydantic_core.to_json(shown, inf_nan_mode="constants").decode()
        return any(words.count(word) != text.count(word) for word in ("NaN", "Infinity"))

    @cached_property
    def _adapter(self) -> pydantic.TypeAdapter[list[Any]]:
        # Pydantic takes no configuration for a model, dataclass or TypedDict itself, but for a list of them.
        listed: Any = list.__class_getitem__(buildable(self.annotation, self._names))
        adapter = pydantic.TypeAdapter(listed, config=_CONFIG)
        if not adapter.pydantic_complete:  # some type inside names another one by a text that pydantic cannot resolve
            adapter.rebuild(_types_namespace=dict(self._names or {}))
        return adapter

    @cached_property
    def _kinds(self) -> set[str]:
        return schema_types(self._adapter.core_schema)


def loose(text: str) -> str:
    """The text of a payload that was made without the type that will read it."""
    return text if text.startswith(LOOSE) else LOOSE + text


def payload_type(annotation: Any, names: Mapping[str, Any] | None = None) -> PayloadType[Any]:
    """The payload type of an annotation, one for each; a missing annotation is `Any`.

    With `names`, local ones that texts inside the annotated types may use, it is one of its own.
    """
    if annotation is inspect.Parameter.empty:
        annotation = Any
    if names:
        return PayloadType(annotation, names)
    try:
        return _cached(annotation)
    except TypeError:  # metadata that cannot be hashed
        return PayloadType(annotation)


def plain(text: str | None) -> Any:
    """The plain JSON value of a stored text, as the HTTP API shows it; None for no text."""
    return None if text is None else pydantic_core.from_json(text)


@lru_cache(maxsize=4096)
def _cached(annotation: Any) -> PayloadType[Any]:
    return PayloadType(annotation)


def _scalars_of(annotation: Any) -> dict[type[Any], Callable[[Any], str | None]]:
    is_union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    members = typing.get_args(annotation) if is_union else (annotation,)
    wanted = [type(None) if member is None else member for member in members]
    if all(any(member is scalar for scalar in _SCALARS) for member in wanted):
        return {scalar: _SCALARS[scalar] for scalar in wanted}
    return {}


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationFailed):
        return "; ".join(
            f"{'.'.join(map(str, complaint['path']))}: {complaint['message']}"
            if complaint["path"]
            else complaint["message"]
            for complaint in error.errors
        )
    return f"{type(error).__name__}: {error}"


def _complaints(error: pydantic.ValidationError) -> list[dict[str, Any]]:
    # The first part of each path is the place in the list around the value.
    return [
        {"path": list(one["loc"][1:]), "message": one["msg"], "type": one["type"]}
        for one in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def _is_welcome(value: Any, path: list[Any]) -> bool:
    """Whether the model that got this unknown key has said itself that it may come."""
    for part in path[:-1]:
        if isinstance(value, (list, tuple, dict)):
            try:
                value = cast("Any", value)[part]
            except (LookupError, TypeError):
                return False
        else:
            value = getattr(value, str(part), None)
    return isinstance(value, pydantic.BaseModel) and value.model_config.get("extra") in ("allow", "ignore")


def _refusal(value: Any, what: str, error: Exception, annotation: Any = None) -> str:
    wanted = "JSON" if annotation is None else _name(annotation)
    reason = str(error).removeprefix("Error serializing to JSON: ").strip()
    if unexpected := _UNEXPECTED.findall(reason):
        reason = "; ".join(unexpected)
    if isinstance(error, pydantic.ValidationError):
        reason = "; ".join(
            f"{'.'.join(str(part) for part in one['path'])}: {one['message']}" if one["path"] else one["message"]
            for one in _complaints(error)
        )
    if "invalid utf-8" in reason:
        cure = "Give the model model_config = ConfigDict(ser_json_bytes='base64', val_json_bytes='base64')"
    elif "surrogates not allowed" in reason:
        cure = "The text has a lone surrogate; encode it with errors='replace' where it is read"
    elif annotation is not None:
        cure = "Give a value of the annotated type, or mend the annotation"
    else:
        cure = "Use str, numbers, bool, None, list, dict, a dataclass or a pydantic model"
    return f"{what} is of type {type(value).__qualname__} and cannot be stored as {wanted}: {reason[:1000]}. {cure}."


def _unbuildable(annotation: Any, error: Exception) -> str:
    first = str(error).splitlines()[0]
    return (
        f"the annotation {_name(annotation)} has no JSON form ({first[:300]}). Annotate it with plain types, "
        "a dataclass or a pydantic model, or leave the annotation out"
    )


def _name(annotation: Any) -> str:
    return annotation.__qualname__ if isinstance(annotation, type) else str(annotation)
