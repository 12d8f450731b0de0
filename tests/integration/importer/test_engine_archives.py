"""Files that come in archives: what is in them, what it costs, and that nothing else changes."""

from __future__ import annotations

import gzip
import hashlib
import os

import pytest

from services.importer.engine.attempt import Ending
from tests.integration.importer.replies import after_reply, record_orders
from tests.integration.importer.shop import LARGE_SCAN, LARGE_SCAN_ITEMS
from tests.integration.importer.workbench import Bench
from tests.scans import nessus
from tests.unit.importer.engine.archives.packing import zipped

SCAN = nessus(hosts=3, plugins=4)
MEMORY_BYTES = 96 * 1024 * 1024


@pytest.mark.parametrize("packed", [gzip.compress(SCAN), zipped({"scan.nessus": SCAN})], ids=["gzip", "zip"])
async def test_a_packed_file_merges_like_the_file_and_is_itself_what_was_imported(bench: Bench, packed: bytes) -> None:
    assert await bench.attempt(await bench.triggered(SCAN)) is Ending.SUCCEEDED
    import_id = await bench.triggered(packed)
    assert await bench.attempt(import_id) is Ending.SUCCEEDED
    assert await bench.engine.outcome(import_id) == {"unchanged": 12}
    assert (await bench.row(import_id))["content_sha256"] == hashlib.sha256(packed).digest()
    await bench.assert_nothing_left()


async def test_what_was_left_out_of_an_archive_is_told_once_also_after_a_restart(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = zipped({"readme": b"x", "a.nessus": LARGE_SCAN, "b.nessus": SCAN, "c.pdf": b"%PDF-1.7"})
    import_id = await bench.triggered(packed)

    async def vanish() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        after_reply(patched, 6, vanish)
        with pytest.raises(KeyboardInterrupt):
            await bench.prepared(await bench.engine.claimed(import_id), chunk_records=100)._work()
    await bench.engine.admin.execute("UPDATE import_leases SET expires_at = now() - interval '1 second'")
    orders = record_orders(monkeypatch)
    assert await bench.attempt(import_id) is Ending.SUCCEEDED
    assert orders[0].resume_after > 0
    outcome = await bench.engine.outcome(import_id)
    assert sum(outcome.values()) == LARGE_SCAN_ITEMS + 12
    cautions = await bench.engine.value("SELECT cautions FROM import_progress WHERE import_id = %s", import_id)
    (caution,) = (each for each in cautions if each["code"] == "MEMBER_LEFT_OUT")
    assert caution["count"] == 2


@pytest.mark.parametrize("name", ["scan.nessus", "readme.txt"])
async def test_a_bomb_fails_its_import_and_costs_no_memory(bench: Bench, name: str) -> None:
    bomb = zipped({"good.nessus": SCAN, name: SCAN[:-40] + b" " * (100 << 20)})
    import_id = await bench.triggered(bomb)
    assert await bench.attempt(import_id, parser_memory_bytes=MEMORY_BYTES) is Ending.FAILED
    assert (await bench.row(import_id))["error_code"] == "ARCHIVE_TOO_LARGE"
    await bench.assert_nothing_imported()


async def test_what_comes_out_has_the_memory_and_the_limit_of_any_file(bench: Bench) -> None:
    scan = nessus(hosts=60, plugins=4).replace(b"seen on", os.urandom(50_000).hex().encode())
    packed = zipped({"scan.nessus": scan})
    assert await bench.attempt(await bench.triggered(packed), parser_memory_bytes=MEMORY_BYTES) is Ending.SUCCEEDED
    import_id = await bench.triggered(packed)
    assert await bench.attempt(import_id, unpacked_bytes=len(scan) - 1) is Ending.FAILED
    row = await bench.row(import_id)
    assert (row["error_code"], row["error_message"]) == (
        "ARCHIVE_TOO_LARGE",
        f"The archive holds more than {len(scan) - 1} bytes.",
    )
