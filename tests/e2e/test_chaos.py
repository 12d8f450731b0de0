"""The short selection of tests/chaos that every run of the tests does: `make chaos` runs all of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.instance import ROOT
from tests.chaos import random_run
from tests.chaos.planting import PLANS, caught_in
from tests.chaos.run import Run, baseline, running
from tests.chaos.sweep import SCAN, swept
from tests.stack import LiveStack

SEED, JOBS = 7, 10

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def run(stack: LiveStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with running(stack, tmp_path_factory.mktemp("chaos"), SEED, tenants=2) as run:
        run.fleet.start("importer")
        run.fleet.start("worker")
        run.fleet.start("fetcher")
        run.fleet.wait_ready()
        baseline(run)
        run.learn([SCAN])
        yield run


@pytest.mark.parametrize(
    ("point", "action"),
    [
        ("claim.after_commit", "exit"),
        ("chunk.after_commit", "exit"),
        ("flip.before_commit", "sleep"),
        ("dispatch.after_publish", "exit"),
        ("fetch.after_landing", "exit"),
        ("fetch.after_end", "exit"),
    ],
)
def test_an_import_survives_a_failpoint(run: Run, point: str, action: str) -> None:
    assert swept(run, point, action) == []


@pytest.mark.parametrize("bug", ["ack-before-commit", "non-atomic-flip"])
def test_a_planted_bug_is_caught(run: Run, bug: str) -> None:
    assert PLANS[bug].invariant in caught_in(run, PLANS[bug])


def test_the_checker_is_a_program_of_its_own(run: Run) -> None:
    """Over the history of the runs above, the planted bugs among them."""
    store, secrets = run.stack.object_store, run.stack.stack.secrets
    where = ["--database", run.stack.database.superuser_url, "--nats", run.stack.nats_url, "--s3", store.endpoint]
    # A generated key may begin with a dash.
    keys = [f"--s3-access-key={store.access_key}", f"--s3-secret-key={store.secret_key}", f"--bucket={store.bucket}"]
    command = [sys.executable, "-m", "tests.chaos.check", *where, *keys, f"--secret={secrets.roles['hythe_worker']}"]
    done = subprocess.run([*command, run.recorder.path], check=False, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert {line.partition(" ")[0] for line in done.stdout.splitlines()[:-1]} == {"ACK", "INV3"}
    begun = run.folder / "begun.jsonl"
    begun.write_bytes(run.recorder.path.read_bytes().splitlines(keepends=True)[0])
    assert subprocess.run([*command, begun], check=False, cwd=ROOT, capture_output=True).returncode == 2


def test_no_invariant_breaks_in_a_random_run(stack: LiveStack, tmp_path: Path) -> None:
    played = random_run.play(stack, tmp_path, seed=SEED, jobs=JOBS, workers=2)
    assert played.violations == []
    assert played.states["SUCCEEDED"] > JOBS / 2
    assert played.faults
