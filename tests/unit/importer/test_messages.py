from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from google.protobuf.json_format import MessageToDict

from hythe.importer.v1 import importer_pb2
from runtime.errors import InvalidArgument
from services.importer.messages import import_message, options_message, options_of, source_message
from services.importer.model import Kind, Origin, State
from services.importer.policy import OnError, Options, Policy
from services.importer.snapshot import Caution, Snapshot, UndoCount
from services.importer.sources import Source
from tests.unit.importer.test_sources import NMAP, NMAP_ASSETS

CREATED = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
OPTIONS = Options(
    dry_run=True,
    force=True,
    policy=Policy(OnError.ABORT_ABOVE, max_errors=0, max_error_percent=0.5, expected_records=0),
    expected_sha256=b"\x0a" * 32,
)


def snapshot(state: State = State.QUEUED, report_id: int | None = 500_000) -> Snapshot:
    return Snapshot(
        tenant_id=1,
        import_id=UUID(int=5),
        client_id=1000,
        client_name="Client",
        report_id=report_id,
        report_name="Report",
        source="nessus",
        key="c1/a.nessus",
        file_name="a.nessus",
        file_type="text/xml",
        file_size=2**40,
        state=state,
        user_id=7,
        user_email="a@example.com",
        asset_tags=("a",),
        finding_tags=("f",),
        use_parser_actions=True,
        created_at=CREATED,
        updated_at=CREATED + timedelta(seconds=1),
        started_at=CREATED + timedelta(seconds=2),
        error_code="TRUNCATED",
        error_message="It ends too soon.",
        error_position="line 7",
        phase="staging",
        percent=42,
        attempt=2,
        cancel_requested=True,
        counters={"processed_bytes": 2**40, "read": 3, "rejected": 1},
        cautions=(Caution("VALUE_CUT", "Cut.", 4),),
        kind=Kind.UNDO,
        options=OPTIONS,
        content_sha256=bytes(31) + b"\n",
        duplicate_of=UUID(int=6),
        origin=Origin.UNDO,
        origin_import_id=UUID(int=7),
        undone_by=UUID(int=8),
        undone_at=CREATED + timedelta(seconds=3),
        pause_requested=True,
        resumable_until=CREATED + timedelta(seconds=4),
        undo=(UndoCount("finding", "kept", "EDITED", 5),),
    )


def test_every_member_of_a_snapshot_is_in_the_message() -> None:
    assert MessageToDict(import_message(snapshot()), preserving_proto_field_name=True) == {
        "import_id": str(UUID(int=5)),
        "client_id": 1000,
        "report_id": 500_000,
        "source": "nessus",
        "key": "c1/a.nessus",
        "file_name": "a.nessus",
        "file_type": "text/xml",
        "file_size_bytes": str(2**40),
        "state": "STATE_QUEUED",
        "progress": 42,
        "phase": "staging",
        "counters": {"processed_bytes": str(2**40), "read": "3", "rejected": "1"},
        "error_code": "TRUNCATED",
        "error_message": "It ends too soon.",
        "error_position": "line 7",
        "attempt": 2,
        "asset_tags": ["a"],
        "finding_tags": ["f"],
        "use_parser_actions": True,
        "user_id": 7,
        "user_email": "a@example.com",
        "tenant_id": 1,
        "create_time": "2026-01-02T03:04:05.678Z",
        "update_time": "2026-01-02T03:04:06.678Z",
        "start_time": "2026-01-02T03:04:07.678Z",
        "cancel_requested": True,
        "client_name": "Client",
        "report_name": "Report",
        "cautions": [{"code": "VALUE_CUT", "message": "Cut.", "count": "4"}],
        "kind": "KIND_UNDO",
        "options": {
            "dry_run": True,
            "force": True,
            "policy": {"on_error": "ON_ERROR_ABORT_ABOVE", "max_errors": "0", "max_error_percent": 0.5},
            "expected_sha256": "0a" * 32,
            "expected_records": "0",
        },
        "content_sha256": "00" * 31 + "0a",
        "duplicate_of": str(UUID(int=6)),
        "origin_import_id": str(UUID(int=7)),
        "origin": "undo",
        "undone_by": str(UUID(int=8)),
        "undone_time": "2026-01-02T03:04:08.678Z",
        "pause_requested": True,
        "resumable_until_time": "2026-01-02T03:04:09.678Z",
        "undo": [{"kind": "finding", "action": "kept", "reason": "EDITED", "count": "5"}],
    }


@pytest.mark.parametrize("state", list(State))
def test_every_state_has_its_number(state: State) -> None:
    assert import_message(snapshot(state)).state != 0


def test_an_asset_import_shows_report_0() -> None:
    assert import_message(snapshot(report_id=None)).report_id == 0


def test_a_source_tells_its_formats() -> None:
    message = source_message(Source("nmap", "Nmap", report_formats=(NMAP,), asset_formats=(NMAP_ASSETS,)))
    assert (message.source, message.display_name, message.assets_only) == ("nmap", "Nmap", False)
    assert (message.brings_findings, message.brings_assets) == (True, True)
    assert list(message.formats) == ["nmap", "nmap_assets"]
    assert list(message.extensions) == [".xml", ".nmap"]
    first, second = message.file_formats
    assert (first.name, first.title, first.syntax, list(first.extensions)) == (
        "nmap",
        "an Nmap report",
        "xml",
        [".xml"],
    )
    assert (first.assets_only, second.assets_only) == (False, True)


@pytest.mark.parametrize("options", [OPTIONS, Options(), *(Options(policy=Policy(word)) for word in OnError)])
def test_options_come_out_as_they_went_in(options: Options) -> None:
    assert options_of(options_message(options)) == options


def test_nothing_said_is_an_import_like_any_other() -> None:
    assert options_of(importer_pb2.ImportOptions()) == Options()


def test_a_policy_of_a_later_version_is_refused() -> None:
    policy = importer_pb2.Policy()
    policy.ParseFromString(b"\x08\x63")
    with pytest.raises(InvalidArgument) as refusal:
        options_of(importer_pb2.ImportOptions(policy=policy))
    assert refusal.value.reason == "INVALID_POLICY"
