"""The command as a process of its own: exit codes, pipes, signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from importlib.metadata import version

from shop_service import Service, mailbox, order

TURBINE = [sys.executable, "-c", "from turbine.cli import main; main()"]


def turbine(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*TURBINE, *arguments], capture_output=True, text=True, timeout=30, check=False)


def test_the_version_is_told() -> None:
    told = turbine("--version")
    assert (0, f"turbine {version('turbine-workflows')}\n") == (told.returncode, told.stdout)


def test_every_command_explains_itself() -> None:
    help_ = turbine("--help")
    assert 0 == help_.returncode
    words = (
        "list show steps tail logs cancel resume release fork trigger approve send queues schedules kv backup doctor"
        " migrate"
    )
    for command in words.split():
        assert f"\n  {command} " in help_.stdout


def test_characters_that_the_output_has_no_code_for_are_escaped(service: Service) -> None:
    service.finish(order.options(id="Größe ☃"), 1)
    arguments = ["list", "--database", service.database_url]
    told = subprocess.run(
        [*TURBINE, *arguments],
        capture_output=True,
        timeout=120,
        check=False,
        env=os.environ | {"PYTHONIOENCODING": "cp1252"},  # as in a pipe on Windows
    )
    assert (0, b"") == (told.returncode, told.stderr)
    assert "Größe \\u2603" in told.stdout.decode("cp1252")


def test_what_is_no_command_is_the_callers_mistake() -> None:
    for arguments in (["unheard-of"], ["show"], ["list", "--limit", "many"], ["schedules", "unheard-of"]):
        told = turbine(*arguments)
        assert (2, "") == (told.returncode, told.stdout)
        assert "Traceback" not in told.stderr


def test_json_alone_is_on_stdout_and_nothing_on_stderr(service: Service) -> None:
    service.finish(order.options(id="bad"), -1)
    told = turbine("show", "bad", "--json", "--database", service.database_url)
    assert (0, "") == (told.returncode, told.stderr)
    assert told.stdout.startswith("{")


def test_a_reader_that_goes_away_early_sees_no_traceback(service: Service) -> None:
    async def start_many() -> None:
        for number in range(300):
            await service.rt.run(order.options(id=f"many-{number}", delay=3600), 1)

    service.do(start_many())
    for form in ([], ["--json"]):
        command = [*TURBINE, "list", "--limit", "300", "--database", service.database_url, *form]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.read(1)
            process.stdout.close()
            assert "" == process.stderr.read()


def test_a_tail_that_is_interrupted_ends_without_a_traceback_and_the_run_goes_on(service: Service) -> None:
    service.run(mailbox.options(id="open"))
    command = [*TURBINE, "tail", "open", "--follow", "--database", service.database_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        while "PENDING" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert "Traceback" not in process.stderr.read()
        assert 0 != process.wait(120)
    service.do(service.rt.send("open", "hello", "news"))
    assert "hello" == service.result("open")
