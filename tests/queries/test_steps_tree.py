"""The graph of a run, from positions and times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from turbine.model.steps import StepInfo
from turbine.model.workflows import WorkflowStatus
from turbine.queries.steps_tree import build_tree

BEGIN = datetime(2026, 3, 27, tzinfo=UTC)


def graph(*steps: tuple[str, int, int | None], status: str = "SUCCESS") -> set[tuple[str, str]]:
    """The edges by position, of steps given as (position, began, ended) in milliseconds."""
    infos = [
        StepInfo(
            workflow_id="w",
            function_id=number,
            function_name=f"step at {position}",
            position=position,
            output=None,
            error=None,
            started_at=BEGIN + timedelta(milliseconds=began),
            ended_at=None if ended is None else BEGIN + timedelta(milliseconds=ended),
        )
        for number, (position, began, ended) in enumerate(steps)
    ]
    shown = build_tree(WorkflowStatus(status), None, infos, {})
    names = {node.id: node.position or "result" for node in shown.nodes}
    return {(names[edge.source], names[edge.target]) for edge in shown.edges}


def test_steps_after_one_another_make_a_chain_also_within_one_millisecond() -> None:
    assert {("0", "1"), ("1", "2"), ("2", "result")} == graph(("0", 0, 0), ("1", 0, 0), ("2", 0, 1))


def test_two_forks_meet_before_the_next_step() -> None:
    edges = graph(("0", 0, 1), ("1", 1, 5), ("2", 1, 6), ("3", 6, 7), ("4", 7, 9), ("5", 7, 8))
    assert {
        ("0", "1"),
        ("0", "2"),
        ("1", "3"),
        ("2", "3"),
        ("3", "4"),
        ("3", "5"),
        ("4", "result"),
        ("5", "result"),
    } == edges


def test_a_step_before_three_side_by_side_and_one_after() -> None:
    edges = graph(("0", 0, 1), ("1", 1, 5), ("2", 1, 6), ("3", 2, 6), ("4", 6, 7))
    assert 7 == len(edges)
    assert {("0", "3"), ("3", "4"), ("4", "result")} < edges


def test_branches_of_a_gather_run_side_by_side_whatever_the_clock_says() -> None:
    edges = graph(("0", 0, 0), ("1.0.0", 0, 0), ("1.0.1", 0, 0), ("1.1.0", 0, 0), ("2", 0, 0))
    before = {("0", "1.0.0"), ("0", "1.1.0"), ("1.0.0", "1.0.1")}
    assert before | {("1.0.1", "2"), ("1.1.0", "2"), ("2", "result")} == edges


def test_a_task_runs_beside_what_its_maker_does_meanwhile() -> None:
    edges = graph(("0", 0, 1), ("1t0.0", 1, 9), ("1", 1, 2), ("2", 9, 10))
    assert {("0", "1t0.0"), ("0", "1"), ("1t0.0", "2"), ("1", "2"), ("2", "result")} == edges


def test_what_is_not_over_is_followed_by_nothing_but_the_end() -> None:
    assert {("0", "result"), ("1", "result")} == graph(("0", 0, None), ("1", 1, 2), status="PENDING")


def test_a_run_without_steps_has_its_end_only() -> None:
    assert set() == graph()
    shown = build_tree(WorkflowStatus.CANCELLED, None, [], {})
    assert [("result", "cancelled")] == [(node.id, node.status) for node in shown.nodes]


@pytest.mark.parametrize("count", [10_000])
def test_a_run_with_very_many_steps_is_cut_and_says_so(count: int) -> None:
    info = StepInfo("w", 0, "s", "0", None, None, BEGIN, BEGIN)
    steps = [
        StepInfo("w", number, "s", str(number), None, None, info.started_at, info.ended_at) for number in range(count)
    ]
    shown = build_tree(WorkflowStatus.SUCCESS, None, steps, {})
    assert (1001, True) == (len(shown.nodes), shown.truncated)
    assert 1000 == len(shown.edges)
