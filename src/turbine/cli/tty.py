"""What all commands have in common: how they refuse and how they fail."""

from __future__ import annotations

from typing import NoReturn

import typer

FAILED = 1
"""Exit code: the command was understood, and its work went wrong."""
MISUSED = 2
"""Exit code: the command cannot begin with what it was given."""


def leave(command: str, message: str, code: int) -> NoReturn:
    """End the command with one clear message on stderr."""
    typer.echo(f"turbine {command}: {message}", err=True)
    raise typer.Exit(code)
