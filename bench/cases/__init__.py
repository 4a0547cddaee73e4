"""Every case, in the order of the table."""

from bench.case import Case
from bench.cases import crashes, imports, messages, processes, queues, sleepers, steps

CASES: tuple[Case, ...] = tuple(
    sorted(
        [
            *steps.CASES,
            *queues.CASES,
            *messages.CASES,
            *crashes.CASES,
            *sleepers.CASES,
            *imports.CASES,
            *processes.CASES,
        ],
        key=lambda case: int(case.number.removeprefix("P")),
    )
)
