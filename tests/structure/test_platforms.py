"""What differs between operating systems stands in one module, which the checks of `scripts/test` read for each."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "turbine"
OF_ONE_SYSTEM = re.compile(
    r"""\b(?:import|from)\s+(?:fcntl|grp|msvcrt|pwd|resource|termios|tty|winreg)\b
    | \bsys\.platform\b | \bos\.name\b | \bgetattr\(os, | \bhasattr\((?:os|signal|socket),
    | \bos\.(?:chown|fork|forkpty|fsync|get(?:e?[ug]id|pgid|ppid)|kill|killpg|nice|pread|pwrite|register_at_fork
        |setsid|statvfs|sysconf|uname|wait\w*)\b
    | \bos\.O_(?!CREAT|EXCL|RDONLY|RDWR|TRUNC|WRONLY)\w+
    | \bsignal\.SIG(?!INT\b|TERM\b|_DFL\b|_IGN\b)[A-Z_]+ | \bpthread_kill\b
    | \badd_signal_handler\b | \bstart_new_session\b | \bcreationflags\b
    | ["']/(?:dev|etc|proc|sys|tmp|var)/""",
    re.VERBOSE,
)


def modules() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*.py") if path != SOURCE / "platform.py")


def test_one_module_asks_which_system_this_is() -> None:
    lines = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in modules()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if OF_ONE_SYSTEM.search(line)
    ]
    assert [] == lines


@pytest.mark.parametrize(
    "line",
    [
        "import fcntl",
        "from pwd import getpwuid",
        'if sys.platform == "win32":',
        "os.fsync(file.fileno())",
        "os.open(path, os.O_RDONLY | os.O_DIRECTORY)",
        "process.send_signal(signal.SIGKILL)",
        'Path("/proc/self/statm").read_text()',
        "os.kill(pid, 0)",
        'if hasattr(os, "fork"):',
    ],
)
def test_what_belongs_to_one_system_is_recognised(line: str) -> None:
    assert OF_ONE_SYSTEM.search(line)


def test_the_types_are_checked_for_every_system() -> None:
    script = (ROOT / "scripts" / "test").read_text(encoding="utf-8")
    assert {"Windows", "Darwin"} == set(re.findall(r"pyright --pythonplatform (\w+)", script))
