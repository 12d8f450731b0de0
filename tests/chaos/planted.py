"""Starts a real service with one function replaced by a wrong one: `python -m tests.chaos.planted BUG MODULE`.

The eight bugs are what the checker must catch (tests/chaos/test_planted.py). `none` plants nothing. In each case the
waits that a test cannot afford are shortened: what the queue takes for silence, and the pauses before retries.
"""

# ruff: noqa: PLC0415 - grpc must not be imported before the fork server runs, and only the bug's own module is needed.

from __future__ import annotations

import asyncio
import runpy
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any
from uuid import UUID

WORKER = "services.importer.worker_main"
FETCHER = "services.fetcher.main"

ACK_WAIT_SECONDS = 6
BEAT_SECONDS = 1.5
RETRY_SECONDS = 1.0
SWEEP_SECONDS = 2.0
HALF_A_SECOND = 0.5


def ack_before_commit() -> None:
    """The worker acks what it has fetched, and then begins to work on it."""
    from services.importer.worker import Worker

    take = Worker._take

    async def acked_first(self: Worker, lane: Any, stop: asyncio.Event, message: Any, delivery: Any, span: Any) -> None:
        await delivery.ack_sync()

        async def not_again() -> None: ...

        delivery.ack_sync = not_again
        await take(self, lane, stop, message, delivery, span)

    _replace(Worker, "_take", acked_first)


def publish_without_outbox() -> None:
    """The trigger commits an import without its row in the outbox and publishes it afterwards, if it can."""
    from sqlalchemy import text

    from runtime.database import Database
    from runtime.jetstream import JobQueue, QueueUnavailable
    from services.importer import job_message
    from services.importer.store.imports import SqlImportStore

    is_trigger: ContextVar[bool] = ContextVar("is_trigger", default=False)
    queues: list[JobQueue] = []
    insert, transaction, connect = SqlImportStore.insert, Database.transaction, JobQueue.connect.__func__  # type: ignore[attr-defined]

    @asynccontextmanager
    async def forgetful(self: Database, tenant_id: int | None) -> AsyncIterator[Any]:
        async with transaction(self, tenant_id) as connection:
            yield connection
            if is_trigger.get():
                await connection.execute(text("DELETE FROM outbox WHERE topic = 'run' AND created_at = now()"))

    async def remembered(cls: type[JobQueue], url: str, *, name: str) -> JobQueue:
        queues.append(await connect(cls, url, name=name))
        return queues[0]

    async def published(self: SqlImportStore, tenant_id: int, new: Any) -> Any:
        token = is_trigger.set(True)
        try:
            created_at = await insert(self, tenant_id, new)
        finally:
            is_trigger.reset(token)
        message = job_message.encode(job_message.JobMessage(tenant_id, new.import_id))
        try:
            await queues[0].publish(new.lane, message, message_id=str(new.import_id), headers={})
        except QueueUnavailable:
            return created_at
        return created_at

    _replace(Database, "transaction", forgetful)
    _replace(JobQueue, "connect", classmethod(remembered))
    _replace(SqlImportStore, "insert", published)


def no_fencing() -> None:
    """A worker neither looks at its claim before it writes nor notices that its lease is another's."""
    from services.importer.engine import claims

    async def trusting(connection: Any, held: Any, *more: Any) -> None: ...

    _replace(claims, "hold", trusting)
    _replace(claims, "renew", trusting)


def non_atomic_flip() -> None:
    """The flip commits what it has merged, and finishes the import in a second transaction."""
    from runtime.database import set_tenant
    from services.importer.engine import flip

    conclude = flip._conclude

    async def in_two(connection: Any, held: Any, *more: Any) -> None:
        await connection.commit()
        await asyncio.sleep(HALF_A_SECOND)
        await set_tenant(connection, held.job.tenant_id)
        await conclude(connection, held, *more)

    _replace(flip, "_conclude", in_two)


def reused_message_id() -> None:
    """The dispatcher sends an import again under the message id of the first time."""
    from runtime.jetstream import JobQueue

    publish = JobQueue.publish

    async def same(self: JobQueue, lane: str, payload: bytes, *, message_id: str, headers: dict[str, str]) -> int:
        return await publish(self, lane, payload, message_id=message_id.partition(":")[0], headers=headers)

    _replace(JobQueue, "publish", same)


def missing_tenant_filter() -> None:
    """The status service finds an import by its id alone. Started with a role that row-level security does not hold."""
    from sqlalchemy import text

    from services.status.store import imports

    find = imports.find_import

    async def anybodys(connection: Any, tenant_id: int, import_id: UUID) -> Any:
        query = text("SELECT tenant_id FROM imports WHERE import_id = :import_id")
        found = (await connection.execute(query, {"import_id": import_id})).scalar_one_or_none()
        return await find(connection, found or tenant_id, import_id)

    _replace(imports, "find_import", anybodys)


def dropped_by_max_deliver() -> None:
    """The queue gives a message out once, and the sweeper takes what lies in the stream for what will be delivered."""
    from runtime import streams
    from runtime.jetstream import JobQueue

    _replace(streams, "MAX_DELIVER", 1)

    async def lies_there(self: JobQueue, lane: str, sequence: int) -> bool:
        return await self.has_message(sequence)

    _replace(JobQueue, "is_waiting", lies_there)


def trusted_size() -> None:
    """The trigger believes what the client has said about the size of its file."""
    from services.importer import imports

    uploaded = imports.uploaded

    async def as_declared(*given: Any) -> Any:
        info = await uploaded(*given)
        return info._replace(size=min(info.size, DECLARED_BYTES))

    _replace(imports, "uploaded", as_declared)


DECLARED_BYTES = 4_000
"""What the client of the one file that is too large says of it."""

BUGS: dict[str, Callable[[], None]] = {
    "none": lambda: None,
    "ack-before-commit": ack_before_commit,
    "publish-without-outbox": publish_without_outbox,
    "no-fencing": no_fencing,
    "non-atomic-flip": non_atomic_flip,
    "reused-message-id": reused_message_id,
    "missing-tenant-filter": missing_tenant_filter,
    "dropped-by-max-deliver": dropped_by_max_deliver,
    "trusted-size": trusted_size,
}


def hurry() -> None:
    """Shortens the waits that are constants; those that are settings come by the environment."""
    from runtime import streams

    _replace(streams, "ACK_WAIT_SECONDS", ACK_WAIT_SECONDS)


def hurry_worker() -> None:
    from services.importer import worker
    from services.importer.engine import attempt, slot

    _replace(slot, "MESSAGE_BEAT_SECONDS", BEAT_SECONDS)
    _replace(worker, "DATABASE_AWAY_SECONDS", RETRY_SECONDS)
    _replace(worker, "JANITOR_SECONDS", SWEEP_SECONDS)
    _replace(attempt, "FIRST_RETRY_SECONDS", RETRY_SECONDS)


def hurry_fetcher() -> None:
    from services.fetcher import attempt, fetcher
    from services.importer.engine import slot

    _replace(slot, "MESSAGE_BEAT_SECONDS", BEAT_SECONDS)
    _replace(fetcher, "DATABASE_AWAY_SECONDS", RETRY_SECONDS)
    _replace(attempt, "FIRST_RETRY_SECONDS", RETRY_SECONDS)


def start_fork_server_with_poison() -> None:
    """As the worker's entry point does, before grpc is imported; its children die on a poisoned file."""
    from services.importer.engine import parser_process

    context: Any = parser_process._context
    preload = context.set_forkserver_preload
    context.set_forkserver_preload = lambda names: preload([*names, "tests.chaos.poison"])
    parser_process.start_fork_server()
    context.set_forkserver_preload = preload


def _replace(owner: Any, name: str, by: Any) -> None:
    """A bug whose place has moved must not go unplanted."""
    if not hasattr(owner, name):
        message = f"there is no {name} in {owner} any more"
        raise SystemExit(message)
    setattr(owner, name, by)


def main() -> None:
    bug, module = sys.argv[1:]
    if bug not in BUGS:
        message = f"no such bug: {bug}; there are {', '.join(BUGS)}"
        raise SystemExit(message)
    hurry()
    if module == WORKER:
        start_fork_server_with_poison()
        hurry_worker()
    if module == FETCHER:
        hurry_fetcher()
    BUGS[bug]()
    sys.argv = [module]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
