"""Queues, schedules, keys, deliveries: the same at a database and at a server."""

from __future__ import annotations

from shop_service import Answer, Cli, Service, invoke, mailbox, order


def test_queues_are_listed_with_who_waits_and_who_runs(cli: Cli, service: Service) -> None:
    service.run(mailbox.options(id="holder", queue="narrow"))
    service.wait_for("holder", "PENDING")
    service.run(mailbox.options(id="waiter", queue="narrow"))
    (queue,) = cli("queues", "--json").json["items"]
    assert ("narrow", 1, 1, 1) == tuple(queue[name] for name in ("name", "global_concurrency", "enqueued", "running"))
    one = cli("queues", "narrow", "--json").json
    assert ["holder"] == [holder["workflow_id"] for holder in one["holders"]]
    assert "1 everywhere" in cli("queues").out
    assert "holder" in cli("queues", "narrow").out


def test_a_paused_queue_starts_nothing_until_it_is_resumed(cli: Cli, service: Service) -> None:
    assert cli("queues", "narrow", "pause", "--json").json["paused"]
    service.run(order.options(id="waiter", queue="narrow"), 1)
    assert "paused" in cli("show", "waiter", "--json").json["explanation"]["text"]
    assert not cli("queues", "narrow", "resume", "--json").json["paused"]
    assert "shipped: charged 1" == service.result("waiter")


def test_limits_of_a_queue_are_set_and_lifted(cli: Cli) -> None:
    queue = cli("queues", "narrow", "set", "--global", "5", "--worker", "2", "--rate", "100/60", "--json").json
    assert (5, 2, {"limit": 100, "per": 60.0}) == (
        queue["global_concurrency"],
        queue["worker_concurrency"],
        queue["rate_limit"],
    )
    queue = cli("queues", "narrow", "set", "--rate", "none", "--json").json
    assert (5, 2, None) == (queue["global_concurrency"], queue["worker_concurrency"], queue["rate_limit"])


def test_a_queue_command_that_makes_no_sense_changes_nothing(cli: Cli) -> None:
    assert 2 == cli("queues", "--global", "3").code
    assert 2 == cli("queues", "narrow", "set").code
    assert 2 == cli("queues", "narrow", "set", "--rate", "fast").code
    assert 2 == cli("queues", "narrow", "destroy").code
    assert 1 == cli("queues", "unheard-of").code
    assert 1 == cli("queues", "unheard-of", "pause").code
    assert 0 != cli("queues", "narrow", "set", "--global", "0").code
    assert 1 == cli("queues", "narrow", "--json").json["global_concurrency"]


def test_a_schedule_is_made_previewed_switched_run_and_deleted(cli: Cli, service: Service) -> None:
    create = ("schedules", "create", "report", "--cron", "0 3 * * *", "--timezone", "Europe/Berlin")
    schedule = cli(*create, "--input", '{"on": "monday"}', "--name", "nightly", "--json").json
    assert ("nightly", "report", True) == (schedule["name"], schedule["workflow"], schedule["enabled"])

    assert "0 3 * * * (Europe/Berlin)" in cli("schedules", "list").out
    times = cli("schedules", "preview", schedule["id"], "--count", "2", "--json").json["items"]
    assert 2 == len(times)
    assert schedule["next_at"] == times[0]

    assert not cli("schedules", "disable", schedule["id"], "--json").json["enabled"]
    assert cli("schedules", "enable", schedule["id"], "--json").json["enabled"]

    workflow_id = cli("schedules", "run-now", schedule["id"]).out.strip()
    assert "monday" == service.result(workflow_id)

    paused = cli("schedules", "disable", schedule["id"], "--reason", "holidays", "--json").json
    assert (False, "holidays") == (paused["enabled"], paused["reason"])
    span = ("--after", "2026-03-20T00:00:00Z", "--before", "2026-03-22T00:00:00Z")
    looked = cli("schedules", "backfill", schedule["id"], *span, "--dry-run").out.splitlines()
    assert ["sched-nightly-2026-03-20T02:00:00Z", "2 would be started, 0 there already, 0 failed"] == looked[::2]
    assert 2 == len(cli("schedules", "backfill", schedule["id"], *span, "--json").json["started"])
    assert "0 started, 2 there already" in cli("schedules", "backfill", schedule["id"], *span).out

    assert 0 == cli("schedules", "delete", schedule["id"]).code
    assert [] == cli("schedules", "list", "--json").json["items"]
    assert 1 == cli("schedules", "delete", schedule["id"]).code


def test_a_schedule_for_one_time_starts_its_run(cli: Cli, service: Service) -> None:
    made = cli("schedules", "create", "report", "--once", "2026-01-01T00:00:00Z", "--name", "once", "--json").json
    assert "once" == made["type"]
    service.appears("sched-once-2026-01-01T00:00:00Z")
    assert "today" == service.result("sched-once-2026-01-01T00:00:00Z")


def test_a_cron_text_is_previewed_without_a_schedule(cli: Cli) -> None:
    assert 3 == len(cli("schedules", "preview", "--cron", "@hourly", "--count", "3").out.splitlines())
    assert 1 == cli("schedules", "preview", "--cron", "no cron").code
    assert 2 == cli("schedules", "preview").code
    assert 2 == cli("schedules", "create", "report").code
    assert 2 == cli("schedules", "create", "report", "--once", "2030-01-01T00:00:00Z", "--timezone", "UTC").code


def test_keys_are_set_compared_listed_and_deleted(cli: Cli) -> None:
    assert 0 == cli("kv", "set", "a/b c?", '{"x": [1, "ü"]}').code
    assert '{\n  "x": [\n    1,\n    "ü"\n  ]\n}\n' == cli("kv", "get", "a/b c?").out
    assert {"x": [1, "ü"]} == cli("kv", "get", "a/b c?", "--json").json["value"]

    assert 1 == cli("kv", "set", "a/b c?", "2", "--expect", "1").code
    assert 1 == cli("kv", "set", "a/b c?", "2", "--expect-missing").code
    assert 0 == cli("kv", "set", "a/b c?", "2", "--expect", '{"x": [1, "ü"]}').code
    assert 0 == cli("kv", "set", "z", "3", "--expect-missing").code

    assert [("a/b c?", 2)] == [(one["key"], one["value"]) for one in cli("kv", "list", "a/", "--json").json["items"]]
    assert ["a/b c?", "z"] == [one["key"] for one in cli("kv", "list", "--json").json["items"]]

    assert 0 == cli("kv", "delete", "z").code
    assert 1 == cli("kv", "get", "z").code
    assert 1 == cli("kv", "delete", "z").code
    assert 2 == cli("kv", "set", "z", "text").code


def test_deliveries_are_listed_and_sent_again(cli: Cli, service: Service) -> None:
    hook = service.do(service.rt.webhooks.create(url="https://hooks.example.invalid/x", events=["workflow.SUCCESS"]))
    service.finish(order.options(id="done"), 1)
    (delivery,) = cli("deliveries", "list", "--run", "done", "--json").json["items"]
    assert ("webhook", hook.id, "workflow.SUCCESS") == (delivery["kind"], delivery["target"], delivery["event"])
    assert delivery["id"] in cli("deliveries", "list").out
    assert [] == cli("deliveries", "list", "--status", "delivered", "--json").json["items"]
    pending = cli("deliveries", "resend", delivery["id"])
    assert 1 == pending.code, "what is on its way is not sent twice"


def test_accounts_and_tokens_are_kept_through_a_server_too(service: Service) -> None:
    def at_server(*arguments: str, typed: str | None = None) -> Answer:
        return invoke(*arguments, "--server", service.url, "--token", service.token, typed=typed)

    made = at_server("account", "create", "Ada@example.com", "--password-stdin", "--json", typed="correct horse\n")
    assert ("ada@example.com", "viewer") == (made.json["email"], made.json["role"])
    assert 1 == at_server("account", "create", "ada@example.com", "--password-stdin", typed="correct horse\n").code
    assert 0 == at_server("account", "change", "ada@example.com", "--role", "admin").code
    assert [("ada@example.com", "admin")] == [
        (one["email"], one["role"]) for one in at_server("account", "list", "--json").json["items"]
    ]
    assert 1 == at_server("account", "delete", "ada@example.com").code, "the last who may administer"
    assert 1 == at_server("account", "delete", "bo@example.com").code

    token = at_server("token", "create", "ci", "--expires", "2h", "--json").json
    assert 1 == invoke("kv", "set", "a", "1", "--server", service.url, "--token", token["token"]).code
    listed = at_server("token", "list", "--json").json["items"]
    assert [token["id"]] == [one["id"] for one in listed if one["name"] == "ci"]
    assert all("token" not in one for one in listed)
    assert 0 == at_server("token", "delete", token["id"]).code
    assert 1 == at_server("token", "delete", token["id"]).code
    assert {"account.create", "account.update", "token.create", "token.delete"} == {
        line.action for line in service.do(service.rt.audit.list()).items
    }


def test_a_change_leaves_its_line_in_the_audit_whichever_way_it_came(at_database: Cli, service: Service) -> None:
    service.run(mailbox.options(id="mine"))
    service.wait_for("mine", "PENDING")
    assert 0 == at_database("kv", "set", "a", "1").code
    assert 0 == at_database("queues", "narrow", "pause").code
    assert 0 == at_database("cancel", "mine").code
    assert 1 == at_database("queues", "unheard-of", "pause").code
    assert 0 == at_database("token", "create", "ci").code
    lines = service.do(service.rt.audit.list()).items
    assert [
        ("token.create", "ci", None),
        ("workflow.cancel", "mine", "mine"),
        ("queue.pause", "narrow", None),
        ("kv.set", "a", None),
    ] == [(line.action, line.target, line.workflow_id) for line in lines]
    assert {("cli", "admin")} == {(line.actor.split(":")[0], line.role) for line in lines}
    (change,) = service.do(service.rt.kv.history("a"))
    assert lines[0].actor == change.by
