"""What differs between operating systems: file locks, folders, disks, signals, memory, users.

No other module asks which system this is. Tests force every branch that can run on Linux; what only another system has
is type-checked for that system. `docs/limits.md` says which is which.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Protocol
from urllib.parse import unquote

if sys.platform != "win32":
    import fcntl

SYSTEM: str = sys.platform
"""What Python calls this system, for people."""
REMOVES_OPEN_FILES = sys.platform != "win32"
"""Whether a file can be removed while a process has it open."""
_POLL_SECONDS = 0.001
_TEXT_AT = 1
"""Where the text of a lock file begins: Windows lets no other handle read the first byte, which is the locked one."""
_BINARY: int = getattr(os, "O_BINARY", 0)


def _seek_and_read(descriptor: int, size: int, offset: int) -> bytes:
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.read(descriptor, size)


_read_at: Callable[[int, int, int], bytes] = getattr(os, "pread", _seek_and_read)


class LockCalls(Protocol):
    """One way to lock an open file. The lock is free when its descriptor is closed, or its process has died."""

    def try_acquire(self, descriptor: int) -> bool: ...

    def acquire(self, descriptor: int) -> None: ...

    def release(self, descriptor: int) -> None: ...


class LibraryCalls:
    """The library `filelock`, for systems without `flock`. A wait asks every millisecond."""

    def try_acquire(self, descriptor: int) -> bool:
        from filelock import lock_descriptor

        return lock_descriptor(descriptor, blocking=False)

    def acquire(self, descriptor: int) -> None:
        from filelock import lock_descriptor

        lock_descriptor(descriptor, poll_interval=_POLL_SECONDS)

    def release(self, descriptor: int) -> None:
        from filelock import unlock_descriptor

        unlock_descriptor(descriptor)


if sys.platform == "win32":
    _CALLS: LockCalls = LibraryCalls()
else:

    class FlockCalls:
        """`flock`: a lock of the open file instead of the process. The kernel wakes the next that waits."""

        def try_acquire(self, descriptor: int) -> bool:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        def acquire(self, descriptor: int) -> None:
            fcntl.flock(descriptor, fcntl.LOCK_EX)

        def release(self, descriptor: int) -> None:
            fcntl.flock(descriptor, fcntl.LOCK_UN)

    _CALLS: LockCalls = FlockCalls()


class FileLock:
    """An exclusive lock on a file, which is opened once and may be locked and released any number of times.

    It excludes every other `FileLock` of the file, also one of the same process, and is free when its process dies,
    however that dies. Programs that the process starts do not inherit it; forked children share it. The constructor
    raises OSError when the file cannot be opened, the methods when its file system has no locks.
    """

    calls: ClassVar[LockCalls] = _CALLS

    def __init__(self, path: Path, *, create: bool = True) -> None:
        """Open the file, or make it. With `create=False` one that is missing raises FileNotFoundError."""
        self.path = path
        self._file: int | None = os.open(path, os.O_RDWR | _BINARY | (os.O_CREAT if create else 0), 0o644)

    def try_acquire(self) -> bool:
        """Take the lock if it is free; False while another has it."""
        return self.calls.try_acquire(self._descriptor())

    def acquire(self) -> None:
        """Take the lock, as soon as it is free."""
        self.calls.acquire(self._descriptor())

    def release(self) -> None:
        """Let go of the lock; the file stays open."""
        self.calls.release(self._descriptor())

    def write_text(self, text: str) -> None:
        """Replace the text in the file, at most 4,000 bytes in UTF-8. Only for the holder of the lock."""
        descriptor = self._descriptor()
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, b"\n" * _TEXT_AT + text.encode())

    def read_text(self) -> str:
        """The text that a holder wrote, "" if none did. Also while another has the lock."""
        return _read_at(self._descriptor(), 4096, _TEXT_AT).decode(errors="replace")

    def close(self) -> None:
        """Close the file, which stays; that lets go of the lock, unless a forked child has it open too. Idempotent."""
        descriptor, self._file = self._file, None
        if descriptor is not None:
            os.close(descriptor)

    def remove(self) -> None:
        """Remove the file and let go of the lock, in this order where the system allows it. Idempotent.

        A process that took the free lock first would hold a lock on a file that no other can find.
        """
        if self._file is None:
            return
        if not REMOVES_OPEN_FILES:
            self.close()
        remove_file(self.path)
        self.close()

    def _descriptor(self) -> int:
        if self._file is None:
            raise ValueError(f"The lock file {self.path} is closed.")
        return self._file


def remove_file(path: Path) -> None:
    """Remove a file if it is there. Where the system refuses that while another has it open, it stays."""
    try:
        path.unlink(missing_ok=True)
    except PermissionError:
        if REMOVES_OPEN_FILES:
            raise


def file_name(id: str) -> str:
    """A file name for an id of any characters and any length; ids that differ in their case only get different ones."""
    digest = hashlib.sha256(id.encode(errors="surrogatepass")).hexdigest()
    return f"{re.sub(r'[^A-Za-z0-9._-]', '_', id)[:80]}-{digest[:16]}"


def path_of_url(path: str) -> Path:
    """The file that the path of a `file:` URL names; on Windows a drive follows its first slash."""
    text = unquote(path)
    if sys.platform == "win32":
        text = re.sub(r"^/(?=[A-Za-z]:)", "", text)
    return Path(text)


def user_lock_folder() -> Path:
    """The folder for lock files that is this user's own, in the temporary folder. Raises OSError if it cannot be."""
    import tempfile

    number = _user_number()
    if number is None:  # Windows, where the temporary folder is the user's own
        folder = Path(tempfile.gettempdir()) / "turbine-locks"
        folder.mkdir(exist_ok=True)
        return folder
    folder = Path(tempfile.gettempdir()) / f"turbine-{number}"
    folder.mkdir(mode=0o700, exist_ok=True)
    # Another user who made the folder first could remove locks that are held.
    if folder.lstat().st_uid != number:
        raise PermissionError(f"{folder} belongs to another user")
    return folder


def _user_number() -> int | None:
    number: Callable[[], int] | None = getattr(os, "getuid", None)
    return None if number is None else number()


def user_name() -> str:
    """Who runs this process, for people."""
    import getpass

    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):  # a user without a name, as in containers
        number = _user_number()
        return "unknown" if number is None else f"uid {number}"


def machine_id() -> str:
    """Which machine this is, for people."""
    with contextlib.suppress(OSError):
        return _installed_machine_id() or socket.gethostname()
    return socket.gethostname()


if sys.platform == "win32":

    def _installed_machine_id() -> str:
        import winreg

        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"SOFTWARE\Microsoft\Cryptography") as key:
            return str(winreg.QueryValueEx(key, "MachineGuid")[0])
else:

    def _installed_machine_id() -> str:
        return Path("/etc/machine-id").read_text(encoding="ascii").strip()


def resident_memory() -> int | None:
    """The bytes of memory that this process has in use; None where the system does not tell."""
    import psutil

    try:
        return psutil.Process().memory_info().rss
    except (psutil.Error, OSError):
        return None


def is_stopped(process_id: int) -> bool:
    """Whether a process of this machine is stopped: by Ctrl-Z, SIGSTOP or a debugger."""
    import psutil

    try:
        return psutil.Process(process_id).status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)
    except (psutil.Error, OSError):
        return False


def sync(descriptor: int) -> None:
    """Return when what was written to an open file is on the disk. The descriptor must be open for writing."""
    if sys.platform == "darwin":
        with contextlib.suppress(OSError):  # a file system without it
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)  # `fsync` alone leaves it in the cache of the drive
            return
    os.fsync(descriptor)


def sync_file(path: Path) -> None:
    """Return when what was written to a closed file is on the disk."""
    descriptor = os.open(path, os.O_RDWR | _BINARY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Return when the names in a folder are on the disk. Windows has no call for it; NTFS logs names by itself."""
    folder_only: int | None = getattr(os, "O_DIRECTORY", None)
    if folder_only is None:
        return
    descriptor = os.open(path, os.O_RDONLY | folder_only)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def after_fork_in_child(act: Callable[[], None]) -> None:
    """Have `act` called in every child that this process forks, where processes fork."""
    register: Callable[..., None] | None = getattr(os, "register_at_fork", None)
    if register is not None:
        register(after_in_child=act)


def around_fork(*, before: Callable[[], None], in_parent: Callable[[], None], in_child: Callable[[], None]) -> None:
    """Have these called around every fork of this process, where processes fork."""
    register: Callable[..., None] | None = getattr(os, "register_at_fork", None)
    if register is not None:
        register(before=before, after_in_parent=in_parent, after_in_child=in_child)


def signal_main_thread(number: int) -> None:
    """Have the main thread get a signal; where there is no call for that, the process."""
    to_thread: Callable[[int, int], None] | None = getattr(signal, "pthread_kill", None)
    if to_thread is None:
        signal.raise_signal(number)
    else:
        to_thread(threading.main_thread().ident or 0, number)


def own_group() -> dict[str, Any]:
    """Arguments of `subprocess.Popen` for a process that a Ctrl-C in the terminal does not reach."""
    if sys.platform == "win32":
        import subprocess

        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM) + ((signal.SIGBREAK,) if sys.platform == "win32" else ())
"""The signals by which a person or a service manager asks a process to end."""
KILL = "TerminateProcess" if sys.platform == "win32" else "SIGKILL"
"""What `subprocess.Popen.kill` does here."""
