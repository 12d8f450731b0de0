"""Starting a run of an import source: whether it can run, what it reads, and whose turn it is.

By a caller or by a schedule. What a run goes by (mapping, file) is as it was when it was started, whatever is changed
afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import msgspec
import structlog
from uuid_utils.compat import uuid7

from dialects.assets.source_settings import EXTERNAL, FETCHED_TYPES, FILE_TYPES
from runtime.auth import note_object
from runtime.errors import FailedPrecondition, Unavailable
from services.importer.assets.runs import File, NewRun, Runner, RunSession, StartOptions
from services.importer.assets.turns import RunnableSource, Terms, refuse_unfit, take_turn
from services.importer.imports import (
    NO_CLIENT,
    Thresholds,
    refuse_other_size,
    refuse_too_large,
    unknown_key,
    uploaded,
    with_declared_sha256,
)
from services.importer.metrics import IMPORTS_CREATED
from services.importer.model import Lane, State
from services.importer.policy import Options
from services.importer.ports import ImportStore, Lookup, Objects
from services.importer.snapshot import Snapshot

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rules:
    """How many runs of a workspace may be under way at once; how long one may be open without a word, and at all."""

    max_running: int
    open_life: timedelta
    most_open: timedelta


@dataclass(frozen=True, slots=True)
class Prepared:
    """A source that can run, and the file that it reads."""

    source: RunnableSource
    file: File | None


class Starts:
    """In two steps, for a file is looked at without a transaction: `prepare`, then `start` within a session."""

    def __init__(self, imports: ImportStore, objects: Objects, thresholds: Thresholds, rules: Rules) -> None:
        self._imports = imports
        self._objects = objects
        self._thresholds = thresholds
        self._rules = rules

    async def prepare(self, tenant_id: int, source: RunnableSource) -> Prepared:
        """Raises FailedPrecondition for a source that cannot run as it is."""
        refuse_unfit(source)
        if source.type not in FILE_TYPES:
            return Prepared(source, None)
        if source.file_key is None:
            raise FailedPrecondition("FILE_NOT_UPLOADED", "This import source has no file yet.")
        return Prepared(source, await self._file(tenant_id, source.file_key))

    async def start(self, session: RunSession, prepared: Prepared, runner: Runner, options: StartOptions) -> Snapshot:
        """The run: open where its data is to be sent, else queued. Raises what `take_turn` does.

        With `queue` it waits where it would be refused because another one runs. One whose data is to be sent takes its
        place when that is complete (chunks.py).
        """
        is_pushed = prepared.source.type == EXTERNAL
        terms = Terms(self._rules.max_running, options.queue, options.queues_for_place, takes_place=not is_pushed)
        source, waits = await take_turn(session, prepared.source.import_source_id, terms)
        if (source.type, source.file_key) != (prepared.source.type, prepared.source.file_key):
            raise Unavailable("TRIGGER_RACED", "The import source was changed at this moment. Try again.")
        new = self._new_run(source, prepared.file, runner, options, waits=waits)
        await session.add_run(new)
        IMPORTS_CREATED.labels(source=source.type, lane=new.lane).inc()
        note_object(import_id=new.import_id)
        log.info("run started", import_id=str(new.import_id), state=new.state, lane=new.lane, waits=waits)
        return await session.read(new.import_id)

    def failed(self, source: RunnableSource, runner: Runner, code: str, message: str) -> NewRun:
        """What stands in the history of a scheduled run that could not begin."""
        return NewRun(
            import_id=UUID(str(uuid7())),
            source=source,
            runner=runner,
            state=State.FAILED,
            lane=Lane.SMALL,
            is_scheduled=True,
            failure=(code, message),
        )

    async def _file(self, tenant_id: int, key: str) -> File:
        """Of whatever age: what a source names is kept for it."""
        facts = await self._imports.facts(tenant_id, Lookup(NO_CLIENT, None, key, user_id=0, request_id=""))
        if facts.file_name is None:
            raise unknown_key()
        info = await uploaded(self._objects, key)
        refuse_too_large(info.size, facts, self._thresholds)
        refuse_other_size(info.size, facts.declared_size)
        options = with_declared_sha256(Options(), facts.file_sha256)
        return File(key, facts.file_name, self._objects.object_key(key), info.etag, info.size, options)

    def _new_run(
        self, source: RunnableSource, file: File | None, runner: Runner, options: StartOptions, *, waits: bool
    ) -> NewRun:
        is_pushed = source.type == EXTERNAL
        chosen = msgspec.structs.replace(
            file.options if file else Options(), dry_run=options.dry_run, force=options.force
        )
        return NewRun(
            import_id=UUID(str(uuid7())),
            source=source,
            runner=runner,
            state=State.OPEN if is_pushed else State.QUEUED,
            lane=Lane.FETCH if source.type in FETCHED_TYPES else self._thresholds.lane_of(file.size if file else 0),
            file=file,
            options=chosen,
            is_scheduled=options.is_scheduled,
            waits=waits,
            open_for=min(self._rules.open_life, self._rules.most_open) if is_pushed else None,
        )
