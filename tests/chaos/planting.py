"""Where each planted bug shows: which process has it, what is done meanwhile, and which invariant must break."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.chaos.clients import Errand
from tests.chaos.contents import Content, good
from tests.chaos.planted import DECLARED_BYTES
from tests.chaos.processes import LEASE_SECONDS, wait_for
from tests.chaos.run import Run, baseline, running
from tests.chaos.sweep import SCAN
from tests.stack import LiveStack

SETTLE_SECONDS = 30
SEED = 20_26


@dataclass(frozen=True)
class Plan:
    """One bug. `failpoints` are of the first worker; each acts once."""

    bug: str
    role: str
    invariant: str
    disturb: Callable[[Run, list[Errand]], None]
    failpoints: str = ""
    is_unwalled: bool = False
    """Whether the wrong process is let past row-level security, the second wall, so that the first alone is judged."""


def undisturbed(run: Run, errands: list[Errand]) -> None:
    run.play(errands)


def without_queue(run: Run, errands: list[Errand]) -> None:
    """NATS is away while clients trigger."""
    run.stack.stop("nats")
    with ThreadPoolExecutor(1) as beside:
        playing = beside.submit(run.play, errands, seconds=SETTLE_SECONDS)
        wait_for(lambda: run.accepted() == run.number, "the triggers")
        run.stack.start("nats")
        playing.result()


def with_a_second_worker(run: Run, errands: list[Errand]) -> None:
    """The first worker stands still; another takes over; then the first goes on."""
    with ThreadPoolExecutor(1) as beside:
        playing = beside.submit(run.play, errands, seconds=SETTLE_SECONDS)
        wait_for(lambda: any((run.folder / "once").iterdir()), "the first worker to stand still")
        run.fleet.start("worker-2", run.fleet.processes["worker"].bug)
        playing.result()


def for_a_while(run: Run, errands: list[Errand]) -> None:
    run.play(errands, seconds=SETTLE_SECONDS)


def with_a_file_that_is_too_large(run: Run, errands: list[Errand]) -> None:
    """A tenant may import files of 5,000 bytes, and a client sends more than it says."""
    large = Content("too large", "nessus", good(SEED)[0].data)
    caller = run.callers[2]
    with psycopg.connect(run.stack.database.superuser_url) as connection:
        values = [caller.tenant, DECLARED_BYTES + 1_000]
        connection.execute("INSERT INTO tenant_limits (tenant_id, max_file_bytes) VALUES (%s, %s)", values)
    run.play([*errands, run.errand(large, tenant=2, states=[])], seconds=SETTLE_SECONDS)


PLANS = {
    plan.bug: plan
    for plan in (
        Plan("ack-before-commit", "worker", "ACK", undisturbed),
        Plan("publish-without-outbox", "importer", "INV1", without_queue),
        Plan(
            "no-fencing", "worker", "INV4", with_a_second_worker,
            failpoints=f"chunk.before_commit:sleep={2 * LEASE_SECONDS + 2}:3",
        ),
        Plan("non-atomic-flip", "worker", "INV3", undisturbed),
        Plan("reused-message-id", "importer", "INV1", for_a_while, failpoints="flip.before_merge:raise"),
        Plan("missing-tenant-filter", "status", "INV6", undisturbed, is_unwalled=True),
        Plan("dropped-by-max-deliver", "importer", "INV1", for_a_while, failpoints="worker.fetched:exit"),
        Plan("trusted-size", "importer", "INV7", with_a_file_that_is_too_large),
    )
}  # fmt: skip


@contextmanager
def planned(stack: LiveStack, folder: Path, plan: Plan, *, is_planted: bool) -> Iterator[Run]:
    """The stack with the plan's process started wrong, or for comparison right; nothing has been imported yet."""
    bug = plan.bug if is_planted else "none"
    with running(stack, folder, SEED) as run:
        once = folder / "once"
        once.mkdir()
        wrong = {plan.role: bug}
        run.fleet.start("importer", wrong.get("importer", "none"))
        run.fleet.start("worker", wrong.get("worker", "none"))
        if plan.role == "status":
            superuser = stack.database.superuser_url.replace("postgresql:", "postgresql+psycopg:")
            unwalled = {"HYTHE_DATABASE_URL": superuser} if is_planted and plan.is_unwalled else {}
            run.fleet.start("status", bug, environment=unwalled)
        run.fleet.wait_ready()
        baseline(run)
        yield run


def verdict(stack: LiveStack, folder: Path, plan: Plan, *, is_planted: bool) -> list[str]:
    """What the checker says of a run by this plan."""
    content = good(SEED)[1]
    with planned(stack, folder, plan, is_planted=is_planted) as run:
        run.learn([content])
        if plan.failpoints:
            worker = run.fleet.processes["worker"]
            run.fleet.stop("worker")
            once = str(folder / "once")
            armed = {"FAILPOINT": plan.failpoints, "FAILPOINT_ONCE_DIR": once}
            run.fleet.start("worker", worker.bug, environment=armed)
        plan.disturb(run, [run.errand(content, tenant=number) for number in range(2)])
        run.settle(SETTLE_SECONDS)
        return run.verdict()


def caught_in(run: Run, plan: Plan) -> set[str]:
    """What a bug of the worker breaks when it is planted for one import of a run that goes on."""
    run.fleet.discard("worker")
    run.fleet.start("worker", plan.bug)
    plan.disturb(run, [run.errand(SCAN)])
    run.settle(SETTLE_SECONDS)
    run.fleet.discard("worker")
    run.fleet.start("worker")
    return {each.partition(" ")[0] for each in run.verdict()}
