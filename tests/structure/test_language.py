"""The source, the dashboard and the pages speak the language of the field: plain words, one name for one thing."""

from __future__ import annotations

import ast
import collections
import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

WORDS = re.compile(
    r"(?i)(?<![a-z])("
    r"doors?|house|houses|rooms?|rolls?(?! ?-?back)|enlist\w*|bury|buries|buried|burial|exhume\w*|strikes?|struck|"
    r"departures?|vitals|duty|duties|postman|timekeeper|scribe|logbook|chores?|sweeper|surveyor|couriers?|errands?|"
    r"turn_away|insists?|hasten\w*|hurry|hurries|hurried|gates?|whereabouts|verdicts?|knocks?|rehearsals?|undertaker|"
    r"desks?|nouns?|fates?|tickets?|whoever|whomever|nobody|somebody|he|him|his|himself|she|hers"
    r")(?![a-z])"
)
"""Pictures and pronouns that readers would have to learn first."""
ALLOWED = re.compile(r"(?i)there is no room|out of room|dead letters?")
NAMES = frozenset(
    [
        "one",
        "found",
        "asked",
        "known",
        "wanted",
        "told",
        "there",
        "here",
        "who",
        "HERE",
        "Place",
        "Frame",
        "Line",
        "Desk",
        "Fate",
        "Died",
        "Ticket",
        "Ask",
        "Duty",
        "Door",
        "letters",
        "talk",
        "face",
        "life",
        "lives",
        "family",
        "drift",
        "figures",
        "moments",
        "looks",
        "written",
        "later",
        "far",
        "afar",
        "apart",
        "hearing",
        "heard",
        "whole",
        "plain",
        "behind",
        "sight",
        "sought",
        "recut",
        "complain",
    ]
)
"""Identifiers that say nothing about what they hold."""
PUBLIC = {
    "src/turbine/testing/history.py": {"asked"},
    "src/turbine/errors.py": {"asked"},
    "src/turbine/engine/execution.py": {"asked"},
    "src/turbine/model/executors.py": {"here"},
    "src/turbine/queries/executors.py": {"here"},
    "src/turbine/queries/registered.py": {"here"},
    "src/turbine/model/workflows.py": {"here"},
}
"""Names of the public contract, by the file that defines them."""
OPENINGS = re.compile(r"(What|Whoever|Who|Whatever|Nobody|Somebody)\b")
"""A docstring begins with a verb or a noun phrase, not with a riddle."""
SOURCES = sorted((ROOT / "src").rglob("*.py"))
TEXTS = sorted(
    [
        *SOURCES,
        *(ROOT / "src").rglob("*.sql"),
        *(path for kind in ("*.ts", "*.tsx", "*.css") for path in (ROOT / "ui" / "src").rglob(kind)),
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "README.md",
        ROOT / "ARCHITECTURE.md",
    ]
)


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", TEXTS, ids=_name)
def test_a_text_uses_the_words_of_the_field(path: Path) -> None:
    text = ALLOWED.sub("", path.read_text(encoding="utf-8"))
    faults = [
        f"{number}: {match[0]!r} in {line.strip()[:100]}"
        for number, line in enumerate(text.splitlines(), 1)
        for match in WORDS.finditer(line)
    ]
    assert [] == faults


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_an_identifier_says_what_it_holds(path: Path) -> None:
    with io.StringIO(path.read_text(encoding="utf-8")) as source:
        tokens = list(tokenize.generate_tokens(source.readline))
    names = NAMES - PUBLIC.get(_name(path), set())
    faults = [
        f"{token.start[0]}: {token.string}" for token in tokens if token.type == tokenize.NAME and token.string in names
    ]
    assert [] == faults


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_a_docstring_says_what_a_thing_is(path: Path) -> None:
    faults: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            text = ast.get_docstring(node) or ""
            if OPENINGS.match(text):
                faults.append(f"{getattr(node, 'name', 'module')}: {text.splitlines()[0]}")
    assert [] == faults


def test_the_name_of_a_class_is_taken_once() -> None:
    places = collections.defaultdict[str, list[str]](list)
    for path in SOURCES:
        if path.parent.name == "sync":  # the blocking twins of the asynchronous classes
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(_name(path))
    assert {} == {name: paths for name, paths in places.items() if len(paths) > 1}
