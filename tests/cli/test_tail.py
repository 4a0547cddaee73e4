"""`turbine tail` and `turbine logs`: what a run says and does, in order."""

from __future__ import annotations

import json
import subprocess
import sys

from shop_service import Cli, Service, mailbox, order

TURBINE = [sys.executable, "-c", "from turbine.cli import main; main()"]


def flush(service: Service) -> None:
    """Log records are written behind a run; a list waits for those of its own process."""
    service.do(service.rt.logs.list(limit=1))


def test_a_tail_tells_steps_logs_and_the_end_in_order(cli: Cli, service: Service) -> None:
    service.finish(order.options(id="done"), 1)
    flush(service)
    answer = cli("tail", "done", "--json")
    assert 0 == answer.code
    told = [(one["kind"], one.get("event") or one.get("message") or one.get("status")) for one in answer.lines]
    assert [
        ("step", "started"),
        ("log", "charging 1"),
        ("step", "done"),
        ("step", "started"),
        ("step", "done"),
        ("status", "SUCCESS"),
    ] == told
    assert sorted(one["at"] for one in answer.lines) == [one["at"] for one in answer.lines]


def test_the_tail_of_a_failed_run_ends_with_exit_code_1(cli: Cli, service: Service) -> None:
    service.finish(order.options(id="bad"), -1)
    flush(service)
    answer = cli("tail", "bad")
    assert 1 == answer.code
    assert "step 0 charge attempt 1 failed: ValueError: -1 is no amount" in answer.out
    assert "INFO     [0] charging -1" in answer.out
    assert "ERROR: MaxStepRetriesExceeded" in answer.out.splitlines()[-1]


def test_the_tail_of_an_open_run_ends_at_once_unless_it_follows(cli: Cli, service: Service) -> None:
    service.run(mailbox.options(id="open"))
    answer = cli("tail", "open")
    assert 0 == answer.code
    assert "PENDING" in answer.out


def test_a_tail_follows_a_run_to_its_end(service: Service) -> None:
    service.run(mailbox.options(id="open"))
    command = [*TURBINE, "tail", "open", "--follow", "--json", "--database", service.database_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        seen = [json.loads(process.stdout.readline())]
        while seen[-1]["kind"] != "status":
            seen.append(json.loads(process.stdout.readline()))
        assert "PENDING" == seen[-1]["status"]
        service.do(service.rt.send("open", "hello", "news"))
        rest = [json.loads(line) for line in process.stdout]
        assert 0 == process.wait(120)
    assert [("step", "done"), ("status", None)] == [(one["kind"], one.get("event")) for one in rest]
    assert "hello" == rest[-1]["told"]


def test_a_resumed_run_tells_of_its_second_try_too(cli: Cli, service: Service) -> None:
    service.finish(order.options(id="bad"), -1)
    service.do(service.rt.resume("bad"))
    service.wait_for("bad", "ERROR")
    flush(service)
    messages = [one["message"] for one in cli("tail", "bad", "--json").lines if one["kind"] == "log"]
    assert ["charging -1"] * 4 == messages


def test_logs_of_all_runs_are_filtered_and_the_newest_comes_last(cli: Cli, service: Service) -> None:
    service.finish(order.options(id="one"), 1)
    service.finish(order.options(id="two"), 2)
    flush(service)
    lines = cli("logs").out.splitlines()
    assert ["one: charging 1", "two: charging 2"] == [line.partition("] ")[2] for line in lines]
    assert 1 == len(cli("logs", "--limit", "1").out.splitlines())
    assert ["charging 2"] == [one["message"] for one in cli("logs", "two", "--json").json["items"]]
    assert "" == cli("logs", "--level", "ERROR").out
    assert 2 == cli("logs", "--level", "LOUD").code
