"""P10, P15: what a kill costs, in many open runs and in one long one."""

from bench.case import Case, Row, Side, at_most

RESTART = {
    Side.FLOOR: "bench.floor:one_commit_for_each_run",
    Side.TURBINE: "bench.ours.crashes:killed_and_restarted",
    Side.PEER: "bench.peer_dbos:killed_and_restarted",
}
RESTART_NOTE = (
    "seconds from the return of launch until every open run has recorded a new step; "
    "the floor is one single-row commit for each run"
)
OPEN_RUNS = {"runs": 200, "ticks": 3}

CASES = (
    Case(
        number="P10",
        database="sqlite",
        sides=RESTART,
        rows=(Row("back_s", "kill -9 with {runs:,} open runs → all going on, SQLite", "s", (at_most(0.5, "s"),)),),
        full=OPEN_RUNS,
        quick=OPEN_RUNS,
        quick_repetitions=2,
        note=RESTART_NOTE,
    ),
    Case(
        number="P10",
        database="postgres",
        sides=RESTART,
        rows=(Row("back_s", "kill -9 with {runs:,} open runs → all going on, Postgres", "s", (at_most(0.5, "s"),)),),
        full=OPEN_RUNS,
        quick=OPEN_RUNS,
        note=RESTART_NOTE,
        full_only=True,
    ),
    Case(
        number="P15",
        database="sqlite",
        sides={
            Side.FLOOR: "bench.floor:read_history",
            Side.TURBINE: "bench.ours.crashes:replay",
            Side.PEER: "bench.peer_dbos:replay",
        },
        rows=(
            Row("replay_ms", "replay of 10,000 steps after a crash", "ms", (at_most(1000, "ms"),)),
            Row("growth", "cost of a step, run of {steps:,} against one of a tenth", "×", (at_most(1.2, "×"),)),
        ),
        full={"steps": 10_000},
        quick={"steps": 10_000},
        peer_quick={"steps": 1000},
        note="from the return of launch to the last recorded step; the floor reads and parses the rows",
    ),
)
