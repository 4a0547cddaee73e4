"""Commands about runs give the same answers at a database and at a server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from shop_service import Cli, Service, gate, mailbox, order

from turbine import Runtime
from turbine.testing import History


def test_a_list_shows_the_runs_that_pass_every_filter_newest_first(cli: Cli, service: Service) -> None:
    service.finish(order.options(id="good", queue="narrow"), 1)
    service.finish(order.options(id="bad"), -1)
    service.run(mailbox.options(id="open", tags=["later"]))

    def ids(*filters: str) -> list[str]:
        return [run["workflow_id"] for run in cli("list", "--json", *filters).json["items"]]

    assert ["open", "bad", "good"] == ids()
    assert ["bad"] == ids("--status", "error")
    assert ["open", "bad"] == ids("--status", "PENDING", "--status", "ERROR")
    assert ["good"] == ids("--name", "order", "--queue", "narrow")
    assert ["bad", "good"] == ids("--tag", "shop")
    assert ["bad"] == ids("--search", "no amount")
    assert ["open", "bad", "good"] == ids("--since", "1h")
    assert [] == ids("--since", "2099-01-01T00:00:00Z")


def test_a_list_ends_at_its_limit_and_says_how_to_go_on(cli: Cli, service: Service) -> None:
    for _ in range(3):
        service.finish(order, 1)
    shown = cli("list", "--limit", "2", "--json").json
    assert 2 == len(shown["items"])
    assert shown["next_cursor"] is not None
    assert cli("list", "--limit", "3", "--json").json["next_cursor"] is None


def test_a_limit_above_the_largest_page_is_kept(cli: Cli, service: Service) -> None:
    async def start_many() -> None:
        for number in range(501):
            await service.rt.run(order.options(id=f"many-{number}", delay=3600), 1)

    service.do(start_many())
    assert 501 == len(cli("list", "--limit", "600", "--json").json["items"])


def test_a_table_has_whole_ids_and_no_payloads_are_listed(cli: Cli, service: Service) -> None:
    workflow_id = service.finish(order.options(id="an-id-that-is-longer-than-any-column-should-be-" + "x" * 60), 1)
    table = cli("list").out
    assert workflow_id in table
    assert "SUCCESS" in table
    (run,) = cli("list", "--json").json["items"]
    assert not {"input", "output"} & run.keys()


def test_show_tells_all_of_a_run_and_why_it_waits(cli: Cli, service: Service) -> None:
    service.run(mailbox.options(id="open"))
    service.wait_for("open", "PENDING")
    service.finish(order.options(id="done"), 7)

    done = cli("show", "done", "--json").json
    assert {"args": [7], "kwargs": {}} == done["input"]
    assert "shipped: charged 7" == done["output"]
    assert "finished" == done["explanation"]["reason"]
    assert done["created_at"].endswith("Z")
    assert 0 <= done["duration"] < 30
    assert "shipped: charged 7" in cli("show", "done").out
    assert "PENDING" in cli("show", "open").out


def test_both_doors_show_the_same(service: Service) -> None:
    from shop_service import invoke

    service.finish(order.options(id="done"), 1)
    service.finish(order.options(id="bad"), -1)
    here = ["--database", service.database_url, "--json"]
    there = ["--server", service.url, "--token", service.token, "--json"]
    for command in (["list"], ["show", "bad"], ["steps", "done"], ["steps", "bad"], ["logs", "done"], ["queues"]):
        assert _known(invoke(*command, *there).json) == _known(invoke(*command, *here).json), command


def _known(document: Any) -> Any:
    """A document without figures that depend on when they were taken, and without the tracebacks that only one has."""
    if isinstance(document, list):
        return [_known(one) for one in document]
    if isinstance(document, dict):
        left_out = {"throughput_per_minute", "traceback"}
        return {name: _known(one) for name, one in document.items() if name not in left_out}
    return document


def test_an_unknown_run_is_one_line_on_stderr_and_exit_code_1(cli: Cli) -> None:
    for command in ("show", "steps", "tail", "cancel", "resume", "fork", "approve"):
        answer = cli(command, "nobody")
        assert 1 == answer.code, command
        assert "" == answer.out
        assert answer.err.startswith(f"turbine {command}: There is no workflow 'nobody'")
        assert 1 == answer.err.count("\n")


def test_steps_are_listed_with_every_attempt(cli: Cli, service: Service) -> None:
    service.finish(order.options(id="bad"), -1)
    (step,) = cli("steps", "bad", "--json").json["items"]
    assert ("0", "charge", "step", 2) == (
        step["position"],
        step["function_name"],
        step["kind"],
        len(step["attempts"]),
    )
    assert ["ValueError: -1 is no amount"] * 2 == [one["error"] for one in step["attempts"]]
    table = cli("steps", "bad").out
    assert "attempt 2" in table
    assert "ValueError: -1 is no amount" in table


def test_text_of_users_cannot_command_the_terminal(at_database: Cli, service: Service) -> None:
    service.run(mailbox.options(id="open"))
    service.do(service.rt.cancel("open", "\x1b[31mred\x07"))
    assert "\x1b" not in at_database("list").out
    assert "\x1b" not in at_database("show", "open").out
    assert "\x1b[31mred\x07" == at_database("show", "open", "--json").json["reason"]


def test_cancel_says_whether_it_changed_anything(cli: Cli, service: Service) -> None:
    service.run(mailbox.options(id="open"))
    done = cli("cancel", "open", "--reason", "a mistake", "--json").json
    assert {"workflow_id": "open", "changed": True, "status": "CANCELLED"} == done
    assert "a mistake" == service.status("open").reason
    again = cli("cancel", "open")
    assert (0, "open was over already: CANCELLED\n") == (again.code, again.out)


def test_release_starts_now_what_was_put_off(cli: Cli, service: Service) -> None:
    service.run(mailbox.options(id="later", delay=600))
    done = cli("release", "later")
    assert (0, "later goes on\n") == (done.code, done.out)
    service.do(service.rt.send("later", "hello", "news"))
    assert "hello" == service.result("later")
    assert not cli("release", "later", "--json").json["changed"]
    assert 1 == cli("release", "nobody").code


def test_resume_takes_a_cancelled_run_up_again(cli: Cli, service: Service) -> None:
    service.run(mailbox.options(id="open"))
    service.do(service.rt.cancel("open"))
    assert cli("resume", "open", "--json").json["changed"]
    service.do(service.rt.send("open", "hello", "news"))
    assert "hello" == service.result("open")
    assert not cli("resume", "open", "--json").json["changed"]


def test_a_fork_begins_at_a_step_with_edited_outputs_before_it(cli: Cli, service: Service) -> None:
    service.finish(order.options(id="first"), 1)
    acted = cli("fork", "first", "--from-step", "1", "--edit", '0="edited"', "--id", "second", "--json").json
    assert ("second", True) == (acted["workflow_id"], acted["changed"])
    assert "shipped: edited" == service.result("second")
    assert "first" == service.status("second").forked_from


def test_a_fork_may_have_another_input(cli: Cli, service: Service) -> None:
    service.finish(order.options(id="first"), 1)
    new_id = cli("fork", "first", "--input", '{"amount": 9}').out.strip()
    assert "shipped: charged 9" == service.result(new_id)
    recorded = cli("fork", "first", "--input", '{"args": [8], "kwargs": {}}').out.strip()
    assert "shipped: charged 8" == service.result(recorded)
    refused = cli("fork", "first", "--input", '{"amount": "nine"}', "--id", "third")
    assert 1 == refused.code
    assert "amount" in refused.err
    assert "third" not in cli("list").out


def test_trigger_starts_a_run_and_waits_for_it_if_asked(cli: Cli, service: Service) -> None:
    workflow_id = cli("trigger", "order", "--input", '{"amount": 3}').out.strip()
    assert "shipped: charged 3" == service.result(workflow_id)

    waited = cli("trigger", "order", "--input", "4", "--id", "four", "--tag", "vip", "--wait", "--json")
    assert 0 == waited.code
    assert ("four", "SUCCESS", "shipped: charged 4") == tuple(
        waited.json[name] for name in ("workflow_id", "status", "output")
    )
    assert ["shop", "vip"] == service.status("four").tags

    failed = cli("trigger", "order", "--input", "-4", "--wait")
    assert 1 == failed.code
    assert "-4 is no amount" in failed.out


def test_a_trigger_that_is_refused_leaves_no_row(cli: Cli) -> None:
    wrong = cli("trigger", "order", "--input", '{"amount": "three"}')
    assert 1 == wrong.code
    assert "amount" in wrong.err
    assert 1 == cli("trigger", "mailbox").code
    assert 1 == cli("trigger", "unheard-of").code
    assert [] == cli("list", "--json").json["items"]


def test_a_gate_is_approved_with_its_form_and_the_name_of_who_did(cli: Cli, service: Service) -> None:
    service.run(gate.options(id="gate"))
    service.wait_for("gate", "WAITING_FOR_APPROVAL")

    refused = cli("approve", "gate", "--data", '{"carrier": 7}')
    assert 1 == refused.code
    assert "WAITING_FOR_APPROVAL" == service.status("gate").status

    assert cli("approve", "gate", "--comment", "fine", "--data", '{"carrier": "snail"}', "--json").json["changed"]
    result = service.result("gate")
    assert (True, "fine", "snail") == (result["approved"], result["comment"], result["carrier"])
    assert result["by"]


def test_a_gate_is_rejected_by_its_id(cli: Cli, service: Service) -> None:
    service.run(gate.options(id="gate"))
    service.wait_for("gate", "WAITING_FOR_APPROVAL")
    (record,) = service.do(service.rt.approvals.list("gate")).items
    assert 0 == cli("approve", "gate", "--reject", "--approval-id", record.id).code
    assert service.result("gate")["approved"] is False
    assert 1 == cli("approve", "gate").code


def test_a_message_reaches_its_topic(cli: Cli, service: Service) -> None:
    service.run(mailbox.options(id="open"))
    assert 0 == cli("send", "open", '"elsewhere"', "--topic", "other").code
    assert 0 == cli("send", "open", '{"a": [1, null]}', "--topic", "news").code
    assert {"a": [1, None]} == service.result("open")


def test_words_that_are_no_json_are_the_callers_mistake(cli: Cli, service: Service) -> None:
    service.run(mailbox.options(id="open"))
    answer = cli("send", "open", "hello")
    assert 2 == answer.code
    assert "MESSAGE '\"hello\"'" in answer.err
    assert 2 == cli("trigger", "order", "--input", "{").code
    assert 2 == cli("trigger", "order", "--input", "NaN").code
    assert 2 == cli("fork", "open", "--edit", "1").code
    assert 2 == cli("list", "--since", "soon").code
    assert 2 == cli("list", "--status", "unheard-of").code
    assert 2 == cli("list", "--limit", "0").code


def test_an_export_is_printed_or_written_to_a_new_file(cli: Cli, service: Service, tmp_path: Path) -> None:
    service.finish(order.options(id="done"), 1)
    printed = History.from_json(cli("export", "done").out)
    assert ("done", "SUCCESS", 2) == (printed.workflow_id, printed.status, len(printed.steps))
    target = tmp_path / "done.json"
    assert {"workflow_id": "done", "path": str(target)} == cli("export", "done", "-o", str(target), "--json").json
    assert printed == replace(History.from_json(target.read_text()), exported_ms=printed.exported_ms)
    assert 1 == cli("export", "done", "-o", str(target)).code
    assert 1 == cli("export", "unknown", "-o", str(tmp_path / "unknown.json")).code
    assert [target] == list(tmp_path.glob("*.json"))


class Backwards:
    """A codec, as an application may have one."""

    def encode(self, payload: str) -> str:
        return payload[::-1] + "~"

    def decode(self, payload: str) -> str:
        return payload[-2::-1]


async def test_payloads_that_are_sealed_are_shown_as_such_and_none_is_written_in_the_clear(database_url: str) -> None:
    import asyncio

    from shop_service import invoke

    async with Runtime(database_url, workflows=[order, mailbox], codec=Backwards(), shutdown_timeout=0) as rt:
        await (await rt.run(order.options(id="done"), 5)).result()
        await rt.run(mailbox.options(id="open"))

        def at(*arguments: str) -> Any:
            return asyncio.to_thread(invoke, *arguments, "--database", database_url)

        shown = (await at("show", "done", "--json")).json
        assert "(sealed by the codec of its application)" == shown["output"] == shown["input"]
        assert 0 == (await at("steps", "done")).code
        refused = await at("send", "open", '"clear"', "--topic", "news")
        assert 1 == refused.code
        assert "--server" in refused.err
        scheduled = await rt.schedules.create("order", "0 3 * * *", input=1)
        for command in (["trigger", "order", "--input", "1"], ["schedules", "run-now", scheduled.id]):
            assert "--server" in (await at(*command)).err, command
        assert (await at("cancel", "open", "--json")).json["changed"]
