from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from runtime.auth import Principal
from runtime.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, PayloadTooLarge, ServiceError
from runtime.objects import ObjectInfo, ObjectMissing
from services.importer.imports import Imports, Thresholds, Trigger
from services.importer.model import Lane, State
from services.importer.sources import Source, Sources
from tests.fakes.imports import FakeImportStore
from tests.fakes.people import ADMIN, COLLEAGUE, IMPORTER, LIMITED, STRANGER, TRACE, calling

KEY = "c0123/a.nessus"
TRIGGER = Trigger(client_id=1000, report_id=500_000, source="nessus", key=KEY)
SOURCES = Sources(
    [
        Source("nessus", "Nessus", report_formats=("nessus",)),
        Source("nmap-xml", "Nmap", asset_formats=("nmap_assets",)),
    ]
)


class Heads:
    """Objects of which only size and ETag are known."""

    def __init__(self) -> None:
        self.known: dict[str, ObjectInfo] = {}
        self.asked: list[str] = []

    def object_key(self, key: str) -> str:
        return f"uploads/{key}"

    async def head(self, object_key: str) -> ObjectInfo:
        self.asked.append(object_key)
        if object_key not in self.known:
            raise ObjectMissing
        return self.known[object_key]


class Bench:
    """The use cases over fakes, with one client, report and uploaded file of tenant 1."""

    def __init__(self) -> None:
        self.store = FakeImportStore()
        self.objects = Heads()
        self.imports = Imports(
            self.store, self.objects, SOURCES, Thresholds(max_file_bytes=1_000, small_file_bytes=100)
        )
        self.store.clients[1, 1000] = "Client"
        self.store.reports[1, 1000, 500_000] = "Report"
        self.upload(KEY, ObjectInfo(100, "etag"))

    def upload(self, key: str, info: ObjectInfo) -> None:
        self.store.files[1, key] = "uploaded as.nessus"
        self.objects.known[f"uploads/{key}"] = info

    async def refused(self, trigger: Trigger, principal: Principal = IMPORTER) -> ServiceError:
        with pytest.raises(ServiceError) as refusal:
            await self.imports.create(principal, trigger)
        assert not self.store.imports
        return refusal.value


@pytest.fixture
def bench() -> Iterator[Bench]:
    with calling(IMPORTER):
        yield Bench()


async def test_a_trigger_queues_an_import_pinned_to_what_was_uploaded(bench: Bench) -> None:
    trigger = replace(TRIGGER, asset_tags=("Web App",), finding_tags=("F",), use_parser_actions=True)
    snapshot = await bench.imports.create(IMPORTER, trigger)
    assert snapshot.state is State.QUEUED
    assert (snapshot.client_name, snapshot.report_name, snapshot.user_email) == ("Client", "Report", IMPORTER.email)
    new = bench.store.new[snapshot.import_id]
    assert (new.object_key, new.etag, new.file_size, new.lane) == (f"uploads/{KEY}", "etag", 100, Lane.SMALL)
    assert (new.file_name, new.file_type, new.target) == ("uploaded as.nessus", "text/xml", "findings")
    assert (new.asset_tags, new.finding_tags, new.use_parser_actions) == (("web_app",), ("f",), True)
    assert (new.traceparent, new.request_id, new.request_digest) == (TRACE, None, None)


async def test_the_file_name_of_the_trigger_wins(bench: Bench) -> None:
    snapshot = await bench.imports.create(IMPORTER, replace(TRIGGER, file_name="told.xml"))
    assert snapshot.file_name == "told.xml"


async def test_a_larger_file_takes_the_other_lane(bench: Bench) -> None:
    bench.upload(KEY, ObjectInfo(101, "etag"))
    snapshot = await bench.imports.create(IMPORTER, TRIGGER)
    assert bench.store.new[snapshot.import_id].lane is Lane.LARGE


async def test_ids_of_imports_ascend(bench: Bench) -> None:
    ids = [(await bench.imports.create(IMPORTER, TRIGGER)).import_id for _ in range(100)]
    assert ids == sorted(ids)
    assert {identifier.version for identifier in ids} == {7}


async def test_an_empty_file_is_queued_like_any_other(bench: Bench) -> None:
    bench.upload(KEY, ObjectInfo(0, "etag"))
    assert (await bench.imports.create(IMPORTER, TRIGGER)).state is State.QUEUED


async def test_an_asset_import_has_no_report(bench: Bench) -> None:
    snapshot = await bench.imports.create(IMPORTER, replace(TRIGGER, report_id=None, source="nmap-xml"))
    assert (snapshot.report_id, snapshot.report_name) == (None, "")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"source": "acunetix"}, "UNKNOWN_SOURCE"),
        ({"source": "nmap-xml"}, "UNKNOWN_SOURCE"),
        ({"report_id": None}, "UNKNOWN_SOURCE"),
        ({"client_id": 1001}, "CLIENT_NOT_FOUND"),
        ({"report_id": 500_001}, "REPORT_NOT_FOUND"),
        ({"report_id": 0}, "REPORT_NOT_FOUND"),
        ({"key": "c999/a.nessus"}, "UNKNOWN_KEY"),
        ({"key": ""}, "UNKNOWN_KEY"),
        ({"key": "a\0b"}, "UNKNOWN_KEY"),
        ({"key": "k" * 2_000}, "UNKNOWN_KEY"),
        ({"file_name": "n" * 256}, "FIELD_TOO_LONG"),
        ({"request_id": "r" * 256}, "FIELD_TOO_LONG"),
        ({"asset_tags": ("t" * 256,)}, "TAG_TOO_LONG"),
    ],
)
async def test_a_wrong_trigger_is_refused(bench: Bench, change: dict[str, object], reason: str) -> None:
    refusal = await bench.refused(replace(TRIGGER, **change))  # type: ignore[arg-type]
    assert refusal.reason == reason
    assert isinstance(refusal, (InvalidArgument, NotFound))


async def test_what_is_another_tenants_is_not_found(bench: Bench) -> None:
    assert (await bench.refused(TRIGGER, STRANGER)).reason == "CLIENT_NOT_FOUND"
    bench.store.clients[2, 1000] = "Theirs"
    bench.store.reports[2, 1000, 500_000] = "Theirs"
    refusal = await bench.refused(TRIGGER, STRANGER)
    assert isinstance(refusal, NotFound)
    assert refusal.reason == "UNKNOWN_KEY"


async def test_a_client_that_is_not_granted_is_not_found(bench: Bench) -> None:
    refusal = await bench.refused(TRIGGER, LIMITED)
    assert isinstance(refusal, NotFound)
    assert refusal.reason == "CLIENT_NOT_FOUND"


async def test_a_trigger_before_the_put_is_refused(bench: Bench) -> None:
    bench.objects.known.clear()
    refusal = await bench.refused(TRIGGER)
    assert isinstance(refusal, FailedPrecondition)
    assert refusal.reason == "FILE_NOT_UPLOADED"


@pytest.mark.parametrize(
    ("limit", "size", "is_refused"), [(None, 1_000, False), (None, 1_001, True), (10, 10, False), (10, 11, True)]
)
async def test_the_size_limit_is_the_tenants_or_the_default(
    bench: Bench, limit: int | None, size: int, is_refused: bool
) -> None:
    bench.upload(KEY, ObjectInfo(size, "etag"))
    if limit is not None:
        bench.store.limits[1] = limit
    if not is_refused:
        assert (await bench.imports.create(IMPORTER, TRIGGER)).file_size == size
        return
    refusal = await bench.refused(TRIGGER)
    assert isinstance(refusal, PayloadTooLarge)
    assert refusal.metadata == {"limit": str(limit or 1_000)}


async def test_a_repeated_request_answers_the_first_import(bench: Bench) -> None:
    trigger = replace(TRIGGER, request_id="again")
    first = await bench.imports.create(IMPORTER, trigger)
    bench.store.set_state(1, first.import_id, State.SUCCEEDED)
    bench.objects.known.clear()
    second = await bench.imports.create(IMPORTER, replace(trigger, source=" NESSUS "))
    assert (second.import_id, second.state) == (first.import_id, State.SUCCEEDED)
    assert len(bench.store.imports) == 1


async def test_a_request_repeated_while_the_first_runs_answers_the_first(bench: Bench) -> None:
    trigger = replace(TRIGGER, request_id="again")
    first = await bench.imports.create(IMPORTER, trigger)
    bench.store.hide_earlier_once = True
    assert (await bench.imports.create(IMPORTER, trigger)).import_id == first.import_id
    assert len(bench.store.imports) == 1


async def test_the_same_bytes_uploaded_again_are_the_same_request(bench: Bench) -> None:
    first = await bench.imports.create(IMPORTER, replace(TRIGGER, request_id="again"))
    bench.upload("c2/a.nessus", ObjectInfo(100, "etag"))
    second = await bench.imports.create(IMPORTER, replace(TRIGGER, request_id="again", key="c2/a.nessus"))
    assert second.import_id == first.import_id


@pytest.mark.parametrize(
    "change",
    [
        {"key": "c2/a.nessus"},
        {"file_name": "other"},
        {"asset_tags": ("t",)},
        {"finding_tags": ("t",)},
        {"use_parser_actions": True},
        {"report_id": 500_001},
        {"client_id": 1001},
    ],
)
async def test_another_request_with_the_same_id_is_refused(bench: Bench, change: dict[str, object]) -> None:
    bench.upload("c2/a.nessus", ObjectInfo(100, "other"))
    trigger = replace(TRIGGER, request_id="again")
    await bench.imports.create(IMPORTER, trigger)
    with pytest.raises(AlreadyExists) as refusal:
        await bench.imports.create(IMPORTER, replace(trigger, **change))  # type: ignore[arg-type]
    assert refusal.value.reason == "IDEMPOTENCY_MISMATCH"
    assert len(bench.store.imports) == 1


async def test_the_request_id_of_somebody_else_is_another_one(bench: Bench) -> None:
    trigger = replace(TRIGGER, request_id="again")
    first = await bench.imports.create(IMPORTER, trigger)
    assert (await bench.imports.create(COLLEAGUE, trigger)).import_id != first.import_id


@pytest.fixture
async def queued(bench: Bench) -> UUID:
    return (await bench.imports.create(IMPORTER, TRIGGER)).import_id


@pytest.mark.parametrize("state", [State.OPEN, State.QUEUED, State.PAUSED])
async def test_an_import_that_does_not_run_is_cancelled_at_once(bench: Bench, queued: UUID, state: State) -> None:
    bench.store.set_state(1, queued, state)
    snapshot = await bench.imports.cancel(IMPORTER, str(queued))
    assert (snapshot.state, snapshot.error_code) == (State.CANCELLED, "CANCELLED")
    assert snapshot.error_message == "cancelled by importer@example.com"
    assert not bench.store.cancel_requests


async def test_a_running_import_is_asked_to_stop(bench: Bench, queued: UUID) -> None:
    bench.store.set_state(1, queued, State.RUNNING)
    snapshot = await bench.imports.cancel(IMPORTER, str(queued))
    assert (snapshot.state, snapshot.cancel_requested) == (State.RUNNING, True)
    assert bench.store.cancel_requests == [(queued, IMPORTER.user_id)]


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.CANCELLED])
async def test_a_finished_import_cannot_be_commanded(bench: Bench, queued: UUID, state: State) -> None:
    bench.store.set_state(1, queued, state)
    for command in (bench.imports.cancel, bench.imports.requeue):
        with pytest.raises(FailedPrecondition) as refusal:
            await command(ADMIN, str(queued))
        assert refusal.value.reason == "IMPORT_FINISHED"


async def test_an_administrator_cancels_what_others_started(bench: Bench, queued: UUID) -> None:
    assert (await bench.imports.cancel(ADMIN, str(queued))).state is State.CANCELLED


@pytest.mark.parametrize("principal", [COLLEAGUE, STRANGER, LIMITED])
async def test_nobody_else_finds_it(bench: Bench, queued: UUID, principal: Principal) -> None:
    with pytest.raises(NotFound):
        await bench.imports.cancel(principal, str(queued))
    assert bench.store.imports[1, queued].state is State.QUEUED


@pytest.mark.parametrize("import_id", ["", "x", str(uuid4())])
async def test_an_unknown_import_is_not_found(bench: Bench, import_id: str) -> None:
    with pytest.raises(NotFound) as refusal:
        await bench.imports.cancel(IMPORTER, import_id)
    assert refusal.value.reason == "IMPORT_NOT_FOUND"


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING])
async def test_an_import_that_nobody_works_on_is_dispatched_again(bench: Bench, queued: UUID, state: State) -> None:
    bench.store.set_state(1, queued, state)
    assert (await bench.imports.requeue(ADMIN, str(queued))).state is state
    assert bench.store.dispatched == [queued]


@pytest.mark.parametrize(
    ("state", "reason"),
    [(State.RUNNING, "IMPORT_RUNNING"), (State.OPEN, "IMPORT_NOT_QUEUED"), (State.PAUSED, "IMPORT_NOT_QUEUED")],
)
async def test_an_import_that_needs_no_requeue_is_left_alone(
    bench: Bench, queued: UUID, state: State, reason: str
) -> None:
    bench.store.set_state(1, queued, state)
    bench.store.live_leases.add(queued)
    with pytest.raises(FailedPrecondition) as refusal:
        await bench.imports.requeue(ADMIN, str(queued))
    assert refusal.value.reason == reason
    assert not bench.store.dispatched
