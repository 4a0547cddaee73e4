"""Payload types: write the values of one annotation as JSON text, and read them back."""

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
"""The prefix of a payload that was written without the type that reads it, or by serialisers that write more than is
read. The type may ignore fields of such a text by design. (A space has no meaning in JSON.)
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
    # Python refuses to write very long integers; the general path reports that.
    return repr(value) if -_INT_SHORT < value < _INT_SHORT else None


def _write_float(value: float) -> str | None:
    return repr(value) if math.isfinite(value) else None


# The hottest lines of the product: values of these types come back from JSON as they are, so nothing is read back.
_SCALARS: dict[type[Any], Callable[[Any], str | None]] = {
    str: _write_text,
    int: _write_int,
    float: _write_float,
    bool: lambda value: "true" if value else "false",
    type(None): lambda value: "null",
}


class PayloadType(Generic[T]):
    """Writes values of one annotation as JSON text and reads them back as the same type.

    Without an annotation (`Any`) values are written by their own types and read back as plain JSON.
    """

    def __init__(self, annotation: Any, names: Mapping[str, Any] | None = None) -> None:
        """`names` are local names that string annotations inside the type may use."""
        self.annotation = annotation
        self._names = names
        self._untyped = is_untyped(annotation)
        self._scalars = _SCALARS if self._untyped else _scalars_of(annotation)

    def encode(self, value: Any, what: str) -> str:
        """Returns the JSON text. Raises SerializationError, naming `what`, if the value would not come back as is."""
        return self.settle(value, what)[0]

    def settle(self, value: Any, what: str) -> tuple[str, T]:
        """Returns the JSON text, and the value that a replay will read from it. Raises what `encode` raises."""
        write = self._scalars.get(type(value))  # pyright: ignore[reportUnknownArgumentType]
        if write is not None:
            text = write(value)
            if text is not None:
                return text, value
        return self._settle_untyped(value, what) if self._untyped else self._settle_typed(value, what)

    def decode(self, text: str, what: str) -> T:
        """Returns the value. Raises ValidationFailed, with the paths in `.errors`, if the text has another type."""
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
        """Returns the value of a text that this type has recorded, perhaps in an earlier version of the code.

        Raises Misfit when the current type does not accept the text, or would silently drop fields other than those in
        `passed_over`, which were dropped then too.
        """
        try:
            value = self.decode(text, what)
        except Exception as error:  # the user's validators may raise anything
            raise Misfit(f"{what} does not fit {self.name}: {_reason(error)}") from error
        lost = [field for field in self.dropped(text, value) if field not in passed_over]
        if lost:
            raise Misfit(f"{what} does not fit {self.name}, which would drop the fields {', '.join(lost)}", lost)
        return value

    def take(self, text: str, what: str) -> tuple[str, T]:
        """Returns the text to record for a text that other code has written, and its value. Raises like `decode`.

        It is recorded as this type writes it, so that `recall` finds no field in it that the type ignores by design.
        """
        value = self.decode(text, what)
        if self.dropped(text, value):
            try:
                text = self.encode(value, what)
            except SerializationError:  # a type that can only be read
                text = loose(text)
        return text, value

    def dropped(self, text: str, value: T) -> list[str]:
        """Returns the fields of a text that reading it as `value` has dropped; none of a loose text.

        Fields that a model consumes are not dropped, for example by a validator that renames an old field.
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
            # Fields that are gone although no model may ignore any were consumed.
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
        """Writes a value that was read; None if its serialisers fail."""
        try:
            text = self._adapter.dump_json([value], warnings=False, by_alias=False, round_trip=True)
        except Exception:  # noqa: BLE001 - the user's serialisers may raise anything
            return None
        return text.decode()[1:-1]

    @property
    def takes_anything(self) -> bool:
        """Whether it accepts any JSON value, and drops nothing."""
        return self._untyped

    @property
    def name(self) -> str:
        """The annotation as it is written in code."""
        return _name(self.annotation)

    @property
    def needs_names(self) -> bool:
        """Whether a string annotation inside the type cannot be resolved without local names."""
        if self._untyped or self._scalars:
            return False
        try:
            return not self._adapter.pydantic_complete
        except (pydantic.PydanticUserError, pydantic.PydanticUndefinedAnnotation):
            return True

    def accept(self, value: Any, what: str) -> tuple[Any, list[dict[str, Any]]]:
        """Returns the typed value of JSON from outside, and the complaints about it.

        It is read in pydantic's strict JSON mode. Unknown keys are complaints unless the model says how to treat them.
        Fields may have their alias or their name.
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
            if any(complaint["type"] != "extra_forbidden" for complaint in complaints):
                return None, complaints
        lenient = read(listed, strict=True, by_alias=True, by_name=True)[0]
        return lenient, [complaint for complaint in complaints if not _is_welcome(lenient, complaint["path"])]

    def json_schema(self) -> dict[str, Any]:
        """Returns the JSON Schema of what `accept` accepts; `{}` (anything) if the type has none."""
        if self._untyped:
            return {}
        try:
            schema = self._adapter.json_schema()
        except pydantic.PydanticUserError:
            return {}  # a type with a JSON form but without a schema, such as one with a custom serialiser
        items = cast("dict[str, Any]", schema.get("items", {}))
        return {**items, "$defs": schema["$defs"]} if "$defs" in schema else items

    def _settle_untyped(self, value: Any, what: str) -> tuple[str, T]:
        try:
            text = pydantic_core.to_json(
                value, inf_nan_mode="constants", bytes_mode="base64", by_alias=False, round_trip=True
            ).decode()
            settled = pydantic_core.from_json(text)
            if "null" in text or _STARS in text:
                # A model may write NaN as null, depending on its configuration; this form keeps it.
                shown = pydantic_core.to_jsonable_python(
                    value, inf_nan_mode="constants", bytes_mode="base64", by_alias=False
                )
                difference = round_trip_difference(shown, settled)
                if difference is None and _STARS in text:
                    difference = secret_in(value)
                if difference is not None:
                    raise SerializationError(f"{what} cannot be stored as JSON: {difference}.")
        except SerializationError:
            raise
        except Exception as error:  # serialisers of models may raise anything
            raise SerializationError(_refusal(value, what, error)) from error
        return marked(text, what), settled

    def _settle_typed(self, value: Any, what: str) -> tuple[str, T]:
        try:
            text = self._adapter.dump_json([value], warnings="error", by_alias=False, round_trip=True).decode()[1:-1]
            text = marked(text, what)
            settled = self._read(text)
            difference = round_trip_difference(value, settled) if self._is_doubtful(value, text) else None
        except SerializationError:
            raise
        except (
            pydantic.PydanticSchemaGenerationError,
            pydantic.PydanticUndefinedAnnotation,
            pydantic.PydanticUserError,
        ) as error:
            raise SerializationError(f"{what} cannot be stored: {_unbuildable(self.annotation, error)}") from error
        except Exception as error:  # the user's serialisers and validators may raise anything
            raise SerializationError(_refusal(value, what, error, self.annotation)) from error
        if difference is not None:
            raise SerializationError(f"{what} cannot be stored as {_name(self.annotation)}: {difference}.")
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
        # Models write NaN as null unless they are configured otherwise; their Python form keeps it.
        shown = self._adapter.dump_python([value], mode="json", by_alias=False, round_trip=True, warnings=False)
        words = pydantic_core.to_json(shown, inf_nan_mode="constants").decode()
        return any(words.count(word) != text.count(word) for word in ("NaN", "Infinity"))

    @cached_property
    def _adapter(self) -> pydantic.TypeAdapter[list[Any]]:
        # Pydantic accepts no configuration for a model, dataclass or TypedDict, but does for a list of them.
        listed: Any = list.__class_getitem__(buildable(self.annotation, self._names))
        adapter = pydantic.TypeAdapter(listed, config=_CONFIG)
        if not adapter.pydantic_complete:  # a string annotation inside uses a name that pydantic does not find
            adapter.rebuild(_types_namespace=dict(self._names or {}))
        return adapter

    @cached_property
    def _kinds(self) -> set[str]:
        return schema_types(self._adapter.core_schema)


def loose(text: str) -> str:
    """Marks the text of a payload as written without the type that will read it."""
    return text if text.startswith(LOOSE) else LOOSE + text


def payload_type(annotation: Any, names: Mapping[str, Any] | None = None) -> PayloadType[Any]:
    """Returns the payload type of an annotation; a missing annotation is `Any`.

    Payload types are cached, except those with `names`: local names that string annotations inside the type may use.
    """
    if annotation is inspect.Parameter.empty:
        annotation = Any
    if names:
        return PayloadType(annotation, names)
    try:
        return _cached(annotation)
    except TypeError:  # metadata that cannot be hashed
        return PayloadType(annotation)


def json_value(text: str | None) -> Any:
    """Returns the JSON value of a stored text, as the HTTP API shows it; None for None."""
    return None if text is None else pydantic_core.from_json(text)


@lru_cache(maxsize=4096)
def _cached(annotation: Any) -> PayloadType[Any]:
    return PayloadType(annotation)


def _scalars_of(annotation: Any) -> dict[type[Any], Callable[[Any], str | None]]:
    is_union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    members = typing.get_args(annotation) if is_union else (annotation,)
    kinds = [type(None) if member is None else member for member in members]
    if all(any(member is scalar for scalar in _SCALARS) for member in kinds):
        return {scalar: _SCALARS[scalar] for scalar in kinds}
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
    # The first part of each path is the index in the list around the value.
    return [
        {"path": list(detail["loc"][1:]), "message": detail["msg"], "type": detail["type"]}
        for detail in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def _is_welcome(value: Any, path: list[Any]) -> bool:
    """Whether the model at this path allows unknown keys."""
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
    target = "JSON" if annotation is None else _name(annotation)
    reason = str(error).removeprefix("Error serializing to JSON: ").strip()
    if unexpected := _UNEXPECTED.findall(reason):
        reason = "; ".join(unexpected)
    if isinstance(error, pydantic.ValidationError):
        reason = "; ".join(
            f"{'.'.join(str(part) for part in detail['path'])}: {detail['message']}"
            if detail["path"]
            else detail["message"]
            for detail in _complaints(error)
        )
    if "invalid utf-8" in reason:
        cure = "Give the model model_config = ConfigDict(ser_json_bytes='base64', val_json_bytes='base64')"
    elif "surrogates not allowed" in reason:
        cure = "The text has a lone surrogate; replace it where the text is read (errors='replace')"
    elif annotation is not None:
        cure = "Pass a value of the annotated type, or correct the annotation"
    else:
        cure = "Use str, numbers, bool, None, list, dict, a dataclass or a pydantic model"
    return f"{what} is of type {type(value).__qualname__} and cannot be stored as {target}: {reason[:1000]}. {cure}."


def _unbuildable(annotation: Any, error: Exception) -> str:
    first = str(error).splitlines()[0]
    return (
        f"the annotation {_name(annotation)} has no JSON form ({first[:300]}). Use built-in types, a dataclass or a "
        "pydantic model, or omit the annotation"
    )


def _name(annotation: Any) -> str:
    return annotation.__qualname__ if isinstance(annotation, type) else str(annotation)
