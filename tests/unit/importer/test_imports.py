from __future__ import annotations

from dataclasses import replace

import pytest

from runtime.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, PayloadTooLarge
from runtime.objects import ObjectInfo
from services.importer.model import Kind, Lane, State
from services.importer.policy import OnError, Options, Policy
from tests.fakes.people import COLLEAGUE, IMPORTER, LIMITED, STRANGER, TRACE
from tests.unit.importer.bench import KEY, TRIGGER, Bench

CHECKSUM, OTHER_CHECKSUM = bytes(32), bytes(31) + b"x"


async def test_a_trigger_queues_an_import_pinned_to_what_was_uploaded(bench: Bench) -> None:
    trigger = replace(TRIGGER, asset_tags=("Web App",), finding_tags=("F",), use_parser_actions=True)
    snapshot = await bench.imports.create(IMPORTER, trigger)
    assert snapshot.state is State.QUEUED
    assert (snapshot.client_name, snapshot.report_name, snapshot.user_email) == ("Client", "Report", IMPORTER.email)
    new = bench.store.rows[snapshot.import_id].new
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
    assert bench.store.rows[snapshot.import_id].new.lane is Lane.LARGE


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
        ({"options": Options(policy=Policy(max_errors=1))}, "INVALID_POLICY"),
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
    bench.store.change(1, first.import_id, state=State.SUCCEEDED)
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
        {"options": Options(dry_run=True)},
        {"options": Options(force=True)},
        {"options": Options(policy=Policy(OnError.ABORT))},
        {"options": Options(policy=Policy(expected_records=1))},
        {"options": Options(expected_sha256=CHECKSUM)},
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


async def test_how_an_import_is_to_be_done_goes_with_it(bench: Bench) -> None:
    options = Options(dry_run=True, force=True, policy=Policy(OnError.ABORT_ABOVE, max_errors=3, expected_records=9))
    snapshot = await bench.imports.create(IMPORTER, replace(TRIGGER, options=options))
    assert (snapshot.options, snapshot.kind, snapshot.origin) == (options, Kind.IMPORT, None)
    assert bench.store.rows[snapshot.import_id].new.options == options


@pytest.mark.parametrize(
    ("said", "declared", "expected"),
    [
        (None, None, None),
        (None, CHECKSUM, CHECKSUM),
        (CHECKSUM, None, CHECKSUM),
        (CHECKSUM, CHECKSUM, CHECKSUM),
    ],
)
async def test_the_checksum_is_the_triggers_or_else_that_of_the_upload(
    bench: Bench, said: bytes | None, declared: bytes | None, expected: bytes | None
) -> None:
    if declared:
        bench.store.checksums[KEY] = declared
    snapshot = await bench.imports.create(IMPORTER, replace(TRIGGER, options=Options(expected_sha256=said)))
    assert snapshot.options.expected_sha256 == expected


async def test_two_checksums_of_one_file_that_differ_are_refused(bench: Bench) -> None:
    bench.store.checksums[KEY] = CHECKSUM
    refusal = await bench.refused(replace(TRIGGER, options=Options(expected_sha256=OTHER_CHECKSUM)))
    assert isinstance(refusal, InvalidArgument)
    assert refusal.reason == "CHECKSUM_CONFLICT"


async def test_a_checksum_declared_with_the_upload_does_not_make_it_another_request(bench: Bench) -> None:
    trigger = replace(TRIGGER, request_id="again")
    bench.store.checksums[KEY] = CHECKSUM
    first = await bench.imports.create(IMPORTER, trigger)
    assert (await bench.imports.create(IMPORTER, trigger)).import_id == first.import_id
