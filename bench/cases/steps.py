"""P1 to P5, P17: how many steps and runs a second."""

from bench.case import Case, Row, Side, at_least

LONE_RUN = {
    Side.FLOOR: "bench.floor:single_commits",
    Side.TURBINE: "bench.ours.steps:one_run",
    Side.PEER: "bench.peer_dbos:one_run",
}
MANY_RUNS = {
    Side.FLOOR: "bench.floor:single_commits",
    Side.TURBINE: "bench.ours.steps:many_runs",
    Side.PEER: "bench.peer_dbos:many_runs",
}
SHORT_RUNS = {
    Side.FLOOR: "bench.floor:three_commit_runs",
    Side.TURBINE: "bench.ours.steps:one_step_runs",
    Side.PEER: "bench.peer_dbos:one_step_runs",
}
BESIDE_COMPUTING = {
    Side.FLOOR: "bench.ours.steps:many_runs",
    Side.TURBINE: "bench.ours.steps:beside_a_busy_thread",
    Side.PEER: "bench.peer_dbos:beside_a_busy_thread",
}
THOUSAND_STEPS = {"steps": 1000, "commits": 1000}
HUNDRED_RUNS = {"runs": 100, "steps": 20, "commits": 2000}
ONE_STEP_RUNS = {"runs": 2000}
ONE_STEP_NOTE = "the floor is three single-row commits a run: start, step, finish"

CASES = (
    Case(
        number="P1",
        database="sqlite",
        sides=LONE_RUN,
        rows=(
            Row("per_s", "1 run × {steps:,} steps, SQLite", "steps/s", (at_least(0.6, "floor"), at_least(6, "peer"))),
        ),
        full=THOUSAND_STEPS,
        quick=THOUSAND_STEPS,
        quick_repetitions=5,
    ),
    Case(
        number="P2",
        database="postgres",
        sides=LONE_RUN,
        rows=(
            Row(
                "per_s", "1 run × {steps:,} steps, Postgres", "steps/s", (at_least(0.55, "floor"), at_least(6, "peer"))
            ),
        ),
        full=THOUSAND_STEPS,
        quick=THOUSAND_STEPS,
        quick_repetitions=5,
    ),
    Case(
        number="P3",
        database="sqlite",
        sides=MANY_RUNS,
        rows=(
            Row(
                "per_s",
                "{runs:,} runs × {steps:,} steps at once, SQLite",
                "steps/s",
                (at_least(5, "floor"), at_least(80, "peer")),
            ),
        ),
        full=HUNDRED_RUNS,
        quick=HUNDRED_RUNS,
        peer_quick={"runs": 40},
        quick_repetitions=5,
    ),
    Case(
        number="P4",
        database="postgres",
        sides=MANY_RUNS,
        rows=(
            Row(
                "per_s",
                "{runs:,} runs × {steps:,} steps at once, Postgres",
                "steps/s",
                (at_least(4, "floor"), at_least(50, "peer")),
            ),
        ),
        full=HUNDRED_RUNS,
        quick=HUNDRED_RUNS,
        peer_quick={"runs": 40},
        quick_repetitions=5,
    ),
    Case(
        number="P5",
        database="sqlite",
        sides=SHORT_RUNS,
        rows=(Row("per_s", "{runs:,} one-step runs at once, SQLite", "runs/s", (at_least(30, "peer"),)),),
        full=ONE_STEP_RUNS,
        quick=ONE_STEP_RUNS,
        peer_quick={"runs": 200},
        note=ONE_STEP_NOTE,
    ),
    Case(
        number="P5",
        database="postgres",
        sides=SHORT_RUNS,
        rows=(Row("per_s", "{runs:,} one-step runs at once, Postgres", "runs/s", (at_least(15, "peer"),)),),
        full=ONE_STEP_RUNS,
        quick=ONE_STEP_RUNS,
        peer_quick={"runs": 200},
        note=ONE_STEP_NOTE,
    ),
    Case(
        number="P17",
        database="sqlite",
        sides=BESIDE_COMPUTING,
        rows=(Row("per_s", "P3 beside one computing thread", "steps/s", (at_least(0.25, "floor"),)),),
        full=HUNDRED_RUNS,
        quick=HUNDRED_RUNS,
        peer={"runs": 20},
        peer_quick={"runs": 3},
        note="the floor column is Turbine without the computing thread",
    ),
)
