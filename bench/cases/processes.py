"""P18, P24: several processes on one SQLite file, and on the same queues of one Postgres."""

from bench.case import Case, Row, Side, at_least, at_most

QUEUES_NOTE = (
    "from the first run enqueued, by one of the processes, to the end of the last one; the floor column is Turbine in"
    " one process; limits are 20 slots of each process, 60 in all and 100,000 starts a second, for each queue"
)


def shared_queues(queues: int, *, limits: bool) -> Case:
    """What 2, 4 and 8 processes do to each other that drain the same queues."""
    text = "1 queue" if queues == 1 else f"{queues} queues"
    text += " with limits" if limits else " without limits"
    none = (at_most(0),)
    size = {"queues": queues, "limits": limits}
    return Case(
        number="P24",
        database="postgres",
        sides={
            Side.FLOOR: "bench.ours.shared_queues:one_process",
            Side.TURBINE: "bench.ours.shared_queues:many_processes",
        },
        rows=(
            Row("per_s_2", f"2 processes, {text}, {{runs:,}} one-step runs, Postgres", "runs/s"),
            Row("per_s_4", "the same by 4 processes", "runs/s", (at_least(1.0, "floor"),)),
            Row("per_s_8", "the same by 8 processes", "runs/s"),
            Row("deadlocks", "all of these: deadlocks", "", none),
            Row("evicted", "all of these: executors taken for dead", "", none),
            Row("twice", "all of these: bodies entered twice", "", none),
        ),
        full={"runs": 4000, **size},
        quick={"runs": 1000, **size},
        repetitions=3,
        quick_repetitions=1,
        full_only=queues != 4,
        note=QUEUES_NOTE,
    )


CASES = (
    *(shared_queues(queues, limits=limits) for queues in (1, 4, 16) for limits in (True, False)),
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
