"""Makes .venv what pyproject.toml and constraints.txt ask for, and does nothing when it is that already.

Run by scripts/_venv.sh with the machine's Python: only the standard library is there. An installation that was cut off
is known by its mark and begun again from an empty environment; two scripts started at once take turns.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "turbine-installed"
UNDERWAY = VENV / "turbine-installing"


def main() -> int:
    # The folder itself is what is locked, so that no lock file is left lying about.
    folder = os.open(ROOT, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    wanted = fingerprint()
    if usable():
        if STAMP.is_file() and STAMP.read_text() == wanted:
            return 0
    else:
        say("making .venv")
        venv.EnvBuilder(clear=True, with_pip=True, symlinks=True).create(VENV)
    say("installing what constraints.txt names into .venv; the first time takes a minute or two")
    UNDERWAY.touch()
    STAMP.unlink(missing_ok=True)
    installed = subprocess.run(
        [PYTHON, "-I", "-m", "pip", *install_arguments()], cwd=ROOT, stdout=sys.stderr, check=False
    )
    if installed.returncode != 0:
        # pip that ends by itself has put back what it touched; one that was killed leaves the mark.
        if installed.returncode > 0:
            UNDERWAY.unlink()
        say("pip failed, see above; the next start tries again")
        return 1
    STAMP.write_text(wanted)
    UNDERWAY.unlink()
    return 0


def usable() -> bool:
    """Whether .venv is whole, runs, is new enough, and was made for this very folder."""
    scripts = VENV / "bin" / "pip"
    if UNDERWAY.exists() or not PYTHON.exists() or not scripts.is_file():
        return False
    # The programs in it name their interpreter by its full path, so a checkout that moved needs a new one.
    if os.fsencode(VENV) not in scripts.read_bytes():
        return False
    answer = subprocess.run(
        [PYTHON, "-I", "-c", "import pip, sys; print(sys.version_info >= (3, 11))"],
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stdout.strip() == "True"


def fingerprint() -> str:
    """What an installation depends on, as one line: the wishes, the pins, the build and the dashboard's source."""
    digest = hashlib.sha256(os.environ.get("TURBINE_SKIP_UI", "").encode())
    for path in (ROOT / "pyproject.toml", ROOT / "constraints.txt", ROOT / "hatch_build.py", *dashboard_sources()):
        digest.update(f"{path.relative_to(ROOT)}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def dashboard_sources() -> Iterator[Path]:
    for folder, subfolders, files in os.walk(ROOT / "ui"):
        subfolders[:] = sorted(name for name in subfolders if name not in {"node_modules", "dist"})
        yield from (Path(folder, name) for name in sorted(files))


def install_arguments() -> list[str]:
    quiet = ["--quiet", "--disable-pip-version-check", "--no-input", "--no-warn-script-location"]
    return ["install", *quiet, "--constraint", "constraints.txt", "--editable", ".[dev]"]


def say(words: str) -> None:
    print(f"turbine: {words}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
