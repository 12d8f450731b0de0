from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from runtime.errors import Unavailable
from services.importer.engine import claims, janitor, runner
from services.importer.engine.adoption import adopt
from services.importer.engine.attempt import Ending
from services.importer.engine.claims import Refusal
from services.importer.engine.staging import staged_imports
from services.importer.targets.findings.target import FindingsTarget
from tests.integration.importer.replies import after_reply, record_orders
from tests.integration.importer.shop import LARGE_SCAN, LARGE_SCAN_ITEMS
from tests.integration.importer.workbench import LEASE, TENANT, Bench
from tests.scans import nessus

# Three rejected items; the rest is good.
PARTLY_BAD = nessus(hosts=3, plugins=4).replace(b'pluginID="90001"', b'pluginID="x"')


async def exhausted(bench: Bench, monkeypatch: pytest.MonkeyPatch, data: bytes = PARTLY_BAD, **limits: Any) -> UUID:
    """An import whose file is staged and whose flip never worked."""
    import_id = await bench.triggered(data, file="scan")
    await bench.engine.admin.execute("UPDATE imports SET retries = 4 WHERE import_id = %s", (import_id,))
    with monkeypatch.context() as patched:
        patched.setattr(runner, "flip", unreachable_database)
        # The first attempt gets further than none, so its counts start anew; the others do not.
        for _ in range(5):
            await bench.engine.admin.execute("UPDATE imports SET not_before = NULL")
            ending = await bench.attempt(import_id, **limits)
    assert ending is Ending.FAILED
    return import_id


async def died_in_the_middle(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> UUID:
    """An import that was given up after its third dead worker, with some of its file staged."""
    import_id = await bench.triggered(LARGE_SCAN, file="scan")

    async def vanish() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        after_reply(patched, 6, vanish)
        claim = await bench.engine.claimed(import_id)
        with pytest.raises(KeyboardInterrupt):
            await runner_of(bench, claim, chunk_records=100)
    await bench.engine.admin.execute("UPDATE import_leases SET expires_at = now() - interval '1 second'")
    await bench.engine.admin.execute("UPDATE imports SET crashes = 2 WHERE import_id = %s", (import_id,))
    assert await claimed_again(bench, import_id) is Refusal.POISON
    return import_id


async def runner_of(bench: Bench, claim: claims.Claim, **limits: Any) -> None:
    """The run alone, as a worker leaves it that is killed: nothing is written down when it ends."""
    await bench.prepared(claim, **limits)._work()


async def claimed_again(bench: Bench, import_id: UUID, keep: timedelta = timedelta(hours=1)) -> object:
    async with bench.engine.worker.transaction(TENANT) as connection:
        return await claims.claim(connection, TENANT, import_id, "other", LEASE, keep)


async def retried(bench: Bench, old: UUID, data: bytes, **columns: Any) -> UUID:
    """The new import of a retry, as the API makes it."""
    new = await bench.triggered(data, file="scan", origin="retry", origin_import_id=old, **columns)
    await bench.engine.admin.execute(
        "UPDATE import_inputs n SET etag = o.etag FROM import_inputs o WHERE n.import_id = %s AND o.import_id = %s",
        (new, old),
    )
    return new


# It is marked in the transaction that ends it, a moment before.
KEPT_FOR = (
    "SELECT state, error_code, date_trunc('minute', resumable_until - ended_at + interval '30 seconds') AS kept"
    " FROM imports"
)


async def staged(bench: Bench) -> dict[UUID, int]:
    async with bench.engine.worker.transaction(TENANT) as connection:
        return await staged_imports(connection)


async def sweep(bench: Bench) -> int:
    target = FindingsTarget()
    return await janitor.sweep(bench.engine.worker, {target.name: target})


async def test_an_import_given_up_after_its_retries_keeps_its_staging_for_a_day(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = await exhausted(bench, monkeypatch)
    (row,) = await bench.engine.rows(KEPT_FOR)
    assert row == {"state": "FAILED", "error_code": "DATABASE_UNAVAILABLE", "kept": timedelta(hours=24)}
    assert await sweep(bench) == 0
    assert await staged(bench) == {old: TENANT}
    assert await bench.engine.value("SELECT count(*) FROM row_errors") == 3
    assert len(await bench.report_of(old)) == 3

    await bench.engine.admin.execute("UPDATE imports SET resumable_until = now() - interval '1 second'")
    assert await sweep(bench) == 1
    await bench.assert_nothing_imported()


async def test_an_import_given_up_after_three_dead_workers_keeps_its_staging(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = await died_in_the_middle(bench, monkeypatch)
    (row,) = await bench.engine.rows(KEPT_FOR)
    assert row == {"state": "FAILED", "error_code": "WORKER_CRASHED", "kept": timedelta(hours=1)}
    assert await bench.engine.value("SELECT phase FROM import_progress") == "failed"
    assert await sweep(bench) == 0
    assert await staged(bench) == {old: TENANT}


async def test_the_errors_of_an_import_whose_worker_died_are_kept(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id = await bench.triggered(PARTLY_BAD)

    async def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "flip", die)
    with pytest.raises(KeyboardInterrupt):
        await runner_of(bench, await bench.engine.claimed(import_id))
    await bench.engine.admin.execute("UPDATE import_leases SET expires_at = now() - interval '1 second'")
    await bench.engine.admin.execute("UPDATE imports SET crashes = 2")
    assert await claimed_again(bench, import_id, keep=timedelta(0)) is Refusal.POISON
    assert await bench.engine.value("SELECT count(*) FROM row_errors") == 3
    assert (await bench.row(import_id))["resumable_until"] is None
    assert await sweep(bench) == 1
    await bench.assert_nothing_imported()


async def test_what_cannot_be_imported_at_all_is_not_kept(bench: Bench) -> None:
    import_id = await bench.triggered(nessus(hosts=400, plugins=40)[:-30])
    assert await bench.attempt(import_id, chunk_records=100) is Ending.FAILED
    row = await bench.row(import_id)
    assert (row["error_code"], row["resumable_until"]) == ("TRUNCATED", None)
    await bench.assert_nothing_imported()


async def test_an_import_without_a_checkpoint_is_not_kept(bench: Bench) -> None:
    import_id = await bench.engine.queued()
    await bench.engine.claimed(import_id)
    await bench.engine.admin.execute("UPDATE import_leases SET expires_at = now() - interval '1 second'")
    await bench.engine.admin.execute("UPDATE imports SET crashes = 2")
    assert await claimed_again(bench, import_id) is Refusal.POISON
    assert (await bench.row(import_id))["resumable_until"] is None


async def test_a_retry_goes_on_from_the_checkpoint_of_the_failed_import(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = await died_in_the_middle(bench, monkeypatch)
    checkpoint = await bench.engine.value("SELECT ordinal FROM staging.checkpoints")
    assert 0 < checkpoint < LARGE_SCAN_ITEMS
    new = await retried(bench, old, LARGE_SCAN)

    orders = record_orders(monkeypatch)
    assert await bench.attempt(new) is Ending.SUCCEEDED
    assert [order.resume_after for order in orders] == [checkpoint]
    assert await bench.engine.outcome(new) == {"inserted": LARGE_SCAN_ITEMS}
    assert await bench.engine.value("SELECT count(*) FROM affected_assets") == LARGE_SCAN_ITEMS
    assert (await bench.row(old))["resumable_until"] is None
    assert (await bench.row(old))["state"] == "FAILED"
    await bench.assert_nothing_left()


async def test_a_retry_of_a_staged_file_does_not_read_it_again_and_reports_its_errors_as_its_own(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = await exhausted(bench, monkeypatch)
    new = await retried(bench, old, PARTLY_BAD)
    orders = record_orders(monkeypatch)
    assert await bench.attempt(new) is Ending.SUCCEEDED
    assert orders == []
    assert await bench.engine.outcome(new) == {"inserted": 9, "rejected": 3}
    per_import = await bench.engine.rows("SELECT import_id, count(*) FROM row_errors GROUP BY 1")
    assert {row["import_id"]: row["count"] for row in per_import} == {old: 3, new: 3}
    assert await bench.report_of(new) == await bench.report_of(old)
    assert (await bench.row(new))["content_sha256"] == (await bench.row(old))["content_sha256"] != None  # noqa: E711
    await bench.assert_nothing_left()


async def test_a_worker_killed_while_it_adopts_leaves_the_staging_to_the_next(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = await exhausted(bench, monkeypatch)
    new = await retried(bench, old, PARTLY_BAD)

    async def adopt_and_die(*everything: Any) -> bool:
        assert await adopt(*everything)
        raise KeyboardInterrupt

    claim = await bench.engine.claimed(new)
    with monkeypatch.context() as patched:
        patched.setattr(runner, "adopt", adopt_and_die)
        with pytest.raises(KeyboardInterrupt):
            await runner_of(bench, claim)
    assert await staged(bench) == {old: TENANT}
    assert (await bench.row(old))["resumable_until"] is not None
    assert await bench.engine.value("SELECT import_id FROM staging.checkpoints") == old

    await bench.engine.admin.execute("UPDATE import_leases SET expires_at = now() - interval '1 second'")
    orders = record_orders(monkeypatch)
    assert await bench.attempt(new) is Ending.SUCCEEDED
    assert orders == []
    assert await bench.engine.outcome(new) == {"inserted": 9, "rejected": 3}
    await bench.assert_nothing_left()


async def test_a_worker_killed_after_it_has_adopted_leaves_a_retry_that_resumes_as_any_import(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = await died_in_the_middle(bench, monkeypatch)
    checkpoint = await bench.engine.value("SELECT ordinal FROM staging.checkpoints")
    new = await retried(bench, old, LARGE_SCAN)
    claim = await bench.engine.claimed(new)

    async def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(runner.Runner, "_stage", die)
        with pytest.raises(KeyboardInterrupt):
            await runner_of(bench, claim)
    assert await staged(bench) == {new: TENANT}
    assert await sweep(bench) == 0

    await bench.engine.admin.execute("UPDATE import_leases SET expires_at = now() - interval '1 second'")
    orders = record_orders(monkeypatch)
    assert await bench.attempt(new) is Ending.SUCCEEDED
    assert [order.resume_after for order in orders] == [checkpoint]
    assert await bench.engine.outcome(new) == {"inserted": LARGE_SCAN_ITEMS}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE imports SET resumable_until = now() - interval '1 second' WHERE origin IS NULL",
        (
            "UPDATE import_inputs SET etag = 'another' FROM imports i WHERE i.import_id = import_inputs.import_id "
            "AND i.origin IS NULL"
        ),
        "UPDATE imports SET source = 'burp' WHERE origin IS NULL",
        "UPDATE imports SET report_id = NULL WHERE origin IS NULL",
        "TRUNCATE staging.checkpoints",
    ],
    ids=["too late", "another file", "another source", "another place", "emptied by a crash of PostgreSQL"],
)
async def test_a_retry_that_cannot_adopt_starts_from_the_beginning(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    old = await exhausted(bench, monkeypatch)
    new = await retried(bench, old, PARTLY_BAD)
    await bench.engine.admin.execute(change.encode())
    orders = record_orders(monkeypatch)
    assert await bench.attempt(new) is Ending.SUCCEEDED
    assert [order.resume_after for order in orders] == [0]
    assert await bench.engine.outcome(new) == {"inserted": 9, "rejected": 3}
    assert (await bench.row(old))["resumable_until"] is None
    assert await sweep(bench) == 1
    await bench.assert_nothing_left()


async def test_a_rerun_adopts_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    old = await exhausted(bench, monkeypatch)
    new = await retried(bench, old, PARTLY_BAD)
    await bench.engine.admin.execute("UPDATE imports SET origin = 'rerun' WHERE import_id = %s", (new,))
    orders = record_orders(monkeypatch)
    assert await bench.attempt(new) is Ending.SUCCEEDED
    assert [order.resume_after for order in orders] == [0]
    assert await staged(bench) == {old: TENANT}


async def test_a_retry_that_is_cancelled_leaves_nothing_of_what_it_adopted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = await exhausted(bench, monkeypatch)
    new = await retried(bench, old, PARTLY_BAD)
    await bench.ask(new, "cancel")
    assert await bench.attempt(new) is Ending.CANCELLED
    await bench.assert_nothing_imported()


async def test_a_retry_that_fails_again_can_be_retried(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await exhausted(bench, monkeypatch)
    second = await retried(bench, first, PARTLY_BAD)
    await bench.engine.admin.execute("UPDATE imports SET retries = 4 WHERE import_id = %s", (second,))
    with monkeypatch.context() as patched:
        patched.setattr(runner, "flip", unreachable_database)
        assert await bench.attempt(second) is Ending.FAILED
    assert (await bench.row(first))["resumable_until"] is None
    assert (await bench.row(second))["resumable_until"] is not None
    third = await retried(bench, second, PARTLY_BAD)
    assert await bench.attempt(third) is Ending.SUCCEEDED
    assert await bench.engine.outcome(third) == {"inserted": 9, "rejected": 3}
    await bench.assert_nothing_left()


async def unreachable_database(*_: object) -> None:
    raise Unavailable("DATABASE_UNAVAILABLE", "away")
