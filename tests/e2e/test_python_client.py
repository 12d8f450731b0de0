"""A service account does whole imports by native gRPC, with the typed client."""

from __future__ import annotations

import secrets
from pathlib import Path

import grpc
import pytest

from hythe.identity.v1 import identity_pb2 as identity
from hythe.identity.v1.identity_pb2_grpc import IdentityServiceStub
from hythe.importer.v1 import importer_pb2 as importer
from hythe.options.v1 import options_pb2
from hythe_client import HytheClient, HytheError, SyncHytheClient
from tests.scans import nessus
from tests.stack import LiveStack


@pytest.fixture
async def service_key(stack: LiveStack) -> str:
    """The API key of a fresh service account that may import."""
    async with HytheClient(stack.grpc, api_key=stack.api_key) as admin:
        stub = IdentityServiceStub(admin.connection.channel)
        request = identity.CreateUserRequest(
            email=f"robot-{secrets.token_hex(4)}@example.org", role=options_pb2.ROLE_IMPORTER, service_account=True
        )
        user = (await admin.connection.call(stub.CreateUser, request)).user
        key = await admin.connection.call(
            stub.CreateApiKey, identity.CreateApiKeyRequest(user_id=user.user_id, name="test")
        )
        return key.secret


async def test_a_service_account_imports_a_file_end_to_end(stack: LiveStack, service_key: str, tmp_path: Path) -> None:
    file = tmp_path / "scan one.nessus"
    file.write_bytes(nessus(hosts=3, plugins=4))
    sent: list[int] = []
    async with HytheClient(stack.grpc, api_key=service_key) as hythe:
        client_id = await hythe.create_client(f"Client {secrets.token_hex(4)}")
        report_id = await hythe.create_report(client_id, "Report")
        key = await hythe.upload_file(file, on_sent=sent.append)
        queued = await hythe.create_import(
            client_id=client_id, report_id=report_id, source="nessus", key=key,
            asset_tags=["dmz"], finding_tags=["Q1"], request_id=key,
        )  # fmt: skip
        again = await hythe.create_import(
            client_id=client_id, report_id=report_id, source="nessus", key=key,
            asset_tags=["dmz"], finding_tags=["Q1"], request_id=key,
        )  # fmt: skip
        done = await hythe.wait(queued.import_id)
        findings = [one async for one in hythe.findings(client_id, report_id)]
        assets = [one async for one in hythe.assets(client_id, report_id)]
        imports = [one async for one in hythe.imports()]
        errors = [one async for one in hythe.row_errors(queued.import_id)]
        sources = await hythe.sources()

    assert sent[-1] == file.stat().st_size
    assert again.import_id == queued.import_id
    assert done.state == importer.STATE_SUCCEEDED
    assert done.progress == 100
    counters = done.counters
    assert counters.read == 12
    assert counters.read == sum(
        getattr(counters, name) for name in ("inserted", "updated", "unchanged", "deleted", "skipped", "rejected")
    )
    assert (counters.processed_findings, counters.processed_assets) == (4, 3)
    assert sorted(one.flaw_id for one in findings) == [90_000, 90_001, 90_002, 90_003]
    assert {one.affected_asset_count for one in findings} == {3}
    assert {tag for one in findings for tag in one.tags} == {"q1"}
    assert len(assets) == 3
    assert {tag for one in assets for tag in one.tags} == {"dmz"}
    assert [one.import_id for one in imports] == [queued.import_id]
    assert errors == []
    assert {"nessus", "burp", "nmap"} <= {one.source for one in sources}


async def test_errors_arrive_with_their_reason(stack: LiveStack, service_key: str, tmp_path: Path) -> None:
    file = tmp_path / "a.nessus"
    file.write_bytes(nessus())
    async with HytheClient(stack.grpc, api_key=service_key) as hythe:
        client_id = await hythe.create_client(f"Client {secrets.token_hex(4)}")
        key = await hythe.upload_file(file)
        with pytest.raises(HytheError) as no_report:
            await hythe.create_import(client_id=client_id, report_id=999_999, source="nessus", key=key)
        with pytest.raises(HytheError) as no_import:
            await hythe.wait("0190c2b5-7e1e-7cc3-98c4-dc0c0c07398f")
    assert no_report.value.code is grpc.StatusCode.NOT_FOUND
    assert no_report.value.reason == "REPORT_NOT_FOUND"
    assert no_import.value.code is grpc.StatusCode.NOT_FOUND
    async with HytheClient(stack.grpc, api_key="hy_no_such_key") as stranger:
        with pytest.raises(HytheError) as refused:
            await stranger.sources()
    assert refused.value.code is grpc.StatusCode.UNAUTHENTICATED


def test_the_sync_client_does_the_same(stack: LiveStack, tmp_path: Path) -> None:
    file = tmp_path / "a.nessus"
    file.write_bytes(b"<NotNessus/>")
    with SyncHytheClient(stack.grpc, api_key=stack.api_key) as hythe:
        client_id = hythe.create_client(f"Client {secrets.token_hex(4)}")
        report_id = hythe.create_report(client_id, "Report")
        queued = hythe.create_import(
            client_id=client_id, report_id=report_id, source="nessus", key=hythe.upload_file(file)
        )
        done = hythe.wait(queued.import_id)
        assert client_id in [one.client_id for one in hythe.clients()]
        assert [one.report_id for one in hythe.reports(client_id)] == [report_id]
        assert list(hythe.findings(client_id, report_id)) == []
    assert done.state == importer.STATE_FAILED
    assert done.error_code == "WRONG_FORMAT"
