"""Imports pydantic when it is first needed; it is a third of the time of `import turbine`."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class LazyImport:
    """A module that is imported when one of its names is first used."""

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __getattr__(self, name: str) -> Any:
        value = getattr(import_module(self.__name__), name)
        self.__dict__[name] = value
        return value
