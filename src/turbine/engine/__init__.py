"""Replay: carries out one pass of one run against its history and says how it ended.

The engine decides and never schedules: it hands writes to the store, waits for wakes and returns an `Outcome`, on which
the loops act. It starts no thread and reads no row behind the store's back. Modules import from the bottom up only:
`app` (the runtime as the engine sees it) › `execution` (a pass in memory) › `step_scope`, `durable_call` › `ops` (the
calls) › `scope` (where a body stands) › `passes`, `handles`.
"""
