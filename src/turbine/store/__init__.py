"""The door: every durable byte of Turbine goes through one writer and comes back through short reads.

No room below the door knows a noun; no room above it knows a connection. A write is a plain function of a transaction
(`tables/`), handed to `Store.write`; it returns after the commit that contains it, together with all writes that
gathered while the previous commit was in flight. Transaction functions may run twice (a batch that failed is rolled
back and split) and touch nothing but their `tx`.
"""

from turbine.store.backup import copy_database
from turbine.store.sql import Statement, Statements
from turbine.store.store import Store, open_store
from turbine.store.tx import Tx, bulk
from turbine.store.writer import BlockingFuture

__all__ = ["BlockingFuture", "Statement", "Statements", "Store", "Tx", "bulk", "copy_database", "open_store"]
