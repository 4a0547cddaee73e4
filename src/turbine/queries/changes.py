"""Changes since a mark, for pages that update themselves."""

from __future__ import annotations

from turbine.engine.app import App
from turbine.tables import changes
from turbine.tables.changes import ChangedRun, ListMarks, RunMark

__all__ = ["ChangedRun", "ListMarks", "RunMark", "current_marks", "moved_runs"]


async def current_marks(app: App) -> ListMarks:
    """Returns the marks of all lists."""
    return await app.store.read(changes.list_marks)


async def moved_runs(app: App, since: RunMark, *, approval: int | None, limit: int) -> list[ChangedRun]:
    """Returns the runs that started or ended since a mark, or opened an approval after one, the latest first."""
    return await app.store.read(changes.changed_runs, since=since, approval=approval, limit=limit)
