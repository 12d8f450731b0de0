from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from services.importer.engine import claims, ending, progress
from services.importer.engine.claims import Claim, Refusal
from services.importer.engine.failures import Cancelled, FencedOut
from services.importer.engine.flip import flip
from services.importer.engine.progress import Progress
from services.importer.model import State
from services.importer.targets.findings.records import Finding, Severity
from services.importer.targets.findings.target import FindingsTarget
from tests.integration.importer.workbench import LEASE, TENANT, Engine

ITEM = [Finding(key="1", number=1, title="t", severity=Severity.LOW)]


async def try_claim(engine: Engine, import_id: object, tenant: int = TENANT) -> Claim | Refusal:
    async with engine.worker.transaction(tenant) as connection:
        return await claims.claim(connection, tenant, import_id, "other", LEASE)  # type: ignore[arg-type]


async def expire_lease(engine: Engine) -> None:
    await engine.admin.execute("UPDATE import_leases SET expires_at = now() - interval '1 second'")


async def test_a_claim_makes_it_running_and_raises_the_attempt(engine: Engine) -> None:
    import_id = await engine.queued()
    claim = await engine.claimed(import_id)
    assert (claim.attempt, claim.is_takeover) == (1, False)
    assert [each.object_key for each in claim.inputs] == ["k"]
    (row,) = await engine.rows("SELECT state, started_at IS NOT NULL AS started FROM imports")
    assert row == {"state": State.RUNNING, "started": True}


async def test_what_is_leased_is_not_claimed(engine: Engine) -> None:
    import_id = await engine.queued()
    await engine.claimed(import_id)
    assert await try_claim(engine, import_id) is Refusal.TAKEN


async def test_an_import_whose_claim_row_is_held_counts_as_alive(engine: Engine) -> None:
    import_id = await engine.queued()
    claim = await engine.claimed(import_id)
    await expire_lease(engine)
    async with engine.worker.transaction(TENANT) as connection:
        await claims.hold(connection, claim)
        assert await try_claim(engine, import_id) is Refusal.TAKEN


async def test_a_lost_lease_is_taken_over_and_the_old_attempt_is_fenced_out(engine: Engine) -> None:
    import_id = await engine.queued()
    old = await engine.claimed(import_id)
    await expire_lease(engine)
    new = await try_claim(engine, import_id)
    assert isinstance(new, Claim)
    assert (new.attempt, new.is_takeover) == (2, True)
    with pytest.raises(FencedOut):
        async with engine.worker.transaction(TENANT) as connection:
            await claims.hold(connection, old)
    with pytest.raises(FencedOut):
        async with engine.worker.transaction(TENANT) as connection:
            await claims.renew(connection, old, LEASE)


async def test_the_progress_of_a_new_attempt_is_its_own_and_never_goes_back(engine: Engine) -> None:
    import_id = await engine.queued()
    await engine.claimed(import_id)
    await engine.admin.execute("UPDATE import_progress SET percent = 20, processed_bytes = 9, read = 5, rejected = 1")
    await expire_lease(engine)
    assert isinstance(await try_claim(engine, import_id), Claim)
    (row,) = await engine.rows("SELECT attempt, percent, processed_bytes, read, rejected FROM import_progress")
    assert row == {"attempt": 2, "percent": 0, "processed_bytes": 0, "read": 0, "rejected": 0}


async def test_no_flip_of_a_fenced_attempt_commits(engine: Engine) -> None:
    import_id = await engine.queued()
    old = await engine.claimed(import_id)
    staging, checkpoint = await engine.staged(old, [ITEM])
    await expire_lease(engine)
    assert isinstance(await try_claim(engine, import_id), Claim)
    with pytest.raises(FencedOut):
        await flip(engine.worker, FindingsTarget(), old, staging, checkpoint, Progress(1, 6))
    assert await engine.value("SELECT count(*) FROM findings") == 0


async def test_a_worker_stopped_inside_a_transaction_loses_its_hold(engine: Engine) -> None:
    import_id = await engine.queued()
    held = await engine.claimed(import_id)
    short = Claim(**{name: getattr(held, name) for name in Claim.__slots__} | {"lease": LEASE / 300})
    await expire_lease(engine)
    connection_lost = False
    try:
        async with engine.worker.transaction(TENANT) as connection:
            await claims.hold(connection, short)
            async with asyncio.timeout(20):
                while not isinstance(await try_claim(engine, import_id), Claim):  # noqa: ASYNC110  (the database tells nobody)
                    await asyncio.sleep(0.05)
    except Exception:  # noqa: BLE001  (whatever the driver says of a connection that the server ended)
        connection_lost = True
    assert connection_lost
    assert await engine.value("SELECT attempt FROM import_claims") == 2


async def test_three_crashes_are_the_end(engine: Engine) -> None:
    import_id = await engine.queued()
    await engine.claimed(import_id)
    for _ in range(2):
        await expire_lease(engine)
        assert isinstance(await try_claim(engine, import_id), Claim)
    await expire_lease(engine)
    assert await try_claim(engine, import_id) is Refusal.POISON
    (row,) = await engine.rows("SELECT state, error_code FROM imports")
    assert row == {"state": State.FAILED, "error_code": "WORKER_CRASHED"}
    assert await engine.value("SELECT count(*) FROM outbox WHERE topic = 'run'") == 0
    assert await try_claim(engine, import_id) is Refusal.FINISHED


async def test_an_import_of_another_tenant_or_none_is_unknown(engine: Engine) -> None:
    assert await try_claim(engine, await engine.queued(), tenant=2) is Refusal.UNKNOWN
    assert await try_claim(engine, uuid4()) is Refusal.UNKNOWN


async def test_a_retry_is_not_claimed_before_its_time(engine: Engine) -> None:
    import_id = await engine.queued()
    await engine.admin.execute("UPDATE imports SET not_before = now() + interval '1 minute'")
    assert await try_claim(engine, import_id) is Refusal.NOT_YET


async def test_a_cancel_request_before_the_last_statements_undoes_the_flip(engine: Engine) -> None:
    claim = await engine.claimed(await engine.queued())
    staging, checkpoint = await engine.staged(claim, [ITEM])
    await engine.admin.execute(
        "INSERT INTO import_requests (action, tenant_id, import_id, requested_by) VALUES ('cancel', 1, %s, 1)",
        (claim.job.import_id,),
    )
    with pytest.raises(Cancelled):
        await flip(engine.worker, FindingsTarget(), claim, staging, checkpoint, Progress(1, 6))
    assert await engine.value("SELECT count(*) FROM findings") == 0
    assert await engine.value("SELECT state FROM imports") == State.RUNNING


async def test_a_finished_import_has_one_end(engine: Engine) -> None:
    import_id = await engine.imported([ITEM])
    with pytest.raises(FencedOut):
        async with engine.worker.transaction(TENANT) as connection:
            await ending.end(connection, TENANT, import_id, State.FAILED, "LATE", "late")
    assert await engine.value("SELECT state FROM imports") == State.SUCCEEDED


async def test_only_the_attempt_that_runs_starts_the_counts_anew(engine: Engine) -> None:
    async def counts_after_forgiving(held: Claim) -> dict[str, int]:
        async with engine.worker.transaction(TENANT) as connection:
            await progress.forgive(connection, held)
        (row,) = await engine.rows("SELECT crashes, retries FROM imports")
        return row

    old = await engine.claimed(await engine.queued())
    await engine.admin.execute("UPDATE imports SET crashes = 1, retries = 1")
    await expire_lease(engine)
    new = await try_claim(engine, old.job.import_id)
    assert isinstance(new, Claim)
    assert await counts_after_forgiving(old) == {"crashes": 2, "retries": 1}
    assert await counts_after_forgiving(new) == {"crashes": 0, "retries": 0}
    async with engine.worker.transaction(TENANT) as connection:
        await ending.hand_back(connection, TENANT, new.job.import_id, timedelta(0), is_retry=True)
    assert await counts_after_forgiving(new) == {"crashes": 0, "retries": 1}, "it has counted its own end"
