"""SQLite: several processes on one file, disks that are full or read-only, the write-ahead log."""

import asyncio
import contextlib
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from turbine.errors import StoreInvalid, StoreUnavailable
from turbine.store import Statement
from turbine.store.sqlite.backend import WAL_PRESIZED

QUERY_ONLY = Statement.of("pragma query_only = on")
SHORT_PATIENCE = Statement.of("pragma busy_timeout = 5")

# Another process with a store of its own on the same file. Each line that it gets is a command; each is answered.
COMPANION = """
import sys, threading
from turbine.store import Statement, open_store

ENTER = Statement.of("insert into ledger_entries (id, text) values (:id, '')")
COUNT = Statement.of("update ledger_total set total = total + 1")

def enter(tx, *, id):
    tx.run(ENTER, id=id)
    tx.run(COUNT)
    return id

def stand_still(tx):
    tx.run(ENTER, id="half a transaction")
    print("standing still", flush=True)
    threading.Event().wait()

store = open_store(sys.argv[1])
print("ready", flush=True)
for line in sys.stdin:
    word, _, argument = line.strip().partition(" ")
    if word == "enter":
        print(store.write_blocking(enter, id=argument), flush=True)
    elif word == "enter-many":
        name, count = argument.split()
        for n in range(int(count)):
            store.write_blocking(enter, id=f"{name}.{n}")
        print("entered", flush=True)
    elif word == "stand-still":
        store.write_blocking(stand_still)
store.close()
"""


class Companion:
    def __init__(self, url: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", COMPANION, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert "ready" == self.hear()

    def tell(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()

    def hear(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def leave(self) -> None:
        _, _ = self._process.communicate(timeout=120)
        assert 0 == self._process.returncode


@pytest.fixture
def companion(sqlite_store, sqlite_url):
    process = Companion(sqlite_url)
    yield process
    process.kill()


@pytest.fixture
def small_disk():
    """A file system of 8 MiB, full when it is full."""
    folder = Path(tempfile.mkdtemp(prefix="turbine-disk-"))
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], check=False, capture_output=True
    )
    try:
        if not mounted or mounted.returncode != 0:
            pytest.skip("only who may mount a file system can have a small one")
        yield folder
    finally:
        if mounted and mounted.returncode == 0:
            subprocess.run(["umount", "--lazy", folder], check=True)
        folder.rmdir()


@contextlib.contextmanager
def as_nobody():
    """Root may write everything; the user `nobody` only its own files."""
    if os.geteuid() != 0:
        yield
        return
    os.setresgid(65534, 65534, 0)
    os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)


def other_connection(store) -> contextlib.closing[sqlite3.Connection]:
    return contextlib.closing(sqlite3.connect(store.path, isolation_level=None, timeout=10))


@contextlib.contextmanager
def files_of_at_most(size: int):
    """No file of this process grows beyond `size`: the write fails, as on a disk that fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_two_processes_write_at_full_speed_without_errors_of_a_locked_database(sqlite_store, ledger, companion) -> None:
    each = 400
    companion.tell(f"enter-many theirs {each}")
    for n in range(each):
        sqlite_store.write_blocking(ledger.enter, id=f"ours.{n}")
    assert "entered" == companion.hear()
    ids, total = sqlite_store.read_blocking(ledger.audit)
    assert 2 * each == total == len(ids)


def test_four_processes_open_write_and_leave_one_file_over_and_over(sqlite_store, ledger, sqlite_url) -> None:
    # The process that closes last would remove the log that another one is opening.
    program = COMPANION.replace("for line in sys.stdin:", "for line in sys.argv[2:]:")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, sqlite_url, f"enter-many {n} 20"], stdout=subprocess.PIPE, text=True
        )
        for n in range(4)
    ]
    sqlite_store.close()
    assert ["ready\nentered\n"] * 4 == [process.communicate(timeout=120)[0] for process in processes]
    with other_connection(sqlite_store) as connection:
        assert (80,) == connection.execute("select total from ledger_total").fetchone()


def test_a_process_that_is_killed_in_its_turn_leaves_nothing_and_stops_no_other(
    sqlite_store, ledger, companion
) -> None:
    companion.tell("stand-still")
    assert "standing still" == companion.hear()
    ours = sqlite_store.submit_blocking(ledger.enter, {"id": "ours"})
    companion.kill()
    assert "entered ours" == ours.wait()
    assert (["ours"], 1) == sqlite_store.read_blocking(ledger.audit)


def test_writes_wait_for_a_stranger_who_holds_the_database(sqlite_store, ledger) -> None:
    sqlite_store.write_blocking(lambda tx: tx.rows(SHORT_PATIENCE))
    with other_connection(sqlite_store) as stranger:
        stranger.execute("begin immediate")
        ours = sqlite_store.submit_blocking(ledger.enter, {"id": "ours"})
        time.sleep(0.2)  # many times the patience of SQLite itself
        assert [] == sqlite_store.read_blocking(ledger.ids)
        stranger.execute("rollback")
    assert "entered ours" == ours.wait()


def test_a_store_that_waits_for_a_stranger_can_be_closed_impatiently(sqlite_store, ledger, outcome) -> None:
    sqlite_store.write_blocking(lambda tx: tx.rows(SHORT_PATIENCE))
    with other_connection(sqlite_store) as stranger:
        stranger.execute("begin immediate")
        ours = sqlite_store.submit_blocking(ledger.enter, {"id": "ours"})
        sqlite_store.close(patient=False)
        assert isinstance(outcome(ours.wait), StoreUnavailable)
        stranger.execute("rollback")


def test_a_full_disk_fails_its_writes_and_is_forgotten_once_there_is_room(small_disk, ledger, opened, outcome) -> None:
    store = opened(f"sqlite:///{small_disk}/turbine.db")
    store.write_blocking(ledger.make)
    ballast = small_disk / "ballast"
    with ballast.open("wb") as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(65536))
    entered, text = [], "x" * 1_000_000
    for n in range(20):
        answer = outcome(lambda n=n: store.write_blocking(ledger.enter, id=f"{n:02}", text=text))
        if isinstance(answer, StoreUnavailable):
            break
        entered.append(f"{n:02}")
    assert isinstance(answer, StoreUnavailable)
    assert "disk" in str(answer)
    assert (entered, len(entered)) == store.read_blocking(ledger.audit)
    ballast.unlink()
    assert "entered later" == store.write_blocking(ledger.enter, id="later")
    assert ([*entered, "later"], len(entered) + 1) == store.read_blocking(ledger.audit)


def test_a_full_disk_at_launch_is_unavailable_not_invalid(small_disk, opened) -> None:
    with (small_disk / "ballast").open("wb") as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(65536))
    with pytest.raises(StoreUnavailable):
        opened(f"sqlite:///{small_disk}/turbine.db")
    (small_disk / "ballast").unlink()
    opened(f"sqlite:///{small_disk}/turbine.db")


def test_a_disk_with_little_room_is_enough_for_small_writes(small_disk, opened, ledger) -> None:
    opened(f"sqlite:///{small_disk}/turbine.db").close()
    with (small_disk / "ballast").open("wb") as file:
        file.write(bytes(6 * 1024 * 1024))
    store = opened(f"sqlite:///{small_disk}/turbine.db")
    store.write_blocking(ledger.make)
    assert "entered a" == store.write_blocking(ledger.enter, id="a")


def test_a_file_that_cannot_grow_fails_all_waiters_of_its_batch_and_heals(
    sqlite_store, ledger, busy_writer, outcome
) -> None:
    text = "x" * WAL_PRESIZED
    with files_of_at_most(WAL_PRESIZED + 1024 * 1024):
        with busy_writer(sqlite_store):
            futures = [sqlite_store.submit_blocking(ledger.enter, {"id": id, "text": text}) for id in "abc"]
        answers = [outcome(future.wait) for future in futures]
        assert [StoreUnavailable] * 3 == [type(answer) for answer in answers]
        assert ([], 0) == sqlite_store.read_blocking(ledger.audit)
    assert "entered a" == sqlite_store.write_blocking(ledger.enter, id="a", text=text)
    assert (["a"], 1) == sqlite_store.read_blocking(ledger.audit)


def test_a_database_that_became_read_only_is_unavailable_until_it_can_be_written(sqlite_store, ledger, outcome) -> None:
    sqlite_store.hold("me")

    def become_read_only(tx) -> None:
        tx.rows(QUERY_ONLY)
        ledger.enter(tx, id="a")

    answer = outcome(lambda: sqlite_store.write_blocking(become_read_only))
    assert isinstance(answer, StoreUnavailable)
    assert "readonly" in str(answer)
    assert "me" == sqlite_store.write_blocking(lambda tx: tx.executor)
    assert "entered a" == sqlite_store.write_blocking(ledger.enter, id="a")


def test_a_commit_of_another_process_is_noticed(sqlite_store, companion) -> None:
    async def main() -> None:
        notified = asyncio.Event()
        loop = asyncio.get_running_loop()
        sqlite_store.listen(loop, "me", lambda wakes: notified.set() if ("everything", None) in wakes else None)
        async with asyncio.timeout(120):
            for n in range(20):
                notified.clear()
                if n % 2:  # look with and without being asked to hurry
                    sqlite_store.poll_eagerly()
                companion.tell(f"enter {n}")
                await notified.wait()
                assert str(n) == companion.hear()
        sqlite_store.stop_listening()

    asyncio.run(main())


async def test_what_was_written_before_the_listener_started_is_notified(sqlite_store, companion) -> None:
    companion.tell("enter a")
    companion.hear()
    notified = asyncio.Event()
    sqlite_store.listen(asyncio.get_running_loop(), "me", lambda wakes: notified.set())
    async with asyncio.timeout(120):
        await notified.wait()


def test_the_log_has_its_size_before_the_first_write_and_keeps_it(sqlite_store, ledger, opened) -> None:
    log = Path(sqlite_store.path + "-wal")
    size = log.stat().st_size
    assert size >= WAL_PRESIZED
    for n in range(50):
        sqlite_store.write_blocking(ledger.enter, id=str(n))
    assert size == log.stat().st_size
    opened(sqlite_store.url)
    assert size == log.stat().st_size
    assert [] == sqlite_store.read_blocking(
        lambda tx: tx.rows(Statement.of("select name from sqlite_master where name like '%presize%'"))
    )


def test_a_stranger_may_empty_the_log(sqlite_store, ledger) -> None:
    for n in range(3):
        sqlite_store.write_blocking(ledger.enter, id=str(n))
        with other_connection(sqlite_store) as stranger:
            stranger.execute("pragma wal_checkpoint(truncate)").fetchone()
    assert (["0", "1", "2"], 3) == sqlite_store.read_blocking(ledger.audit)


def test_a_log_that_grew_is_used_again(sqlite_store, ledger) -> None:
    log = Path(sqlite_store.path + "-wal")
    for n in range(8):
        sqlite_store.write_blocking(ledger.enter, id=str(n), text="x" * (4 << 20))
    grown = log.stat().st_size
    for n in range(8, 16):
        sqlite_store.write_blocking(ledger.enter, id=str(n), text="x" * (4 << 20))
    assert log.stat().st_size <= grown * 1.5
    assert 16 == sqlite_store.read_blocking(ledger.audit)[1]


def test_a_long_reader_stops_no_writer(sqlite_store, ledger) -> None:
    def read_around_writes(tx) -> None:
        before = ledger.audit(tx)
        for n in range(20):
            sqlite_store.write_blocking(ledger.enter, id=f"{n:02}")
        assert before == ledger.audit(tx)

    sqlite_store.read_blocking(read_around_writes)
    assert 20 == sqlite_store.read_blocking(ledger.audit)[1]


def test_a_reader_cannot_write(sqlite_store, ledger) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        sqlite_store.read_blocking(ledger.enter, id="a")


def test_reads_that_fail_leave_no_connection_open(sqlite_store, ledger) -> None:
    def descriptors() -> int:
        return sum(file.path.startswith(sqlite_store.path) for file in psutil.Process().open_files())

    def fail(tx) -> None:
        ledger.ids(tx)
        raise ZeroDivisionError

    sqlite_store.read_blocking(ledger.ids)
    before, errors = descriptors(), []
    for _ in range(20):
        try:
            sqlite_store.read_blocking(fail)
        except ZeroDivisionError as error:
            errors.append(error)  # its traceback keeps alive what the read had in its hands
    assert 20 == len(errors)
    assert descriptors() <= before


def test_a_program_may_change_its_folder(tmp_path, monkeypatch, opened, ledger) -> None:
    monkeypatch.chdir(tmp_path)
    store = opened("sqlite:///here/turbine.db")
    store.write_blocking(ledger.make)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert ([], 0) == store.read_blocking(ledger.audit)
    assert [] == list(Path().iterdir())


def test_two_names_of_one_file_take_turns_with_one_lock(sqlite_store, tmp_path, opened) -> None:
    (tmp_path / "link.db").symlink_to(sqlite_store.path)
    assert sqlite_store.lock_path("pod") == opened(f"sqlite:///{tmp_path}/link.db").lock_path("pod")


def test_a_killed_process_loses_nothing_that_was_acknowledged(sqlite_store, ledger, companion) -> None:
    companion.tell("enter-many theirs 1000000")
    while len(sqlite_store.read_blocking(ledger.ids)) < 20:
        time.sleep(0.001)
    os.kill(companion._process.pid, signal.SIGKILL)
    companion.kill()
    ids, total = sqlite_store.read_blocking(ledger.audit)
    assert {f"theirs.{n}" for n in range(total)} == set(ids)
    assert "entered ours" == sqlite_store.write_blocking(ledger.enter, id="ours")


def test_a_file_that_may_only_be_read_is_refused_at_launch(opened) -> None:
    with tempfile.TemporaryDirectory(prefix="turbine-read-only-") as name:
        folder = Path(name)
        opened(f"sqlite:///{folder}/turbine.db").close()
        (folder / "turbine.db").chmod(0o444)
        folder.chmod(0o555)
        with as_nobody():
            with pytest.raises(StoreInvalid, match="read-only for this user; make it writable or name another file"):
                opened(f"sqlite:///{folder}/turbine.db")
            with pytest.raises(StoreInvalid, match=r"read-only for this user; the database .* cannot be made"):
                opened(f"sqlite:///{folder}/new.db")
            with pytest.raises(StoreInvalid, match="cannot be made"):
                opened(f"sqlite:///{folder}/sub/new.db")
        folder.chmod(0o755)
