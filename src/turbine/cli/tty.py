"""Exit codes, and the last line of a command that fails."""

from __future__ import annotations

from typing import NoReturn

import typer

FAILED = 1
"""Exit code: the command was understood, but failed."""
MISUSED = 2
"""Exit code: the arguments make no sense."""


def leave(command: str, message: str, code: int) -> NoReturn:
    """End the command with one line on stderr."""
    typer.echo(f"turbine {command}: {message}", err=True)
    raise typer.Exit(code)
