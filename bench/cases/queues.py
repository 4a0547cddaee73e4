"""P6 to P8: queues that are full, and queues that are idle."""

from typing import Literal

from bench.case import Case, Row, Side, at_least, at_most

DRAINING = {
    Side.TURBINE: "bench.ours.queues:drain",
    Side.PEER: "bench.peer_dbos_queues:drain",
}
IDLE = {
    Side.FLOOR: "bench.floor:commit_latency",
    Side.TURBINE: "bench.ours.queues:idle",
    Side.PEER: "bench.peer_dbos_queues:idle",
}
REMOTE = {
    Side.TURBINE: "bench.ours.queues:remote",
    Side.PEER: "bench.peer_dbos_queues:remote",
}
DRAIN_NOTE = "from the first run enqueued to the end of the last body; the peer's poll is set to 50 ms, its best"
IDLE_NOTE = (
    "from the call that enqueues to the first line of the body; the floor is one single-row commit (its median for"
    " both rows); the peer polls each second, its default"
)
BOTH: tuple[tuple[Literal["sqlite", "postgres"], str, float], ...] = (
    ("sqlite", "SQLite", 60),
    ("postgres", "Postgres", 30),
)

CASES = tuple(
    case
    for database, name, remote_ms in BOTH
    for case in (
        Case(
            number="P6",
            database=database,
            sides=DRAINING,
            rows=(
                Row("per_s", f"{{runs:,}} runs through a queue, 50 at once, {name}", "runs/s", (at_least(10, "peer"),)),
            ),
            full={"runs": 2000},
            quick={"runs": 2000},
            peer_quick={"runs": 300},
            note=DRAIN_NOTE,
        ),
        Case(
            number="P7",
            database=database,
            sides=IDLE,
            rows=(
                Row("p50_ms", f"idle queue: enqueue → body starts, {name}", "ms", (at_most(5, of="floor"),)),
                Row("p99_ms", "the same: p99", "ms", (at_most(15, of="floor"),)),
            ),
            full={"runs": 200},
            quick={"runs": 100},
            peer={"runs": 10},
            peer_quick={"runs": 3},
            note=IDLE_NOTE,
        ),
        Case(
            number="P8",
            database=database,
            sides=REMOTE,
            rows=(
                Row(
                    "p50_ms",
                    f"idle queue: enqueued by another process → body starts, {name}",
                    "ms",
                    (at_most(remote_ms, "ms"),),
                ),
                Row("p99_ms", "the same: p99", "ms"),
            ),
            full={"runs": 100, "pause_ms": 50},
            quick={"runs": 50, "pause_ms": 50},
            peer={"runs": 10, "pause_ms": 730},
            peer_quick={"runs": 3, "pause_ms": 730},
            note=IDLE_NOTE,
        ),
    )
)
