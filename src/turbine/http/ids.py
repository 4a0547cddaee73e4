"""Ids in URLs. Any text is an id, so a slash in one is sent as `%2F`, which does not separate segments."""

from __future__ import annotations

from starlette.convertors import Convertor, register_url_convertor

SLASH = "\0"
"""Stands for the `%2F` of an id until its route is found; no id may contain NUL."""


class KeyConvertor(Convertor[str]):
    """A path parameter that is an id: one segment of the URL, in which `%2F` is a slash."""

    regex = "[^/]+"

    def convert(self, value: str) -> str:
        """Returns the id."""
        return value.replace(SLASH, "/")

    def to_string(self, value: str) -> str:
        return value


def register() -> None:
    """Makes `{id:key}` known to routes."""
    register_url_convertor("key", KeyConvertor())
