"""The commands of `turbine`, put together. A noun with several commands is a Typer of its own, added here by name."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from turbine.cli.demo import demo

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"turbine {version('turbine-workflows')}")
        raise typer.Exit


@app.callback()
def turbine(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Durable workflows inside your own Python process."""


app.command()(demo)
