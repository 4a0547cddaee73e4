"""The object that an argument `module:name` names."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any


class TargetUnfit(Exception):
    """The named object does not exist, or is not what the command needs; the text says why."""


def load(target: str) -> Any:
    """The object of a `module:name`, from the current folder or the path. Raises TargetUnfit."""
    module_name, colon, name = target.partition(":")
    if not colon or not module_name or not name:
        raise TargetUnfit(f"{target!r} is not like module:name, for example shop:app")
    if (folder := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, folder)
    try:
        target_object: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not module_name.startswith(error.name):
            raise
        raise TargetUnfit(f"there is no module {module_name!r} here or on the path") from None
    for part in name.split("."):
        if not hasattr(target_object, part):
            raise TargetUnfit(f"the module {module_name!r} has no {name!r}")
        target_object = getattr(target_object, part)
    return target_object
