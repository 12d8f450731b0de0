"""The content of a file: its digest, whether it is the one that was said, and whether it was imported before."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any
from uuid import UUID

import pytest

from runtime.errors import Unavailable
from services.importer.engine import runner
from services.importer.engine.attempt import Ending
from tests.integration.importer.replies import after_reply, record_orders
from tests.integration.importer.shop import LARGE_SCAN, LARGE_SCAN_ITEMS
from tests.integration.importer.workbench import Bench
from tests.scans import nessus

SCAN = nessus(hosts=3, plugins=4)
PARTLY_BAD = SCAN.replace(b'pluginID="90001"', b'pluginID="x"')


async def done(bench: Bench, data: bytes = SCAN, **columns: Any) -> UUID:
    import_id = await bench.triggered(data, **{"force": False, **columns})
    assert await bench.attempt(import_id) is Ending.SUCCEEDED
    return import_id


async def duplicate_of(bench: Bench, import_id: UUID) -> UUID | None:
    original: UUID | None = (await bench.row(import_id))["duplicate_of"]
    return original


async def test_the_digest_of_a_file_is_kept(bench: Bench) -> None:
    import_id = await done(bench)
    assert (await bench.row(import_id))["content_sha256"] == hashlib.sha256(SCAN).digest()


async def test_what_follows_the_last_record_belongs_to_the_file(bench: Bench) -> None:
    data = SCAN + b"\n" * 300_000
    import_id = await done(bench, data)
    assert (await bench.row(import_id))["content_sha256"] == hashlib.sha256(data).digest()


async def test_an_attempt_that_resumes_has_the_digest_of_the_whole_file(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id = await bench.triggered(LARGE_SCAN)

    async def vanish() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        after_reply(patched, 6, vanish)
        with pytest.raises(KeyboardInterrupt):
            await bench.prepared(await bench.engine.claimed(import_id), chunk_records=100)._work()
    assert (await bench.row(import_id))["content_sha256"] is None
    await bench.engine.admin.execute("UPDATE import_leases SET expires_at = now() - interval '1 second'")
    orders = record_orders(monkeypatch)
    assert await bench.attempt(import_id) is Ending.SUCCEEDED
    assert orders[0].resume_after > 0
    assert (await bench.row(import_id))["content_sha256"] == hashlib.sha256(LARGE_SCAN).digest()
    assert await bench.engine.outcome(import_id) == {"inserted": LARGE_SCAN_ITEMS}


async def test_an_attempt_killed_in_the_flip_leaves_the_digest_to_the_next(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await done(bench)
    import_id = await bench.triggered(SCAN, force=False)
    with monkeypatch.context() as patched:
        patched.setattr(runner, "flip", unreachable_database)
        assert await bench.attempt(import_id) is Ending.RETRIED
    await bench.engine.admin.execute("UPDATE imports SET not_before = NULL")
    orders = record_orders(monkeypatch)
    assert await bench.attempt(import_id) is Ending.SUCCEEDED
    assert orders == []
    assert await duplicate_of(bench, import_id) == first


async def test_a_checkpoint_without_a_digest_has_the_file_read_once_more_and_staged_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a worker from before the digest has left it."""
    import_id = await bench.triggered(SCAN)
    with monkeypatch.context() as patched:
        patched.setattr(runner, "flip", unreachable_database)
        assert await bench.attempt(import_id) is Ending.RETRIED
    await bench.engine.admin.execute("UPDATE staging.checkpoints SET tally = tally - 'sha256'")
    await bench.engine.admin.execute("UPDATE imports SET not_before = NULL, content_sha256 = NULL")
    orders = record_orders(monkeypatch)
    assert await bench.attempt(import_id) is Ending.SUCCEEDED
    assert [order.resume_after for order in orders] == [12]
    assert await bench.engine.outcome(import_id) == {"inserted": 12}
    assert (await bench.row(import_id))["content_sha256"] == hashlib.sha256(SCAN).digest()


async def test_a_file_with_the_checksum_that_was_said_is_imported(bench: Bench) -> None:
    await done(bench, expected_sha256=hashlib.sha256(SCAN).digest())


async def test_a_file_with_another_checksum_is_not_imported(bench: Bench) -> None:
    import_id = await bench.triggered(PARTLY_BAD, expected_sha256=hashlib.sha256(SCAN).digest())
    assert await bench.attempt(import_id) is Ending.FAILED
    row = await bench.row(import_id)
    assert row["error_code"] == "CHECKSUM_MISMATCH"
    assert row["content_sha256"] == hashlib.sha256(PARTLY_BAD).digest()
    assert hashlib.sha256(PARTLY_BAD).hexdigest() in row["error_message"]
    assert len(await bench.report_of(import_id)) == 3
    await bench.assert_nothing_imported()


async def test_a_refused_file_has_no_digest(bench: Bench) -> None:
    import_id = await bench.triggered(b"<nmaprun/>", expected_sha256=b"x" * 32)
    assert await bench.attempt(import_id) is Ending.FAILED
    row = await bench.row(import_id)
    assert (row["error_code"], row["content_sha256"]) == ("WRONG_FORMAT", None)


async def test_the_same_file_again_is_recognised_and_nothing_is_merged(bench: Bench) -> None:
    first = await done(bench, PARTLY_BAD)
    before = await bench.engine.rows("SELECT xmin::text, * FROM findings ORDER BY finding_id")
    second = await done(bench, PARTLY_BAD)
    row = await bench.row(second)
    assert (row["state"], row["duplicate_of"], row["flip_number"]) == ("SUCCEEDED", first, None)
    assert await bench.engine.outcome(second) == {"skipped": 9, "rejected": 3}
    (progress,) = await bench.engine.rows("SELECT * FROM import_progress WHERE import_id = %s", second)
    assert [
        value for name, value in progress.items() if name.startswith("processed_") and name != "processed_bytes"
    ] == [0] * 4
    (caution,) = progress["cautions"]
    assert caution["code"] == "ALREADY_IMPORTED"
    assert str(first) in caution["message"]
    assert await bench.engine.value("SELECT count(*) FROM row_errors WHERE import_id = %s", second) == 3
    assert len(await bench.report_of(second)) == 3
    assert await bench.engine.rows("SELECT xmin::text, * FROM findings ORDER BY finding_id") == before
    assert await bench.engine.value("SELECT count(*) FROM sightings") == 0
    await bench.assert_nothing_left()


async def test_force_merges_the_same_file_again(bench: Bench) -> None:
    await done(bench)
    again = await done(bench, force=True)
    assert await duplicate_of(bench, again) is None
    assert await bench.engine.outcome(again) == {"unchanged": 12}


async def test_a_third_time_names_the_import_that_merged(bench: Bench) -> None:
    first = await done(bench)
    assert await duplicate_of(bench, await done(bench)) == first
    assert await duplicate_of(bench, await done(bench)) == first
    forced = await done(bench, force=True)
    assert await duplicate_of(bench, await done(bench)) == forced, "the latest one"


async def test_a_dry_run_says_that_the_file_is_known(bench: Bench) -> None:
    first = await done(bench)
    trial = await done(bench, dry_run=True)
    assert await duplicate_of(bench, trial) == first
    assert await bench.engine.outcome(trial) == {"skipped": 12}


@pytest.mark.parametrize(
    "earlier",
    [
        "dry_run = true",
        "state = 'FAILED'",
        "state = 'CANCELLED'",
        "undone_at = now()",
        "kind = 'undo'",
        "duplicate_of = gen_random_uuid()",
        "client_id = client_id + 1",
        "report_id = report_id + 1",
        "report_id = NULL",
        "source = 'burp'",
        "target = 'records'",
        "asset_tags = '{x}'",
        "finding_tags = '{x}'",
        "use_parser_actions = true",
        "content_sha256 = sha256('other')",
        "tenant_id = 2",
    ],
)
async def test_an_earlier_import_that_is_not_the_same_is_none(bench: Bench, earlier: str) -> None:
    first = await done(bench)
    admin = bench.engine.admin
    if earlier.startswith("tenant_id"):
        for table in ("import_claims", "import_inputs", "import_progress", "outbox"):
            await admin.execute(f"DELETE FROM {table}".encode())
    await admin.execute(f"UPDATE imports SET {earlier} WHERE import_id = %s".encode(), (first,))
    again = await done(bench)
    assert await duplicate_of(bench, again) is None
    assert await bench.engine.outcome(again) == {"unchanged": 12}


async def test_tags_in_another_order_are_the_same(bench: Bench) -> None:
    first = await done(bench, asset_tags=["a", "b"], finding_tags=["c", "d"])
    second = await done(bench, asset_tags=["b", "a"], finding_tags=["d", "c"])
    assert await duplicate_of(bench, second) == first


async def test_of_the_same_file_twice_at_once_exactly_one_is_merged(bench: Bench) -> None:
    import_ids = [await bench.triggered(SCAN, force=False) for _ in range(6)]
    async with asyncio.timeout(60):
        endings = await asyncio.gather(*(bench.attempt(import_id) for import_id in import_ids))
    assert endings == [Ending.SUCCEEDED] * 6
    (merged,) = [each for each in import_ids if await duplicate_of(bench, each) is None]
    assert await bench.engine.outcome(merged) == {"inserted": 12}
    for other in set(import_ids) - {merged}:
        assert await duplicate_of(bench, other) == merged
        assert await bench.engine.outcome(other) == {"skipped": 12}
    assert await bench.engine.value("SELECT count(*) FROM imports WHERE flip_number IS NOT NULL") == 1


async def unreachable_database(*_: object) -> None:
    raise Unavailable("DATABASE_UNAVAILABLE", "away")
