"""Changes since a mark, for pages that update themselves."""

from __future__ import annotations

from turbine.engine.app import App
from turbine.tables import changes
from turbine.tables.changes import Mark, Marks, Moved

__all__ = ["Mark", "Marks", "Moved", "current_marks", "moved_runs"]


async def current_marks(app: App) -> Marks:
    """Returns the marks of all lists."""
    return await app.store.read(changes.marks)


async def moved_runs(app: App, since: Mark, *, approval: int | None, limit: int) -> list[Moved]:
    """Returns the runs that started or ended since a mark, or opened an approval after one, the latest first."""
    return await app.store.read(changes.moved, since=since, approval=approval, limit=limit)
