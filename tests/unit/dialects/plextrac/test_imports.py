from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dialects.plextrac.imports import STATUS, import_started_json, my_import_row
from hythe.importer.v1 import importer_pb2

IMPORT_ID = "1dbc57cb-dd90-403b-a3e1-f411a66bd922"


def make(state: importer_pb2.State.ValueType = importer_pb2.STATE_QUEUED) -> importer_pb2.Import:
    imported = importer_pb2.Import(
        import_id=IMPORT_ID,
        tenant_id=1,
        client_id=70891,
        report_id=543658528,
        source="burp",
        key="cmapk4wtz000j0hov3pqe5foy/burp_sample_small.xml",
        file_name="burp_sample_small.xml",
        file_type="text/xml",
        file_size_bytes=123625,
        state=state,
        user_id=933708862,
        user_email="test.email@example.com",
        client_name="Test Client",
        report_name="Test Report",
    )
    imported.create_time.FromDatetime(datetime(2025, 5, 15, 16, 2, 0, 232_999, tzinfo=UTC))
    imported.update_time.FromDatetime(datetime(2025, 5, 15, 16, 2, 0, tzinfo=UTC))
    return imported


def test_a_started_import_reads_as_published() -> None:
    assert import_started_json(make()) == {
        "status": "success",
        "operationId": IMPORT_ID,
        "importJob": {
            "id": IMPORT_ID,
            "user_id": 933708862,
            "user_email": "test.email@example.com",
            "tenant_id": 1,
            "client_id": 70891,
            "report_id": 543658528,
            "source": "burp",
            "file_location": "cmapk4wtz000j0hov3pqe5foy/burp_sample_small.xml",
            "original_filename": "burp_sample_small.xml",
            "file_type": "text/xml",
            "file_size": "123625",
            "parser_actions_enabled": False,
            "processed_bytes": "0",
            "processed_findings": 0,
            "processed_assets": 0,
            "processed_finding_assets": 0,
            "processed_evidence": 0,
            "asset_tags": [],
            "finding_tags": [],
            "created_at": "2025-05-15T16:02:00.232Z",
            "last_updated_at": "2025-05-15T16:02:00.000Z",
            "failure_notified_at": None,
            "status": "IN QUEUE",
            "error_status": None,
        },
    }


def test_a_row_has_the_published_members_and_ours() -> None:
    assert my_import_row(make(importer_pb2.STATE_RUNNING)) == {
        "key": IMPORT_ID,
        "name": "burp_sample_small.xml",
        "reportName": "Test Report",
        "clientName": "Test Client",
        "fileSize": "123625",
        "status": "PROCESSING",
        "progress": 0,
        "errorStatus": None,
        "source": "burp",
        "id": IMPORT_ID,
        "importId": IMPORT_ID,
        "state": "RUNNING",
        "dryRun": False,
        "duplicateOf": None,
        "undoneBy": None,
    }


def test_every_state_has_a_status() -> None:
    assert set(STATUS) == set(importer_pb2.State.values()) - {importer_pb2.STATE_UNSPECIFIED}


@pytest.mark.parametrize(
    ("state", "code", "message", "position", "expected"),
    [
        (
            importer_pb2.STATE_FAILED,
            "TRUNCATED",
            "It ends too soon.",
            "line 7",
            "TRUNCATED: It ends too soon. (line 7)",
        ),
        (importer_pb2.STATE_FAILED, "EMPTY_FILE", "The file is empty.", "", "EMPTY_FILE: The file is empty."),
        (importer_pb2.STATE_CANCELLED, "CANCELLED", "cancelled by a@b", "", "CANCELLED: cancelled by a@b"),
        (importer_pb2.STATE_CANCELLED, "", "", "", "CANCELLED"),
        (importer_pb2.STATE_SUCCEEDED, "", "", "", None),
        (importer_pb2.STATE_RUNNING, "", "", "", None),
    ],
)
def test_the_error_status_is_code_message_and_position(
    state: importer_pb2.State.ValueType, code: str, message: str, position: str, expected: str | None
) -> None:
    imported = make(state)
    imported.error_code, imported.error_message, imported.error_position = code, message, position
    assert my_import_row(imported)["errorStatus"] == expected
    assert import_started_json(imported)["importJob"]["error_status"] == expected


def test_a_count_beyond_int32_is_cut() -> None:
    imported = make()
    imported.counters.processed_evidence = 2**40
    assert import_started_json(imported)["importJob"]["processed_evidence"] == 2**31 - 1
