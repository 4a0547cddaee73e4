"""P18: several processes that write to one SQLite file."""

from bench.case import Case, Row, Side, at_least, at_most

CASES = (
    Case(
        number="P18",
        database="sqlite",
        sides={
            Side.FLOOR: "bench.ours.processes:one_process",
            Side.TURBINE: "bench.ours.processes:four_processes",
            Side.PEER: "bench.peer_dbos:four_processes",
        },
        rows=(
            Row("per_s", "4 processes on one SQLite file, {runs:,} runs in all", "steps/s", (at_least(0.8, "floor"),)),
            Row("longest_s", "the same: longest wait of a step", "s", (at_most(0.3, "s"),)),
            Row("locked", 'the same: errors that say "locked"', "", (at_most(0),)),
        ),
        full={"runs": 40, "seconds": 5},
        quick={"runs": 40, "seconds": 1},
        note="the floor column is Turbine in one process with all the runs",
    ),
)
