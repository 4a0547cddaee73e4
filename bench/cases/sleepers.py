"""P12: what a sleeping run costs in memory, in this process and parked."""

from bench.case import Case, Row, Side, at_most

CASES = (
    Case(
        number="P12",
        database="sqlite",
        sides={
            Side.FLOOR: "bench.floor:sleeping_tasks",
            Side.TURBINE: "bench.ours.sleepers:asleep",
            Side.PEER: "bench.peer_dbos:asleep",
        },
        rows=(Row("asleep_mb", "100,000 runs asleep, from {runs:,}: more memory", "MB", (at_most(300, "MB"),)),),
        full={"runs": 100_000},
        quick={"runs": 20_000},
        peer={"runs": 2000},
        peer_quick={"runs": 600},
        repetitions=3,
        quick_repetitions=1,
        note="the floor is a bare asyncio task for each run; fewer runs are scaled to 100,000 (peer: its second half)",
    ),
    Case(
        number="P12",
        database="sqlite",
        sides={Side.TURBINE: "bench.ours.sleepers:parked"},
        rows=(
            Row("parked_mb", "{runs:,} runs parked: more memory after launch", "MB", (at_most(150, "MB"),)),
            Row("late_s", "{runs:,} runs parked: a due one wakes late by", "s", (at_most(1, "s"),)),
        ),
        full={"runs": 1_000_000},
        quick={"runs": 20_000},
        repetitions=1,
        quick_repetitions=1,
        note="started through the public API with `park_after` 0; the memory is that of a process launched after",
    ),
)
