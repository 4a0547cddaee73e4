"""Vacuum: gives free pages of a SQLite file back to the disk, and makes dead rows of Postgres reusable.

SQLite: pages are cut off the end in many small transactions, between which other writers get their turn. `VACUUM` would
rewrite the whole file, needs twice its size in free disk space, and blocks every writer meanwhile: most of a second for
each 100 MB. Statistics are not refreshed: the plans of our statements do not depend on any.
"""

from __future__ import annotations

from turbine.engine.app import App
from turbine.errors import Conflict
from turbine.model.accounts import Actor
from turbine.model.storage import Vacuumed
from turbine.operations.audit_entries import audit_act
from turbine.store import Tx
from turbine.tables import storage
from turbine.threads import in_thread

PAGES_AT_ONCE = 250
"""Pages in one transaction (1 MB): some 10 ms of the writer's time."""
PORTION = 400
"""Transactions in one portion."""


async def vacuum(app: App, *, actor: Actor | None = None) -> Vacuumed:
    """Give back one portion of the free space (up to 400 MB); on Postgres, vacuum all of our tables.

    May be called again until nothing is left; it blocks no one. Raises Conflict for a SQLite file that was not created
    by Turbine and cannot give pages back.
    """
    # In many transactions, or none; the audit line comes before them.
    await audit_act(app, actor, "database.vacuum", "database")
    store = app.store
    before, free, names = await store.read(_measure)
    if store.dialect == "postgres":
        skipped = await in_thread(store.vacuum, names)
        after, _, _ = await store.read(_measure)
        return Vacuumed(max(0, before - after), after, 0, done=True, skipped=skipped)
    if free and not store.is_memory and not await store.read(storage.can_shrink):
        raise Conflict(
            "This SQLite file cannot shrink while it is in use, because it was not created by Turbine. Stop every"
            " process that uses it, and run: sqlite3 FILE 'pragma auto_vacuum = incremental; vacuum'"
        )
    for _ in range(0 if store.is_memory else PORTION):
        if not await store.write(storage.give_back, pages=PAGES_AT_ONCE):
            break
    after, left, _ = await store.read(_measure)
    return Vacuumed(max(0, before - after), after, left or 0, done=not left or store.is_memory, skipped=[])


async def vacuum_all(app: App) -> int:
    """Repeat `vacuum` until the space that was free at the beginning is given back; return how many bytes."""
    result = await vacuum(app)
    freed, goal = result.freed_bytes, result.free_bytes
    while not result.done and goal > 0 and result.freed_bytes:
        result = await vacuum(app)
        freed += result.freed_bytes
        goal -= result.freed_bytes
    return freed


def _measure(tx: Tx) -> tuple[int, int | None, list[str]]:
    return storage.database_size(tx), storage.free_size(tx), storage.names(tx)
