from __future__ import annotations

import hashlib
from typing import Any

import pytest

from runtime.objects import StorageUnavailable
from services.importer.engine import attempt, runner
from services.importer.engine.attempt import Ending
from services.importer.engine.failures import RetryableFailure
from tests.integration.importer.replies import record_orders
from tests.integration.importer.workbench import Bench
from tests.scans import nessus

# Forty items; the second of each four is rejected: 2, 6, 10, …
BAD_TEN = nessus(hosts=10, plugins=4).replace(b'pluginID="90001"', b'pluginID="x"')


async def errors_of(bench: Bench) -> list[int]:
    rows = await bench.engine.rows("SELECT record_number FROM row_errors ORDER BY 1")
    return [row["record_number"] for row in rows]


async def test_the_first_rejected_item_ends_an_import_that_is_to_abort(bench: Bench) -> None:
    import_id = await bench.triggered(BAD_TEN, policy={"on_error": "abort"})
    assert await bench.attempt(import_id) is Ending.FAILED
    row = await bench.row(import_id)
    assert (row["error_code"], row["error_message"]) == ("TOO_MANY_ERRORS", "1 item was rejected; 0 may be.")
    assert row["error_position"].startswith("line ")
    assert await errors_of(bench) == [2]
    assert [line[0] for line in await bench.report_of(import_id)] == ["2"]
    assert row["content_sha256"] is None, "it was not read to its end"
    await bench.assert_nothing_imported()


async def test_a_file_without_rejected_items_is_imported_under_every_policy(bench: Bench) -> None:
    policies: list[dict[str, Any]] = [
        {"on_error": "abort"},
        {"on_error": "all_or_nothing", "expected_records": 6},
        {"on_error": "abort_above", "max_errors": 0, "max_error_percent": 0},
    ]
    for policy in policies:
        assert await bench.attempt(await bench.triggered(nessus(), policy=policy)) is Ending.SUCCEEDED


@pytest.mark.parametrize(("limit", "ending"), [(10, Ending.SUCCEEDED), (9, Ending.FAILED)])
async def test_as_many_rejected_items_as_allowed_are_imported_around_and_one_more_is_the_end(
    bench: Bench, limit: int, ending: Ending
) -> None:
    import_id = await bench.triggered(BAD_TEN, policy={"on_error": "abort_above", "max_errors": limit})
    assert await bench.attempt(import_id) is ending
    assert len(await errors_of(bench)) == len(await bench.report_of(import_id)) == 10
    if ending is Ending.FAILED:
        assert (await bench.row(import_id))["error_code"] == "TOO_MANY_ERRORS"
        await bench.assert_nothing_imported()
    else:
        assert await bench.engine.outcome(import_id) == {"inserted": 30, "rejected": 10}


async def test_errors_of_earlier_chunks_count(bench: Bench) -> None:
    import_id = await bench.triggered(BAD_TEN, policy={"on_error": "abort_above", "max_errors": 7})
    assert await bench.attempt(import_id, chunk_records=1) is Ending.FAILED
    assert await errors_of(bench) == [2, 6, 10, 14, 18, 22, 26, 30]
    (progress,) = await bench.engine.rows("SELECT read, rejected FROM import_progress")
    assert progress == {"read": 30, "rejected": 8}


@pytest.mark.parametrize(("percent", "ending"), [(25, Ending.SUCCEEDED), (24.9, Ending.FAILED)])
async def test_exactly_the_percentage_is_allowed(bench: Bench, percent: float, ending: Ending) -> None:
    import_id = await bench.triggered(BAD_TEN, policy={"on_error": "abort_above", "max_error_percent": percent})
    assert await bench.attempt(import_id) is ending
    assert len(await bench.report_of(import_id)) == 10
    if ending is Ending.FAILED:
        assert (await bench.row(import_id))["error_code"] == "TOO_MANY_ERRORS"
        await bench.assert_nothing_imported()


async def test_all_or_nothing_reads_to_the_end_and_reports_every_error(bench: Bench) -> None:
    import_id = await bench.triggered(BAD_TEN, policy={"on_error": "all_or_nothing"})
    assert await bench.attempt(import_id) is Ending.FAILED
    row = await bench.row(import_id)
    assert row["error_code"] == "TOO_MANY_ERRORS"
    assert row["content_sha256"] == hashlib.sha256(BAD_TEN).digest()
    assert await errors_of(bench) == list(range(2, 41, 4))
    assert [int(line[0]) for line in await bench.report_of(import_id)] == list(range(2, 41, 4))
    assert await bench.engine.value("SELECT rejected FROM import_progress") == 10
    await bench.assert_nothing_imported()


@pytest.mark.parametrize(("expected", "ending"), [(39, Ending.FAILED), (40, Ending.SUCCEEDED), (41, Ending.FAILED)])
async def test_a_file_with_another_count_than_was_said_is_not_imported(
    bench: Bench, expected: int, ending: Ending
) -> None:
    import_id = await bench.triggered(BAD_TEN, policy={"expected_records": expected})
    assert await bench.attempt(import_id) is ending
    assert len(await errors_of(bench)) == 10
    if ending is Ending.FAILED:
        row = await bench.row(import_id)
        assert (row["error_code"], row["error_message"]) == (
            "COUNT_MISMATCH",
            f"The file has 40 items, not {expected} as was said.",
        )
        await bench.assert_nothing_imported()


async def test_an_attempt_killed_between_its_last_error_and_its_end_is_made_up_for_without_reading(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id = await bench.triggered(BAD_TEN, policy={"on_error": "abort"})
    claim = await bench.engine.claimed(import_id)

    async def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(runner, "write_report", die)
        with pytest.raises(KeyboardInterrupt):
            await bench.prepared(claim)._work()
    await bench.engine.admin.execute("UPDATE import_leases SET expires_at = now() - interval '1 second'")
    orders = record_orders(monkeypatch)
    assert await bench.attempt(import_id) is Ending.FAILED
    assert orders == []
    assert await errors_of(bench) == [2]
    assert len(await bench.report_of(import_id)) == 1
    await bench.assert_nothing_imported()


async def test_the_errors_of_a_file_that_breaks_off_are_reported(bench: Bench) -> None:
    import_id = await bench.triggered(BAD_TEN[:-30])
    assert await bench.attempt(import_id) is Ending.FAILED
    assert (await bench.row(import_id))["error_code"] == "TRUNCATED"
    assert len(await errors_of(bench)) == len(await bench.report_of(import_id)) == 10
    await bench.assert_nothing_imported()


async def test_the_end_of_a_broken_file_does_not_wait_for_its_report(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unreachable(*_: object) -> None:
        raise RetryableFailure("STORAGE_UNAVAILABLE", "away")

    monkeypatch.setattr(attempt, "write_report", unreachable)
    import_id = await bench.triggered(BAD_TEN[:-30])
    assert await bench.attempt(import_id) is Ending.FAILED
    assert len(await errors_of(bench)) == 10
    await bench.assert_nothing_imported()


async def test_a_verdict_waits_until_its_report_is_written(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def unreachable(*_: object, **__: object) -> None:
        raise StorageUnavailable("away")

    import_id = await bench.triggered(BAD_TEN, policy={"on_error": "all_or_nothing"})
    with monkeypatch.context() as patched:
        patched.setattr(bench.objects, "put_stream", unreachable)
        assert await bench.attempt(import_id) is Ending.RETRIED
    await bench.engine.admin.execute("UPDATE imports SET not_before = NULL")
    assert await bench.attempt(import_id) is Ending.FAILED
    assert len(await bench.report_of(import_id)) == 10
    await bench.assert_nothing_imported()


async def test_the_errors_of_a_cancelled_import_that_are_staged_are_reported(bench: Bench) -> None:
    import_id = await bench.triggered(BAD_TEN)
    await bench.ask(import_id, "cancel")
    assert await bench.attempt(import_id) is Ending.CANCELLED
    assert len(await errors_of(bench)) == len(await bench.report_of(import_id)) == 10
    await bench.assert_nothing_imported()
