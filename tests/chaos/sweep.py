"""Every failpoint, with a process that dies there and with one that stands still for longer than its lease."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import psycopg

from hythe.importer.v1 import webhooks_pb2
from hythe.importer.v1.webhooks_pb2_grpc import WebhookServiceStub
from runtime.failpoints import POINTS
from tests.chaos.contents import CANCELLED, SUCCEEDED, Content, invalid, with_rejected_items
from tests.chaos.fetching import pulling
from tests.chaos.messages import publish_again
from tests.chaos.processes import LEASE_SECONDS, TAKERS, wait_for
from tests.chaos.run import Run
from tests.receiver import receiving
from tests.stack import LiveStack

SLEEP_SECONDS = LEASE_SECONDS + 3
SETTLE_SECONDS = 60
HIT_SECONDS = 60
RETENTION = {"HYTHE_RETENTION_SECONDS": "1", "HYTHE_KEEP_FILES_DAYS": "1"}
ACTIONS = {"exit": "exit", "sleep": f"sleep={SLEEP_SECONDS:.0f}"}

SCAN = Content("a scan with rejected items", "nessus", with_rejected_items())
DAMAGED = invalid(1)[0]


@dataclass(frozen=True)
class Scenario:
    """Drives one import so that it comes by a point. `also` arms other points that lead there."""

    role: str
    play: Callable[[Run, Path], None]
    also: str = ""
    settings: Mapping[str, str] | None = None


def plain(run: Run, once: Path) -> None:
    run.play([run.errand(SCAN)])


def damaged(run: Run, once: Path) -> None:
    run.play([run.errand(DAMAGED)])


def cancelled(run: Run, once: Path) -> None:
    """While it is queued: nobody works."""
    run.fleet.discard("worker")
    errand = run.errand(SCAN, states=[CANCELLED])
    import_id = errand.trigger(errand.caller.upload(SCAN))
    errand.caller.insist("cancel", "POST", f"/api/v2/my-imports/{import_id}/cancel")
    run.fleet.start("worker")


def undone(run: Run, once: Path) -> None:
    """An import that has succeeded is taken back; a report of a job that did not succeed holds nothing."""
    errand = run.errand(SCAN, states=[SUCCEEDED])
    run.play([errand])
    import_id = run.import_of(errand)
    path = f"/api/v2/my-imports/{import_id}"
    errand.caller.insist("undo", "POST", f"{path}/undo", json={})
    wait_for(lambda: errand.caller.call("detail", "GET", path)["undoneAt"], "the undo", SETTLE_SECONDS)


def in_parts(run: Run, once: Path) -> None:
    """The file goes up by the route of large ones."""
    errand = run.errand(SCAN)
    errand.in_parts = True
    run.play([errand])


def given_up(run: Run, once: Path) -> None:
    """An upload in parts that its client gives up, and the import of another."""
    errand = run.errand(SCAN)
    _, begun = errand.caller.insist("begin parts", "POST", "/api/v2/uploads", json={"name": "a", "size": 1})
    status, _ = errand.caller.insist("abort parts", "DELETE", f"/api/v2/uploads/{begun['key']}")
    assert status == httpx.codes.OK, status
    run.play([errand])


def told(run: Run, once: Path) -> None:
    """Somebody wants to hear of the end: one delivery, made once or more, and noted as made."""
    errand = run.errand(SCAN)
    with receiving() as receiver, hearing(run.stack, errand.caller.key, receiver.url()):
        run.play([errand])
        import_id = run.import_of(errand)
        query = b"SELECT state FROM webhook_deliveries WHERE import_id = %s"

        def is_delivered() -> bool:
            with psycopg.connect(run.stack.database.superuser_url) as connection:
                return connection.execute(query, [import_id]).fetchall() == [("DELIVERED",)]

        wait_for(is_delivered, "the delivery to be made", HIT_SECONDS)
        assert len({each.delivery_id for each in receiver.received}) == 1
        # Its webhook goes with the block, and what was not done about it would go unseen.
        run.settle(SETTLE_SECONDS)


@contextmanager
def hearing(stack: LiveStack, key: str, url: str) -> Iterator[None]:
    """A webhook for the length of the block."""
    with psycopg.connect(stack.database.superuser_url, autocommit=True) as connection:
        before = connection.execute("SELECT coalesce(max(webhook_id), 0) FROM webhooks").fetchone()
        with grpc.insecure_channel(stack.grpc) as channel:
            request = webhooks_pb2.CreateWebhookRequest(webhook=webhooks_pb2.Webhook(url=url))
            calling = WebhookServiceStub(channel).CreateWebhook
            calling(request, metadata=(("x-api-key", key),), timeout=HIT_SECONDS, wait_for_ready=True)
        yield
        connection.execute("DELETE FROM webhooks WHERE webhook_id > %s", before)


def repeated(run: Run, once: Path) -> None:
    """The message of a finished import comes again."""
    errand = run.errand(SCAN)
    run.play([errand])
    asyncio.run(publish_again(run.stack, run.import_of(errand)))
    wait_for(lambda: any(once.iterdir()), "the repeated message", HIT_SECONDS)


def without_database(run: Run, once: Path) -> None:
    """PostgreSQL goes away between the message and the claim."""
    with ThreadPoolExecutor(1) as beside:
        playing = beside.submit(run.play, [run.errand(SCAN)])
        wait_for((once / "worker.fetched").exists, "the message to be fetched", HIT_SECONDS)
        run.stack.stop("postgres")
        wait_for(lambda: len(list(once.iterdir())) > 1, "the message to be given back", HIT_SECONDS)
        run.stack.start("postgres")
        playing.result()


def grown_old(run: Run, once: Path) -> None:
    """An import that ended two days ago; its file is removed. Its rows stay, and are judged as ever."""
    errand = run.errand(SCAN)
    run.play([errand])
    with psycopg.connect(run.stack.database.superuser_url) as connection:
        query = "UPDATE imports SET ended_at = now() - interval '2 days' WHERE request_id = %s"
        connection.execute(query, [errand.job.name])
    wait_for(lambda: any(once.iterdir()), "the retention to come by", HIT_SECONDS)
    purged = (
        "SELECT count(*) FROM import_inputs JOIN imports USING (tenant_id, import_id) "
        "WHERE request_id = %s AND purged_at IS NULL"
    )

    def is_purged() -> bool:
        with psycopg.connect(run.stack.database.superuser_url) as connection:
            return connection.execute(purged, [errand.job.name]).fetchone() == (0,)

    wait_for(is_purged, "the file to be removed", HIT_SECONDS)


def pulled(run: Run, once: Path) -> None:
    """A source is read from its database, and merged."""
    with pulling(run.stack) as pull:
        pull.assert_merged_once(pull.start())


def pulled_and_repeated(run: Run, once: Path) -> None:
    """The message of a fetch that is over comes again."""
    with pulling(run.stack) as pull:
        import_id = pull.start()
        assert pull.ended(import_id) == "SUCCEEDED"
        asyncio.run(publish_again(run.stack, import_id, "fetch"))
        wait_for(lambda: any(once.iterdir()), "the repeated message", HIT_SECONDS)
        pull.assert_merged_once(import_id)


def pulled_without_database(run: Run, once: Path) -> None:
    """PostgreSQL goes away between the message and the claim."""
    with pulling(run.stack) as pull:
        import_id = pull.start()
        wait_for((once / "fetch.taken").exists, "the message to be fetched", HIT_SECONDS)
        run.stack.stop("postgres")
        wait_for(lambda: len(list(once.iterdir())) > 1, "the message to be given back", HIT_SECONDS)
        run.stack.start("postgres")
        pull.assert_merged_once(import_id)


WORKER = Scenario("worker", plain)
IMPORTER = Scenario("importer", plain)
HAND_BACK = Scenario("worker", plain, also="flip.before_merge:raise")
ENDING = Scenario("worker", damaged)
REFUSAL = Scenario("worker", repeated)
AWAY = Scenario("worker", without_database, also=f"worker.fetched:sleep={LEASE_SECONDS:.0f}")
UNDO = Scenario("worker", undone)
CANCEL = Scenario("importer", cancelled)
OLD = Scenario("importer", grown_old, settings=RETENTION)
UPLOAD = Scenario("upload", plain)
PARTS = Scenario("upload", in_parts)
GIVEN_UP = Scenario("upload", given_up)
PULLED = Scenario("fetcher", pulled)
PULLED_TWICE = Scenario("fetcher", pulled, also="fetch.after_landing:raise")
PULLED_AGAIN = Scenario("fetcher", pulled_and_repeated)
PULLED_AWAY = Scenario("fetcher", pulled_without_database, also=f"fetch.taken:sleep={LEASE_SECONDS:.0f}")
TOLD = Scenario("importer", told, settings={"HYTHE_WEBHOOK_TIMEOUT_SECONDS": "2"})

# Of the groups of points, which scenario comes by them; a whole name goes before its group.
BY_GROUP = {
    "upload": UPLOAD,
    "parts": PARTS,
    "webhook": TOLD,
    "trigger": IMPORTER,
    "command": CANCEL,
    "dispatch": IMPORTER,
    "announce": IMPORTER,
    "worker": WORKER,
    "claim": WORKER,
    "prepare": WORKER,
    "chunk": WORKER,
    "report": WORKER,
    "flip": WORKER,
    "undo": UNDO,
    "end": ENDING,
    "handback": HAND_BACK,
    "ack": WORKER,
    "refusal": REFUSAL,
    "fetch": PULLED,
    "fetch.before_handback": PULLED_TWICE,
    "fetch.before_refusal": PULLED_AGAIN,
    "fetch.before_nak": PULLED_AWAY,
    "fetch.after_nak": PULLED_AWAY,
    "nak": AWAY,
    "storage": WORKER,
    "storage.before_head": IMPORTER,
    "storage.after_head": IMPORTER,
    "storage.before_begin": PARTS,
    "storage.after_begin": PARTS,
    "storage.before_list": PARTS,
    "storage.after_list": PARTS,
    "storage.before_complete": PARTS,
    "storage.after_complete": PARTS,
    "storage.before_abort": GIVEN_UP,
    "storage.after_abort": GIVEN_UP,
    "storage.before_delete": OLD,
    "storage.after_delete": OLD,
}


def scenario_of(point: str) -> Scenario:
    return BY_GROUP.get(point) or BY_GROUP[point.partition(".")[0]]


def cases() -> list[tuple[str, str, int]]:
    """Point, action, and which time it acts: of the steps of a flip, each."""
    return [
        (point, action, nth)
        for point in sorted(POINTS)
        for action in ACTIONS
        for nth in ((1, 2, 3) if point == "flip.step" else (1,))
    ]


def swept(run: Run, point: str, action: str, nth: int = 1) -> list[str]:
    """Arms one process, drives an import past the point, and gives what the checker finds wrong afterwards."""
    scenario = scenario_of(point)
    once = run.folder / f"{point}-{action}-{nth}"
    once.mkdir()
    armed = ",".join(filter(None, (f"{point}:{ACTIONS[action]}:{nth}", scenario.also)))
    run.fleet.discard(scenario.role)
    environment = {"FAILPOINT": armed, "FAILPOINT_ONCE_DIR": str(once), **(scenario.settings or {})}
    run.fleet.start(scenario.role, environment=environment)
    helper = f"{scenario.role}-2" if scenario.role in TAKERS and action == "sleep" else ""
    try:
        with ThreadPoolExecutor(1) as beside:
            playing = beside.submit(scenario.play, run, once)
            if helper:
                # Nobody else may take the message before; somebody else must take the import over.
                wait_for(lambda: (once / point).exists() or playing.done(), f"{point} to be reached", HIT_SECONDS)
                run.fleet.start(helper)
            playing.result()
        # What is told after an import's end may come by after its client has gone.
        wait_for((once / point).exists, f"{point} to be reached", HIT_SECONDS)
        run.settle(SETTLE_SECONDS)
    finally:
        # It would take from the next one what that is to come by.
        if helper in run.fleet.processes:
            run.fleet.discard(helper)
    return run.verdict()
