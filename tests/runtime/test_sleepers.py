"""Sleeping runs are rows: many of them cost next to no memory, and all wake."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("sleepers.py")


@pytest.mark.alone
@pytest.mark.timeout(150)
def test_six_thousand_sleeping_runs_cost_less_than_eighteen_megabytes_and_wake(database_url):
    output = subprocess.run(
        [sys.executable, str(PROGRAM), database_url, "6"], check=True, capture_output=True, text=True, timeout=140
    ).stdout

    seen = json.loads(output)
    assert seen["in_time"], "this machine could not start them before they were due"
    assert 0 == seen["held"]
    assert 18_000_000 > seen["bytes"]
    assert 6_500 == seen["done"]
    assert 15 > seen["late"]
