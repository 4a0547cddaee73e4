"""Giving room back: free pages of a SQLite file to the disk, dead rows of Postgres to those that come next.

SQLite: pages are cut off the end in many small transactions, between which everybody else gets a turn. `VACUUM` would
write the whole file anew, needs twice its size in free disk, and lets nobody write meanwhile: most of a second for each
100 MB. Nor are statistics made anew: the plans of our statements do not depend on any.
"""

from __future__ import annotations

from turbine.engine.app import App
from turbine.errors import Conflict
from turbine.model.storage import Vacuumed
from turbine.store import Tx
from turbine.tables import storage
from turbine.threads import in_thread

PAGES_AT_ONCE = 250
"""Pages in one transaction (1 MB): some 10 ms of the writer's time."""
PORTION = 400
"""Transactions in one portion."""


async def vacuum(app: App) -> Vacuumed:
    """Give back one portion of what is free (up to 400 MB); on Postgres tidy all of our tables at once.

    May be called again until nothing is left. Nobody is kept from working meanwhile. Raises Conflict for a SQLite file
    that was not made by Turbine and cannot give pages back.
    """
    store = app.store
    before, free, names = await store.read(_look)
    if store.dialect == "postgres":
        skipped = await in_thread(store.vacuum, names)
        after, _, _ = await store.read(_look)
        return Vacuumed(max(0, before - after), after, 0, is_done=True, skipped=skipped)
    if free and not store.is_memory and not await store.read(storage.can_shrink):
        raise Conflict(
            "This SQLite file cannot be made smaller while it is used, because it was not made by Turbine. Stop every"
            " process that uses it, and run: sqlite3 FILE 'pragma auto_vacuum = incremental; vacuum'"
        )
    for _ in range(0 if store.is_memory else PORTION):
        if not await store.write(storage.give_back, pages=PAGES_AT_ONCE):
            break
    after, left, _ = await store.read(_look)
    return Vacuumed(max(0, before - after), after, left or 0, is_done=not left or store.is_memory, skipped=[])


async def whole(app: App) -> int:
    """Portion after portion, until all that was free at the beginning is given back; how many bytes."""
    done = await vacuum(app)
    freed, goal = done.freed_bytes, done.free_bytes
    while not done.is_done and goal > 0:
        done = await vacuum(app)
        freed += done.freed_bytes
        goal -= done.freed_bytes
        if not done.freed_bytes:
            break
    return freed


def _look(tx: Tx) -> tuple[int, int | None, list[str]]:
    return storage.database_size(tx), storage.free_size(tx), storage.names(tx)
