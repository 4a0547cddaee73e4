"""`turbine demo` shows what it promises, its figures are true, its dashboard works, and it leaves nothing behind."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

TURBINE = str(Path(sys.executable).with_name("turbine"))
AT_ONCE_MAX = 8
STATUSES = ("SUCCESS", "ERROR", "CANCELLED", "WAITING_FOR_APPROVAL", "ENQUEUED", "PENDING")
ACCESS = ("Dashboard", "E-mail", "Password")
ORDER = {"number": 7, "customer": "ada@example.com", "items": [{"article": "lamp"}]}
# Root reads what nobody may read, unless these two capabilities (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH) are gone.
POWERLESS = """
import ctypes, os, sys
for capability in (1, 2):
    assert ctypes.CDLL(None).prctl(24, capability, 0, 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""
UNBUILT = """
from pathlib import Path
from turbine.http import dashboard
dashboard.FOLDER = Path("/nowhere")
dashboard.Dashboard.__init__.__defaults__ = (dashboard.FOLDER,)
from turbine.cli import main
main()
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
    shown = demo(tmp_path, str(folder), "--no-serve", "--keep", "--json")

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

    shown = demo(tmp_path, str(tmp_path / "folder"), "--no-serve", "--json")

    assert 0 == shown.returncode, shown.stderr
    report = json.loads(shown.stdout)
    assert (count, count) == (report["files"], report["steps"])
    assert count + report["steps_run_again"] == report["bodies"]


def test_settings_in_the_environment_are_for_other_programs(folder: Path, tmp_path: Path) -> None:
    settings = {"TURBINE_EXECUTOR_ID": "me", "TURBINE_DATABASE_URL": f"sqlite:///{tmp_path}/mine.db"}

    shown = demo(tmp_path, str(folder), "--no-serve", "--json", **settings)

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


def test_without_a_temporary_folder_the_demo_says_what_to_set(folder: Path, tmp_path: Path) -> None:
    program = "import tempfile; tempfile.tempdir = '/nowhere'; from turbine.cli import main; main()"
    shown = subprocess.run(
        [sys.executable, "-c", program, "demo", str(folder), "--no-serve"], capture_output=True, text=True, check=False
    )
    assert (2, "") == (shown.returncode, shown.stdout)
    assert "set TMPDIR" in shown.stderr
    assert "Traceback" not in shown.stderr


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_whoever_ends_the_demo_ends_the_worker_too(folder: Path, tmp_path: Path, ending: signal.Signals) -> None:
    process = subprocess.Popen(
        [TURBINE, "demo", str(folder)], env=environment(tmp_path), stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        told = process.stdout.readline()
        process.send_signal(ending)
        code = process.wait(120)
        process.stdout.close()
    finally:
        process.kill()
        process.wait()

    assert 130 == code
    worker = re.match(r"Process (\d+) takes stock", told)
    assert worker is not None, told
    assert not is_alive(int(worker[1]))
    assert [] == left_behind(tmp_path)


def test_the_dashboard_shows_a_shop_to_whom_the_demo_names(folder: Path, tmp_path: Path) -> None:
    with serving(tmp_path, str(folder), "--port", "0", "--json") as process:
        told = read_report(process)
        with signed_in(told["address"], told["email"], told["password"]) as api:
            counts = {status: count(api, status=status) for status in STATUSES}
            inventory = api.get("workflows", params={"name": "take_inventory"}).json()["items"][0]
            called = api.get("workflows/prices-Acme-1/steps").json()["items"][0]
            products = api.get("products", params={"workflow_id": "order-1001"}).json()["items"]
            (queue,) = [item for item in api.get("queues").json()["items"] if item["name"] == "emails"]
            schedules = api.get("schedules").json()["items"]
            gate = api.post(
                "workflows/deploy-shop-2.2/approve",
                json={"approved": True, "data": {"strategy": "canary", "percent": 0}},
            )
            released = api.post(
                "workflows/deploy-shop-2.2/approve", json={"approved": True, "data": {"strategy": "canary"}}
            )
            placed = api.post("trigger", json={"name": "place_order", "input": ORDER})
        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(120)

    assert 240 == told["files"]
    assert 300 < sum(counts.values())
    assert [] == [status for status, number in counts.items() if number == 0]
    assert ("SUCCESS", 2) == (inventory["status"], inventory["attempts"])
    assert 3 == len(called["attempts"])
    assert [("invoice-1001.txt", "stored")] == [(product["file_name"], product["status"]) for product in products]
    assert {"limit": 60, "per": 60} == queue["rate_limit"]
    assert ["* * * * *"] == [schedule["cron_expression"] for schedule in schedules]
    assert (422, 200, 201) == (gate.status_code, released.status_code, placed.status_code)
    assert [] == left_behind(tmp_path)


def test_plain_lines_say_where_the_dashboard_is_and_what_stays(folder: Path, tmp_path: Path) -> None:
    with serving(tmp_path, str(folder), "--port", "0", "--keep") as process:
        told = read_until(process, "database ")
        address, email, password = (re.search(rf"^{name} +(\S+)$", told, re.MULTILINE) for name in ACCESS)
        assert address, told
        assert email, told
        assert password, told
        with signed_in(address[1], email[1], password[1]) as api:
            assert 4 == count(api, status="WAITING_FOR_APPROVAL")
        process.send_signal(signal.SIGINT)
        assert 0 == process.wait(120)

    assert "not built" not in told
    assert "\x1b" not in told
    (place,) = left_behind(tmp_path)
    assert f"{place / 'inventory.db'}\n" in told
    assert (place / "inventory.csv").exists()


def test_without_a_built_dashboard_the_api_answers_and_the_way_to_build_it_is_told(
    folder: Path, tmp_path: Path
) -> None:
    before = [sys.executable, "-c", UNBUILT]
    with serving(tmp_path, str(folder), "--port", "0", command=before) as process:
        told = read_until(process, "Ctrl-C ends it.")
        address, email, password = (re.search(rf"^{name} +(\S+)$", told, re.MULTILINE) for name in ACCESS)
        assert address, told
        assert email, told
        assert password, told
        page = httpx.get(address[1])
        with signed_in(address[1], email[1], password[1]) as api:
            assert 4 == count(api, status="WAITING_FOR_APPROVAL")
        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(120)

    assert "The dashboard is not built" in told
    assert "npm run build" in told
    assert 503 == page.status_code
    assert [] == left_behind(tmp_path)


def test_a_port_that_is_taken_is_refused_before_the_work_begins(folder: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        shown = demo(tmp_path, str(folder), "--port", str(port))

    assert (2, "") == (shown.returncode, shown.stdout)
    assert str(port) in shown.stderr
    assert "--port" in shown.stderr
    assert [] == left_behind(tmp_path)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_whoever_ends_the_demo_while_the_shop_is_at_work_finds_nothing_left(
    folder: Path, tmp_path: Path, ending: signal.Signals
) -> None:
    with serving(tmp_path, str(folder), "--port", "0") as process:
        read_until(process, "Time ")
        process.send_signal(ending)
        assert 130 == process.wait(120)

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
        command, env=environment(tmp_path) | settings, capture_output=True, text=True, check=False, timeout=120
    )


@contextmanager
def serving(tmp_path: Path, *arguments: str, command: Sequence[str] = (TURBINE,)) -> Generator[subprocess.Popen[str]]:
    """A demo that serves its dashboard; killed in the end if it still runs. Whatever it says on stderr is a fault."""
    errors = tmp_path / "errors.txt"
    with errors.open("w") as stderr:
        process = subprocess.Popen(
            [*command, "demo", *arguments],
            env=environment(tmp_path),
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
    assert "" == errors.read_text()


def read_until(process: subprocess.Popen[str], start: str) -> str:
    """What the demo prints, up to the line that starts like this."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith(start):
            break
    return "".join(lines)


def read_report(process: subprocess.Popen[str]) -> dict[str, Any]:
    return json.loads(read_until(process, "}"))


@contextmanager
def signed_in(address: str, email: str, password: str) -> Generator[httpx.Client]:
    """A client of the API that has signed in as the demo says."""
    with httpx.Client(base_url=f"{address.removesuffix('/_/turbine/')}/api/pt") as api:
        answer = api.post("login", json={"email": email, "password": password})
        assert 200 == answer.status_code, answer.text
        api.headers["X-CSRF-Token"] = answer.json()["csrf"]
        yield api


def count(api: httpx.Client, **filters: str) -> int:
    return api.get("workflows/count", params=filters).json()["count"]


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
