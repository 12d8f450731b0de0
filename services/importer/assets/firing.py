"""Runs whose time has come: each is begun once, however many replicas there are and whichever of them dies.

Whoever moves the next time of a schedule from the value that it has seen has the run. For most sources that and the
start of the run are one transaction. The client of an external source is called instead, which no transaction covers:
while it is, the schedule is put off for a moment only, so a death in the middle is made good by another call. Calls
have places of their own (`callbacks`), and nobody waits for their end. Times that were missed are made good by one run.

Nobody is there when a schedule fires, so whether its owner may still import there is asked of the identity service each
time. While they may not, its times pass without a run; while nobody can say, it stays due.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol
from uuid import UUID

import msgspec
import structlog
from cachetools import TTLCache

from dialects.assets.source_settings import EXTERNAL
from runtime.errors import ServiceError
from runtime.outbound import Answer, NotAnswered
from services.importer.assets.callbacks import CallbackPlaces, NoPlace
from services.importer.assets.runs import Runner, RunSession, RunStore, StartOptions
from services.importer.assets.schedules import Schedule
from services.importer.assets.starts import Prepared, Starts
from services.importer.assets.turns import RunnableSource, refuse_unfit
from services.importer.metrics import SCHEDULES_FIRED
from services.importer.waiting import wait

log = structlog.get_logger(__name__)

BATCH = 100
AT_ONCE = 16
PUT_OFF = timedelta(minutes=2)
"""Longer than a call can take, with the wait for its place."""
SOON = timedelta(seconds=30)
"""After a refusal that may pass, and after finding no room: others are at the head of what is due meanwhile."""
MOST_LEFT = 5_000
INTERNAL_ERRORS_FROM = 500
LEAST_SUCCESS, LEAST_REDIRECT = 200, 300
JSON_HEADERS = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Due:
    """A schedule whose time has come, as the dispatcher sees it."""

    tenant_id: int
    schedule_id: UUID
    next_at: datetime


class Watch(Protocol):
    """What is seen of all tenants."""

    async def due(self, limit: int, without: Collection[UUID] = ()) -> list[Due]:
        """The longest overdue of each tenant first, and nobody's second before another's first."""
        ...


class FiringSession(RunSession, Protocol):
    """One transaction on a schedule and the run that it begins."""

    async def take(self, schedule_id: UUID, seen: datetime, next_at: datetime | None) -> bool:
        """Moves its next time (None: there is none) from `seen`; False: somebody else has, or it was changed."""
        ...

    async def note(self, schedule_id: UUID, *, import_id: UUID | None, error: str) -> None:
        """What became of it."""
        ...


class FiringStore(Protocol):
    """Schedules of a tenant, and the runs that they begin."""

    async def find(self, tenant_id: int, schedule_id: UUID) -> Schedule | None: ...

    def session(self, tenant_id: int) -> AbstractAsyncContextManager[FiringSession]: ...


class Standings(Protocol):
    """`runtime.standings.RemoteStandings`."""

    async def refusal(self, tenant_id: int, user_id: int, workspace_id: UUID) -> str:
        """Why this user may not import there now, as a code; empty where they may. Raises Unavailable."""
        ...


class Caller(Protocol):
    """The part of `runtime.outbound.Outbound` that is used here."""

    async def post(self, text: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Raises NotAnswered."""
        ...


class Firing:
    """A duty of the active dispatcher."""

    def __init__(
        self,
        watch: Watch,
        store: FiringStore,
        runs: RunStore,
        starts: Starts,
        standings: Standings,
        caller: Caller,
        poll_seconds: float,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        again_seconds: float = SOON.total_seconds(),
    ) -> None:
        self._watch = watch
        self._store = store
        self._runs = runs
        self._starts = starts
        self._standings = standings
        self._caller = caller
        self._poll_seconds = poll_seconds
        self._clock = clock
        self._places = asyncio.Semaphore(AT_ONCE)
        self._callbacks = CallbackPlaces()
        # What was refused just now. It stays due, for that is what its lateness is measured by.
        self._left: TTLCache[UUID, None] = TTLCache(maxsize=MOST_LEFT, ttl=again_seconds)

    async def run(self, stop: asyncio.Event) -> None:
        """Looks until `stop`, and then waits for callbacks; those that are cancelled are made again."""
        async with asyncio.TaskGroup() as calls:
            while not stop.is_set():
                try:
                    await self.look(calls)
                except ServiceError as error:
                    log.warning("schedules could not be looked for", error=str(error))
                except Exception:
                    # Nobody waits for this task; without it no schedule would fire again.
                    log.exception("looking for schedules failed")
                await wait(stop, self._poll_seconds)

    async def look(self, calls: asyncio.TaskGroup) -> None:
        """Fires whatever is due, once. Callbacks go on among `calls`: how long they take is up to others."""
        async with asyncio.TaskGroup() as tasks:
            for due in await self._watch.due(BATCH, tuple(self._left)):
                tasks.create_task(self._fire_in_turn(due, calls))

    async def _fire_in_turn(self, due: Due, calls: asyncio.TaskGroup) -> None:
        async with self._places:
            await self._safely(due, partial(self._fire, due, calls))

    async def _safely(self, due: Due, fire: Callable[[], Awaitable[None]]) -> None:
        """Raises nothing, for the firings of others go on beside it."""
        try:
            await fire()
        except ServiceError as error:
            log.warning("a schedule could not fire yet", schedule_id=str(due.schedule_id), error=str(error))
            self._left[due.schedule_id] = None
        except Exception:
            log.exception("a schedule cannot fire", schedule_id=str(due.schedule_id))
            await self._put_off(due, PUT_OFF)

    async def _fire(self, due: Due, calls: asyncio.TaskGroup) -> None:
        schedule = await self._store.find(due.tenant_id, due.schedule_id)
        if schedule is None or schedule.next_at != due.next_at:
            return
        source = await self._runs.source(due.tenant_id, schedule.import_source_id)
        if source is None:
            return
        refusal = await self._standings.refusal(due.tenant_id, schedule.user_id, source.workspace_id)
        if refusal:
            await self._skip(due, schedule, refusal)
            return
        try:
            if source.type == EXTERNAL:
                await self._begin_call(due, schedule, source, calls)
            else:
                await self._start(due, schedule, await self._starts.prepare(due.tenant_id, source))
        except ServiceError as error:
            if error.http_status >= INTERNAL_ERRORS_FROM:
                raise
            await self._fail(due, due.next_at, schedule, source, (error.reason, error.message))

    async def _skip(self, due: Due, schedule: Schedule, refusal: str) -> None:
        """No run, and none in the history: there is nobody on whose behalf it would be. The schedule goes on."""
        async with self._store.session(due.tenant_id) as session:
            if not await session.take(schedule.schedule_id, due.next_at, self._following(due, schedule)):
                return
            await session.note(schedule.schedule_id, import_id=None, error=refusal)
        SCHEDULES_FIRED.labels("skipped").inc()
        log.warning("a schedule did not fire", schedule_id=str(schedule.schedule_id), code=refusal)

    async def _start(self, due: Due, schedule: Schedule, prepared: Prepared) -> None:
        async with self._store.session(due.tenant_id) as session:
            # Before the schedule, as everybody does who has both.
            await session.lock_source(schedule.import_source_id)
            if not await session.take(schedule.schedule_id, due.next_at, self._following(due, schedule)):
                return
            options = StartOptions(queues_for_place=True, is_scheduled=True)
            run = await self._starts.start(session, prepared, _runner(due, schedule), options)
            await session.note(schedule.schedule_id, import_id=run.import_id, error="")
        SCHEDULES_FIRED.labels("started").inc()

    async def _begin_call(self, due: Due, schedule: Schedule, source: RunnableSource, calls: asyncio.TaskGroup) -> None:
        refuse_unfit(source)
        if not self._callbacks.has_room(due.tenant_id):
            await self._put_off(due, SOON)
            return
        until = self._clock().replace(microsecond=0) + PUT_OFF
        async with self._store.session(due.tenant_id) as session:
            if not await session.take(schedule.schedule_id, due.next_at, until):
                return
        calls.create_task(self._safely(due, partial(self._call, due, until, schedule, source)))

    async def _call(self, due: Due, until: datetime, schedule: Schedule, source: RunnableSource) -> None:
        """Has the client of an external source begin the run, which it then starts as ever."""
        body = {"workspaceId": str(source.workspace_id), "importsourceId": str(source.import_source_id)}
        failure = ""
        try:
            async with self._callbacks.place(due.tenant_id):
                answer = await self._caller.post(schedule.callback_url or "", msgspec.json.encode(body), JSON_HEADERS)
            if not LEAST_SUCCESS <= answer.status < LEAST_REDIRECT:
                failure = f"The callback answered {answer.status}."
        except NoPlace:
            # It is due again when it has been put off for long enough.
            log.info("a callback found no place", schedule_id=str(due.schedule_id), tenant_id=due.tenant_id)
            return
        except NotAnswered as error:
            failure = f"The callback failed: {error}"
        async with self._places:
            await self._note_call(due, until, schedule, source, failure)

    async def _note_call(
        self, due: Due, until: datetime, schedule: Schedule, source: RunnableSource, failure: str
    ) -> None:
        if failure:
            await self._fail(due, until, schedule, source, ("CALLBACK_FAILED", failure))
            return
        async with self._store.session(due.tenant_id) as session:
            if await session.take(schedule.schedule_id, until, self._following(due, schedule)):
                await session.note(schedule.schedule_id, import_id=None, error="")
        SCHEDULES_FIRED.labels("called").inc()

    async def _fail(
        self, due: Due, seen: datetime, schedule: Schedule, source: RunnableSource, failure: tuple[str, str]
    ) -> None:
        """The run that did not begin stands in the history, with the reason; the schedule goes on."""
        async with self._store.session(due.tenant_id) as session:
            if not await session.take(schedule.schedule_id, seen, self._following(due, schedule)):
                return
            run = self._starts.failed(source, _runner(due, schedule), *failure)
            await session.add_run(run)
            await session.note(schedule.schedule_id, import_id=run.import_id, error=failure[0])
        SCHEDULES_FIRED.labels("failed").inc()
        log.info("scheduled run failed to begin", import_id=str(run.import_id), code=failure[0])

    async def _put_off(self, due: Due, delay: timedelta) -> None:
        """What cannot fire must not be tried without a pause, nor hide what is due after it."""
        try:
            async with self._store.session(due.tenant_id) as session:
                await session.take(due.schedule_id, due.next_at, self._clock() + delay)
        except ServiceError as error:
            log.warning("a schedule could not be put off", schedule_id=str(due.schedule_id), error=str(error))
        except Exception:
            log.exception("a schedule cannot be put off", schedule_id=str(due.schedule_id))

    def _following(self, due: Due, schedule: Schedule) -> datetime | None:
        """The first of its times that is still to come, also where the database's clock is ahead of ours."""
        return schedule.recurrence.next_after(max(self._clock(), due.next_at))


def _runner(due: Due, schedule: Schedule) -> Runner:
    return Runner(due.tenant_id, schedule.user_id, schedule.user_email, traceparent="")
