"""L5: death before or after any write, then recovery, ends in the same rows as an undisturbed life."""

from __future__ import annotations

from typing import Any

import pytest
import shapes

from turbine.testing import crash_everywhere

QUICK = {
    "sqlite": {
        "approval_by_another_run",
        "blocking_tasks",
        "a_branch_that_fails",
        "broken_off_in_a_group",
        "deduplicated_child",
        "hopeless_retries",
        "products",
        "question_and_answer",
        "values",
    },
    "postgres": {"helpful_retries", "message_to_itself"},
}
"""What is tried each time; the others with --long."""
ALL = [
    pytest.param(kind, shape, id=f"{kind}-{shape.name}", marks=() if shape.name in quick else pytest.mark.slow)
    for kind, quick in QUICK.items()
    for shape in shapes.SHAPES
]


@pytest.mark.crash
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("kind", "shape"), ALL)
async def test_a_death_at_any_write_changes_no_row(request: pytest.FixtureRequest, kind: str, shape: Any) -> None:
    url = request.getfixturevalue(f"{kind}_url")
    # A queue that nobody uses is looked at all the same, and each look would be one more place to die.
    prepare = shapes.prepare if shape.name.startswith(("queued", "keyed")) else None
    report = await crash_everywhere(shape, database=url, prepare=prepare)
    assert report.crash_points >= 4  # its start and its end, each before and after
    assert () == report.differences


def test_the_quick_ones_exist() -> None:
    names = {shape.name for shape in shapes.SHAPES}
    assert set() == {name for quick in QUICK.values() for name in quick} - names
    assert len(names) >= 40
