"""What differs between operating systems: every branch that can run here, also those that this system does not take."""

import getpass
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from turbine import platform
from turbine.platform import FileLock, FlockCalls, LibraryCalls

HOLDER = """
import sys
from pathlib import Path
from turbine import platform

platform.FileLock.calls = getattr(platform, sys.argv[1])()
lock = platform.FileLock(Path(sys.argv[2]))
lock.acquire()
lock.write_text("held by another")
print("held", flush=True)
sys.stdin.read()
"""
COUNTERS = """
import sys
from pathlib import Path
from turbine import platform

platform.FileLock.calls = getattr(platform, sys.argv[1])()
lock, count = platform.FileLock(Path(sys.argv[2])), Path(sys.argv[3])
for _ in range(200):
    lock.acquire()
    count.write_text(str(int(count.read_text()) + 1))
    lock.release()
"""


@pytest.fixture(params=[FlockCalls, LibraryCalls], ids=["flock", "library"])
def calls(request, monkeypatch) -> str:
    monkeypatch.setattr(FileLock, "calls", request.param())
    return request.param.__name__


@pytest.fixture
def lock(calls, tmp_path) -> Iterator[FileLock]:
    lock = FileLock(tmp_path / "a.lock")
    yield lock
    lock.close()


@pytest.fixture
def rival(lock) -> Iterator[FileLock]:
    rival = FileLock(lock.path, create=False)
    yield rival
    rival.close()


@pytest.fixture
def holder(lock, calls) -> Iterator[subprocess.Popen[str]]:
    arguments = [sys.executable, "-c", HOLDER, calls, str(lock.path)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "held\n" == process.stdout.readline()
        yield process
        process.kill()


def refusing_while_open() -> Any:
    """`Path.unlink` as Windows has it: it refuses while this process has the file open."""
    plain = Path.unlink

    def unlink(self: Path, missing_ok: bool = False) -> None:
        unlink.count += 1
        if str(self) in [file.path for file in psutil.Process().open_files()]:
            raise PermissionError(13, "The process cannot access the file because it is being used", str(self))
        plain(self, missing_ok=missing_ok)

    unlink.count = 0
    return unlink


def test_a_lock_excludes_another_one_of_the_same_process(lock, rival) -> None:
    assert lock.try_acquire()
    assert not rival.try_acquire()
    lock.release()
    assert rival.try_acquire()
    assert not lock.try_acquire()


def test_a_lock_is_free_when_its_file_is_closed(lock, rival) -> None:
    lock.acquire()
    lock.close()
    lock.close()
    assert rival.try_acquire()


def test_a_closed_lock_cannot_be_taken(lock) -> None:
    lock.close()
    with pytest.raises(ValueError, match=r"a\.lock is closed"):
        lock.try_acquire()


def test_the_lock_of_a_process_is_free_when_it_was_killed(lock, holder) -> None:
    assert not lock.try_acquire()
    holder.send_signal(signal.SIGKILL)
    lock.acquire()


def test_the_text_of_a_lock_can_be_read_while_another_process_holds_it(lock, holder) -> None:
    assert "held by another" == lock.read_text()


def test_a_new_text_replaces_a_longer_one(lock, rival) -> None:
    assert "" == lock.read_text()
    lock.acquire()
    lock.write_text("the first text, a longer one")
    lock.write_text("für später")
    assert "für später" == rival.read_text()


def test_processes_that_count_in_turn_lose_no_count(lock, calls, tmp_path) -> None:
    count = tmp_path / "count"
    count.write_text("0")
    arguments = [sys.executable, "-c", COUNTERS, calls, str(lock.path), str(count)]
    processes = [subprocess.Popen(arguments) for _ in range(4)]
    assert [0, 0, 0, 0] == [process.wait() for process in processes]
    assert "800" == count.read_text()


def test_a_program_that_the_holder_starts_does_not_inherit_the_lock(lock, rival) -> None:
    lock.acquire()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False) as process:
        lock.close()
        rival.acquire()
        assert process.poll() is None
        process.kill()


def test_a_removed_lock_leaves_no_file_and_a_missing_one_is_not_made(lock) -> None:
    lock.acquire()
    lock.remove()
    lock.remove()
    assert not lock.path.exists()
    with pytest.raises(FileNotFoundError):
        FileLock(lock.path, create=False)


def test_a_lock_is_removed_also_where_open_files_cannot_be(lock, monkeypatch) -> None:
    monkeypatch.setattr(platform, "REMOVES_OPEN_FILES", False)
    monkeypatch.setattr(Path, "unlink", unlink := refusing_while_open())
    lock.acquire()
    lock.remove()
    assert 1 == unlink.count
    assert not lock.path.exists()


def test_a_file_that_others_have_open_stays_where_the_system_wants_it_so(lock, monkeypatch) -> None:
    monkeypatch.setattr(Path, "unlink", refusing_while_open())
    with pytest.raises(PermissionError):
        platform.remove_file(lock.path)
    monkeypatch.setattr(platform, "REMOVES_OPEN_FILES", False)
    platform.remove_file(lock.path)
    platform.remove_file(lock.path.with_name("missing"))
    assert lock.path.exists()


def test_every_id_has_a_file_name_of_its_own_on_every_file_system() -> None:
    ids = ["web-1", "WEB-1", "web/1", "web:1", "web 1", "a" * 500, "a" * 501, "", ".", "con", "\0", "\ud800", "ä"]
    names = [platform.file_name(id) for id in ids]
    assert len(ids) == len({name.lower() for name in names})
    assert all(name.isascii() and len(name) <= 100 and not set(name) & set('<>:"/\\|?*\0 ') for name in names)
    assert names[0].startswith("web-1-")


def test_the_folder_for_locks_belongs_to_this_user_alone(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = platform.user_lock_folder()
    assert (tmp_path, 0o700) == (folder.parent, folder.stat().st_mode & 0o777)
    assert folder == platform.user_lock_folder()


def test_without_user_numbers_the_temporary_folder_is_the_users_own(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delattr(os, "getuid")
    assert tmp_path / "turbine-locks" == platform.user_lock_folder()
    assert (tmp_path / "turbine-locks").is_dir()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder to another user")
def test_the_folder_of_another_user_is_no_folder_for_locks(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    os.chown(platform.user_lock_folder(), 12345, 12345)
    with pytest.raises(PermissionError, match="belongs to another user"):
        platform.user_lock_folder()


@pytest.mark.parametrize("error", [ImportError("no pwd"), KeyError("uid"), OSError("no name")])
def test_a_user_without_a_name_is_told_by_number(monkeypatch, error) -> None:
    def fail() -> str:
        raise error

    monkeypatch.setattr(getpass, "getuser", fail)
    assert f"uid {os.getuid()}" == platform.user_name()
    monkeypatch.delattr(os, "getuid")
    assert "unknown" == platform.user_name()


def test_the_memory_of_the_process_is_told_where_the_system_tells_it(monkeypatch) -> None:
    told = platform.resident_memory()
    assert told is not None
    assert 1_000_000 < told < psutil.virtual_memory().total

    def refuse(self) -> None:
        raise psutil.AccessDenied(self.pid)

    monkeypatch.setattr(psutil.Process, "memory_info", refuse)
    assert platform.resident_memory() is None


def test_the_path_of_a_url_names_the_file_that_the_url_was_made_of(tmp_path: Path) -> None:
    file = tmp_path / "a b" / "100 % ü#?.txt"
    assert file == platform.path_of_url(urlsplit(file.as_uri()).path)


def test_what_does_not_exist_here_is_left_out(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delattr(os, "O_DIRECTORY")
    monkeypatch.delattr(os, "register_at_fork")
    platform.sync_folder(tmp_path / "missing")
    platform.after_fork_in_child(lambda: None)


def test_what_is_written_and_named_can_be_brought_onto_the_disk(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("written")
    platform.sync_file(file)
    platform.sync_folder(tmp_path)
    with pytest.raises(FileNotFoundError):
        platform.sync_file(tmp_path / "b")
