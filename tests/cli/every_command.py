"""Every command of `turbine` that works on a database or a server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from turbine.cli.app import app


def commands(group: Any = None, path: tuple[str, ...] = ()) -> Iterator[list[str]]:
    """Every command that asks a database or a server, with arguments that it understands or refuses."""
    found = get_command(app) if group is None else group
    for name, command in found.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        elif any(option.name == "database" for option in command.params):
            arguments = [*path, name]
            for option in command.params:
                if option.required:
                    arguments += [option.opts[0], "1d"] if option.opts[0].startswith("-") else ["1"]
            yield arguments


ALL = list(commands())
