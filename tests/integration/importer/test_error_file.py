"""The file of rejected rows that an import of records leaves beside its report: what is in it, and what it is for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from runtime.objects import ObjectMissing
from runtime.reports import error_file_key
from services.importer.engine.attempt import Ending
from tests.integration.importer.ledger import Ledger
from tests.integration.importer.replies import after_reply
from tests.integration.importer.workbench import TENANT, Bench
from tests.scans import nessus

HEADER = """00|AGENCY01|cc5|20260102030405|ref-0001
01|wks_bus|ws-demo|bk-demo|cc-bus|upsert
02|entityId
03|entityId: string|name: string|size: number
"""
GOOD = "10|F1|Garcia #/# Lee|4|\n90|F0\n10|F2|Okafor||\n"
BAD = ["10|F3|Ng|four|", "10||No key|1", "10|F4|Café #/# Bar|5|6|7", "77|what|is|this", "90|", "10|F5|Ng|x"]


@dataclass
class Desk:
    """Files of one workspace, imported as workers do."""

    bench: Bench
    ledger: Ledger

    async def imported(self, data: bytes, **columns: Any) -> UUID:
        """An import that has ended, however."""
        import_id = await self.triggered(data, **columns)
        assert await self.bench.attempt(import_id) in {Ending.SUCCEEDED, Ending.FAILED}
        return import_id

    async def triggered(self, data: bytes, **columns: Any) -> UUID:
        return await self.ledger.triggered(self.bench, data, **columns)

    async def error_file(self, import_id: UUID) -> str | None:
        objects = self.bench.objects
        key = objects.object_key(error_file_key(TENANT, import_id))
        try:
            etag = (await objects.head(key)).etag
        except ObjectMissing:
            return None
        with objects.open(key, etag) as reader:
            data = b""
            while part := reader.read(1 << 20):
                data += part
        return data.decode()

    async def state(self, import_id: UUID) -> tuple[str, str | None]:
        row = await self.bench.row(import_id)
        return row["state"], row["error_code"]


@pytest.fixture
def desk(bench: Bench) -> Desk:
    return Desk(bench, Ledger.of(bench.engine))


def sync_file(rows: str, count: int, header: str = HEADER) -> bytes:
    return f"{header}{rows}99|{count}\n".encode()


def lines(rows: list[str]) -> str:
    return "".join(f"{row}\n" for row in rows)


async def test_rejected_rows_stand_in_it_as_they_were(desk: Desk) -> None:
    # Row 77 is of no type that the control total counts.
    import_id = await desk.imported(sync_file(GOOD + lines(BAD), 8))
    assert await desk.state(import_id) == ("SUCCEEDED", None)
    assert await desk.error_file(import_id) == HEADER + lines(BAD) + "99|5\n"
    codes = [row[3] for row in await desk.bench.report_of(import_id)]
    assert codes == [
        *("TYPE_MISMATCH", "KEY_MISSING", "FIELD_COUNT_MISMATCH", "ROW_TYPE_UNKNOWN", "KEY_MISSING", "TYPE_MISMATCH")
    ]
    kept = await desk.bench.engine.rows(
        "SELECT raw FROM row_errors WHERE import_id = %s ORDER BY record_number", import_id
    )
    assert [row["raw"] for row in kept] == BAD


async def test_it_can_be_imported_as_it_is_and_rejects_the_same_rows(desk: Desk) -> None:
    first = await desk.imported(sync_file(GOOD + lines(BAD), 8))
    left = await desk.error_file(first)
    assert left is not None
    again = await desk.imported(left.encode())
    assert await desk.state(again) == ("SUCCEEDED", None)
    assert await desk.error_file(again) == left
    assert set(await desk.ledger.documents()) == {"F1", "F2"}


async def test_corrected_it_brings_what_was_missing(desk: Desk) -> None:
    first = await desk.imported(sync_file(GOOD + "10|F3|Ng|four\n", 4))
    left = await desk.error_file(first)
    assert left is not None
    second = await desk.imported(left.replace("four", "4").encode())
    assert await desk.error_file(second) is None
    assert (await desk.ledger.documents())["F3"] == {"entityId": "F3", "name": "Ng", "size": 4}


async def test_of_a_file_without_one_good_row_it_is_the_whole_file(desk: Desk) -> None:
    data = sync_file("10||x|1\n10|F1|x|y\n", 2)
    import_id = await desk.imported(data)
    assert (await desk.error_file(import_id) or "").encode() == data


async def test_windows_ends_and_a_byte_order_mark_are_not_in_it(desk: Desk) -> None:
    rows = "10|F1|x|1\n10|F2|x|y\n"
    data = b"\xef\xbb\xbf" + sync_file(rows, 2).replace(b"\n", b"\r\n")
    assert await desk.error_file(await desk.imported(data)) == f"{HEADER}10|F2|x|y\n99|1\n"


async def test_a_file_without_a_bad_row_leaves_none(desk: Desk) -> None:
    import_id = await desk.imported(sync_file(GOOD, 3))
    assert await desk.state(import_id) == ("SUCCEEDED", None)
    assert await desk.error_file(import_id) is None


async def test_a_long_row_is_repeated_whole(desk: Desk) -> None:
    row = f"10|F1|{'é' * 500_000}|x"
    import_id = await desk.imported(sync_file(f"{row}\n" * 12, 12))
    assert await desk.error_file(import_id) == HEADER + f"{row}\n" * 12 + "99|12\n"


async def test_a_dry_run_and_an_import_that_was_refused_for_its_rows_leave_it_as_well(desk: Desk) -> None:
    data, left = sync_file(GOOD + "10|F3|Ng|four\n", 4), f"{HEADER}10|F3|Ng|four\n99|1\n"
    dry = await desk.imported(data, dry_run=True)
    assert await desk.error_file(dry) == left
    refused = await desk.imported(data, policy={"on_error": "all_or_nothing"})
    assert await desk.state(refused) == ("FAILED", "TOO_MANY_ERRORS")
    assert await desk.error_file(refused) == left
    assert await desk.ledger.documents() == {}


async def test_a_header_that_cannot_be_read_leaves_none(desk: Desk) -> None:
    import_id = await desk.imported(sync_file("10|F1|x|y\n", 1, HEADER.replace("02|entityId", "02|nothing")))
    assert await desk.state(import_id) == ("FAILED", "HEADER_KEY_NOT_DECLARED")
    assert await desk.error_file(import_id) is None


async def test_an_attempt_that_goes_on_writes_the_same_file(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    data = sync_file("".join(f"10|F{n}|{'x' * 100}|{'y' if n % 100 else 1}\n" for n in range(40_000)), 40_000)
    whole = await desk.error_file(await desk.imported(data))
    assert whole is not None
    drained, draining = await desk.triggered(data), asyncio.Event()

    async def drain() -> None:
        draining.set()

    with monkeypatch.context() as patched:
        after_reply(patched, 3, drain)
        assert await desk.bench.attempt(drained, draining, chunk_records=100) is Ending.DRAINED
    staged = await desk.bench.engine.value("SELECT ordinal FROM staging.checkpoints")
    assert 1 < staged < 40_000
    assert await desk.bench.attempt(drained) is Ending.SUCCEEDED
    assert await desk.error_file(drained) == whole


async def test_scans_leave_a_report_and_no_file(desk: Desk) -> None:
    item = '<ReportItem port="0" severity="0" pluginID="=bad" pluginName="No number"/>'
    data = nessus(hosts=1, plugins=1).replace(b"</ReportHost>", f"{item}</ReportHost>".encode())
    import_id = await desk.bench.triggered(data)
    await desk.bench.attempt(import_id)
    assert len(await desk.bench.report_of(import_id)) == 1
    assert await desk.error_file(import_id) is None
    assert await desk.bench.engine.value("SELECT raw FROM row_errors WHERE import_id = %s", import_id) is None
