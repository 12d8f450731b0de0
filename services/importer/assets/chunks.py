"""Data of a run that its client sends in pieces, each streamed to the object store while it arrives.

A piece is an input of the run as it came; the parser reads it later. One that the client names counts once, however
often it is sent. Nothing is left of a piece that does not arrive whole, is refused, or was there already; after a kill
between store and table the reaper removes what no input names.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

import structlog
from uuid_utils.compat import uuid7

from runtime.auth import Principal
from runtime.errors import AlreadyExists, InvalidArgument, PayloadTooLarge, ResourceExhausted, ServiceError
from runtime.objects import ObjectInfo
from services.importer.assets.executions import Executions, not_ingesting
from services.importer.assets.places import Place, execution_not_found
from services.importer.assets.runs import Execution, OpenRun, Piece, RunSession, RunStore
from services.importer.assets.starts import Rules
from services.importer.imports import NO_CLIENT, Thresholds
from services.importer.metrics import CHUNK_BYTES, CHUNKS
from services.importer.model import State
from services.importer.ports import ImportStore, Lookup
from services.importer.snapshot import Snapshot

log = structlog.get_logger(__name__)

FOLDER = "executions"
MOST_CHUNKS = 10_000
SMALL_BYTES = 64 * 1024
"""A body of so many bytes is looked at before any of it is stored: most that only say `completed` are."""
CLEANUP_SECONDS = 15
INTERNAL_ERRORS_FROM = 500
# A client that repeats what has closed its run, because it did not hear our answer, is told that all is well.
AFTER_CLOSING = frozenset({State.QUEUED, State.RUNNING, State.PAUSED, State.SUCCEEDED})


class Said(Protocol):
    """What a body says of itself. `chunk_id` is empty where it says none."""

    @property
    def chunk_id(self) -> str: ...
    @property
    def is_completed(self) -> bool: ...
    @property
    def has_data(self) -> bool: ...


class Body(Protocol):
    """`dialects.assets.data_body.DataBody`: takes a body piece by piece; both raise InvalidArgument."""

    def add(self, piece: bytes) -> None: ...

    def finish(self) -> Said: ...


class Objects(Protocol):
    """The part of `runtime.objects.ObjectStore` that is used here."""

    def object_key(self, key: str) -> str: ...

    async def put_stream(self, object_key: str, chunks: AsyncIterator[bytes], *, max_bytes: int) -> ObjectInfo: ...

    async def delete(self, object_key: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Arrived:
    """A body that has come whole. `info` and `object_key` are of its object; it has one where it has data."""

    said: Said
    digest: bytes
    object_key: str
    info: ObjectInfo | None


class Chunks:
    """Where data is sent to."""

    def __init__(
        self,
        store: RunStore,
        imports: ImportStore,
        objects: Objects,
        executions: Executions,
        thresholds: Thresholds,
        rules: Rules,
        max_chunk_bytes: int,
    ) -> None:
        self._store = store
        self._imports = imports
        self._objects = objects
        self._executions = executions
        self._thresholds = thresholds
        self._rules = rules
        self._max_chunk_bytes = max_chunk_bytes

    async def submit(
        self, principal: Principal, place: Place, execution_id: str, body: Body, content: AsyncIterator[bytes]
    ) -> None:
        """Takes a piece, and with `completed` queues the run.

        Raises InvalidArgument for what is no such body and, as EXECUTION_NOT_INGESTING, when the run takes no data;
        AlreadyExists for other data under the same id; PayloadTooLarge, ResourceExhausted.
        """
        execution = await self._executions.find(principal, place, execution_id)
        lookup = Lookup(NO_CLIENT, None, "", principal.user_id, "")
        facts = await self._imports.facts(principal.tenant_id, lookup)
        arrived = await self._receive(principal.tenant_id, execution.run, body, content)
        most = facts.max_file_bytes or self._thresholds.max_file_bytes
        try:
            is_kept = await self._note(principal.tenant_id, execution, arrived, most)
        except ServiceError as error:
            CHUNKS.labels("refused").inc()
            # After any other failure, and when the call is cancelled, nobody knows whether the table has it.
            if error.http_status < INTERNAL_ERRORS_FROM:
                await self._discard(arrived)
            raise
        if not is_kept:
            await self._discard(arrived)
        CHUNKS.labels("taken" if is_kept else "repeated" if arrived.info else "empty").inc()
        CHUNK_BYTES.inc(arrived.info.size if is_kept and arrived.info else 0)

    async def _receive(self, tenant_id: int, run: Snapshot, body: Body, content: AsyncIterator[bytes]) -> Arrived:
        reading = Reading(body, content, self._max_chunk_bytes)
        object_key = self._objects.object_key(f"{FOLDER}/{tenant_id}/{run.import_id}/{uuid7()}.json")
        if await reading.read_head():
            said = body.finish()
            if not said.has_data:
                return Arrived(said, reading.digest(), object_key, None)
        info = await self._objects.put_stream(object_key, reading.pieces(), max_bytes=self._max_chunk_bytes)
        try:
            said = body.finish()
        except InvalidArgument:
            await self._remove(object_key)
            raise
        return Arrived(said, reading.digest(), object_key, info)

    async def _note(self, tenant_id: int, execution: Execution, arrived: Arrived, most_bytes: int) -> bool:
        """Whether the object of the piece belongs to the run now. One transaction; of two at once, the second waits."""
        said, run = arrived.said, execution.run
        async with self._store.session(tenant_id) as session:
            locked = await session.lock_open(execution.source.import_source_id, run.import_id)
            if locked is None:
                raise execution_not_found()
            if said.chunk_id and said.has_data and await self._is_repeated(session, run, arrived):
                if said.is_completed and locked.state is State.OPEN:
                    await self._close(session, execution, locked, locked.size)
                return False
            if not said.has_data and said.is_completed and locked.state in AFTER_CLOSING:
                return False
            if locked.state is not State.OPEN:
                raise not_ingesting()
            size = locked.size
            if said.has_data and arrived.info is not None:
                refuse_beyond(locked, arrived.info.size, most_bytes)
                size += arrived.info.size
                piece = Piece(arrived.object_key, arrived.info.etag, arrived.info.size, said.chunk_id, arrived.digest)
                await session.add_piece(run.import_id, locked.pieces, piece)
            if said.is_completed:
                await self._close(session, execution, locked, size)
            else:
                await session.keep_open(run.import_id, self._rules.open_life, self._rules.most_open)
        return said.has_data

    async def _is_repeated(self, session: RunSession, run: Snapshot, arrived: Arrived) -> bool:
        """Whether the run has this piece. Other bytes under its id are a mistake of the client."""
        known = await session.digest_of(run.import_id, arrived.said.chunk_id)
        if known is not None and known != arrived.digest:
            raise AlreadyExists(
                "CHUNK_MISMATCH",
                "Other data has been sent with this clientGeneratedId before.",
                field="clientGeneratedId",
            )
        return known is not None

    async def _close(self, session: RunSession, execution: Execution, locked: OpenRun, size: int) -> None:
        """Its data is accepted, so where its workspace has no place for it, it waits for one."""
        turn = await session.turn(execution.source)
        waits = locked.waits or turn.is_full(self._rules.max_running)
        import_id = execution.run.import_id
        await session.close(import_id, self._thresholds.lane_of(size), waits=waits)
        log.info("run complete", import_id=str(import_id), size_bytes=size, waits=waits)

    async def _discard(self, arrived: Arrived) -> None:
        if arrived.info is not None:
            await self._remove(arrived.object_key)

    async def _remove(self, object_key: str) -> None:
        """Even while the call is being cancelled; what fails is left to the reaper."""
        removal = asyncio.ensure_future(asyncio.wait_for(self._objects.delete(object_key), CLEANUP_SECONDS))
        try:
            await asyncio.shield(removal)
        except (ServiceError, TimeoutError) as error:
            log.warning("piece not discarded", object_key=object_key, error=type(error).__name__)


class Reading:
    """A body on its way: hashed, measured and shown to `body` as it is read, once."""

    def __init__(self, body: Body, content: AsyncIterator[bytes], max_bytes: int) -> None:
        self._body = body
        self._content = content
        self._max_bytes = max_bytes
        self._hash = hashlib.sha256()
        self._size = 0
        self._head: list[bytes] = []

    async def read_head(self) -> bool:
        """Reads SMALL_BYTES or a little more. True when that was all of it."""
        while self._size <= SMALL_BYTES:
            piece = await anext(self._content, None)
            if piece is None:
                return True
            self._head.append(self._seen(piece))
        return False

    async def pieces(self) -> AsyncIterator[bytes]:
        """All of the body, from its beginning."""
        for piece in self._head:
            yield piece
        self._head.clear()
        async for piece in self._content:
            yield self._seen(piece)

    def digest(self) -> bytes:
        return self._hash.digest()

    def _seen(self, piece: bytes) -> bytes:
        self._size += len(piece)
        if self._size > self._max_bytes:
            raise PayloadTooLarge(
                "CHUNK_TOO_LARGE",
                f"A piece of data may have {self._max_bytes} bytes at most. Send it in several.",
                limit=str(self._max_bytes),
            )
        self._hash.update(piece)
        self._body.add(piece)
        return piece


def refuse_beyond(run: OpenRun, size: int, most_bytes: int) -> None:
    """What all pieces of a run may be together."""
    if run.pieces >= MOST_CHUNKS:
        raise ResourceExhausted(
            "TOO_MANY_CHUNKS", f"The data of a run may come in {MOST_CHUNKS} pieces at most.", limit=str(MOST_CHUNKS)
        )
    if run.size + size > most_bytes:
        raise PayloadTooLarge(
            "FILE_TOO_LARGE", f"The data of a run may have {most_bytes} bytes at most.", limit=str(most_bytes)
        )
