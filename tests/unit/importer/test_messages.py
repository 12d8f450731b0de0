from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from google.protobuf.json_format import MessageToDict

from services.importer.messages import import_message, source_message
from services.importer.model import State
from services.importer.snapshot import Caution, Snapshot
from services.importer.sources import Source

CREATED = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)


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
    }


@pytest.mark.parametrize("state", list(State))
def test_every_state_has_its_number(state: State) -> None:
    assert import_message(snapshot(state)).state != 0


def test_an_asset_import_shows_report_0() -> None:
    assert import_message(snapshot(report_id=None)).report_id == 0


def test_a_source_tells_its_formats() -> None:
    message = source_message(Source("nmap", "Nmap", report_formats=("nmap",), asset_formats=("nmap_assets",)))
    assert (message.source, message.display_name, message.assets_only) == ("nmap", "Nmap", False)
    assert list(message.formats) == ["nmap", "nmap_assets"]
