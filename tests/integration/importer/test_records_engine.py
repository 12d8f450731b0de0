"""Sync files through the whole engine: what it does for every target, it does for records."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest

from runtime.errors import Unavailable
from schema import staging
from services.importer.engine import runner
from services.importer.engine.attempt import Ending
from services.importer.engine.staging import staged_name
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


async def killed_in_the_middle(bench: Bench, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, data: bytes) -> UUID:
    """An import of which some rows are staged, and whose worker is dead."""
    import_id = await ledger.triggered(bench, data)

    async def kill() -> None:
        raise Killed

    with monkeypatch.context() as patched:
        after_reply(patched, 3, kill)
        with pytest.raises(Killed):
            await bench.prepared(await bench.engine.claimed(import_id), chunk_records=100)._work()
    staged = await bench.engine.value("SELECT ordinal FROM staging.checkpoints")
    assert 0 < staged < ROWS
    await bench.engine.admin.execute("UPDATE import_leases SET expires_at = now() - interval '1 second'")
    return import_id


async def test_a_worker_that_is_killed_leaves_an_import_that_goes_on_from_its_checkpoint(
    bench: Bench, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id = await killed_in_the_middle(bench, ledger, monkeypatch, LARGE)
    assert await bench.attempt(import_id) is Ending.SUCCEEDED
    assert await bench.engine.outcome(import_id) == {"inserted": ROWS}
    assert (await bench.row(import_id))["file_header"] == HEADER
    assert len(await seats(bench)) == ROWS
    await bench.assert_nothing_left()


CHANGES_OF_STAGING = {
    "rows without a column": "ALTER TABLE {records} DROP COLUMN cleared",
    "rows with a column of another type": "ALTER TABLE {records} ALTER COLUMN line TYPE integer",
    "rows with a column that is gone": "ALTER TABLE {records} ADD COLUMN checksum text",
    "a column that must have a value": "ALTER TABLE {records} ALTER COLUMN document SET NOT NULL",
    "errors without a column": "ALTER TABLE {errors} DROP COLUMN raw",
    "no table of rows": "DROP TABLE {records}",
}


@pytest.mark.parametrize("change", CHANGES_OF_STAGING.values(), ids=CHANGES_OF_STAGING)
async def test_staging_of_an_earlier_release_is_dropped_and_made_anew(
    bench: Bench, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    data = sync_file(bus(0, seats="many"), *(bus(number) for number in range(1, ROWS)))
    import_id = await killed_in_the_middle(bench, ledger, monkeypatch, data)
    names = {table.name: staged_name(table, import_id) for table in (staging.records, staging.errors)}
    await bench.engine.admin.execute(change.format(**names).encode())
    assert await bench.attempt(import_id) is Ending.SUCCEEDED
    assert await bench.engine.outcome(import_id) == {"inserted": ROWS - 1, "rejected": 1}
    assert await bench.engine.value("SELECT count(*) FROM row_errors WHERE import_id = %s", import_id) == 1
    await bench.assert_nothing_left()


async def test_a_retry_of_an_import_that_has_staged_all_knows_what_its_file_says(
    bench: Bench, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    await imported(bench, ledger, sync_file(bus(1), bus(2)))
    data = sync_file(bus(1, "", "41"), bus(3), footer="by-hand")
    old = await ledger.triggered(bench, data, file="scan")
    with monkeypatch.context() as patched:
        patched.setattr(runner, "flip", unreachable_database)
        # The first attempt gets further than none, so its counts start anew.
        assert await bench.attempt(old) is Ending.RETRIED
        await bench.engine.admin.execute("UPDATE imports SET retries = 5, not_before = NULL")
        assert await bench.attempt(old) is Ending.FAILED
    new = await ledger.triggered(bench, data, file="scan", origin="retry", origin_import_id=old)
    await bench.engine.admin.execute(
        "UPDATE import_inputs n SET etag = o.etag FROM import_inputs o WHERE n.import_id = %s AND o.import_id = %s",
        (new, old),
    )
    with monkeypatch.context() as patched:
        # Nothing is read again.
        patched.setattr(runner.Runner, "_stage", None)
        assert await bench.attempt(new) is Ending.SUCCEEDED
    said = ("entity_type", "data_source", "columns", "reference_id", "file_header", "validation_code")
    first, second = await bench.row(old), await bench.row(new)
    assert [first[name] for name in said] == [second[name] for name in said]
    assert second["columns"] == ["line", "number", "driver", "seats"]
    assert await bench.engine.outcome(new) == {"inserted": 1, "updated": 1}
    assert await seats(bench) == {'["L1",1]': 41, '["L1",2]': 40, '["L1",3]': 40}
    assert await bench.engine.value("SELECT document FROM records WHERE key = '[\"L1\",1]'") == {
        "line": "L1", "number": 1, "seats": 41,
    }  # fmt: skip


async def unreachable_database(*_: Any) -> None:
    raise Unavailable("DATABASE_UNAVAILABLE", "The database does not answer.")


async def test_what_the_parser_takes_of_json_postgresql_takes_too(bench: Bench, ledger: Ledger) -> None:
    """The text of an object goes to the database as it is written: what is wrong with it has to be found before."""
    cells = [
        *('{"a":1.0}', ' {"b" : 1 , "a":"x"} ', '{"a":1,"a":2}', '{"":""}', '{"a":"\\ud83d\\ude00 \\u00e9 \\/ \\""}'),
        *('{"a":-0.0e0}', '{"a":1e64}', '{"a":%s}' % ("9" * 64), '{"a":"\x7f\x85\u2028"}', '{"a":[[{"b":null}]]}'),
        *('{"a":"\\\\u0000"}', '{"a":%s}' % ("[" * 500 + "]" * 500), '{"a":"\\u0001"}', '{"a":"#Enter#"}'),
        *('{"a":"\\u0000"}', '{"\\u0000":1}', '{"a":"\\ud800"}', '{"a":"\\ude00\\ud83d"}', '{"a":1e999}'),
        *('{"a":%s}' % ("9" * 200_000), '{"a":01}', '{"a":+1}', '{"a":.5}', '{"a":NaN}', "{'a':1}", '{"a":"\t"}'),
        *('{"a":1}{}', '{"a":', "1}{}", "{}x", '{"a":"\\x"}', '{"a":1,}', '{"a":%s}' % ("[" * 9_000 + "]" * 9_000)),
    ]
    header = HEADER.replace("driver: string|seats: int", "data: object")
    rows = [f"10|L{number}|{number}|{cell}" for number, cell in enumerate(cells)]
    data = sync_file(*rows).replace(HEADER.encode(), header.encode())
    import_id = await imported(bench, ledger, data)
    assert await bench.engine.outcome(import_id) == {"inserted": 13, "rejected": len(cells) - 13}
    assert await bench.engine.value("SELECT document->'data' FROM records WHERE document->>'line' = 'L0'") == {"a": 1}


async def test_two_imports_of_the_same_keys_at_once_leave_what_one_of_them_says(bench: Bench, ledger: Ledger) -> None:
    files = [sync_file(*(bus(number, driver) for number in range(500))) for driver in ("Ng", "Lee")]
    imports = [await ledger.triggered(bench, data) for data in files]
    async with asyncio.timeout(60):
        assert await asyncio.gather(*map(bench.attempt, imports)) == [Ending.SUCCEEDED] * 2
    outcomes = [await bench.engine.outcome(import_id) for import_id in imports]
    assert sorted(outcomes, key=str) == [{"inserted": 500}, {"updated": 500}]
    assert await bench.engine.value("SELECT count(DISTINCT document->'driver') FROM records") == 1
    await bench.assert_nothing_left()
