"""`turbine demo` shows what it promises, its figures are true, and it leaves nothing behind."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

TURBINE = str(Path(sys.executable).with_name("turbine"))
AT_ONCE_MAX = 8
# Root reads what nobody may read, unless these two capabilities (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH) are gone.
POWERLESS = """
import ctypes, os, sys
for capability in (1, 2):
    assert ctypes.CDLL(None).prctl(24, capability, 0, 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """240 files in six folders."""
    for number in range(240):
        path = tmp_path / "folder" / str(number % 6) / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x" * number)
    return tmp_path / "folder"


def test_the_figures_of_the_report_hold(folder: Path, tmp_path: Path) -> None:
    shown = demo(tmp_path, str(folder), "--no-serve", "--json")

    assert 0 == shown.returncode, shown.stderr
    report = json.loads(shown.stdout)
    assert (240, sum(range(240)), 0) == (report["files"], report["bytes"], report["unreadable"])
    assert report["killed"] is True
    assert 120 <= report["steps_before_kill"] < 240
    assert 240 == report["steps"]
    assert report["steps_run_again"] <= report["in_flight"] <= AT_ONCE_MAX
    assert 240 + report["steps_run_again"] == report["bodies"]
    assert 0 < report["back_after_seconds"] < report["seconds"]
    assert (False, None, None, None) == tuple(report[name] for name in ("kept", "csv", "json", "database"))
    assert [] == left_behind(tmp_path)


def test_the_standard_library_is_the_default_and_the_story_is_told(tmp_path: Path) -> None:
    shown = demo(tmp_path, "--no-serve")

    assert 0 == shown.returncode, shown.stderr
    assert "" == shown.stderr
    figures = re.search(r"Steps recorded +([\d,]+) before the kill, ([\d,]+) in the end", shown.stdout)
    assert figures is not None, shown.stdout
    before, total = (int(figure.replace(",", "")) for figure in figures.groups())
    assert 300 < before < total
    for word in ("takes stock of", "SIGKILL", "goes on", "Run again", "--keep"):
        assert word in shown.stdout
    assert [] == left_behind(tmp_path)


def test_keep_leaves_the_csv_the_json_and_the_database(folder: Path, tmp_path: Path) -> None:
    shown = demo(tmp_path, str(folder), "--keep", "--json")

    report = json.loads(shown.stdout)
    with Path(report["csv"]).open(newline="") as file:
        listed = {row["path"]: row["sha256"] for row in csv.DictReader(file)}
    assert listed == {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*.txt")
    }
    assert 240 == json.loads(Path(report["json"]).read_text())["files"]
    assert Path(report["database"]).stat().st_size > 0


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_folder_with_hardly_anything_in_it_will_do(tmp_path: Path, count: int) -> None:
    (tmp_path / "folder").mkdir()
    for number in range(count):
        (tmp_path / "folder" / str(number)).write_text("x")

    shown = demo(tmp_path, str(tmp_path / "folder"), "--json")

    assert 0 == shown.returncode, shown.stderr
    report = json.loads(shown.stdout)
    assert (count, count) == (report["files"], report["steps"])
    assert count + report["steps_run_again"] == report["bodies"]


def test_settings_in_the_environment_are_for_other_programs(folder: Path, tmp_path: Path) -> None:
    settings = {"TURBINE_EXECUTOR_ID": "me", "TURBINE_DATABASE_URL": f"sqlite:///{tmp_path}/mine.db"}

    shown = demo(tmp_path, str(folder), "--json", **settings)

    assert (0, 240) == (shown.returncode, json.loads(shown.stdout)["files"])
    assert not (tmp_path / "mine.db").exists()


@pytest.mark.parametrize(("make", "reason"), [(None, "no folder"), ("file", "is a file"), ("closed", "cannot be read")])
def test_a_bad_folder_is_refused_with_exit_code_2(tmp_path: Path, make: str | None, reason: str) -> None:
    place = tmp_path / "place"
    if make == "file":
        place.write_text("x")
    elif make == "closed":
        place.mkdir(mode=0o000)
    powerless = [sys.executable, "-c", POWERLESS] if os.geteuid() == 0 else []

    shown = demo(tmp_path, str(place), "--no-serve", before=powerless)

    assert (2, "") == (shown.returncode, shown.stdout)
    assert reason in shown.stderr
    assert str(place) in shown.stderr
    assert "Traceback" not in shown.stderr
    assert [] == left_behind(tmp_path)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_whoever_ends_the_demo_ends_the_worker_too(folder: Path, tmp_path: Path, ending: signal.Signals) -> None:
    process = subprocess.Popen(
        [TURBINE, "demo", str(folder)], env=environment(tmp_path), stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        told = process.stdout.readline()
        process.send_signal(ending)
        code = process.wait(20)
        process.stdout.close()
    finally:
        process.kill()
        process.wait()

    assert 130 == code
    worker = re.match(r"Process (\d+) takes stock", told)
    assert worker is not None, told
    assert not is_alive(int(worker[1]))
    assert [] == left_behind(tmp_path)


def test_without_a_command_turbine_tells_what_there_is() -> None:
    shown = subprocess.run([TURBINE, "--help"], capture_output=True, text=True, check=False)
    assert 0 == shown.returncode
    assert "demo" in shown.stdout


def demo(
    tmp_path: Path, *arguments: str, before: Sequence[str] = (), **settings: str
) -> subprocess.CompletedProcess[str]:
    command = [*before, *([sys.executable] if before else []), TURBINE, "demo", *arguments]
    return subprocess.run(
        command, env=environment(tmp_path) | settings, capture_output=True, text=True, check=False, timeout=50
    )


def environment(tmp_path: Path) -> dict[str, str]:
    """Temporary folders of its own, so that the test sees what is left."""
    (tmp_path / "temporary").mkdir(exist_ok=True)
    return {**os.environ, "TMPDIR": str(tmp_path / "temporary"), "COLUMNS": "100"}


def left_behind(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "temporary").iterdir())


def is_alive(pid: int) -> bool:
    # The demo has waited for its child, so no zombie answers; another process of ours may get the number only later.
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
