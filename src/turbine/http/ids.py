"""Ids in URLs: any text is an id, so a slash in it comes as `%2F`, which is no border between segments."""

from __future__ import annotations

from starlette.convertors import Convertor, register_url_convertor

SLASH = "\0"
"""Stands for a `/` within an id (`%2F` in the URL) until its route has been found; no id may have a NUL."""


class KeyConvertor(Convertor[str]):
    """A path parameter that is an id: one segment of the URL, in which `%2F` is a slash."""

    regex = "[^/]+"

    def convert(self, value: str) -> str:
        """The id itself."""
        return value.replace(SLASH, "/")

    def to_string(self, value: str) -> str:
        return value


def register() -> None:
    """Let routes say `{id:key}`."""
    register_url_convertor("key", KeyConvertor())
