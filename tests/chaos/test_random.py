"""A random run with its seed: `make chaos JOBS=500 SEED=7`."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest

from tests.chaos.random_run import play
from tests.stack import KEPT_LOGS, LiveStack

SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 31))
JOBS = int(os.environ.get("JOBS") or 100)

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600 + 15 * JOBS)]


def test_no_invariant_breaks_in_a_random_run(stack: LiveStack, tmp_path: Path) -> None:
    print(f"\nSEED={SEED} JOBS={JOBS}")  # noqa: T201 - with it the same faults can be drawn again
    played = play(stack, tmp_path, seed=SEED, jobs=JOBS)
    print(played)  # noqa: T201 - how much has been tried
    violations = played.violations
    if violations:
        kept = KEPT_LOGS / f"chaos-{SEED}"
        shutil.copytree(tmp_path, kept, dirs_exist_ok=True)
        violations.append(f"SEED={SEED}; history and logs are in {kept}")
    assert violations == []
    # What is invalid, poisoned or cancelled is the least of it: a run in which nothing succeeds proves nothing.
    assert played.states["SUCCEEDED"] > JOBS / 2
    assert played.faults
