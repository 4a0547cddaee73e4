"""The database: all durable writes go through one writer, all reads are short snapshots.

The modules of this package know no runs or steps; the modules above know no connections. A write is a plain function of
a transaction (`tables/`) that is passed to `Store.write`. It returns after the commit that contains it, together with
all writes that gathered while the previous commit was in flight. Transaction functions may run twice (a batch that
failed is rolled back and split) and touch nothing but their `tx`.
"""

from turbine.store.backup import copy_database
from turbine.store.job import BlockingFuture
from turbine.store.sql import Statement, Statements
from turbine.store.store import Store, open_store
from turbine.store.tx import Tx, bulk

__all__ = ["BlockingFuture", "Statement", "Statements", "Store", "Tx", "bulk", "copy_database", "open_store"]
