"""JSON Schemas from users (draft 2020-12): checks schemas, and values against them."""

from __future__ import annotations

import json
from typing import Any, cast

from turbine.errors import ValidationFailed

_PLAIN: dict[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "textarea": {"type": "string"},
    "number": {"type": "number"},
    "integer": {"type": "integer"},
    "boolean": {"type": "boolean"},
    "json": {},
}
_CHOICES = ("select", "multiselect")


def check_schema(schema: Any, what: str) -> dict[str, Any]:
    """Returns a JSON Schema, or the one of a form `{"fields": [...]}`. Raises ValidationFailed if it is neither."""
    import jsonschema

    if not isinstance(schema, dict):
        raise _wrong(what, [], f"must be a JSON Schema, not {type(schema).__name__}")
    given = cast("dict[str, Any]", schema)
    try:
        json.dumps(given, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise _wrong(what, [], f"cannot be written as JSON: {error}") from error
    if is_form(given):
        given = _of_form(given["fields"], what)
    try:
        jsonschema.Draft202012Validator.check_schema(given)
    except jsonschema.SchemaError as error:
        raise _wrong(what, list(error.absolute_path), error.message) from error
    return given


def complaints(schema: dict[str, Any], value: Any) -> list[dict[str, Any]]:
    """Returns why a JSON value does not fit, as `ValidationFailed.errors`; empty when it fits.

    Nothing is fetched: no value fits a schema that refers to something outside of it, or endlessly to itself.
    """
    import jsonschema
    import referencing.exceptions

    validator: Any = jsonschema.Draft202012Validator(
        schema,
        registry=referencing.Registry(),
        format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
    )
    try:
        errors = sorted(validator.iter_errors(value), key=lambda error: [str(part) for part in error.absolute_path])
    except (referencing.exceptions.Unresolvable, RecursionError) as error:
        message = f"The schema refers to something outside of it, or endlessly to itself ({error})"
        return [{"path": [], "message": message, "type": "json_schema"}]
    return [
        {"path": list(error.absolute_path), "message": error.message, "type": str(error.validator)} for error in errors
    ]


def is_form(schema: dict[str, Any]) -> bool:
    """Whether this is the form `{"fields": [...]}` rather than a JSON Schema."""
    return isinstance(schema.get("fields"), list) and "type" not in schema and "properties" not in schema


def _of_form(fields: list[Any], what: str) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    required: list[str] = []
    for index, field in enumerate(fields):
        path = ["fields", index]
        given = cast("dict[str, Any]", field) if isinstance(field, dict) else {}
        name = given.get("name")
        if not isinstance(name, str) or not name:
            raise _wrong(what, path, "needs a name")
        if name in properties:
            raise _wrong(what, path, f"has the name {name!r} of another field")
        schema = _of_field(given, what, path)
        schema |= {key: given[key] for key in ("description", "default") if key in given}
        if "label" in given:
            schema["title"] = given["label"]
        properties[name] = schema
        if given.get("required") is True:
            required.append(name)
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _of_field(field: dict[str, Any], what: str, path: list[Any]) -> dict[str, Any]:
    kind = field.get("type", "string")
    if kind in _PLAIN:
        return dict(_PLAIN[kind])
    if kind not in _CHOICES:
        raise _wrong(what, [*path, "type"], f"must be one of {', '.join([*_PLAIN, *_CHOICES])}, not {kind!r}")
    options = field.get("options")
    if not isinstance(options, list) or not options:
        raise _wrong(what, [*path, "options"], f"a {kind} needs a list of options")
    choices = [
        cast("dict[str, Any]", option).get("value") if isinstance(option, dict) else option
        for option in cast("list[Any]", options)
    ]
    return {"enum": choices} if kind == "select" else {"type": "array", "items": {"enum": choices}}


def _wrong(what: str, path: list[Any], message: str) -> ValidationFailed:
    return ValidationFailed(what=what, errors=[{"path": path, "message": message, "type": "json_schema"}])
