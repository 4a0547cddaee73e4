"""Signatures of workflows and steps: check arguments, write them as JSON, read them back."""

from __future__ import annotations

import collections.abc
import inspect
import sys
import types
import typing
from typing import TYPE_CHECKING, Any, cast

from turbine.cached import cached_property
from turbine.codec.enclosing import Enclosing, enclosing, function_of
from turbine.codec.lazy_import import LazyImport
from turbine.codec.misfit import Misfit
from turbine.codec.numbers import bare
from turbine.codec.payload import LOOSE, PayloadType, loose, payload_type
from turbine.codec.signature_text import signature_text
from turbine.errors import SerializationError, ValidationFailed

if TYPE_CHECKING:
    import pydantic_core
else:
    pydantic_core = LazyImport("pydantic_core")

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_BY_KEYWORD = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_ANYTHING = inspect.Signature(
    [
        inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL),
        inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD),
    ]
)
_RESULT = "return"
_AWAITED = (collections.abc.Awaitable, collections.abc.Coroutine, collections.abc.Generator)


class UnresolvedAnnotation(SerializationError, TypeError):
    """A string annotation uses a name that does not exist."""


class Signature:
    """The parameters and the result of a function; annotations are resolved when they are first needed.

    Arguments are stored as they were passed, `{"args": [...], "kwargs": {...}}`, without defaults: if an argument was
    omitted, the default of the executing code applies.
    """

    def __init__(self, fn: Any, what: str, around: Enclosing | None = None) -> None:
        """`around`: the local names around the function, if they were captured when it was defined."""
        self.what = what
        self._fn = function_of(fn)
        self._enclosing = around or enclosing(fn)
        try:
            self._signature = _signature_of(fn)
        except ValueError:  # some functions written in C have no signature
            self._signature = _ANYTHING
        self.parameters: tuple[str, ...] = tuple(self._signature.parameters)
        self._ordered = list(self._signature.parameters.values())
        self._positional = [parameter for parameter in self._ordered if parameter.kind in _POSITIONAL]
        by_kind = {parameter.kind: parameter for parameter in self._ordered}
        self._rest = by_kind.get(inspect.Parameter.VAR_POSITIONAL)
        self._others = by_kind.get(inspect.Parameter.VAR_KEYWORD)
        self._types: dict[str, PayloadType[Any]] = {}

    @property
    def text(self) -> str:
        """The signature as Python writes it, without the modules of the types."""
        return signature_text(self._signature)

    @property
    def source(self) -> str | None:
        """The first line of the code, as `file:line`; None for functions that are not written in Python."""
        return source_of(self._fn)

    @cached_property
    def result(self) -> PayloadType[Any]:
        """The type of the result; of the awaited result, if the annotation is an awaitable."""
        hint = self._hint(_RESULT, self._signature.return_annotation)
        if typing.get_origin(hint) in _AWAITED[:2] and not inspect.iscoroutinefunction(self._fn):
            hint = typing.get_args(hint)[-1]
        return self._payload_type(hint)

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Raises Python's own TypeError if the arguments do not fit."""
        try:
            self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self.what}{self._signature}: {error}") from None

    def encode(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """Writes arguments as JSON text. Raises TypeError if they do not fit, SerializationError with the parameter."""
        self.bind(args, kwargs)
        positional = [
            self._type_at(index).encode(value, f"Parameter {self._name_at(index)!r} of {self.what}")
            for index, value in enumerate(args)
        ]
        named = {
            name: self._type_named(name).encode(value, f"Parameter {name!r} of {self.what}")
            for name, value in kwargs.items()
        }
        pairs = [f"{_key(name, self.what)}:{text}" for name, text in named.items()]
        text = f'{{"args":[{",".join(positional)}],"kwargs":{{{",".join(pairs)}}}}}'
        return loose(text) if any(part.startswith(LOOSE) for part in (*positional, *named.values())) else text

    def decode(self, text: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Reads stored arguments. Raises ValidationFailed if the current annotations have other types."""
        stored = pydantic_core.from_json(bare(text))
        args = [
            self._read(self._type_at(index), value, self._name_at(index)) for index, value in enumerate(stored["args"])
        ]
        kwargs = {name: self._read(self._type_named(name), value, name) for name, value in stored["kwargs"].items()}
        return tuple(args), kwargs

    def recall(self, text: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Reads arguments that a start, perhaps of an earlier version of the code, has stored.

        Raises Misfit when they do not fit the current signature and types, or would lose fields.
        """
        stored = pydantic_core.from_json(bare(text))
        mark = LOOSE if text.startswith(LOOSE) else ""
        try:
            args = [
                self._recall(self._type_at(index), self._name_at(index), value, mark)
                for index, value in enumerate(stored["args"])
            ]
            kwargs = {
                name: self._recall(self._type_named(name), name, value, mark)
                for name, value in stored["kwargs"].items()
            }
            self.bind(tuple(args), kwargs)
        except TypeError as error:  # other parameters, or an annotation that cannot be resolved
            raise Misfit(f"the recorded arguments do not fit: {error}") from error
        return tuple(args), kwargs

    def json_schema(self) -> dict[str, Any]:
        """Returns the JSON Schema of the object that `from_json` accepts, with one property for each parameter."""
        properties: dict[str, Any] = {}
        definitions: dict[str, Any] = {}
        required: list[str] = []
        for parameter in self._ordered:
            if parameter is self._others:
                continue
            schema = self._type_of(parameter.name).json_schema()
            definitions.update(schema.pop("$defs", {}))
            if parameter is self._rest:
                schema = {"type": "array", "items": schema}
            elif parameter.default is inspect.Parameter.empty:
                required.append(parameter.name)
            else:
                schema = _with_default(schema, self._type_of(parameter.name), parameter.default)
            properties[parameter.name] = schema
        document: dict[str, Any] = {"type": "object", "properties": properties, "required": required}
        document["additionalProperties"] = False
        if self._others is not None:
            others = self._type_of(self._others.name).json_schema()
            definitions.update(others.pop("$defs", {}))
            document["additionalProperties"] = others
        return {**document, "$defs": definitions} if definitions else document

    def from_json(self, value: Any) -> str:
        """Checks input from outside in strict JSON mode, and writes it as arguments.

        `value` is an object by parameter name; if there is exactly one parameter, also its value; None if no parameter
        is required. Raises ValidationFailed with the paths in `.errors`.
        """
        if value is None and all(_may_be_left_out(parameter) for parameter in self._ordered):
            return self.encode((), {})
        by_name = self._by_name(cast("dict[str, Any]", value)) if _is_object(value) else None
        typed: dict[str, Any] = {}
        complaints: list[dict[str, Any]]
        lone = self._ordered[0] if len(self._ordered) == 1 and self._rest is None and self._others is None else None
        if by_name is not None and (not by_name[1] or lone is None):
            typed, complaints = by_name
        elif lone is None:
            message = "Input should be an object by parameter name" if self._ordered else "Input should be null"
            complaints = [{"path": [], "message": message, "type": "dict_type"}]
        else:
            bare_value, complaints = self._accept(lone.name, value)
            typed = {lone.name: bare_value}
            # An object that is no value of the lone parameter was meant to be an object by parameter name.
            if by_name is not None and complaints and (_is_whole(complaints) or lone.name in by_name[0]):
                typed, complaints = by_name
        if complaints:
            raise ValidationFailed(what=f"The input of {self.what}", errors=complaints)
        return self.encode(*self._arranged(typed))

    def _by_name(self, given: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        typed: dict[str, Any] = {}
        complaints: list[dict[str, Any]] = []
        for parameter in self._ordered:
            if parameter is self._others:
                continue
            if parameter.name in given:
                read = self._accept_all if parameter is self._rest else self._accept
                typed[parameter.name], wrong = read(parameter.name, given[parameter.name])
                complaints += [{**complaint, "path": [parameter.name, *complaint["path"]]} for complaint in wrong]
            elif not _may_be_left_out(parameter):
                complaints.append({"path": [parameter.name], "message": "Field required", "type": "missing"})
        for name in given.keys() - typed.keys():
            if self._others is None:
                complaints.append(
                    {"path": [name], "message": "There is no parameter of this name", "type": "extra_forbidden"}
                )
            else:
                typed[name], wrong = self._accept(self._others.name, given[name])
                complaints += [{**complaint, "path": [name, *complaint["path"]]} for complaint in wrong]
        return typed, complaints

    def _accept(self, name: str, value: Any) -> tuple[Any, list[dict[str, Any]]]:
        try:
            return self._type_of(name).accept(value, f"Parameter {name!r} of {self.what}")
        except pydantic_core.PydanticSerializationError as error:
            return None, [{"path": [], "message": str(error), "type": "json_type"}]

    def _accept_all(self, name: str, values: Any) -> tuple[list[Any], list[dict[str, Any]]]:
        if not isinstance(values, (list, tuple)):
            return [], [{"path": [], "message": "Input should be a list", "type": "list_type"}]
        read = [self._accept(name, value) for value in cast("list[Any]", values)]
        complaints = [
            {**complaint, "path": [index, *complaint["path"]]}
            for index, (_, wrong) in enumerate(read)
            for complaint in wrong
        ]
        return [value for value, _ in read], complaints

    def _arranged(self, typed: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        # Python requires positions for positional-only parameters and for those before a filled *args.
        named = dict(typed)
        rest: list[Any] = named.pop(self._rest.name, []) if self._rest is not None else []
        placed = [
            index
            for index, parameter in enumerate(self._positional)
            if rest or (parameter.kind is inspect.Parameter.POSITIONAL_ONLY and parameter.name in named)
        ]
        by_place = self._positional[: placed[-1] + 1] if placed else []
        return (*(named.pop(parameter.name, parameter.default) for parameter in by_place), *rest), named

    def _read(self, kind: PayloadType[Any], value: Any, name: str) -> Any:
        text = pydantic_core.to_json(value, inf_nan_mode="constants").decode()
        return kind.decode(text, f"Parameter {name!r} of {self.what}, as it is stored,")

    def _recall(self, kind: PayloadType[Any], name: str, value: Any, mark: str) -> Any:
        text = pydantic_core.to_json(value, inf_nan_mode="constants").decode()
        return kind.recall(mark + text, f"the recorded parameter {name!r} of {self.what}")

    def _name_at(self, index: int) -> str:
        if index < len(self._positional):
            return self._positional[index].name
        return self._rest.name if self._rest is not None else str(index)

    def _type_at(self, index: int) -> PayloadType[Any]:
        return self._type_of(self._name_at(index))

    def _type_named(self, name: str) -> PayloadType[Any]:
        # A keyword with the name of `*args` or of a positional-only parameter belongs to `**kwargs`.
        parameter = self._signature.parameters.get(name)
        if parameter is not None and parameter.kind not in _BY_KEYWORD and self._others is not None:
            name = self._others.name
        return self._type_of(name)

    def _type_of(self, name: str) -> PayloadType[Any]:
        kind = self._types.get(name)
        if kind is None:
            parameter = self._signature.parameters.get(name, self._others)
            annotation = inspect.Parameter.empty if parameter is None else parameter.annotation
            kind = self._types[name] = self._payload_type(self._hint(parameter.name if parameter else name, annotation))
        return kind

    def _hint(self, name: str, annotation: Any) -> Any:
        holder = types.SimpleNamespace(__annotations__={name: annotation})
        try:
            return typing.get_type_hints(
                holder, getattr(self._fn, "__globals__", {}), self._local_names() or None, include_extras=True
            )[name]
        except Exception as error:  # a string annotation is code, and may raise anything
            place = "The return annotation" if name == _RESULT else f"The annotation of parameter {name!r}"
            raise UnresolvedAnnotation(
                f"{place} of {self.what}, {annotation!r}, cannot be resolved: {error}. Import the name where the "
                "function is defined, and not only under TYPE_CHECKING."
            ) from error

    def _payload_type(self, hint: Any) -> PayloadType[Any]:
        kind = payload_type(hint)
        if self._enclosing is not None and kind.needs_names:
            return payload_type(hint, self._enclosing.names())
        return kind

    def _local_names(self) -> dict[str, Any]:
        names: dict[str, Any] = {variable.__name__: variable for variable in getattr(self._fn, "__type_params__", ())}
        code, cells = getattr(self._fn, "__code__", None), getattr(self._fn, "__closure__", None) or ()
        for name, cell in zip(code.co_freevars if code else (), cells, strict=False):
            try:
                names[name] = cell.cell_contents
            except ValueError:  # not assigned yet
                continue
        # The value at the time of the definition counts: a loop may have reassigned the name since.
        return names if self._enclosing is None else {**names, **self._enclosing.names()}


def _signature_of(fn: Any) -> inspect.Signature:
    if sys.version_info >= (3, 14):  # annotations are evaluated lazily, and may use names that are defined later
        from annotationlib import Format

        return inspect.signature(fn, annotation_format=Format.FORWARDREF)
    return inspect.signature(fn)


def source_of(fn: Any) -> str | None:
    """Returns the first line of a function, as `file:line`; None if it is not written in Python."""
    code = getattr(function_of(fn), "__code__", None)
    return None if code is None else f"{code.co_filename}:{code.co_firstlineno}"


def _may_be_left_out(parameter: inspect.Parameter) -> bool:
    return parameter.default is not inspect.Parameter.empty or parameter.kind in (
        inspect.Parameter.VAR_POSITIONAL,
        inspect.Parameter.VAR_KEYWORD,
    )


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(key, str) for key in cast("dict[Any, Any]", value))


def _is_whole(complaints: list[dict[str, Any]]) -> bool:
    return any(not complaint["path"] for complaint in complaints)


def _key(name: str, what: str) -> str:
    return payload_type(str).encode(name, f"The name of an argument of {what}")


def _with_default(schema: dict[str, Any], kind: PayloadType[Any], default: Any) -> dict[str, Any]:
    try:
        text = kind.encode(default, "default")
    except SerializationError:
        return schema  # a default without a JSON form cannot be shown; omitting the argument still works
    return {**schema, "default": pydantic_core.from_json(text)}
