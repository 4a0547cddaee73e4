"""Replay: carry out one pass of one run against its history, and say how it ended.

The engine decides and never schedules: it asks the door for writes, waits for wakes, and returns an `Outcome`; the
loops act on it. No thread is started here and no row is read behind the door's back.
"""
