"""Fills a database with the runs of three months: `bench/fill DATABASE_URL --runs 1000000 --steps 10`.

Runs are made here, one by one, from a seed; everything that hangs on them is made of them inside the database. Small
nouns (queues, schedules, webhooks, keys) come in through the runtime, and the search index is filled by the product.
"""

import argparse
import asyncio
import contextlib
import json
import random
import sqlite3
import sys
import time
import uuid
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, NamedTuple

import psycopg

import turbine
from bench.crowd import CODE_VERSIONS, KINDS, PARTITIONS, QUEUES, Kind, runtime
from turbine.store import Statement, open_store
from turbine.store.store import Store
from turbine.tables import failures, search

DAY_MS = 86_400_000
SPAN_DAYS = 90
DENSE_DAYS = 7
DENSE_PART = 0.4
BATCH = 20_000
INDEX_BATCH = 5000
LONG_RUN = 10_000
"""Steps of the longest runs."""
FAR_MS = 365 * DAY_MS
NAMES = ("ada", "bela", "chen", "dora", "emil", "fatima", "goran", "hanna", "ivan", "jane", "kofi", "lena", "mehmet")
WORDS = (
    "blue",
    "fragile",
    "express",
    "gift",
    "return",
    "pallet",
    "winter",
    "sample",
    "repair",
    "second",
    "hand",
    "bulk",
)
FAULTS = (
    ("builtins.TimeoutError", "the warehouse did not answer within {} s"),
    ("builtins.ValueError", "no price for article {}"),
    ("shop.errors.PaymentDeclined", "the bank said no to {} EUR"),
    ("builtins.ConnectionError", "10.0.3.{}: connection refused"),
    ("builtins.KeyError", "'sku-{}'"),
    ("shop.errors.OutOfStock", "article {} is sold out"),
)
COLUMNS = (
    "id", "status", "name", "inputs", "output", "error", "executor_id", "slot_executor", "fence",
    "application_version", "application_id", "recovery_attempts", "max_recoveries", "created_at_epoch_ms",
    "updated_at_epoch_ms", "started_at_epoch_ms", "completed_at_epoch_ms", "wake_ms", "queue_name",
    "queue_partition_key", "priority", "parent_run", "parent_workflow_id", "parent_position", "app_status",
    "app_status_color", "summary", "tags", "reason", "failed_positions",
)  # fmt: skip


class Made(NamedTuple):
    """What later runs must know of an earlier one."""

    run: int
    id: str


class Loader(ABC):
    """The way rows take into one of the two databases."""

    connection: Any

    def __init__(self) -> None:
        self._dropped: list[str] = []

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def rows(self, table: str, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None: ...

    @abstractmethod
    def indexes(self, *tables: str) -> list[tuple[str, str]]:
        """The names of the indexes of these tables that no constraint needs, and what makes them."""

    @abstractmethod
    def finish(self) -> None: ...

    def run(self, text: str) -> None:
        self.connection.execute(text)

    def drop_indexes(self, *tables: str) -> None:
        for name, text in self.indexes(*tables):
            self._dropped.append(text)
            self.run(f"drop index {name}")

    def make_indexes(self) -> None:
        for text in self._dropped:
            self.run(text)
        self._dropped = []


class Sqlite(Loader):
    """One connection that gives up safety for speed until it is done."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)

    def start(self) -> None:
        for pragma in ("journal_mode = off", "synchronous = off", "cache_size = -1000000", "temp_store = memory"):
            self.connection.execute(f"pragma {pragma}").fetchall()

    def rows(self, table: str, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
        marks = ", ".join("?" * len(columns))
        self.connection.execute("begin")
        self.connection.executemany(f"insert into {table} ({', '.join(columns)}) values ({marks})", rows)
        self.connection.execute("commit")

    def indexes(self, *tables: str) -> list[tuple[str, str]]:
        marks = ", ".join("?" * len(tables))
        return self.connection.execute(
            f"select name, sql from sqlite_master where type = 'index' and sql is not null and tbl_name in ({marks})",
            tables,
        ).fetchall()

    def finish(self) -> None:
        self.connection.execute("pragma journal_mode = wal").fetchall()
        self.connection.close()


class Postgres(Loader):
    """`copy` into the server."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.connection = psycopg.connect(url, autocommit=True)

    def start(self) -> None:
        for setting in ("synchronous_commit = off", "maintenance_work_mem = '1GB'", "work_mem = '256MB'"):
            self.connection.execute(f"set {setting}")

    def rows(self, table: str, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
        with (
            self.connection.cursor() as cursor,
            cursor.copy(f"copy {table} ({', '.join(columns)}) from stdin") as copy,
        ):
            for row in rows:
                copy.write_row(row)

    def indexes(self, *tables: str) -> list[tuple[str, str]]:
        return self.connection.execute(
            "select i.indexname, i.indexdef from pg_indexes as i where i.schemaname = current_schema()"
            " and i.tablename = any(%s)"
            " and not exists (select 1 from pg_constraint as c where c.conname = i.indexname)",
            [list(tables)],
        ).fetchall()

    def finish(self) -> None:
        # What autovacuum does by itself in a database that has lived for a while.
        self.connection.execute("vacuum analyze")
        self.connection.execute("checkpoint")
        self.connection.close()


def main() -> None:
    """Fill the database that the command line names."""
    parser = argparse.ArgumentParser(prog="bench/fill", description="Fill an empty database with many runs.")
    parser.add_argument("url", metavar="DATABASE_URL", help="a new SQLite file, or an empty Postgres database")
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--steps", type=int, default=10, help="of a run, about")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--now", type=int, default=None, help="the newest moment, in epoch milliseconds")
    words = parser.parse_args()
    fill(words.url, words.runs, words.steps, words.seed, words.now or time.time_ns() // 1_000_000)


def fill(url: str, runs: int, steps: int, seed: int, now_ms: int) -> None:
    """Fill an empty database. Raises SystemExit for one in which there are runs."""
    asyncio.run(furnish(url))
    loader: Loader = Sqlite(url) if url.startswith("sqlite:") else Postgres(url)
    loader.start()
    with told("runs"):
        loader.drop_indexes("pt_runs", "pt_run_tags", "pt_logs", "pt_deliveries", "pt_search")
        put_runs(loader, runs, seed, now_ms)
    with told("steps"):
        put_steps(loader, runs, steps)
    with told("what hangs on runs"):
        put_belongings(loader, now_ms)
    with told("indexes"):
        loader.make_indexes()
    loader.drop_indexes("pt_search")
    with told("failures and search"):
        loader.finish()
        index(url)
    loader = Sqlite(url) if url.startswith("sqlite:") else Postgres(url)
    loader.start()
    loader.run(TRIGRAMS if isinstance(loader, Postgres) else "select 1")
    loader.finish()


TRIGRAMS = "create index if not exists pt_search_trigrams on pt_search using gin (pt_trigrams(text))"


@contextlib.contextmanager
def told(what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


async def furnish(url: str) -> None:
    """The schema and the small nouns, by the ways in which users make them."""
    rt = runtime(url)
    async with rt:
        if (await rt.list(limit=1)).items:
            raise SystemExit("there are runs in this database already; name an empty one")
        for name in QUEUES:
            await rt.pause_queue(name)
        for number in range(40):
            await rt.schedules.create(
                KINDS[number % len(KINDS)].name,
                turbine.Schedule.cron(f"{number} 3 1 1 *"),
                input={"number": number},
                name=f"plan-{number:02}",
                enabled=number % 4 != 0,
            )
        for number in range(5):
            await rt.webhooks.create(url=f"https://example.org/hooks/{number}", events=["workflow.ERROR"])
        for number in range(2000):
            await rt.kv.set(f"config/{NAMES[number % len(NAMES)]}/{number:04}", {"limit": number, "on": True})


def moment(place: float, now_ms: int) -> int:
    """When the run was made that stands at this part of all: most of the time evenly, the last week denser."""
    if place < 1 - DENSE_PART:
        days = SPAN_DAYS - place / (1 - DENSE_PART) * (SPAN_DAYS - DENSE_DAYS)
    else:
        days = DENSE_DAYS * (1 - place) / DENSE_PART
    return now_ms - round(days * DAY_MS)


def put_runs(loader: Loader, count: int, seed: int, now_ms: int) -> None:
    dice = random.Random(seed)
    kinds = dice.choices(KINDS, [kind.share for kind in KINDS], k=count)
    last: dict[str, Made] = {}
    rows: list[tuple[Any, ...]] = []
    tags: list[tuple[str, int]] = []
    for number, kind in enumerate(kinds):
        run = number + 1
        row, given = run_row(dice, run, kind, moment(number / count, now_ms), now_ms, last)
        last[kind.name] = Made(run, row[0])
        rows.append(row)
        tags += [(tag, run) for tag in given]
        if len(rows) >= BATCH or run == count:
            loader.rows("pt_runs", COLUMNS, rows)
            loader.rows("pt_run_tags", ("tag", "run"), tags)
            rows, tags = [], []


def run_row(
    dice: random.Random, run: int, kind: Kind, created: int, now_ms: int, last: dict[str, Made]
) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    """The columns of a run, and its tags."""
    status = status_of(dice, kind)
    is_open = status in ("PENDING", "ENQUEUED", "WAITING_FOR_APPROVAL")
    started = None if status == "ENQUEUED" else created + int(dice.expovariate(1 / 200))
    ended = None if is_open or started is None else started + 1 + int(dice.expovariate(1 / 4000))
    if ended is not None and ended > now_ms:
        ended = now_ms
    id_ = f"sched-{kind.schedule}-{created}-{run}" if kind.schedule else str(uuid.UUID(int=dice.getrandbits(128)))
    parent = last.get(kind.parent) if kind.parent and dice.random() < 0.7 else None
    queue = kind.queue if status != "PENDING" else None
    given = kind.tags + ((f"customer-{run % 5000}",) if run % 4 == 0 else ())
    executor = None if is_open else f"host-{run * 24 // 1_000_000 % 24:02}-{1 + run % 3}"
    failed = status == "ERROR"
    row = (
        id_,
        status,
        kind.name,
        inputs_of(dice, run),
        output_of(dice, run) if status == "SUCCESS" else None,
        error_of(dice, kind) if failed else None,
        executor,
        None,
        0 if status == "ENQUEUED" else 1,
        CODE_VERSIONS[-1] if is_open else CODE_VERSIONS[min(3, run * 4 // 1_000_000)],
        "turbine",
        0 if status == "ENQUEUED" else 1,
        100,
        created,
        ended or started or created,
        started,
        ended,
        now_ms + FAR_MS + run if status in ("PENDING", "ENQUEUED") else None,
        queue,
        f"shop-{run % PARTITIONS:02}" if queue == "imports" else None,
        run % 3 if queue == "render" else 0,
        parent.run if parent else None,
        parent.id if parent else None,
        str(run % 5) if parent else None,
        "waiting for approval" if status == "WAITING_FOR_APPROVAL" else ("halfway" if run % 50 == 0 else None),
        "yellow" if status == "WAITING_FOR_APPROVAL" else ("blue" if run % 50 == 0 else None),
        f"{kind.name.replace('_', ' ')} for {NAMES[run % 13]}, {run % 997} {WORDS[run % 12]}" if run % 3 else None,
        json.dumps(list(given)) if given else None,
        "no longer needed" if status == "CANCELLED" else None,
        str(len(kind.steps) - 1) if failed else None,
    )
    return row, given


def status_of(dice: random.Random, kind: Kind) -> str:
    chance = dice.random()
    if chance < 0.006:
        if kind.queue is not None:
            return "ENQUEUED"
        return "WAITING_FOR_APPROVAL" if kind.name == "onboard_customer" else "PENDING"
    if chance < 0.05:
        return "ERROR"
    if chance < 0.064:
        return "CANCELLED"
    return "MAX_RECOVERY_ATTEMPTS_EXCEEDED" if chance < 0.065 else "SUCCESS"


def inputs_of(dice: random.Random, run: int) -> str:
    length = dice.random()
    note = " ".join(dice.choices(WORDS, k=6 if length < 0.9 else 40 if length < 0.99 else 600))
    if length > 0.9995:
        note *= 12
    if run % 100_000 == 77_777:
        note += " zanzibar"
    return json.dumps({"args": [run], "kwargs": {"customer": f"{NAMES[run % 13]}-{run % 5000}", "note": note}})


def output_of(dice: random.Random, run: int) -> str:
    length = dice.random()
    lines = 1 if length < 0.9 else 8 if length < 0.99 else 200 if length < 0.9998 else 3000
    return json.dumps(
        {"number": run, "lines": [{"sku": f"sku-{run % 700}", "quantity": n % 9, "price": 12.5} for n in range(lines)]}
    )


def error_of(dice: random.Random, kind: Kind) -> str:
    type_name, text = FAULTS[dice.randrange(len(FAULTS))]
    message = text.format(dice.randrange(100_000))
    place = f'File "/srv/app/shop/{kind.name}.py", line {20 + len(message)}, in {kind.steps[-1]}'
    frames = "".join(
        f'  File "/srv/app/lib/part{n}.py", line {n * 7}, in call\n    return inner(*args)\n' for n in range(8)
    )
    trace = f"Traceback (most recent call last):\n{frames}  {place}\n    raise\n{type_name}: {message}\n"
    return json.dumps(
        {
            "type": type_name,
            "module": type_name.rpartition(".")[0],
            "message": message,
            "args": [message],
            "traceback": trace,
        }
    )


def put_steps(loader: Loader, runs: int, steps: int) -> None:
    """About so many steps a run: each workflow's own, again and again; the last one of a failed run failed."""
    loader.run("create table bench_steps (name text, place bigint, step text, kind bigint, count bigint)")
    template: list[tuple[Any, ...]] = []
    for kind in KINDS:
        count = max(len(kind.steps), steps)
        for place in range(count):
            step = kind.steps[-1] if place == count - 1 else kind.steps[place % len(kind.steps)]
            template.append((kind.name, place, step, 1 if step.startswith("turbine.") else 0, count))
    loader.rows("bench_steps", ("name", "place", "step", "kind", "count"), template)
    loader.run(f"""
        insert into pt_steps (
            run, position, function_id, function_name, kind, output, error, attempts, started_at_epoch_ms,
            ended_at_epoch_ms, follows
        )
        select
            w.run, cast(t.place as text), t.place, t.step, t.kind,
            case when t.place = t.count - 1 and w.error is not null then null
                else '{{"run":' || w.run || ',"step":"' || t.step || '","is_done":true,"rest":[1,2,3]}}' end,
            case when t.place = t.count - 1 then w.error end,
            case when w.run % 40 = 0 and t.place = 1 then 2 else 1 end,
            w.started_at_epoch_ms + t.place * 37, w.started_at_epoch_ms + t.place * 37 + 30, t.place - 1
        from pt_runs as w
        join bench_steps as t on t.name = w.name
        where w.started_at_epoch_ms is not null
        and (w.completed_at_epoch_ms is not null or t.place < 1)
        and t.count < {LONG_RUN}
        order by w.run, cast(t.place as text)
    """)
    loader.run("""
        update pt_runs
        set failed_positions = (
            select cast(max(t.place) as text) from bench_steps as t where t.name = pt_runs.name
        )
        where failed_positions is not null
    """)
    loader.run("drop table bench_steps")
    put_long_runs(loader, runs)


def put_long_runs(loader: Loader, runs: int) -> None:
    """A few runs with thousands of steps: the newest ones of all that have ended."""
    columns = (
        "run",
        "position",
        "function_id",
        "function_name",
        "output",
        "started_at_epoch_ms",
        "ended_at_epoch_ms",
        "follows",
    )
    newest = f"status = 'SUCCESS' and run > {runs - 3000} order by run desc limit 20"
    loader.run(f"create table bench_long as select run from pt_runs where {newest}")
    longest = "(select run from bench_long order by run desc limit 3)"
    loader.run("delete from pt_steps where run in (select run from bench_long)")
    loader.run("create table bench_places (place bigint)")
    loader.rows("bench_places", ("place",), [(place,) for place in range(LONG_RUN)])
    loader.run(f"""
        insert into pt_steps ({", ".join(columns)})
        select
            w.run, cast(p.place as text), p.place, 'page_' || p.place % 7, '{{"page":' || p.place || '}}',
            w.started_at_epoch_ms + p.place, w.started_at_epoch_ms + p.place + 1, p.place - 1
        from pt_runs as w
        cross join bench_places as p
        where w.run in (select run from bench_long)
        and p.place < case when w.run in {longest} then {LONG_RUN} else 1000 end
    """)
    loader.run(f"update pt_runs set summary = 'long book' where run in {longest}")
    loader.run("drop table bench_places")
    loader.run("drop table bench_long")


def put_belongings(loader: Loader, now_ms: int) -> None:
    """What belongs to runs, made of their rows."""
    for text in BELONGINGS:
        loader.run(text.format(now=now_ms, far=now_ms + FAR_MS))


BELONGINGS = (
    # Attempts of the steps that needed two.
    """
    insert into pt_step_attempts (run, position, number, started_at_epoch_ms, ended_at_epoch_ms, error)
    select run, '1', 1, started_at_epoch_ms + 37, started_at_epoch_ms + 40,
        '{{"type":"builtins.TimeoutError","module":"builtins","message":"too slow","args":["too slow"]}}'
    from pt_runs
    where run % 40 = 0 and completed_at_epoch_ms is not null
    """,
    # What open runs wait for.
    """
    insert into pt_waits (run, position, kind, subject, since_ms, deadline_ms, due_ms)
    select
        run, '0', case status when 'PENDING' then 'sleep' else 'approval' end, '', created_at_epoch_ms, wake_ms, wake_ms
    from pt_runs
    where status in ('PENDING', 'WAITING_FOR_APPROVAL')
    """,
    """
    insert into pt_approvals (
        id, run, workflow_id, name, position, function_id, title, status, created_ms, decided_ms, decided_by
    )
    select
        'gate-' || run, run, id, name, case when completed_at_epoch_ms is null then '0' else '1' end, 1,
        'Open an account for ' || coalesce(summary, 'somebody'),
        case when completed_at_epoch_ms is null then 'open' when run % 5 = 0 then 'rejected' else 'approved' end,
        created_at_epoch_ms, completed_at_epoch_ms,
        case when completed_at_epoch_ms is not null then 'ada@example.org' end
    from pt_runs
    where name = 'onboard_customer' and status <> 'PENDING'
    """,
    """
    insert into pt_messages (run, topic, body, created_at_epoch_ms, consumed_position)
    select run, 'news', '{{"number":' || run || '}}', created_at_epoch_ms + 5, case when run % 2 = 0 then '1' end
    from pt_runs
    where run % 5 = 0
    """,
    """
    insert into pt_values (run, key, value, updated_ms)
    select run, 'progress', '{{"done":' || run % 100 || '}}', updated_at_epoch_ms
    from pt_runs
    where run % 4 = 0
    """,
    """
    insert into pt_values_history (run, position, key, value, created_ms)
    select run, '2', 'progress', '{{"done":' || run % 100 || '}}', updated_at_epoch_ms
    from pt_runs
    where run % 4 = 0
    """,
    # Two lines of each run, of those that a database keeps: five days.
    """
    insert into pt_logs (workflow_id, position, level, logger, message, source, created_ms)
    select
        w.id, case l.line when 0 then null else '1' end,
        case when l.line = 1 and w.error is not null then 40 when w.run % 31 = 0 then 30 else 20 end, 'shop.' || w.name,
        case l.line when 0 then 'begins with ' || w.run when 1 then 'has done its part of ' || w.name
            else 'is ready; warehouse ' || w.run % 12 end,
        'user', w.created_at_epoch_ms + l.line
    from pt_runs as w
    cross join (select 0 as line union all select 1 union all select 2) as l
    where w.created_at_epoch_ms > {now} - 5 * 86400000
    order by w.run, l.line
    """,
    """
    insert into pt_products (
        id, run, workflow_id, position, function_id, function_name, file_name, size, sha256, status, error, storage,
        created_ms, updated_ms
    )
    select
        'prod-' || run, run, id, '0', 0, 'render_pdf', 'invoice-' || run || '.pdf', 1000 + run % 90000,
        '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
        case when run % 90 = 0 then 'failed' when run % 9 = 0 then 'stored' else 'sent' end, null, 'beside',
        created_at_epoch_ms, updated_at_epoch_ms
    from pt_runs
    where name = 'send_invoice' and completed_at_epoch_ms is not null
    """,
    """
    insert into pt_deliveries (
        id, kind, target, event, run, workflow_id, name, run_status, output, error, status, attempts, next_ms,
        created_ms, updated_ms
    )
    select
        'msg-' || w.run, case when w.run % 3 = 0 then 'alert' else 'webhook' end, h.id, 'workflow.' || w.status, w.run,
        w.id, w.name, w.status, null, w.error,
        case when w.run % 500 = 0 then 'pending' when w.run % 77 = 0 then 'dead' else 'delivered' end, 1,
        case when w.run % 500 = 0 then {far} end, w.completed_at_epoch_ms, w.completed_at_epoch_ms + 90
    from pt_runs as w
    join (select id, webhook from pt_webhooks) as h on h.webhook = w.run % 5 + 1
    where w.completed_at_epoch_ms is not null and (w.run % 4 = 0 or w.status = 'ERROR')
    order by w.run
    """,
    """
    insert into pt_delivery_attempts (delivery, number, at_ms, duration_ms, status_code, error)
    select delivery, 1, updated_ms, 80, case when status = 'dead' then 500 else 204 end,
        case when status = 'dead' then 'answered 500' end
    from pt_deliveries
    """,
    """
    insert into pt_audit (at_ms, actor, role, action, target, workflow_id, detail)
    select
        updated_at_epoch_ms, case when run % 3 = 0 then 'ada@example.org' else 'token:ci' end, 'operator',
        case when status = 'CANCELLED' then 'workflow.cancel' else 'workflow.trigger' end, id, id,
        '{{"reason":"asked for"}}'
    from pt_runs
    where run % 20 = 0 or status = 'CANCELLED'
    order by run
    """,
)  # fmt: skip


FAILED = Statement.of(
    "select run, name, error, failed_positions, completed_at_epoch_ms from pt_runs"
    " where status in ('ERROR', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED') and run > :after order by run limit :limit"
)


def note_failures(store: Store) -> None:
    """Say of each failed run which kind of failure it was, as its end would have."""
    after = 0
    while rows := store.read_blocking(lambda tx, after: tx.rows(FAILED, after=after, limit=INDEX_BATCH), after=after):
        after = rows[-1][0]
        noted = [failures.RunFailure(*row[:4]) for row in rows]
        store.write_blocking(failures.record, failures=noted, now_ms=rows[-1][4])


def index(url: str) -> None:
    """Make all runs searchable, as the indexer of a runtime does in the background."""
    store = open_store(url)
    try:
        note_failures(store)
        is_all = False
        while not is_all:
            is_all = store.write_blocking(search.index, settled_ms=1 << 62, limit=INDEX_BATCH)
    finally:
        store.close()


if __name__ == "__main__":
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
    main()
