"""P9: how long a message takes from one run to another."""

from bench.case import Case, Row, Side, at_most

SIDES = {
    Side.FLOOR: "bench.floor:two_commits",
    Side.TURBINE: "bench.ours.messages:messages",
    Side.PEER: "bench.peer_dbos:messages",
}
NOTE = "p50 from the call of send to the return of recv; the floor is two single-row commits: sent, consumed"

CASES = (
    Case(
        number="P9",
        database="sqlite",
        sides=SIDES,
        rows=(Row("p50_ms", "send → recv between two runs, SQLite", "ms", (at_most(2.5, of="floor"),)),),
        full={"messages": 200, "floor_messages": 500},
        quick={"messages": 200, "floor_messages": 500},
        peer={"messages": 5},
        peer_quick={"messages": 2},
        note=NOTE,
    ),
    Case(
        number="P9",
        database="postgres",
        sides=SIDES,
        rows=(Row("p50_ms", "send → recv between two runs, Postgres", "ms", (at_most(4, of="floor"),)),),
        full={"messages": 200, "floor_messages": 500},
        quick={"messages": 200, "floor_messages": 500},
        peer_quick={"messages": 50},
        note=NOTE,
    ),
)
