"""Sync files through the whole engine: what it does for every target, it does for records."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest

from services.importer.engine.attempt import Ending
from tests.integration.importer.ledger import Ledger
from tests.integration.importer.replies import after_reply
from tests.integration.importer.undoing import dump
from tests.integration.importer.workbench import Bench

ROWS = 20_000
HEADER = """00|AGENCY01|cc5|20260102030405|ref-0001
01|wks_bus|ws-demo|bk-demo|cc-bus|upsert
02|line|number
03|line: string|number: int|driver: string|seats: int
"""


def bus(number: int, driver: str = "Okafor", seats: str = "40") -> str:
    return f"10|L1|{number}|{driver}|{seats}|"


def sync_file(*rows: str, count: int | None = None, footer: str | None = None) -> bytes:
    last = f"99|{len(rows) if count is None else count}|{footer or ''}"
    return (HEADER + "".join(f"{row}\n" for row in (*rows, last))).encode()


LARGE = sync_file(*(bus(number) for number in range(ROWS)))


class Killed(Exception):
    """As a worker that is not there any more."""


@pytest.fixture
def ledger(bench: Bench) -> Ledger:
    return Ledger.of(bench.engine)


async def imported(bench: Bench, ledger: Ledger, data: bytes, **columns: Any) -> UUID:
    import_id = await ledger.triggered(bench, data, **columns)
    assert await bench.attempt(import_id) is Ending.SUCCEEDED
    return import_id


async def seats(bench: Bench) -> dict[str, Any]:
    rows = await bench.engine.rows("SELECT key, document->'seats' AS seats FROM records WHERE document IS NOT NULL")
    return {row["key"]: row["seats"] for row in rows}


async def test_an_import_knows_what_its_file_says_and_counts_its_rows_only(bench: Bench, ledger: Ledger) -> None:
    import_id = await imported(bench, ledger, sync_file(bus(1), bus(2), "90|L1|3", footer="by-hand"))
    row = await bench.row(import_id)
    assert (row["entity_type"], row["data_source"], row["reference_id"]) == ("wks_bus", "cc-bus", "ref-0001")
    assert (row["file_header"], row["columns"]) == (HEADER, ["line", "number", "driver", "seats"])
    assert row["validation_code"] == "by-hand"
    assert await bench.engine.outcome(import_id) == {"inserted": 2, "unchanged": 1}
    assert await seats(bench) == {'["L1",1]': 40, '["L1",2]': 40}
    await bench.assert_nothing_left()


async def test_a_file_without_rows_changes_nothing(bench: Bench, ledger: Ledger) -> None:
    import_id = await imported(bench, ledger, sync_file())
    assert await bench.engine.outcome(import_id) == {}
    assert (await bench.row(import_id))["reference_id"] == "ref-0001"


async def test_the_number_of_records_that_was_promised_is_that_of_rows(bench: Bench, ledger: Ledger) -> None:
    await imported(bench, ledger, sync_file(bus(1), bus(2)), policy={"expected_records": 2})
    import_id = await ledger.triggered(bench, sync_file(bus(1), bus(2)), policy={"expected_records": 4})
    assert await bench.attempt(import_id) is Ending.FAILED
    assert (await bench.row(import_id))["error_code"] == "COUNT_MISMATCH"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (sync_file(bus(1), count=2), "FOOTER_COUNT_MISMATCH"),
        (sync_file(bus(1)).removesuffix(b"99|1|\n"), "FOOTER_MISSING"),
        (sync_file(bus(1)).replace(b"02|line|number", b"02|line|plate"), "HEADER_KEY_NOT_DECLARED"),
    ],
)
async def test_of_a_damaged_file_nothing_is_applied(bench: Bench, ledger: Ledger, data: bytes, code: str) -> None:
    import_id = await ledger.triggered(bench, data)
    assert await bench.attempt(import_id) is Ending.FAILED
    assert (await bench.row(import_id))["error_code"] == code
    await bench.assert_nothing_imported()


async def test_a_file_that_needs_no_footer_may_lie_in_it(bench: Bench, ledger: Ledger) -> None:
    import_id = await imported(bench, ledger, sync_file(bus(1), count=7), policy={"require_footer": False})
    assert await bench.engine.outcome(import_id) == {"inserted": 1}


async def test_empty_values_are_kept_where_the_import_says_so(bench: Bench, ledger: Ledger) -> None:
    await imported(bench, ledger, sync_file(bus(1)))
    await imported(bench, ledger, sync_file(bus(1, seats="")), policy={"empty": "keep"})
    assert await seats(bench) == {'["L1",1]': 40}
    await imported(bench, ledger, sync_file(bus(1, seats="")))
    assert await seats(bench) == {'["L1",1]': None}


async def test_a_dry_run_tells_what_the_import_then_does_and_changes_nothing(bench: Bench, ledger: Ledger) -> None:
    await imported(bench, ledger, sync_file(bus(1), bus(2), bus(3)))
    changes = sync_file(bus(1), bus(2, "Ng"), "90|L1|3", bus(4), bus(5, seats="many"))
    before = await dump(bench.engine)
    trial = await imported(bench, ledger, changes, dry_run=True)
    assert await dump(bench.engine) == before
    real = await imported(bench, ledger, changes)
    told = {"inserted": 1, "updated": 1, "unchanged": 1, "deleted": 1, "rejected": 1}
    assert await bench.engine.outcome(trial) == await bench.engine.outcome(real) == told


async def test_the_same_upload_is_merged_once_and_the_same_bytes_of_another_again(bench: Bench, ledger: Ledger) -> None:
    forty, fifty = sync_file(bus(1, seats="40")), sync_file(bus(1, seats="50"))
    first = await imported(bench, ledger, forty, key="a/f", force=False)
    await imported(bench, ledger, fifty, key="b/f", force=False)
    again = await imported(bench, ledger, forty, key="a/f", force=False)
    assert (await bench.row(again))["duplicate_of"] == first
    assert await seats(bench) == {'["L1",1]': 50}
    other = await imported(bench, ledger, forty, key="c/f", force=False)
    assert (await bench.row(other))["duplicate_of"] is None
    assert await seats(bench) == {'["L1",1]': 40}


async def test_a_worker_that_is_killed_leaves_an_import_that_goes_on_from_its_checkpoint(
    bench: Bench, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id = await ledger.triggered(bench, LARGE)

    async def kill() -> None:
        raise Killed

    with monkeypatch.context() as patched:
        after_reply(patched, 3, kill)
        with pytest.raises(Killed):
            await bench.prepared(await bench.engine.claimed(import_id), chunk_records=100)._work()
    staged = await bench.engine.value("SELECT ordinal FROM staging.checkpoints")
    assert 0 < staged < ROWS
    await bench.engine.admin.execute("UPDATE import_leases SET expires_at = now() - interval '1 second'")
    assert await bench.attempt(import_id) is Ending.SUCCEEDED
    assert await bench.engine.outcome(import_id) == {"inserted": ROWS}
    assert (await bench.row(import_id))["file_header"] == HEADER
    assert len(await seats(bench)) == ROWS
    await bench.assert_nothing_left()


async def test_two_imports_of_the_same_keys_at_once_leave_what_one_of_them_says(bench: Bench, ledger: Ledger) -> None:
    files = [sync_file(*(bus(number, driver) for number in range(500))) for driver in ("Ng", "Lee")]
    imports = [await ledger.triggered(bench, data) for data in files]
    async with asyncio.timeout(60):
        assert await asyncio.gather(*map(bench.attempt, imports)) == [Ending.SUCCEEDED] * 2
    outcomes = [await bench.engine.outcome(import_id) for import_id in imports]
    assert sorted(outcomes, key=str) == [{"inserted": 500}, {"updated": 500}]
    assert await bench.engine.value("SELECT count(DISTINCT document->'driver') FROM records") == 1
    await bench.assert_nothing_left()
