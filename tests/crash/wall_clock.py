"""A wall clock for processes of a test that can be set while they run: libfaketime, where the machine has it.

The monotonic clock stays what it is, as it does when a person or NTP sets a real clock.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

LIBRARY = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
CACHE_SECONDS = 1
"""How long a process may go on by the old time: it looks into the file that often."""


class WallClock:
    """The clock of one machine; its processes read it from a file."""

    def __init__(self, file: Path) -> None:
        self.offset = 0.0
        """Seconds by which it is ahead of the real one."""
        self._file = file
        self.set(0.0)

    @staticmethod
    def exists() -> bool:
        return LIBRARY.exists()

    def set(self, offset: float) -> None:
        """Step to another time. A reader sees the old text or the new one, never a part."""
        self.offset = offset
        draft = self._file.with_suffix(".new")
        draft.write_text(f"{offset:+.3f}\n")
        draft.replace(self._file)

    @property
    def environment(self) -> dict[str, str]:
        """For processes that go by this clock."""
        return {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": str(CACHE_SECONDS),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }


def forget(pid: int) -> None:
    """Remove what libfaketime keeps in shared memory for a process that was killed."""
    for name in (f"faketime_shm_{pid}", f"sem.faketime_sem_{pid}"):
        with contextlib.suppress(FileNotFoundError):
            (Path("/dev/shm") / name).unlink()
