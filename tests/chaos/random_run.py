"""A random run: many jobs of several tenants and formats, while a seeded scheduler breaks things."""

from __future__ import annotations

import random
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.clients import Errand
from tests.chaos.contents import Content, good, invalid, poisoned
from tests.chaos.faults import Faults
from tests.chaos.run import Run, baseline, running
from tests.stack import LiveStack

WORKERS = 3
CANCELLED_SHARE, INVALID_SHARE, POISON_SHARE = 0.10, 0.05, 0.02
PAUSE_SECONDS = (0.5, 3.0)
# Without it a few small jobs are done before the first draw.
GAP_SECONDS = 0.8
SETTLE_SECONDS = 120
SECONDS_PER_JOB = 12


@dataclass(frozen=True)
class Played:
    """What the checker found, and how much there was to find something in."""

    violations: list[str]
    states: Counter[str]
    faults: Counter[str]

    def __str__(self) -> str:
        return f"{self.faults.total()} faults {dict(self.faults)}, imports {dict(self.states)}"


def play(stack: LiveStack, folder: Path, *, seed: int, jobs: int, workers: int = WORKERS) -> Played:
    """The history is kept in `folder`."""
    rng = random.Random(seed)
    with running(stack, folder, seed) as run:
        for name in ("importer", *(f"worker-{number}" for number in range(1, workers + 1))):
            run.fleet.start(name)
        run.fleet.wait_ready()
        baseline(run)
        contents = good(seed)
        run.learn(contents)
        errands = [draw(run, rng, contents, seed, number) for number in range(jobs)]
        faults = Faults(stack, run.fleet, run.recorder, random.Random(seed))
        is_over = threading.Event()
        breaking = threading.Thread(target=faults.run, args=(is_over, PAUSE_SECONDS))
        breaking.start()
        try:
            run.play(errands, seconds=60 + SECONDS_PER_JOB * jobs, gap_seconds=GAP_SECONDS)
        finally:
            is_over.set()
            breaking.join()
        # Healed: what was killed is back, nothing stands still, and no more is broken.
        for name in ("postgres", "nats", "s3"):
            stack.wait_ready(name)
        run.fleet.wait_ready()
        run.settle(SETTLE_SECONDS)
        return Played(run.verdict(), run.states(), Counter(each.what for each in run.recorded().faults))


def draw(run: Run, rng: random.Random, contents: list[Content], seed: int, number: int) -> Errand:
    """The next job."""
    lot = rng.random()
    if lot < POISON_SHARE:
        return run.errand(poisoned(), tenant=number)
    if lot < POISON_SHARE + INVALID_SHARE:
        return run.errand(rng.choice(invalid(seed)), tenant=number)
    content = rng.choice(contents)
    cancel_after = rng.uniform(0, 4) if rng.random() < CANCELLED_SHARE else None
    return run.errand(content, tenant=number, cancel_after=cancel_after)
