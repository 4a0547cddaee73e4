"""The door to a database: a runtime without workflows, which carries nothing out and leaves everything to others."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import unquote

from turbine.cli.client import Document, plain
from turbine.clock import parse_moment, to_datetime
from turbine.engine.app import App
from turbine.errors import NotFound, QueueNotFound, StoreInvalid, TurbineError
from turbine.ids import check_id, new_id
from turbine.masking import mask_url
from turbine.model.accounts import Actor, Principal, Role, TokenRecord
from turbine.model.queues import Queue, RateLimit
from turbine.model.retention import scope_of
from turbine.model.schedules import Schedule, ScheduleType
from turbine.model.workflows import RunChange, Status
from turbine.operations import forks, messages, runs, triggers, vacuum
from turbine.operations import queues as queueing
from turbine.operations.accounts import Accounts
from turbine.operations.approvals import approve_run
from turbine.operations.audit import audited, line_of
from turbine.operations.deliveries import Deliveries
from turbine.operations.kv import MISSING, Kv
from turbine.operations.retention import Retention
from turbine.operations.schedules import Schedules
from turbine.operations.tokens import Tokens
from turbine.platform import user_name
from turbine.queries import run_details
from turbine.registry import UNSET
from turbine.runtime import Runtime
from turbine.runtime.live import Live
from turbine.store import Tx
from turbine.tables import audit, metrics, queues
from turbine.threads import in_thread

T = TypeVar("T")

SEALED = "(sealed by the codec of its application)"


class Local:
    """A database, opened when the first command asks for something that needs a runtime."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._codec = Unopened()
        self._rt: Runtime | None = None
        self._level = logging.NOTSET

    async def __aenter__(self) -> Self:
        # What the loops of a runtime say is for whoever keeps one running; what goes wrong here is raised.
        log = logging.getLogger("turbine")
        self._level = log.level
        log.setLevel(logging.CRITICAL)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._rt is not None:
                await self._rt.shutdown()
        finally:
            logging.getLogger("turbine").setLevel(self._level)

    async def _runtime(self) -> Runtime:
        if self._rt is None:
            require_database(self.url)
            # Not the settings that are meant for the program: its executor id is taken, and what it keeps stays kept.
            rt = Runtime(self.url, executor_id=None, gc_retention=None, shutdown_timeout=0, codec=self._codec)
            rt._instrument = Live.only_look  # pyright: ignore[reportPrivateUsage]
            await rt.launch()
            self._rt = rt
        return self._rt

    async def _app(self) -> App:
        return (await self._runtime())._app()  # pyright: ignore[reportPrivateUsage]

    async def _change(self, action: str, target: str, *, workflow_id: str | None = None, **detail: Any) -> App:
        """The port for one change, whose transaction also writes the line of the audit, as a server would."""
        known = {name: value for name, value in detail.items() if value is not None}
        principal = Principal(_actor().name, Role.ADMIN)
        return audited(await self._app(), principal, action, target, workflow_id=workflow_id, detail=known)

    async def _writer(self) -> Runtime:
        """The runtime, to write a payload. Raises TurbineError where payloads are sealed: only their codec can."""
        rt = await self._runtime()
        await rt.list(limit=1, load_input=True)
        if self._codec.met_sealed:
            raise TurbineError(
                "The payloads of this database are sealed by its application's codec, which the command line does not"
                " have; do this through its server: --server URL --token T"
            )
        return rt

    # Runs

    async def runs(self, wanted: Document, limit: int, cursor: str | None) -> Document:
        page = await (await self._runtime()).list(**wanted, limit=limit, cursor=cursor)
        return {"items": [_without_payloads(_run(one)) for one in page.items], "next_cursor": page.next_cursor}

    async def run(self, id: str) -> Document:
        return {**_run(await (await self._runtime()).status(id)), "input_truncated": False, "output_truncated": False}

    async def explain(self, id: str) -> Document:
        return plain(await (await self._runtime()).explain(id))

    async def steps(self, id: str) -> list[Document]:
        return plain((await run_details.page_steps(await self._app(), check_id(id), output_max=2**62)).items)

    async def logs(self, wanted: Document, limit: int, cursor: str | None, *, ascending: bool) -> Document:
        rt = await self._runtime()
        return plain(await rt.logs.list(**wanted, limit=limit, cursor=cursor, ascending=ascending))

    async def cancel(self, id: str, reason: str | None) -> Document:
        return plain(await runs.cancel_run(await self._app(), _actor(), id, reason))

    async def resume(self, id: str) -> Document:
        return plain(await runs.resume_run(await self._app(), _actor(), id))

    async def release(self, id: str) -> Document:
        return plain(await runs.release_run(await self._app(), _actor(), id))

    async def fork(self, id: str, asked: Document) -> Document:
        if "input" in asked or asked.get("edits"):
            await self._writer()
        args, kwargs = await self._arguments(id, asked["input"]) if "input" in asked else (None, None)
        fork = await forks.fork_run(
            await self._app(),
            _actor(),
            id,
            asked["from_step"],
            args=None if args is None else tuple(args),
            kwargs=kwargs,
            new_id=asked.get("new_id"),
            edits=asked.get("edits"),
            queue=asked.get("queue"),
        )
        return plain(fork)

    async def _arguments(self, id: str, given: Any) -> tuple[list[Any], Document]:
        """Another input, as it is recorded or by name of parameter. Raises ValidationFailed."""
        name = (await (await self._runtime()).status(id)).name
        known = await triggers.find(await self._app(), name)
        if isinstance(given, dict) and given and set(given) <= {"args", "kwargs"}:  # pyright: ignore[reportUnknownArgumentType]
            return given.get("args", []), given.get("kwargs", {})  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        args, kwargs = known.accept(given)
        return list(args), kwargs

    async def trigger(self, asked: Document) -> str:
        await self._writer()
        name, value = asked.pop("name"), asked.pop("input", None)
        id_ = check_id(asked.pop("id")) if asked.get("id") is not None else new_id()
        asked.pop("id", None)
        return await triggers.trigger_workflow(await self._app(), _actor(), name, value, id=id_, **asked)

    async def approve(self, id: str, asked: Document) -> Document:
        if asked.get("data") is not None:
            await self._writer()
        decision: Document = {"approved": True, **asked}
        return plain(await approve_run(await self._app(), _actor(), id, by=user_name(), **decision))

    async def send(self, id: str, message: Any, topic: str) -> Document:
        await self._writer()
        await messages.send_message(await self._app(), _actor(), id, message, topic)
        return plain(RunChange(id, True, (await (await self._runtime()).status(id)).status))

    # Queues

    async def queues(self) -> list[Document]:
        port = await self._app()
        found = await port.store.read(_queues, now_ms=port.clock.now_ms())
        return [{**_queue(queue), **_figures(numbers)} for queue, numbers in found]

    async def queue(self, name: str) -> Document:
        port = await self._app()
        queue = await port.store.read(queues.get, name=name)
        if queue is None:
            raise QueueNotFound(name)
        numbers = await port.store.read(metrics.queue, name=name, now_ms=port.clock.now_ms())
        holders = await port.store.read(metrics.holders, name=name)
        partitions = await port.store.read(metrics.partitions, name=name)
        return {
            **_queue(queue),
            **_figures(numbers),
            "holders": [
                {
                    "workflow_id": id_,
                    "name": workflow,
                    "executor_id": executor,
                    "since": None if since_ms is None else plain(to_datetime(since_ms)),
                }
                for id_, workflow, executor, since_ms in holders
            ],
            "partitions": [
                {"key": key, "enqueued": enqueued, "running": running} for key, enqueued, running in partitions
            ],
        }

    async def pause_queue(self, name: str) -> Document:
        return _queue(await queueing.change(await self._change("queue.pause", name), name, paused=True))

    async def resume_queue(self, name: str) -> Document:
        return _queue(await queueing.change(await self._change("queue.resume", name), name, paused=False))

    async def limit_queue(self, name: str, changes: Document) -> Document:
        rate = changes.get("rate_limit")
        if rate is not None:
            changes = {**changes, "rate_limit": RateLimit(rate["limit"], per=timedelta(seconds=rate["per"]))}
        port = await self._change("queue.limits", name, **{field: str(value) for field, value in changes.items()})
        return _queue(await queueing.change(port, name, **changes))

    # Schedules

    async def schedules(self, workflow: str | None, limit: int, cursor: str | None) -> Document:
        return plain(await (await self._runtime()).schedules.list(workflow, limit=limit, cursor=cursor))

    async def create_schedule(self, asked: Document) -> Document:
        if asked.get("input") is not None:
            await self._writer()
        workflow, schedule = asked.pop("workflow"), _schedule(asked.pop("schedule"))
        port = await self._change("schedule.create", asked.get("name") or workflow, schedule_of=workflow)
        return plain(await Schedules(lambda: port).create(workflow, schedule, **asked))

    async def switch_schedule(self, id: str, *, enabled: bool, reason: str | None = None) -> Document:
        port = await self._change(f"schedule.{'enable' if enabled else 'disable'}", id, reason=reason)
        schedules = Schedules(lambda: port)
        return plain(await (schedules.enable(id) if enabled else schedules.disable(id, reason)))

    async def backfill(self, id: str, start: datetime, end: datetime, *, dry_run: bool) -> Document:
        rt = await (self._runtime() if dry_run else self._writer())
        if dry_run:
            return plain(await rt.schedules.backfill(id, start, end, dry_run=True))
        port = await self._change("schedule.backfill", id, start=start, end=end)
        return plain(await Schedules(lambda: port).backfill(id, start, end))

    async def run_schedule(self, id: str) -> str:
        await self._writer()
        port = await self._change("schedule.run_now", id)
        return await Schedules(lambda: port).run_now(id)

    async def preview(self, schedule: str | Document, count: int) -> list[str]:
        wanted = schedule if isinstance(schedule, str) else _schedule(schedule)
        return plain(await (await self._runtime()).schedules.preview(wanted, count))

    async def delete_schedule(self, id: str) -> None:
        port = await self._change("schedule.delete", id)
        await Schedules(lambda: port).delete(id)

    # Keys

    async def keys(self, prefix: str, limit: int, cursor: str | None) -> Document:
        return plain(await (await self._runtime()).kv.list(prefix, limit=limit, cursor=cursor))

    async def key(self, key: str) -> Document:
        # The first key that begins with it, in order, is the key itself.
        page = await (await self._runtime()).kv.list(check_id(key, "key"), limit=1)
        if not page.items or page.items[0].key != key:
            raise NotFound(kind="key", id=key)
        return plain(page.items[0])

    async def set_key(self, key: str, asked: Document) -> Document:
        expect = asked.get("expect", UNSET)
        await self._writer()
        port = await self._change("kv.set", key)
        await Kv(lambda: port).set(key, asked["value"], MISSING if expect is None else expect, by=_actor().name)
        return await self.key(key)

    async def delete_key(self, key: str) -> None:
        await self.key(key)
        port = await self._change("kv.delete", key)
        await Kv(lambda: port).delete(key, by=_actor().name)

    # What leaves the house

    async def products(self, workflow_id: str | None, limit: int, cursor: str | None) -> Document:
        return plain(await (await self._runtime()).products.list(workflow_id, limit=limit, cursor=cursor))

    async def download(self, id: str, path: Path) -> None:
        rt = await self._runtime()
        async with rt.products.open(id) as product:
            with path.open("xb") as file:
                while block := await product.read(1024 * 1024):
                    await in_thread(file.write, block)

    async def deliveries(self, wanted: Document, limit: int, cursor: str | None) -> Document:
        return plain(await (await self._runtime()).deliveries.list(**wanted, limit=limit, cursor=cursor))

    async def resend(self, id: str) -> Document:
        port = await self._change("delivery.resend", id)
        return plain(await Deliveries(lambda: port).resend(id))

    # The house itself

    async def backup(self, path: Path) -> Path:
        return await (await self._runtime()).backup(path)

    async def vacuum(self) -> Document:
        port = await self._app()
        line = line_of(port.clock.now_ms(), Principal(_actor().name, Role.ADMIN), "database.vacuum", "database")
        await port.store.write(audit.add, line=line)
        return plain(await vacuum.vacuum(port))

    async def rules(self, limit: int, cursor: str | None) -> Document:
        return plain(await (await self._runtime()).retention.list(limit=limit, cursor=cursor))

    async def set_rule(self, asked: Document) -> Document:
        port = await self._change("retention.set", _rule(asked), keep=asked["keep"])
        found = await Retention(lambda: port).set(asked["keep"], workflow=asked["workflow"], status=asked["status"])
        return plain(found)

    async def delete_rule(self, asked: Document) -> None:
        port = await self._change("retention.delete", _rule(asked))
        if not await Retention(lambda: port).delete(workflow=asked["workflow"], status=asked["status"]):
            raise NotFound(kind="rule", id=_rule(asked))

    # Who may come in

    async def accounts(self, limit: int, cursor: str | None) -> Document:
        return plain(await (await self._runtime()).accounts.list(limit=limit, cursor=cursor))

    async def create_account(self, asked: Document) -> Document:
        await self._make_sure()
        port = await self._change("account.create", asked["email"], role=asked["role"])
        return plain(await Accounts(lambda: port).create(**asked))

    async def change_account(self, id: str, changes: Document) -> Document:
        known = await (await self._runtime()).accounts.get(id)
        told = changes | {"password": "changed"} if "password" in changes else changes
        port = await self._change("account.update", known.email, **told)
        return plain(await Accounts(lambda: port).update(id, **changes))

    async def delete_account(self, id: str) -> None:
        known = await (await self._runtime()).accounts.get(id)
        port = await self._change("account.delete", known.email)
        await Accounts(lambda: port).delete(id)

    async def tokens(self, limit: int, cursor: str | None) -> Document:
        page = await (await self._runtime()).tokens.list(limit=limit, cursor=cursor)
        return {"items": [_without_token(one) for one in page.items], "next_cursor": page.next_cursor}

    async def create_token(self, asked: Document) -> Document:
        await self._make_sure()
        port = await self._change("token.create", asked["name"], role=asked["role"], expires=plain(asked["expires"]))
        return plain(await Tokens(lambda: port).create(**asked))

    async def delete_token(self, id: str) -> None:
        known = await (await self._runtime()).tokens.get(id)
        port = await self._change("token.delete", known.name)
        await Tokens(lambda: port).delete(id)

    async def _make_sure(self) -> None:
        """Make the database, if there is none: somebody may be let in before the first start."""
        file = sqlite_file(self.url)
        if file is not None and not file.exists():
            await self.migrate()

    # The house itself

    async def examine(self) -> list[Document]:
        from turbine.cli.doctor import examine

        return await in_thread(examine, self.url)

    async def migrate(self) -> Document:
        from turbine.cli.doctor import migrate

        return await in_thread(migrate, self.url)


class Unopened:
    """The codec of those who do not have the application's: shows what is sealed as such, and notes that it met it."""

    def __init__(self) -> None:
        self.met_sealed = False

    def encode(self, payload: str) -> str:
        return payload

    def decode(self, payload: str) -> str:
        try:
            json.loads(payload)
        except ValueError:
            self.met_sealed = True
            return json.dumps(SEALED)
        return payload


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite URL; None for every other URL."""
    if not url.startswith("sqlite:///") or url.endswith(":memory:"):
        return None
    return Path(unquote(url.removeprefix("sqlite:///").split("?")[0]))


def require_database(url: str) -> None:
    """Look at a database, never make one: a wrong name would seem to be an empty database. Raises StoreInvalid."""
    file = sqlite_file(url)
    if file is not None and not file.exists():
        raise StoreInvalid(
            f"there is no database {mask_url(str(file))}; check --database and TURBINE_DATABASE_URL, or make one:"
            " turbine migrate"
        )


def _actor() -> Actor:
    return Actor(f"cli:{user_name()}", Role.ADMIN)


def _without_token(token: TokenRecord) -> Document:
    shown = plain(token)
    del shown["token"]
    return shown


def _rule(asked: Document) -> str:
    return scope_of(asked["workflow"], asked["status"])


def _run(status: Status) -> Document:
    shown = plain(status)
    shown["duration"] = None
    if status.started_at is not None and status.completed_at is not None:
        shown["duration"] = max(0.0, (status.completed_at - status.started_at).total_seconds())
    return shown


def _without_payloads(run: Document) -> Document:
    return {name: value for name, value in run.items() if name not in ("input", "output")}


def _queues(tx: Tx, *, now_ms: int) -> list[tuple[Queue, metrics.QueueMetrics]]:
    return [(queue, metrics.queue(tx, name=queue.name, now_ms=now_ms)) for queue in queues.listing(tx)]


def _queue(queue: Queue) -> Document:
    return plain(queue)


def _figures(numbers: metrics.QueueMetrics) -> Document:
    return {
        "enqueued": numbers.enqueued,
        "running": numbers.running,
        "completed": numbers.completed,
        "failed": numbers.failed,
        "oldest_age": None if numbers.oldest_age_ms is None else numbers.oldest_age_ms / 1000,
        "throughput_per_minute": numbers.per_minute,
    }


def _schedule(asked: Document) -> Schedule:
    if asked["type"] == ScheduleType.ONCE:
        return Schedule.once(parse_moment(asked["at"]))
    given = {name: asked[name] for name in ("timezone", "jitter", "catch_up", "overlap") if asked.get(name) is not None}
    return Schedule.cron(asked["expression"], **given)
