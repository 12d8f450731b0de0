"""Schedules of import sources: one for each source, made, shown, changed and taken away."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

from uuid_utils.compat import uuid7

from dialects.assets.source_settings import EXTERNAL
from runtime.auth import Principal, note_object
from runtime.errors import AlreadyExists, InvalidArgument, NotFound
from runtime.outbound import BadUrl
from services.importer.assets.executions import Executions
from services.importer.assets.places import Place, source_not_found, uuid_of
from services.importer.assets.recurrence import Frequency, Recurrence, checked
from services.importer.assets.turns import RunnableSource, refuse_unfit

LONGEST_AHEAD = timedelta(days=3_660)


@dataclass(frozen=True, slots=True)
class Timetable:
    """What a schedule is to be, as it was said. `start_at` None: it was not."""

    frequency: str
    start_at: datetime | None
    timezone: str = "UTC"
    cron: str = ""
    callback_url: str | None = None
    is_active: bool = True


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule as it stands. Times are in UTC; `last_error` is a code, empty when the last run began."""

    schedule_id: UUID
    import_source_id: UUID
    workspace_id: UUID
    frequency: Frequency
    start_at: datetime
    timezone: str
    cron: str
    callback_url: str | None
    is_active: bool
    next_at: datetime | None
    user_id: int
    user_email: str
    created_at: datetime
    updated_at: datetime
    fired_at: datetime | None = None
    last_import_id: UUID | None = None
    last_error: str = ""

    @property
    def recurrence(self) -> Recurrence:
        return Recurrence(self.frequency, self.start_at, self.timezone, self.cron)


class ScheduleSession(Protocol):
    """One transaction on the schedule of a source, which nobody else changes meanwhile."""

    async def lock_source(self, import_source_id: UUID) -> RunnableSource | None: ...

    async def of_source(self, import_source_id: UUID) -> Schedule | None: ...

    async def put(self, schedule: Schedule) -> Schedule:
        """Adds it, or replaces the one with its id; answers it with its times."""
        ...

    async def remove(self, schedule_id: UUID) -> None: ...


class ScheduleStore(Protocol):
    """The schedules of each tenant."""

    async def of_source(self, tenant_id: int, import_source_id: UUID) -> Schedule | None: ...

    def session(self, tenant_id: int) -> AbstractAsyncContextManager[ScheduleSession]: ...


class Urls(Protocol):
    """The part of `runtime.outbound.Outbound` that is used here."""

    def check(self, text: str) -> object:
        """Raises BadUrl."""
        ...


class Schedules:
    """By whoever may import in the workspace. Runs are on behalf of who has said the schedule last."""

    def __init__(
        self,
        store: ScheduleStore,
        executions: Executions,
        urls: Urls,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._executions = executions
        self._urls = urls
        self._clock = clock

    async def of_source(self, principal: Principal, place: Place) -> tuple[RunnableSource, Schedule | None]:
        source = await self._executions.source(principal, place)
        return source, await self._store.of_source(principal.tenant_id, source.import_source_id)

    async def find(self, principal: Principal, place: Place, schedule_id: str) -> Schedule:
        """Raises NotFound."""
        _, schedule = await self.of_source(principal, place)
        return self._required(schedule, schedule_id)

    async def create(self, principal: Principal, place: Place, said: Timetable) -> Schedule:
        """Raises AlreadyExists where the source has one, FailedPrecondition where it has no mapping."""
        seen = await self._executions.source(principal, place)
        async with self._store.session(principal.tenant_id) as session:
            source = await self._locked(session, seen)
            refuse_unfit(source)
            found = await session.of_source(source.import_source_id)
            if found is not None:
                raise AlreadyExists(
                    "SCHEDULE_EXISTS",
                    "This import source has a schedule. Change that one.",
                    schedule_id=str(found.schedule_id),
                )
            schedule = self._made(principal, source, said, UUID(str(uuid7())), None)
            note_object(schedule_id=schedule.schedule_id)
            return await session.put(schedule)

    async def update(self, principal: Principal, place: Place, schedule_id: str, said: Timetable) -> Schedule:
        """Replaces all of it. A start that has passed may be said again as it was, and counts on."""
        seen = await self._executions.source(principal, place)
        async with self._store.session(principal.tenant_id) as session:
            source = await self._locked(session, seen)
            found = self._required(await session.of_source(source.import_source_id), schedule_id)
            if said.is_active:
                refuse_unfit(source)
            return await session.put(self._made(principal, source, said, found.schedule_id, found))

    async def delete(self, principal: Principal, place: Place, schedule_id: str) -> None:
        """A run that it has started goes on."""
        seen = await self._executions.source(principal, place)
        async with self._store.session(principal.tenant_id) as session:
            source = await self._locked(session, seen)
            found = self._required(await session.of_source(source.import_source_id), schedule_id)
            await session.remove(found.schedule_id)

    async def _locked(self, session: ScheduleSession, seen: RunnableSource) -> RunnableSource:
        source = await session.lock_source(seen.import_source_id)
        if source is None:
            raise source_not_found()
        return source

    def _required(self, schedule: Schedule | None, schedule_id: str) -> Schedule:
        if schedule is None or schedule.schedule_id != uuid_of(schedule_id):
            raise NotFound("SCHEDULE_NOT_FOUND", "This import source has no such schedule.")
        note_object(schedule_id=schedule.schedule_id)
        return schedule

    def _made(
        self, principal: Principal, source: RunnableSource, said: Timetable, schedule_id: UUID, first: Schedule | None
    ) -> Schedule:
        now = self._clock()
        start_at = said.start_at or (first.start_at if first else now if said.cron else None)
        if start_at is None:
            raise InvalidArgument("FIELD_REQUIRED", "startTime is required.", field="startTime")
        is_new = first is None or start_at != first.start_at
        if is_new and start_at < now and not (said.start_at is None and said.cron):
            raise InvalidArgument("INVALID_START_TIME", "startTime must not be in the past.", field="startTime")
        if start_at > now + LONGEST_AHEAD:
            raise InvalidArgument("INVALID_START_TIME", "startTime is too far in the future.", field="startTime")
        recurrence = checked(Recurrence(Frequency(said.frequency), start_at, said.timezone, said.cron))
        next_at = recurrence.next_after(now - timedelta(microseconds=1))
        return Schedule(
            schedule_id=schedule_id,
            import_source_id=source.import_source_id,
            workspace_id=source.workspace_id,
            frequency=recurrence.frequency,
            start_at=start_at,
            timezone=said.timezone,
            cron=said.cron,
            callback_url=self._callback(source, said.callback_url),
            is_active=said.is_active and next_at is not None,
            next_at=next_at if said.is_active else None,
            user_id=principal.user_id,
            user_email=principal.email,
            created_at=first.created_at if first else now,
            updated_at=now,
            fired_at=first.fired_at if first else None,
            last_import_id=first.last_import_id if first else None,
            last_error=first.last_error if first else "",
        )

    def _callback(self, source: RunnableSource, url: str | None) -> str | None:
        """Of an external source, whose client is called to begin; for all others it means nothing and is refused."""
        if source.type != EXTERNAL:
            if url is not None:
                raise InvalidArgument(
                    "INVALID_CALLBACK_URL", "Only external import sources are run by a callback.", field="callbackUrl"
                )
            return None
        if url is None:
            raise InvalidArgument(
                "FIELD_REQUIRED", "An external import source needs a callbackUrl.", field="callbackUrl"
            )
        try:
            self._urls.check(url)
        except BadUrl as error:
            raise InvalidArgument(
                "INVALID_CALLBACK_URL", f"callbackUrl cannot be used: {error}.", field="callbackUrl"
            ) from None
        return url
