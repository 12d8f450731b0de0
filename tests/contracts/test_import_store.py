"""What the commands on imports ask of their store, of the tables in memory and of those in PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

import psycopg
import pytest
from uuid_utils.compat import uuid7

from services.importer.model import Kind, Lane, Origin, State
from services.importer.policy import OnError, Options, Policy
from services.importer.ports import ImportStore, Locked, Lookup, StoredInput
from services.importer.snapshot import NewImport, Snapshot
from services.importer.store.imports import SqlImportStore
from tests.fakes.imports import FakeImportStore
from tests.integration.serving import connected
from tests.stack import Database

TENANT, CLIENT, REPORT, KEY = 1, 1000, 500_000, "c1/a.nessus"
OPTIONS = Options(
    dry_run=True,
    force=True,
    policy=Policy(OnError.ABORT_ABOVE, max_errors=3, max_error_percent=0.5, expected_records=9),
    expected_sha256=b"\n" * 32,
)


class Place(Protocol):
    """A store with a client, a report and an upload in it, and the hand of a worker."""

    store: ImportStore

    async def ends(self, import_id: UUID, state: State, *, resumable: bool = False) -> None: ...

    async def runs(self, import_id: UUID, percent: int) -> None: ...

    async def waits(self, import_id: UUID) -> None:
        """For its second attempt, in an hour."""
        ...

    async def is_to_be_sent(self, import_id: UUID) -> bool:
        """Whether the dispatcher knows of it."""
        ...


class InMemory:
    def __init__(self) -> None:
        self.fake = FakeImportStore()
        self.store: ImportStore = self.fake
        self.fake.clients[TENANT, CLIENT] = "Client"
        self.fake.reports[TENANT, CLIENT, REPORT] = "Report"
        self.fake.files[TENANT, KEY] = "a.nessus"
        self.fake.checksums[KEY] = b"x" * 32

    async def ends(self, import_id: UUID, state: State, *, resumable: bool = False) -> None:
        until = datetime.now(UTC) + timedelta(hours=1) if resumable else None
        self.fake.change(TENANT, import_id, state=state, resumable_until=until)
        self.fake.rows[import_id].is_in_outbox = False

    async def runs(self, import_id: UUID, percent: int) -> None:
        self.fake.change(TENANT, import_id, state=State.RUNNING, percent=percent, attempt=1)
        self.fake.rows[import_id].has_live_lease = True

    async def waits(self, import_id: UUID) -> None:
        self.fake.change(TENANT, import_id, state=State.QUEUED, attempt=1)
        self.fake.rows[import_id].not_before = datetime.now(UTC) + timedelta(hours=1)

    async def is_to_be_sent(self, import_id: UUID) -> bool:
        return self.fake.rows[import_id].is_in_outbox


class InPostgres:
    def __init__(self, store: ImportStore, admin: psycopg.AsyncConnection[Any]) -> None:
        self.store = store
        self._admin = admin

    async def furnish(self) -> None:
        for statement in (
            "INSERT INTO clients (tenant_id, client_id, name) OVERRIDING SYSTEM VALUE VALUES (1, 1000, 'Client')",
            (
                "INSERT INTO reports (tenant_id, client_id, report_id, name) OVERRIDING SYSTEM VALUE "
                "VALUES (1, 1000, 500000, 'Report')"
            ),
            (
                "INSERT INTO files (tenant_id, key, file_name, user_id, expires_at, sha256) "
                "VALUES (1, 'c1/a.nessus', 'a.nessus', 7, now(), repeat('x', 32)::bytea)"
            ),
        ):
            await self._admin.execute(statement)

    async def ends(self, import_id: UUID, state: State, *, resumable: bool = False) -> None:
        await self._admin.execute(
            "UPDATE imports SET state = %s, ended_at = now(), "
            "resumable_until = CASE WHEN %s THEN now() + interval '1 hour' END WHERE import_id = %s",
            (state, resumable, import_id),
        )
        await self._admin.execute("DELETE FROM outbox WHERE import_id = %s", (import_id,))

    async def runs(self, import_id: UUID, percent: int) -> None:
        await self._admin.execute("UPDATE imports SET state = 'RUNNING' WHERE import_id = %s", (import_id,))
        await self._admin.execute(
            "UPDATE import_progress SET percent = %s, attempt = 1 WHERE import_id = %s", (percent, import_id)
        )
        await self._admin.execute("UPDATE import_claims SET attempt = 1 WHERE import_id = %s", (import_id,))
        await self._admin.execute(
            "INSERT INTO import_leases VALUES (1, %s, 1, 'worker', now() + interval '1 minute')", (import_id,)
        )

    async def waits(self, import_id: UUID) -> None:
        await self._admin.execute(
            "UPDATE imports SET not_before = now() + interval '1 hour' WHERE import_id = %s", (import_id,)
        )
        await self._admin.execute("UPDATE import_claims SET attempt = 1 WHERE import_id = %s", (import_id,))

    async def is_to_be_sent(self, import_id: UUID) -> bool:
        query = "SELECT 1 FROM outbox WHERE import_id = %s AND topic = 'run' AND next_at <= now()"
        return await (await self._admin.execute(query, (import_id,))).fetchone() is not None


@pytest.fixture(params=["in memory", "in PostgreSQL"])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    if request.param == "in memory":
        yield InMemory()
        return
    database: Database = request.getfixturevalue("database")
    admin = await psycopg.AsyncConnection.connect(database.superuser_url, autocommit=True)
    async with connected(database, "hythe_importer") as adapter, admin:
        found = InPostgres(SqlImportStore(adapter), admin)
        await found.furnish()
        yield found


def new_import(**changes: Any) -> NewImport:
    made = NewImport(
        import_id=uuid7(),
        client_id=CLIENT,
        report_id=REPORT,
        target="findings",
        source="nessus",
        key=KEY,
        file_name="a.nessus",
        file_type="text/xml",
        file_size=50,
        object_key="uploads/c1/a.nessus",
        etag="etag",
        lane=Lane.LARGE,
        asset_tags=("a",),
        finding_tags=(),
        use_parser_actions=True,
        user_id=7,
        user_email="importer@example.com",
        request_id=None,
        request_digest=None,
        traceparent="trace",
        options=OPTIONS,
    )
    return replace(made, **changes)


async def queued(place: Place, **changes: Any) -> UUID:
    new = new_import(**changes)
    assert await place.store.insert(TENANT, new) is not None
    return new.import_id


def derived(first: UUID, origin: Origin, **changes: Any) -> NewImport:
    kind = Kind.UNDO if origin is Origin.UNDO else Kind.IMPORT
    members = {"object_key": "", "etag": "", "kind": kind, "origin": origin, "origin_import_id": first, **changes}
    return new_import(**members)


async def added(place: Place, new: NewImport) -> bool:
    async with place.store.session(TENANT) as session:
        return await session.add(new)


async def locked(place: Place, import_id: UUID) -> Locked:
    async with place.store.session(TENANT) as session:
        found = await session.lock(import_id)
    assert found is not None
    return found


async def read(place: Place, import_id: UUID) -> Snapshot:
    return await place.store.read(TENANT, import_id)


async def test_what_a_trigger_names_is_found(place: Place) -> None:
    facts = await place.store.facts(TENANT, Lookup(CLIENT, REPORT, KEY, 7, ""))
    assert (facts.client_name, facts.report_name, facts.file_name) == ("Client", "Report", "a.nessus")
    assert (facts.file_sha256, facts.max_file_bytes, facts.earlier) == (b"x" * 32, None, None)
    nothing = await place.store.facts(2, Lookup(CLIENT, REPORT, KEY, 7, ""))
    assert (nothing.client_name, nothing.report_name, nothing.file_name) == (None, None, None)


async def test_an_import_is_read_as_it_was_queued(place: Place) -> None:
    import_id = await queued(place)
    found = await read(place, import_id)
    assert (found.state, found.kind, found.options, found.asset_tags) == (State.QUEUED, Kind.IMPORT, OPTIONS, ("a",))
    assert (found.client_name, found.report_name, found.phase, found.percent) == ("Client", "Report", "queued", 0)
    assert (found.origin, found.origin_import_id, found.duplicate_of, found.undone_by) == (None, None, None, None)
    assert (found.cancel_requested, found.pause_requested, found.undo) == (False, False, ())
    assert await place.is_to_be_sent(import_id)


async def test_a_request_id_is_taken_once(place: Place) -> None:
    first = await queued(place, request_id="r", request_digest=b"d")
    assert await place.store.insert(TENANT, new_import(request_id="r", request_digest=b"e")) is None
    facts = await place.store.facts(TENANT, Lookup(CLIENT, REPORT, KEY, 7, "r"))
    assert facts.earlier is not None
    assert (facts.earlier.import_id, facts.earlier.request_digest, facts.earlier.size) == (first, b"d", 50)
    await place.ends(first, State.SUCCEEDED)
    assert not await added(place, derived(first, Origin.RERUN, request_id="r", request_digest=b"e"))
    assert await added(place, derived(first, Origin.RERUN, request_id="r", request_digest=b"e", user_id=8))


async def test_a_lock_tells_what_commands_depend_on(place: Place) -> None:
    import_id = await queued(place)
    found = await locked(place, import_id)
    assert found == Locked(State.QUEUED, Kind.IMPORT, Lane.LARGE, "findings", CLIENT, 7, "trace", has_live_lease=False)
    await place.waits(import_id)
    assert await locked(place, import_id) == replace(found, attempt=1, is_waiting=True)
    async with place.store.session(2) as session:
        assert await session.lock(import_id) is None


@pytest.mark.parametrize(("percent", "is_merging"), [(90, False), (91, True)])
async def test_a_lock_tells_of_a_running_import_whether_it_merges(place: Place, percent: int, is_merging: bool) -> None:
    import_id = await queued(place)
    await place.runs(import_id, percent)
    found = await locked(place, import_id)
    assert (found.state, found.has_live_lease, found.is_merging) == (State.RUNNING, True, is_merging)


async def test_a_lock_tells_of_an_ended_import_when_it_ended_and_whether_it_can_go_on(place: Place) -> None:
    import_id = await queued(place)
    await place.ends(import_id, State.FAILED, resumable=True)
    found = await locked(place, import_id)
    assert found.is_resumable
    assert found.ended_for is not None
    assert found.ended_for < timedelta(minutes=5)


async def test_a_paused_import_leaves_the_queue_until_it_is_resumed(place: Place) -> None:
    import_id = await queued(place)
    await place.waits(import_id)
    async with place.store.session(TENANT) as session:
        await session.pause(import_id)
    paused = await read(place, import_id)
    assert (paused.state, paused.phase) == (State.PAUSED, "paused")
    assert not await place.is_to_be_sent(import_id)
    found = await locked(place, import_id)
    async with place.store.session(TENANT) as session:
        await session.resume(import_id, found)
    resumed = await read(place, import_id)
    assert (resumed.state, resumed.phase) == (State.QUEUED, "queued")
    assert await place.is_to_be_sent(import_id)
    assert not (await locked(place, import_id)).is_waiting


async def test_of_what_is_asked_of_a_worker_a_cancel_stays(place: Place) -> None:
    import_id = await queued(place)
    await place.runs(import_id, 10)
    async with place.store.session(TENANT) as session:
        await session.request_pause(import_id, 7)
        assert (await session.read(import_id)).pause_requested
        await session.withdraw_pause(import_id)
        assert not (await session.read(import_id)).pause_requested
        await session.request_pause(import_id, 7)
        await session.request_cancel(import_id, 8)
        await session.request_pause(import_id, 7)
        await session.withdraw_pause(import_id)
    asked = await read(place, import_id)
    assert (asked.cancel_requested, asked.pause_requested) == (True, False)
    assert (await locked(place, import_id)).requested == "cancel"


async def test_a_cancelled_import_waits_for_nothing(place: Place) -> None:
    import_id = await queued(place)
    async with place.store.session(TENANT) as session:
        await session.end_cancelled(import_id, "by somebody")
    found = await read(place, import_id)
    assert (found.state, found.error_code, found.error_message, found.phase) == (
        State.CANCELLED,
        "CANCELLED",
        "by somebody",
        "cancelled",
    )
    assert found.ended_at is not None
    assert not await place.is_to_be_sent(import_id)


async def test_what_is_made_of_an_import_has_its_inputs_and_an_undo_has_none(place: Place) -> None:
    first = await queued(place)
    pinned = (StoredInput("uploads/c1/a.nessus", "etag", is_purged=False),)
    await place.ends(first, State.FAILED)
    for origin, inputs in ((Origin.RETRY, pinned), (Origin.RERUN, pinned), (Origin.UNDO, ())):
        new = derived(first, origin)
        assert await added(place, new)
        found = await read(place, new.import_id)
        assert (found.state, found.origin, found.origin_import_id) == (State.QUEUED, origin, first)
        assert await place.is_to_be_sent(new.import_id)
        async with place.store.session(TENANT) as session:
            assert await session.inputs(new.import_id) == inputs


async def test_there_is_one_retry_while_it_lives_or_has_succeeded(place: Place) -> None:
    first = await queued(place)
    await place.ends(first, State.FAILED)
    retry = derived(first, Origin.RETRY)
    assert await added(place, retry)
    for state in (None, State.SUCCEEDED):
        if state:
            await place.ends(retry.import_id, state)
        assert not await added(place, derived(first, Origin.RETRY))
        async with place.store.session(TENANT) as session:
            assert await session.retry_of(first) == retry.import_id
            assert await session.undo_of(first, dry_run=True) is None
    await place.ends(retry.import_id, State.FAILED)
    async with place.store.session(TENANT) as session:
        assert await session.retry_of(first) is None
    assert await added(place, derived(first, Origin.RETRY))


async def test_there_is_one_undo_while_it_lives_or_has_succeeded_and_any_number_of_dry_ones(place: Place) -> None:
    first = await queued(place)
    await place.ends(first, State.SUCCEEDED)
    undo, dry = (derived(first, Origin.UNDO, options=Options(dry_run=dry_run)) for dry_run in (False, True))
    assert await added(place, undo)
    assert await added(place, dry)
    async with place.store.session(TENANT) as session:
        assert await session.undo_of(first, dry_run=False) == undo.import_id
        assert await session.undo_of(first, dry_run=True) == dry.import_id
    assert not await added(place, derived(first, Origin.UNDO, options=Options()))
    await place.ends(undo.import_id, State.SUCCEEDED)
    await place.ends(dry.import_id, State.SUCCEEDED)
    async with place.store.session(TENANT) as session:
        assert await session.undo_of(first, dry_run=False) is None
        assert await session.undo_of(first, dry_run=True) is None
    assert not await added(place, derived(first, Origin.UNDO, options=Options()))
    assert await added(place, derived(first, Origin.UNDO, options=Options(dry_run=True)))


async def test_a_re_run_may_be_made_any_number_of_times(place: Place) -> None:
    first = await queued(place)
    await place.ends(first, State.SUCCEEDED)
    assert [await added(place, derived(first, Origin.RERUN)) for _ in range(3)] == [True] * 3
