"""P14: what `import` costs before any work is done."""

from bench.case import Case, Row, Side, at_most

CASES = (
    Case(
        number="P14",
        database="sqlite",
        sides={
            Side.FLOOR: "bench.imports:import_fastapi",
            Side.TURBINE: "bench.imports:import_turbine",
            Side.PEER: "bench.imports:import_dbos",
        },
        rows=(
            Row("import_ms", "import in a fresh interpreter", "ms", (at_most(0.25, of="floor"),)),
            Row("more_mb", "memory beyond an interpreter that imports nothing", "MB", (at_most(25, "MB"),)),
        ),
        full={"interpreters": 3},
        quick={"interpreters": 2},
        repetitions=7,
        quick_repetitions=5,
        peer_quick_repetitions=3,
        note="the best of several interpreters in each repetition; the floor is `import fastapi`",
    ),
)
