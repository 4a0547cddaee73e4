"""The documentation does what it shows: every Python block runs, and prints what the block below it says.

A block is a program of its own, run in an empty folder as a reader would run it. A `text` block right after it is its
whole output. A block whose runtime names no database runs on Postgres too, told by the environment, as readers do it.
What the pages point at (files, sections, tests) is there.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

import pytest
import typer
from typer.core import TyperGroup

import turbine
from turbine.cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "docs/guide.md", "docs/from-go.md")
MORE_PAGES = ("ARCHITECTURE.md", "docs/limits.md", "docs/benchmarks.md")
PATIENCE_SECONDS = 120

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^turbine .+$|`(turbine [a-z][^`]*)`", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)#:]*)(?:#([^)]*))?\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_TEST = re.compile(r"\btest_\w+\b(?!\.py)")


class Block(NamedTuple):
    """A program in a page, and what it prints; None when the page does not say."""

    page: str
    line: int
    program: str
    output: str | None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(page: str) -> list[Block]:
    text = (ROOT / page).read_text(encoding="utf-8")
    fences = list(_FENCE.finditer(text))
    blocks: list[Block] = []
    for index, fence in enumerate(fences):
        if fence[1] != "python":
            continue
        after = fences[index + 1] if index + 1 < len(fences) else None
        is_output = after is not None and after[1] == "text" and not text[fence.end() : after.start()].strip()
        line = text.count("\n", 0, fence.start()) + 2
        blocks.append(Block(page, line, fence[2], after[2] if after is not None and is_output else None))
    return blocks


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
PORTABLE = [block for block in BLOCKS if "Runtime(" in block.program and "sqlite:" not in block.program]


def run(block: Block, folder: Path, **settings: str) -> None:
    program = folder / "program.py"
    program.write_text(block.program, encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-W", "error", program.name],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith("TURBINE_")} | settings,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert 0 == ended.returncode, ended.stdout + ended.stderr
    if block.output is not None:
        assert block.output == ended.stdout, ended.stderr


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_block_of_the_documentation_runs_and_prints_what_it_says(block: Block, tmp_path: Path) -> None:
    run(block, tmp_path)


@pytest.mark.postgres
@pytest.mark.parametrize("block", PORTABLE, ids=str)
def test_a_block_that_names_no_database_runs_on_postgres_too(block: Block, tmp_path: Path, postgres_url: str) -> None:
    run(block, tmp_path, TURBINE_DATABASE_URL=postgres_url)


@pytest.mark.parametrize("page", ["docs/guide.md", "examples/README.md"])
def test_every_command_that_a_page_shows_is_understood(page: str) -> None:
    found = _COMMAND.finditer((ROOT / page).read_text(encoding="utf-8"))
    commands = [shlex.split(match[1] or match[0], comments=True)[1:] for match in found]
    assert commands
    for words in commands:
        understand(words)


def understand(words: list[str]) -> None:
    """Read a command as `turbine` does, without carrying it out; click's error tells what is wrong with it."""
    command = typer.main.get_command(app)
    while isinstance(command, TyperGroup):
        if not words:
            return  # a noun, spoken of as a whole
        name, *words = words
        command = command.get_command(typer.Context(command), name)
        assert command is not None, name
    command.make_context(command.name, words)


def test_the_guide_names_every_setting() -> None:
    text = (ROOT / "docs/guide.md").read_text(encoding="utf-8")
    section = text.partition("\n## Settings\n")[2].partition("\n## ")[0]
    told = {name for row in re.findall(r"^\|(.*?)\|", section, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert {field.name for field in fields(turbine.Config)} | {"database"} == told


@pytest.mark.parametrize("page", PAGES)
def test_every_page_has_blocks_and_they_are_all_found(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert 0 < text.count("\n```python\n") == len(blocks_of(page))


def test_some_blocks_run_on_both_databases() -> None:
    assert PORTABLE


@pytest.mark.parametrize("page", [*PAGES, *MORE_PAGES])
def test_what_a_page_links_to_is_there(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for path, section in _LINK.findall(_FENCE.sub("", text)):
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), f"{page} links to {path}"
        if section:
            assert section in anchors_of(target), f"{page} links to {path}#{section}"


@pytest.mark.parametrize("page", [*PAGES, *MORE_PAGES])
def test_every_test_that_a_page_names_exists(page: str) -> None:
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    named = set(_TEST.findall((ROOT / page).read_text(encoding="utf-8")))
    assert set() == {name for name in named if f"def {name}(" not in tests}


def anchors_of(page: Path) -> set[str]:
    """The names that a renderer gives to the headings of a page."""
    headings = _HEADING.findall(page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
