"""The example does its job: its files are right, and a kill in the middle costs only what was in hand.

The example runs as its readers run it: a process of its own, started with a command line.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from turbine import Runtime

EXAMPLE = Path(__file__).parents[2] / "examples" / "inventory.py"
AT_ONCE_MAX = 8
# Root reads what nobody may read, unless these two capabilities (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH) are gone.
POWERLESS = """
import ctypes, os, sys
for capability in (1, 2):
    assert ctypes.CDLL(None).prctl(24, capability, 0, 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_an_inventory_has_every_file_with_its_size_and_hash(tmp_path: Path, database_url: str) -> None:
    folder = tmp_path / "folder"
    contents = {
        "empty": b"",
        "large.bin": bytes(range(256)) * 8192,
        "deep/er/est.txt": b"at the bottom",
        "deep/name, with\n\"things\".txt": b"to be quoted",
        "grüße/☃.txt": b"not ASCII",
    }  # fmt: skip
    fill(folder, contents)

    run(folder, tmp_path / "out", database_url)

    expected = [[path, str(len(contents[path])), sha256(contents[path]), "added"] for path in contents]
    assert sorted(expected) == sorted(rows(tmp_path / "out"))
    summary = read_summary(tmp_path / "out")
    assert (5, sum(map(len, contents.values())), 5) == (summary["files"], summary["bytes"], summary["added"])
    assert not list((tmp_path / "out").glob("*.part"))


def test_links_and_pipes_are_passed_over(tmp_path: Path, sqlite_url: str) -> None:
    folder = tmp_path / "folder"
    fill(folder, {"real/file": b"once"})
    (folder / "link").symlink_to(folder / "real" / "file")
    (folder / "folder link").symlink_to(folder / "real")
    (folder / "around").symlink_to(folder)
    os.mkfifo(folder / "pipe")

    run(folder, tmp_path / "out", sqlite_url)

    assert ["real/file"] == [path for path, *_ in rows(tmp_path / "out")]


def test_what_has_become_a_link_since_it_was_listed_is_not_followed(tmp_path: Path) -> None:
    example = load_example()
    (tmp_path / "secret").write_text("elsewhere")
    (tmp_path / "file").symlink_to(tmp_path / "secret")

    entry = example.hash_file.fn(example.Job(folder=tmp_path, out=tmp_path / "out"), "file")

    assert (None, True) == (entry.sha256, bool(entry.error))


def test_a_second_inventory_tells_what_changed(tmp_path: Path, database_url: str) -> None:
    folder, out = tmp_path / "folder", tmp_path / "out"
    fill(folder, {"same": b"1", "other": b"2", "gone": b"3"})
    run(folder, out, database_url)

    fill(folder, {"other": b"two", "new": b"4"})
    (folder / "gone").unlink()
    run(folder, out, database_url)

    assert {"same": "unchanged", "other": "changed", "new": "added"} == {row[0]: row[3] for row in rows(out)}
    summary = read_summary(out)
    assert (1, 1, 1, ["gone"]) == tuple(summary[name] for name in ("unchanged", "changed", "added", "removed"))


def test_its_own_folder_is_not_part_of_the_inventory(tmp_path: Path, sqlite_url: str) -> None:
    fill(tmp_path / "folder", {"file": b"1"})
    for _ in range(2):
        run(tmp_path / "folder", tmp_path / "folder" / "inventory", sqlite_url)
    assert ["file"] == [path for path, *_ in rows(tmp_path / "folder" / "inventory")]


def test_what_cannot_be_read_is_listed_with_its_error_and_is_not_lost(tmp_path: Path, sqlite_url: str) -> None:
    folder, out = tmp_path / "folder", tmp_path / "out"
    fill(folder, {"open": b"1", "closed": b"2", "closed folder/inside": b"3"})
    (folder / os.fsdecode(b"l\xe4tin")).write_bytes(b"4")
    run(folder, out, sqlite_url)

    (folder / "closed").chmod(0)
    (folder / "closed folder").chmod(0)
    try:
        run(folder, out, sqlite_url, before=[sys.executable, "-c", POWERLESS] if os.geteuid() == 0 else [])
    finally:
        (folder / "closed folder").chmod(0o700)
    summary = read_summary(out)
    assert {
        "closed": "Permission denied",
        "closed folder": "Permission denied",
        r"l\xe4tin": "the name is not UTF-8",
    } == summary["unreadable"]
    assert [["closed", "", "", "unreadable"], ["open", "1", sha256(b"1"), "unchanged"]] == rows(out)
    assert [] == summary["removed"]

    (folder / "closed").chmod(0o600)
    run(folder, out, sqlite_url)
    assert {"unchanged"} == {row[3] for row in rows(out)}


def test_an_inventory_that_was_killed_hashes_only_what_was_in_hand_again(tmp_path: Path, database_url: str) -> None:
    folder, out, journal = tmp_path / "folder", tmp_path / "out", tmp_path / "journal.txt"
    contents = {f"{number % 7}/{number}": str(number).encode() for number in range(350)}
    fill(folder, contents)
    command = [sys.executable, str(EXAMPLE), str(folder), "--out", str(out), "--database", database_url]

    with (tmp_path / "log").open("wb") as log:
        first = subprocess.Popen([*command, "--journal", str(journal), "--pace", "0.01"], stdout=log, stderr=log)
        try:
            while len(begun(journal)) < 150:
                assert first.poll() is None, (tmp_path / "log").read_text()
                time.sleep(0.005)
        finally:
            first.kill()
            first.wait()
    in_first_life = begun(journal)
    recorded = asyncio.run(recorded_paths(database_url))
    second = subprocess.run(command, capture_output=True, text=True, check=True)

    assert recorded <= set(in_first_life)
    assert 100 <= len(recorded) < len(contents)
    again = begun(journal)[len(in_first_life) :]
    assert set() == recorded & set(again)
    assert sorted(contents.keys() - recorded) == sorted(again)
    assert len(in_first_life) - len(recorded) <= AT_ONCE_MAX
    assert "under way" in second.stdout
    expected = [[path, str(len(data)), sha256(data), "added"] for path, data in contents.items()]
    assert sorted(expected) == sorted(rows(out))


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    refused = subprocess.run(
        [sys.executable, EXAMPLE, tmp_path / "nowhere"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (2, True) == (refused.returncode, "nowhere is not a folder" in refused.stderr)
    assert [] == list(tmp_path.iterdir())


def fill(folder: Path, contents: dict[str, bytes]) -> None:
    for name, data in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def run(folder: Path, out: Path, url: str, *, before: Sequence[str] = ()) -> None:
    command = [*before, sys.executable, str(EXAMPLE), str(folder), "--out", str(out), "--database", url]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def rows(out: Path) -> list[list[str]]:
    with (out / "inventory.csv").open(encoding="utf-8", newline="") as file:
        header, *listed = csv.reader(file)
    assert ["path", "size", "sha256", "changed"] == header
    return listed


def read_summary(out: Path) -> dict[str, Any]:
    return json.loads((out / "inventory.json").read_text(encoding="utf-8"))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def begun(journal: Path) -> list[str]:
    return [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()] if journal.exists() else []


async def recorded_paths(url: str) -> set[str]:
    """The files whose hash is recorded, as anybody may see through a runtime that does not know the workflow."""
    paths: set[str] = set()
    async with Runtime(url) as rt:
        for batch in (await rt.list(name="hash_batch")).items:
            steps = await rt.steps(batch.workflow_id)
            paths |= {step.output["path"] for step in steps if step.ended_at is not None}
    return paths


def load_example() -> Any:
    spec = importlib.util.spec_from_file_location("inventory_example", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[spec.name]
    return module
