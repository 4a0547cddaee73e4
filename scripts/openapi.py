"""Prints the schemas of the API as JSON; `npm run types` in ui/ makes the dashboard's types of them."""

from __future__ import annotations

import json
import tempfile
from typing import Any, cast

import turbine
from turbine.http.app import build

PROSE = frozenset({"description", "title", "examples", "format"})
"""Left out: it changes more often than the types do."""


def schemas() -> dict[str, Any]:
    """The component schemas of the OpenAPI document, without its prose and examples."""
    with tempfile.TemporaryDirectory() as folder:
        rt = turbine.Runtime(f"sqlite:///{folder}/turbine.db")
        _, api = build(rt, "none")
        return dict(sorted(_without_prose(api.openapi()["components"]["schemas"]).items()))


def _without_prose(node: Any) -> Any:
    if isinstance(node, dict):
        fields = cast("dict[str, Any]", node)
        # A property may have one of these names too: its value is a schema then.
        return {
            key: _without_prose(value)
            for key, value in fields.items()
            if not (key in PROSE and isinstance(value, (str, list)))
        }
    return [_without_prose(value) for value in cast("list[Any]", node)] if isinstance(node, list) else node


if __name__ == "__main__":
    # A line for each schema: short, and still readable in a diff.
    lines = ",\n".join(
        f"{json.dumps(name)}: {json.dumps(schema, sort_keys=True)}" for name, schema in schemas().items()
    )
    head = '{"openapi": "3.1.0", "info": {"title": "Turbine", "version": ""}, "paths": {}, "components": {"schemas": {'
    print(f"{head}\n{lines}\n}}}}}}")
