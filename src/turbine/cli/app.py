"""All commands of `turbine`. A resource with several commands is a Typer of its own, added here by name."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Annotated, Any, cast

import typer
from typer.core import TyperGroup

from turbine.cli import account, admin, deliveries, kv, products, queues, retention, runs, schedules, tail, token
from turbine.cli.demo import demo
from turbine.cli.run import run
from turbine.cli.serve import serve
from turbine.masking import mask_text


class Commands(TyperGroup):
    """The commands. Error messages quote arguments back without the passwords of URLs in them."""

    def make_context(self, *args: Any, **extra: Any) -> typer.Context:
        with _masking_quotes():
            return cast("typer.Context", super().make_context(*args, **extra))

    def invoke(self, ctx: Any) -> Any:
        with _masking_quotes():
            return super().invoke(ctx)


@contextmanager
def _masking_quotes() -> Generator[None]:
    try:
        yield
    except Exception as error:
        message = getattr(error, "message", None)
        if hasattr(error, "exit_code") and isinstance(
            message, str
        ):  # a usage error; Typer may bring a Click of its own
            error.message = mask_text(message)  # pyright: ignore[reportAttributeAccessIssue]
        raise


app = typer.Typer(
    cls=Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
)


def _show_version(is_requested: bool) -> None:
    if is_requested:
        typer.echo(f"turbine {version('turbine-workflows')}")
        raise typer.Exit


@app.callback()
def turbine(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Durable workflows inside your own Python process."""


app.command()(serve)
app.command()(run)
app.command()(demo)
app.command("list")(runs.list_runs)
app.command()(runs.show)
app.command()(runs.steps)
app.command()(tail.tail)
app.command()(tail.logs)
app.command()(runs.cancel)
app.command()(runs.resume)
app.command()(runs.release)
app.command()(runs.fork)
app.command()(runs.trigger)
app.command()(runs.approve)
app.command()(runs.send)
app.command()(runs.export)
app.command()(queues.queues)
app.add_typer(schedules.app, name="schedules")
app.add_typer(kv.app, name="kv")
app.add_typer(products.app, name="products")
app.add_typer(deliveries.app, name="deliveries")
app.add_typer(account.app, name="account")
app.add_typer(token.app, name="token")
app.add_typer(retention.app, name="retention")
app.command()(admin.backup)
app.command()(admin.vacuum)
app.command()(admin.doctor)
app.command()(admin.migrate)
