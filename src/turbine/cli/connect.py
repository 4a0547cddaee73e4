"""The choice of the API that a command works with: a server, or a database that this process opens itself."""

from __future__ import annotations

import os

from turbine.cli.client import Client, Misused
from turbine.cli.database import DatabaseClient
from turbine.cli.server import ServerClient
from turbine.config import database_url


def open_client(database: str | None, server: str | None, token: str | None) -> Client:
    """The client that options and environment name; options win, and in the environment a server wins.

    Raises Misused for both at once, or a token without a server.
    """
    if database and server:
        raise Misused("give either --database or --server, not both")
    if not database:
        server = server or os.environ.get("TURBINE_SERVER")
    if server:
        return ServerClient(server, token or os.environ.get("TURBINE_TOKEN"))
    if token:
        raise Misused("--token is for a server: give its URL with --server, or as TURBINE_SERVER")
    return DatabaseClient(database_url(database))
