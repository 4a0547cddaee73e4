"""The dashboard's types are those of the API as it is now."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_schemas_of_the_dashboard_are_those_of_the_api() -> None:
    run = subprocess.run([sys.executable, ROOT / "scripts" / "openapi.py"], capture_output=True, text=True, check=True)
    assert run.stdout == (ROOT / "ui" / "openapi.json").read_text(encoding="utf-8"), "run `npm run types` in ui/"
