from __future__ import annotations

import asyncio
import os
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from runtime.errors import Unavailable
from services.importer.engine import child, claims, parser_process, runner
from services.importer.engine.attempt import Ending
from services.importer.engine.claims import Claim
from services.importer.engine.report import report_key
from services.importer.engine.staging import Staging
from services.importer.targets.findings.target import FindingsTarget
from tests.integration.importer.replies import on_reply, pid_of, record_orders, slow_replies
from tests.integration.importer.workbench import LEASE, TENANT, Bench
from tests.scans import nessus


async def test_a_file_is_read_staged_and_merged(bench: Bench) -> None:
    import_id = await bench.triggered(nessus(hosts=3, plugins=4))
    assert await bench.attempt(import_id) is Ending.SUCCEEDED
    assert await bench.engine.outcome(import_id) == {"inserted": 12}
    (progress,) = await bench.engine.rows("SELECT * FROM import_progress")
    assert (progress["processed_findings"], progress["processed_assets"]) == (4, 3)
    assert (progress["processed_finding_assets"], progress["processed_evidence"]) == (12, 12)
    assert (progress["percent"], progress["phase"]) == (100, "done")
    await bench.assert_nothing_left()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "EMPTY_FILE"),
        (nessus()[:-30], "TRUNCATED"),
        (b'{"not": "xml"}', "WRONG_FORMAT"),
        (b"<nmaprun/>", "WRONG_FORMAT"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><NessusClientData_v2/>', "ENTITY_FORBIDDEN"),
    ],
    ids=["empty", "truncated", "json", "other xml", "entity"],
)
async def test_a_file_that_cannot_be_imported_fails_with_its_reason_and_leaves_nothing(
    bench: Bench, data: bytes, code: str
) -> None:
    import_id = await bench.triggered(data)
    assert await bench.attempt(import_id) is Ending.FAILED
    row = await bench.row(import_id)
    assert (row["state"], row["error_code"]) == ("FAILED", code)
    assert row["error_message"]
    await bench.assert_nothing_imported()


async def test_rejected_items_are_reported_and_the_rest_is_imported(bench: Bench) -> None:
    data = nessus(hosts=2, plugins=3).replace(b'pluginID="90001"', b'pluginID="=cmd()"')
    import_id = await bench.triggered(data)
    assert await bench.attempt(import_id) is Ending.SUCCEEDED
    assert await bench.engine.outcome(import_id) == {"inserted": 4, "rejected": 2}
    errors = await bench.engine.rows("SELECT * FROM row_errors ORDER BY record_number")
    assert [(row["record_number"], row["field"], row["code"], row["value"]) for row in errors] == [
        (2, "pluginID", "INVALID_PLUGIN_ID", "=cmd()"),
        (5, "pluginID", "INVALID_PLUGIN_ID", "=cmd()"),
    ]
    assert all(row["position"].startswith("line ") for row in errors)
    key = bench.objects.object_key(report_key(TENANT, import_id))
    with bench.objects.open(key, (await bench.objects.head(key)).etag) as report:
        lines = report.read(10_000).decode().split("\r\n")
    assert lines[0] == "record_number,position,field,code,message,value"
    assert [line.rsplit(",", 1)[-1] for line in lines[1:3]] == ["'=cmd()"] * 2


async def test_a_file_overwritten_after_its_trigger_fails_and_is_never_a_mixture(bench: Bench) -> None:
    import_id = await bench.triggered(nessus())
    await bench.objects.put(
        bench.objects.object_key(f"{import_id}/file"), nessus(first_plugin=9), "application/octet-stream"
    )
    assert await bench.attempt(import_id) is Ending.FAILED
    assert (await bench.row(import_id))["error_code"] == "FILE_CHANGED"
    await bench.assert_nothing_imported()


async def test_a_file_that_is_gone_fails(bench: Bench) -> None:
    import_id = await bench.triggered(nessus())
    await bench.objects.delete(bench.objects.object_key(f"{import_id}/file"))
    assert await bench.attempt(import_id) is Ending.FAILED
    assert (await bench.row(import_id))["error_code"] == "FILE_MISSING"


async def test_a_killed_parser_fails_its_import_and_not_the_worker(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_reply(monkeypatch, lambda parser: os.kill(pid_of(parser), signal.SIGKILL))
    import_id = await bench.triggered(nessus(hosts=400, plugins=40))
    assert await bench.attempt(import_id) is Ending.FAILED
    assert (await bench.row(import_id))["error_code"] == "PARSER_CRASHED"
    await bench.assert_nothing_imported()


async def test_a_parser_that_takes_too_much_memory_fails_its_import(bench: Bench) -> None:
    import_id = await bench.triggered(nessus().replace(b"seen on", b"x" * 31_000_000, 1))
    memory = 76 * 1024 * 1024
    assert await bench.attempt(await bench.triggered(nessus()), parser_memory_bytes=memory) is Ending.SUCCEEDED
    assert await bench.attempt(import_id, parser_memory_bytes=memory) is Ending.FAILED
    assert (await bench.row(import_id))["error_code"] == "PARSER_OUT_OF_MEMORY"
    await bench.assert_nothing_left()


async def test_a_parser_that_stands_still_is_ended(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser_process, "STALL_SECONDS", 1.0)
    on_reply(monkeypatch, lambda parser: os.kill(pid_of(parser), signal.SIGSTOP))
    import_id = await bench.triggered(nessus(hosts=400, plugins=40))
    assert await bench.attempt(import_id) is Ending.FAILED
    assert (await bench.row(import_id))["error_code"] == "PARSER_TIMEOUT"
    await bench.assert_nothing_imported()


async def test_a_running_import_is_cancelled_and_leaves_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    import_id = await bench.triggered(nessus(hosts=400, plugins=40))
    slow_replies(monkeypatch)
    attempt = asyncio.create_task(bench.attempt(import_id, chunk_records=100))
    await bench.engine.admin.execute(
        "INSERT INTO import_requests (action, tenant_id, import_id, requested_by) VALUES ('cancel', %s, %s, 1)",
        (TENANT, import_id),
    )
    assert await attempt is Ending.CANCELLED
    row = await bench.row(import_id)
    assert (row["state"], row["error_code"]) == ("CANCELLED", "CANCELLED")
    await bench.assert_nothing_imported()


async def test_a_drained_import_goes_on_from_its_checkpoint(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    import_id = await bench.triggered(nessus(hosts=400, plugins=40))
    draining = asyncio.Event()
    with monkeypatch.context() as patched:
        slow_replies(patched)
        draining.set()
        assert await bench.attempt(import_id, draining, chunk_records=100) is Ending.DRAINED
    row = await bench.row(import_id)
    assert (row["state"], row["retries"], row["crashes"]) == ("QUEUED", 0, 0)
    staged = await bench.engine.value("SELECT ordinal FROM staging.checkpoints")
    assert 0 < staged < 16_000

    resumed = record_orders(monkeypatch)
    assert await bench.attempt(import_id) is Ending.SUCCEEDED
    assert [order.resume_after for order in resumed] == [staged]
    assert await bench.engine.outcome(import_id) == {"inserted": 16_000}
    assert await bench.engine.value("SELECT count(*) FROM affected_assets") == 16_000
    await bench.assert_nothing_left()


async def test_an_attempt_that_died_in_the_flip_does_not_parse_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id = await bench.triggered(nessus(hosts=5))
    with monkeypatch.context() as patched:
        patched.setattr(runner, "flip", _unreachable_database)
        assert await bench.attempt(import_id) is Ending.RETRIED
    await bench.engine.admin.execute("UPDATE imports SET not_before = NULL")

    orders = record_orders(monkeypatch)
    assert await bench.attempt(import_id) is Ending.SUCCEEDED
    assert orders == []
    assert await bench.engine.outcome(import_id) == {"inserted": 15}


async def test_emptied_staging_starts_over(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a crash of PostgreSQL does to UNLOGGED tables."""
    import_id = await bench.triggered(nessus(hosts=5))
    with monkeypatch.context() as patched:
        patched.setattr(runner, "flip", _unreachable_database)
        assert await bench.attempt(import_id) is Ending.RETRIED
    claimed_tables = Staging(TENANT, import_id, FindingsTarget().templates).names.values()
    await bench.engine.admin.execute(f"TRUNCATE staging.checkpoints, {', '.join(claimed_tables)}".encode())
    await bench.engine.admin.execute("UPDATE imports SET not_before = NULL")

    assert await bench.attempt(import_id) is Ending.SUCCEEDED
    assert await bench.engine.outcome(import_id) == {"inserted": 15}


async def test_retryable_failures_end_after_five(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    import_id = await bench.triggered(nessus())
    monkeypatch.setattr(runner, "flip", _unreachable_database)
    endings = []
    for _ in range(5):
        await bench.engine.admin.execute("UPDATE imports SET not_before = NULL")
        endings.append(await bench.attempt(import_id, keep_resumable=timedelta(0)))
    assert endings == [Ending.RETRIED] * 4 + [Ending.FAILED]
    assert (await bench.row(import_id))["error_code"] == "DATABASE_UNAVAILABLE"
    await bench.assert_nothing_imported()


async def test_a_zombie_writes_nothing_and_reports_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    import_id = await bench.triggered(nessus(hosts=400, plugins=40))
    claim = await bench.engine.claimed(import_id)
    with monkeypatch.context() as patched:
        slow_replies(patched)
        zombie = asyncio.create_task(bench.prepared(claim, chunk_records=100).run())
        await bench.engine.admin.execute("UPDATE import_leases SET expires_at = now() - interval '1 second'")
        await _until_claimable(bench, import_id)
        assert await zombie is Ending.FENCED
    assert await bench.engine.value("SELECT count(*) FROM findings") == 0
    assert (await bench.row(import_id))["state"] == "RUNNING"


async def _until_claimable(bench: Bench, import_id: UUID) -> None:
    async with asyncio.timeout(20):
        while True:
            async with bench.engine.worker.transaction(TENANT) as connection:
                await bench.engine.admin.execute("UPDATE import_leases SET expires_at = now() - interval '1 second'")
                if isinstance(await claims.claim(connection, TENANT, import_id, "b", LEASE), Claim):
                    return
            await asyncio.sleep(0.02)


async def test_the_child_has_no_network_no_files_and_no_credentials(bench: Bench) -> None:
    os.environ["HYTHE_TEST_PROBE_SECRET"] = "hunter2"
    assert child.IS_NETWORK_DROPPED is False
    import_id = await bench.triggered(nessus(hosts=400, plugins=40))
    seen: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patched:
        on_reply(patched, lambda parser: seen.update(look_at(pid_of(parser))))
        await bench.attempt(import_id)
    assert "hunter2" not in seen["environment"]
    assert seen["limits"]["Max file size"] == "0"
    if os.geteuid() == 0:
        assert seen["namespace"] != look_at(os.getpid())["namespace"]


def look_at(pid: int) -> dict[str, Any]:
    process = Path(f"/proc/{pid}")
    rows = [line.split("  ") for line in (process / "limits").read_text().splitlines()]
    return {
        "environment": (process / "environ").read_text(),
        "limits": {row[0]: next(each.strip() for each in row[1:] if each.strip()) for row in rows[1:]},
        "namespace": (process / "ns/net").readlink(),
    }


async def _unreachable_database(*_: object) -> None:
    raise Unavailable("DATABASE_UNAVAILABLE", "away")


async def test_many_imports_at_once_do_not_lose_the_exit_codes_of_their_children(bench: Bench) -> None:
    import_ids = [await bench.triggered(nessus()) for _ in range(30)]
    endings = await asyncio.gather(*(bench.attempt(import_id) for import_id in import_ids))
    assert endings == [Ending.SUCCEEDED] * 30
