"""Postgres behind the store: connections for writing in lanes, a few to read, one that listens to other processes."""

from turbine.store.postgres.backend import PostgresBackend, vacuum
from turbine.store.postgres.connection import Source
from turbine.store.postgres.notifications import Listener, SnapshotPoll, channel_of
from turbine.store.postgres.readers import PostgresReaders

__all__ = ["Listener", "PostgresBackend", "PostgresReaders", "SnapshotPoll", "Source", "channel_of", "vacuum"]
