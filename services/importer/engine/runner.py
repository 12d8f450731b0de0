"""Runs one claimed import from its first byte to its flip."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.database import Database
from runtime.objects import ObjectChanged, ObjectMissing, ObjectStore, StorageUnavailable
from services.importer.engine import claims
from services.importer.engine.claims import Claim
from services.importer.engine.failures import ImportFailure, RetryableFailure
from services.importer.engine.flip import flip
from services.importer.engine.frames import Batch, Finished, Opened, Order, Refused, Rejected, reply_decoder
from services.importer.engine.parser_process import ParserProcess, Reader
from services.importer.engine.progress import Progress
from services.importer.engine.report import write_report
from services.importer.engine.staging import Checkpoint, Staging
from services.importer.engine.target import Stager, Tally, Target

log = structlog.get_logger(__name__)

# The planner does well enough with a small table that it knows nothing of.
ANALYZED_ITEMS = 1_000


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one import. A chunk is written at the first of its three."""

    chunk_records: int = 5_000
    chunk_bytes: int = 8 * 1024 * 1024
    chunk_seconds: float = 10.0
    parser_memory_bytes: int = 1 << 30
    parser_cpu_seconds: int = 60
    chunk_statement: timedelta = timedelta(seconds=60)
    drain_seconds: float = 20.0


class Signals(Protocol):
    """What may end an attempt from outside, looked at between chunks."""

    def check(self) -> None:
        """Raises Cancelled, Drained or FencedOut when that has come."""


class Runner:
    """One attempt at one import."""

    def __init__(
        self,
        database: Database,
        objects: ObjectStore,
        target: Target,
        claim: Claim,
        progress: Progress,
        signals: Signals,
        limits: Limits,
    ) -> None:
        self._database = database
        self._objects = objects
        self._target = target
        self._claim = claim
        self._progress = progress
        self._signals = signals
        self._limits = limits
        self._staging = Staging(claim.job.tenant_id, claim.job.import_id, target.templates)

    async def run(self) -> None:
        """Stages what is not staged yet, then flips. Ends in SUCCEEDED, or raises one of engine/failures.py."""
        checkpoint = await self._prepare()
        if checkpoint is None or not checkpoint.is_complete:
            checkpoint = await self._stage(checkpoint)
        self._progress.tally = checkpoint.tally
        self._signals.check()
        self._progress.phase = "preparing the merge"
        if checkpoint.tally.staged > ANALYZED_ITEMS:
            await self._in_autocommit(self._staging.analyze)
        await write_report(self._database, self._objects, self._claim, self._staging, checkpoint.tally)
        self._signals.check()
        await flip(self._database, self._target, self._claim, self._staging, checkpoint, self._progress)

    async def _prepare(self) -> Checkpoint | None:
        async with self._database.transaction(self._claim.job.tenant_id) as connection:
            await claims.hold(connection, self._claim)
            return await self._staging.prepare(connection)

    async def _in_autocommit(self, work: Callable[[AsyncConnection], Any]) -> None:
        async with self._database.transaction(self._claim.job.tenant_id) as connection:
            await work(connection)

    async def _stage(self, checkpoint: Checkpoint | None) -> Checkpoint:
        """Reads every input once. Items up to the checkpoint are read again and dropped by the child."""
        self._progress.phase = "staging"
        tally = checkpoint.tally if checkpoint else Tally()
        order = Order(
            source=self._claim.job.source,
            assets_only=self._claim.job.report_id is None,
            resume_after=checkpoint.ordinal if checkpoint else 0,
            cpu_seconds=self._limits.parser_cpu_seconds + self._claim.size // 1_000_000,
            memory_bytes=self._limits.parser_memory_bytes,
        )
        chunk = _Chunk(self._target.stager(self._claim.job, tally), tally, self._limits)
        self._progress.tally = tally
        try:
            async with ParserProcess(order, self._readers(), reply_decoder(self._target.record_type)) as parser:
                opened, is_finished = await self._receive(parser, chunk)
        except ObjectChanged as error:
            raise ImportFailure("FILE_CHANGED", "The file was overwritten after the import was triggered.") from error
        except ObjectMissing as error:
            raise ImportFailure("FILE_MISSING", "The file is no longer in the object store.") from error
        except StorageUnavailable as error:
            raise RetryableFailure("STORAGE_UNAVAILABLE", "The object store does not answer.") from error
        if not is_finished or opened is None:
            raise ImportFailure("PARSER_CRASHED", "The parser stopped before the end of the file.")
        return await self._save(chunk, opened, is_complete=True)

    def _readers(self) -> list[Callable[[], Reader]]:
        return [
            lambda each=each: self._objects.open(each.object_key, each.etag)  # type: ignore[misc]
            for each in self._claim.inputs
        ]

    async def _receive(self, parser: ParserProcess, chunk: _Chunk) -> tuple[Opened | None, bool]:
        opened: Opened | None = None
        is_finished = False
        async for reply in parser.replies():
            self._signals.check()
            match reply:
                case Batch():
                    chunk.add(reply)
                    if chunk.is_due and opened is not None:
                        await self._save(chunk, opened, is_complete=False)
                case Opened():
                    opened = reply
                    log.info("file recognised", format=reply.format, network_dropped=reply.is_network_dropped)
                case Refused():
                    raise ImportFailure(reply.code, reply.message, reply.position)
                case Finished():
                    chunk.tally.read = reply.read
                    chunk.tally.bytes = max(chunk.tally.bytes, reply.bytes)
                    is_finished = True
        return opened, is_finished

    async def _save(self, chunk: _Chunk, opened: Opened, *, is_complete: bool) -> Checkpoint:
        """One chunk and its checkpoint, in one transaction, behind the fence."""
        kept = Checkpoint(chunk.tally.read, is_complete, opened.format, opened.family, chunk.tally)
        rows, rejected = chunk.take()
        async with self._database.transaction(self._claim.job.tenant_id) as connection:
            seconds = int(self._limits.chunk_statement.total_seconds())
            await connection.execute(text(f"SET LOCAL statement_timeout = '{seconds}s'"))
            await claims.hold(connection, self._claim)
            await self._staging.write(connection, rows, rejected)
            await self._staging.save(
                connection, attempt=self._claim.attempt, ordinal=kept.ordinal, is_complete=is_complete, kept=kept
            )
        self._progress.has_advanced = True
        return kept


class _Chunk:
    """Items on their way to the next COPY."""

    def __init__(self, stager: Stager, tally: Tally, limits: Limits) -> None:
        self._stager = stager
        self._limits = limits
        self._items = 0
        self._rejected: list[Rejected] = []
        self._began_at = time.monotonic()
        self.tally = tally

    def add(self, batch: Batch[Any]) -> None:
        """Takes a batch of the child."""
        for item in batch.items:
            self.tally.staged += self._stager.add(item.ordinal, item.records)
        self._items += len(batch.items)
        self._rejected.extend(batch.rejected)
        self.tally.rejected += len(batch.rejected)
        # A resumed child counts from the beginning again; what is staged already has been counted.
        self.tally.read = max(self.tally.read, batch.read)
        self.tally.bytes = max(self.tally.bytes, batch.bytes)

    @property
    def is_due(self) -> bool:
        """Whether a chunk is full or old enough. One without rows waits: a checkpoint for nothing helps nobody."""
        if not self._items and not self._rejected:
            return False
        return (
            self._items + len(self._rejected) >= self._limits.chunk_records
            or self._stager.weight >= self._limits.chunk_bytes
            or time.monotonic() - self._began_at >= self._limits.chunk_seconds
        )

    def take(self) -> tuple[Any, list[Rejected]]:
        """The rows and rejected items; the chunk is empty afterwards."""
        rejected, self._rejected = self._rejected, []
        self._items = 0
        self._began_at = time.monotonic()
        return self._stager.take(), rejected
