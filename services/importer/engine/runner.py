"""Runs one claimed import from its first byte to its flip."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

import structlog
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from runtime.database import Database
from runtime.failpoints import failpoint
from runtime.objects import ObjectChanged, ObjectMissing, ObjectStore, StorageUnavailable
from runtime.tracing import span
from schema.importer import imports
from services.importer.engine import claims, gates
from services.importer.engine.adoption import adopt
from services.importer.engine.chunk import Chunk
from services.importer.engine.claims import Claim, Input
from services.importer.engine.failures import Drained, ImportFailure, Paused, RetryableFailure
from services.importer.engine.flip import flip
from services.importer.engine.frames import Batch, Finished, Opened, Order, Refused, reply_decoder
from services.importer.engine.limits import Limits
from services.importer.engine.parser_process import ParserProcess, Reader
from services.importer.engine.progress import Progress
from services.importer.engine.report import rewrite_report, write_report
from services.importer.engine.sandbox import seconds_for
from services.importer.engine.staging import Checkpoint, Staging
from services.importer.engine.target import Asked, Tally, Target

log = structlog.get_logger(__name__)

# The planner does well enough with a small table that it knows nothing of.
ANALYZED_ITEMS = 1_000
# The format of an import that has nothing to read.
NO_FORMAT = "none"


class Signals(Protocol):
    """What may end an attempt from outside, looked at between chunks."""

    def check(self) -> None:
        """Raises Cancelled, Paused, Drained or FencedOut when that has come."""


class Gate(Protocol):
    """What the files of an import must pass before they are read."""

    async def check(
        self, claim: Claim, open_input: Callable[[Input], Reader], check_signals: Callable[[], None]
    ) -> None:
        """Raises what the import ends with when they do not; calls `check_signals` again and again meanwhile."""
        ...


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
        gate: Gate | None = None,
    ) -> None:
        self._database = database
        self._objects = objects
        self._target = target
        self._claim = claim
        self._progress = progress
        self._signals = signals
        self._limits = limits
        self._gate = gate
        self._options = claim.job.options
        self._staging = Staging(claim.job.tenant_id, claim.job.import_id, target.templates)
        self._format = self._family = ""
        self._noted: dict[str, Any] = {}

    async def run(self) -> None:
        """Stages what is not staged yet, then flips. Ends in SUCCEEDED, or raises one of engine/failures.py."""
        checkpoint = await self._prepare()
        if checkpoint is None or not checkpoint.is_complete:
            checkpoint = await self._stage(checkpoint)
        tally = self._progress.tally = checkpoint.tally
        self._signals.check()
        self._progress.phase = "preparing the merge"
        # Before the file is judged: its errors are what people need most when it is refused for them.
        await self._report(tally)
        gates.check_whole(self._options, tally, checkpoint.digest)
        if tally.staged > ANALYZED_ITEMS:
            await self._in_autocommit(self._staging.analyze)
        self._signals.check()
        given = (self._database, self._target, self._claim, self._staging, checkpoint, self._progress)
        with span("flip", attributes={"hythe.items": tally.staged}):
            await flip(*given, self._report_within)

    async def _prepare(self) -> Checkpoint | None:
        async with self._database.transaction(self._claim.job.tenant_id) as connection:
            await claims.hold(connection, self._claim)
            if await adopt(connection, self._claim, self._target):
                log.info("staging adopted", origin=str(self._claim.job.origin_import_id))
            checkpoint = await self._staging.prepare(connection)
            failpoint("prepare.before_commit")
        failpoint("prepare.after_commit")
        return checkpoint

    async def _in_autocommit(self, work: Callable[[AsyncConnection], Any]) -> None:
        async with self._database.transaction(self._claim.job.tenant_id) as connection:
            await work(connection)

    async def _report(self, tally: Tally) -> None:
        await write_report(self._database, self._objects, self._claim, tally, self._target.error_file)
        self._progress.is_reported = True

    async def _report_within(self, connection: AsyncConnection) -> None:
        """Writes it once more, with what the merge has rejected in this transaction."""
        await rewrite_report(connection, self._objects, self._claim, self._target.error_file)

    async def _stage(self, checkpoint: Checkpoint | None) -> Checkpoint:
        """Reads every input once. Items up to the checkpoint are read again and dropped by the child."""
        self._progress.phase = "staging"
        tally = self._progress.tally = checkpoint.tally if checkpoint else Tally()
        chunk = Chunk(self._target.stager(self._claim.job, tally), tally, self._limits)
        try:
            # An attempt that died between its last chunk and its end may have left too many errors.
            gates.check_on_the_way(self._options.policy, tally)
            with span("parse", attributes={"hythe.resume_after": checkpoint.ordinal if checkpoint else 0}) as parsed:
                digest = await self._read(chunk, checkpoint.ordinal if checkpoint else 0)
                parsed.note({"hythe.format": self._format, "hythe.items": chunk.tally.read})
        except (Drained, Paused):
            await self._save_in_hand(chunk)
            raise
        except ImportFailure as failure:
            if chunk.has_rejected or self._news(chunk):
                await self._save_in_hand(chunk)
            if failure.code == "TOO_MANY_ERRORS":
                await self._report(tally)
            raise
        return await self._save(chunk, digest)

    async def _read(self, chunk: Chunk, resume_after: int) -> bytes:
        """Everything that the parser says, into the chunk; answers the SHA-256 of what it was fed."""
        if not self._claim.inputs:
            return self._read_nothing()
        order = Order(
            source=self._claim.job.source,
            inputs=len(self._claim.inputs),
            assets_only=self._target.reads_assets(self._claim.job),
            resume_after=resume_after,
            cpu_seconds=self._limits.parser_cpu_seconds + seconds_for(self._claim.size),
            memory_bytes=self._limits.parser_memory_bytes,
            unpacked_bytes=self._limits.unpacked_bytes,
            demands=await self._demands(),
        )
        try:
            await self._pass_gate()
            async with ParserProcess(order, self._readers(), reply_decoder(self._target.record_type)) as parser:
                is_finished = await self._receive(parser, chunk)
                digest = await parser.fed_digest()
        except ObjectChanged as error:
            raise ImportFailure("FILE_CHANGED", "The file was overwritten after the import was triggered.") from error
        except ObjectMissing as error:
            raise ImportFailure("FILE_MISSING", "The file is no longer in the object store.") from error
        except StorageUnavailable as error:
            raise RetryableFailure("STORAGE_UNAVAILABLE", "The object store does not answer.") from error
        if not is_finished or not self._format or digest is None:
            raise ImportFailure("PARSER_CRASHED", "The parser stopped before the end of the file.")
        return digest

    def _read_nothing(self) -> bytes:
        """Data that was announced and never sent is an import of nothing; other imports are of a file."""
        if self._claim.job.import_source_id is None:
            raise ImportFailure("FILE_MISSING", "The import has no file.")
        self._format = NO_FORMAT
        return hashlib.sha256().digest()

    async def _demands(self) -> Asked | None:
        async with self._database.transaction(self._claim.job.tenant_id) as connection:
            return await self._target.demands(connection, self._claim.job)

    async def _pass_gate(self) -> None:
        if self._gate is not None:
            self._progress.phase = "scanning"
            with span("scan"):
                await self._gate.check(self._claim, self._open, self._signals.check)
            self._progress.phase = "staging"

    def _readers(self) -> list[Callable[[], Reader]]:
        return [partial(self._open, each) for each in self._claim.inputs]

    def _open(self, each: Input) -> Reader:
        return self._objects.open(each.object_key, each.etag)

    async def _receive(self, parser: ParserProcess, chunk: Chunk) -> bool:
        """Answers whether the parser has come to the end of the file."""
        is_finished = False
        policy = self._options.policy
        async for reply in parser.replies():
            self._signals.check()
            match reply:
                case Batch():
                    batch = gates.cut(reply, policy, chunk.tally.rejected)
                    chunk.add(batch)
                    if batch.rejected:
                        gates.check_on_the_way(policy, chunk.tally, batch.rejected[-1].position)
                    if chunk.is_due and self._format:
                        await self._save(chunk)
                case Opened():
                    self._format, self._family = reply.format, reply.family
                    log.info("file recognised", format=reply.format, network_dropped=reply.is_network_dropped)
                case Refused():
                    raise ImportFailure(reply.code, reply.message, reply.position)
                case Finished():
                    chunk.tally.read = reply.read
                    chunk.tally.bytes = max(chunk.tally.bytes, reply.bytes)
                    for code, message, count in reply.cautions:
                        chunk.tally.caution(code, message, count)
                    is_finished = True
        return is_finished

    async def _save_in_hand(self, chunk: Chunk) -> None:
        if not chunk.is_empty and self._format:
            await self._save(chunk)

    async def _save(self, chunk: Chunk, digest: bytes | None = None) -> Checkpoint:
        """One chunk and its checkpoint, in one transaction, behind the fence. With a digest it is the last one."""
        kept = Checkpoint(chunk.tally.read, digest is not None, self._format, self._family, chunk.tally, digest)
        news = self._news(chunk, digest)
        rows, rejected = chunk.take()
        with span("stage", attributes={"hythe.ordinal": kept.ordinal, "hythe.is_last": kept.is_complete}):
            async with self._database.transaction(self._claim.job.tenant_id) as connection:
                seconds = int(self._limits.chunk_statement.total_seconds())
                await connection.execute(text(f"SET LOCAL statement_timeout = '{seconds}s'"))
                await claims.hold(connection, self._claim)
                await self._staging.write(connection, rows, rejected)
                await self._staging.save(connection, self._claim.attempt, kept)
                if news:
                    await self._note(connection, news)
                failpoint("chunk.before_commit")
        failpoint("chunk.after_commit")
        self._noted.update(news)
        self._progress.has_advanced = True
        return kept

    def _news(self, chunk: Chunk, digest: bytes | None = None) -> dict[str, Any]:
        """What is known of the file and not written down yet, as columns of `imports`."""
        known = {**chunk.facts, **({} if digest is None else {"content_sha256": digest})}
        return {name: value for name, value in known.items() if self._noted.get(name) != value}

    async def _note(self, connection: AsyncConnection, news: Mapping[str, Any]) -> None:
        """Here and not at the end, so that every import whose file was read so far has it, however it ends."""
        job = self._claim.job
        await connection.execute(
            update(imports)
            .where(imports.c.tenant_id == job.tenant_id, imports.c.import_id == job.import_id)
            .values(**news)
        )
