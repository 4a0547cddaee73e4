"""The service that commands are tried on, and the two ways to it: its database and its server."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# What several tests share stands beside them.
sys.path.insert(0, str(Path(__file__).parent))

from shop_service import Answer, Cli, Service, invoke


@pytest.fixture
def service(database_url: str) -> Iterator[Service]:
    service = Service(database_url)
    try:
        service.start()
        yield service
    finally:
        service.stop()


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TURBINE_DATABASE_URL", "TURBINE_SERVER", "TURBINE_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=["database", "server"])
def cli(request: pytest.FixtureRequest, service: Service) -> Cli:
    """Carries out a command on the service, twice: once at its database, once at its server."""
    where = ["--database", service.database_url]
    if request.param == "server":
        where = ["--server", service.url, "--token", service.token]

    def cli(*arguments: str) -> Answer:
        return invoke(*arguments, *where)

    return cli


@pytest.fixture
def at_database(service: Service) -> Cli:
    """Carries out a command at the service's database."""

    def at_database(*arguments: str) -> Answer:
        return invoke(*arguments, "--database", service.database_url)

    return at_database
