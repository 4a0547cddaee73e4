"""The examples do what they show: each runs in an empty folder, ends by itself, and prints what stands at its end.

Each runs twice in the same folder, because readers do: what the first life has left in the database must not matter.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
PATIENCE_SECONDS = 120
INVENTORY = "inventory.py"
"""Looks at other people's files, so what it prints is not known before; it has a test of its own."""
PROGRAMS = sorted(path.name for path in EXAMPLES.glob("*.py") if path.name != INVENTORY)
MARK = "\n# Prints:\n"


def printed_by(program: str) -> str:
    """What an example says that it prints: the comments after the mark, to the end of the file."""
    _, mark, block = (EXAMPLES / program).read_text(encoding="utf-8").partition(MARK)
    assert mark, f"{program} has no block {MARK.strip()!r}"
    lines = block.splitlines()
    assert all(line.startswith("# ") for line in lines), f"{program} goes on after its block"
    return "".join(f"{line[2:]}\n" for line in lines)


def run(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / program],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith("TURBINE_")},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_example_prints_what_it_says_and_again_when_it_is_run_again(program: str, tmp_path: Path) -> None:
    expected = printed_by(program)

    for _ in range(2):
        ended = run(program, tmp_path)

        assert (0, expected) == (ended.returncode, ended.stdout), ended.stderr
        assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_example_says_what_it_shows_and_how_to_run_it(program: str) -> None:
    told = ast.get_docstring(ast.parse((EXAMPLES / program).read_text(encoding="utf-8")))
    assert told is not None
    assert f"python examples/{program}" in told


def test_the_list_of_examples_is_the_folder() -> None:
    listed = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    missing = [name for name in [*PROGRAMS, INVENTORY] if f"| [`{name}`]({name}) |" not in listed]
    assert [] == missing
    assert len(PROGRAMS) + 1 == sum(line.startswith("| [`") for line in listed.splitlines())
