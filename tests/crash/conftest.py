"""What the crash tests share: processes that may be killed, a look at the rows afterwards, and chance that repeats."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# The workers run as scripts in this folder; the tests find what they share with them in the same place.
sys.path.insert(0, str(Path(__file__).parent))

from crew import Crew


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Crew]:
    """Starts workers, and ends those that are left."""
    crew = Crew(tmp_path)
    yield crew
    for worker in crew.workers:
        worker.kill()


@pytest.fixture
def chance() -> random.Random:
    """Randomness whose seed is printed with a failure; CRASH_SEED in the environment repeats it."""
    seed = int(os.environ.get("CRASH_SEED", "0")) or random.randrange(1, 2**31)
    print(f"CRASH_SEED={seed} repeats this test")
    return random.Random(seed)
