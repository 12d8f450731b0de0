"""Files of objects through the whole engine, in several inputs: what it does for every target, it does for objects."""

from __future__ import annotations

import gzip
import hashlib
import json
from typing import Any
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from services.importer.engine import runner
from services.importer.engine.adoption import adopt
from services.importer.engine.attempt import Ending
from services.importer.targets.objects.plan import ObjectPlan
from tests.integration.importer.depot import Depot, Type
from tests.integration.importer.replies import after_reply, record_orders
from tests.integration.importer.undoing import dump
from tests.integration.importer.workbench import TARGETS, TENANT, Bench

ROWS = 4_000


class Killed(Exception):
    """As a worker that is not there any more."""


@pytest.fixture
async def depot(bench: Bench) -> Depot:
    return await Depot.of(bench.engine)


@pytest.fixture
async def host(depot: Depot) -> Type:
    peer = {"to": "itself", "query": "Name = ${Peer}", "places": ("Peer",)}
    type_ = await depot.type("Host", Cores="integer", Serial={"type": "text", "unique": True}, Peer=peer)
    depot.plan = ObjectPlan(types=(type_.plan(empty_values="REMOVE", missing="REMOVE"),))
    return type_


def table(*rows: str) -> bytes:
    return "".join(f"{row}\n" for row in ("Name,Cores,Serial,Peer", *rows)).encode()


def large(number: int) -> bytes:
    return table(*(f"web{number}-{n},{n},s{number}-{n},web0-{n}" for n in range(ROWS)))


async def triggered(bench: Bench, depot: Depot, *inputs: bytes, **columns: Any) -> UUID:
    """A run of these inputs, one after the other."""
    import_id = await bench.triggered(inputs[0] if inputs else b"x", **depot.columns(**columns))
    if not inputs:
        await bench.engine.admin.execute("DELETE FROM import_inputs WHERE import_id = %s", (import_id,))
    for number, data in enumerate(inputs[1:], start=1):
        key = bench.objects.object_key(f"{uuid7()}/file")
        await bench.objects.put(key, data, "text/csv")
        info = await bench.objects.head(key)
        await bench.engine.admin.execute(
            "INSERT INTO import_inputs (tenant_id, import_id, number, object_key, etag, size) "
            "VALUES (1, %s, %s, %s, %s, %s)",
            (import_id, number, key, info.etag, len(data)),
        )
    return import_id


async def imported(bench: Bench, depot: Depot, *inputs: bytes, **columns: Any) -> UUID:
    import_id = await triggered(bench, depot, *inputs, **columns)
    assert await bench.attempt(import_id) is Ending.SUCCEEDED
    return import_id


async def test_inputs_are_read_one_after_the_other(bench: Bench, depot: Depot, host: Type) -> None:
    inputs = [table("web1,1,a,web3", "web2,2,b,"), table("web3,3,c,web1"), table("web1,4,a,web2")]
    import_id = await imported(bench, depot, *inputs)
    assert await bench.engine.outcome(import_id) == {"inserted": 3, "skipped": 1}
    assert await depot.documents() == {
        "web1": {"Name": "web1", "Cores": 4, "Serial": "a", "Peer": "web2"},
        "web2": {"Name": "web2", "Cores": 2, "Serial": "b"},
        "web3": {"Name": "web3", "Cores": 3, "Serial": "c", "Peer": "web1"},
    }
    row = await bench.row(import_id)
    assert row["content_sha256"] == hashlib.sha256(b"".join(inputs)).digest()
    (progress,) = await bench.engine.rows("SELECT * FROM import_progress WHERE import_id = %s", import_id)
    assert progress["processed_bytes"] == sum(map(len, inputs))
    await depot.assert_references()
    await bench.assert_nothing_left()


async def test_inputs_may_be_packed_or_of_another_shape_each(bench: Bench, depot: Depot, host: Type) -> None:
    lines = [{"Name": "web1", "Cores": 1}, {"Name": "web2", "Cores": 2}]
    array = json.dumps(lines).encode()
    ndjson = "".join(f"{json.dumps({'Name': f'web{n}'})}\n" for n in (3, 4)).encode()
    import_id = await imported(bench, depot, array, ndjson, gzip.compress(ndjson), source="objects-json")
    assert await bench.engine.outcome(import_id) == {"inserted": 4, "skipped": 2}
    assert sorted(await depot.documents()) == ["web1", "web2", "web3", "web4"]


async def test_an_error_says_in_which_input_it_is(bench: Bench, depot: Depot, host: Type) -> None:
    import_id = await imported(bench, depot, table("web1,1,,"), table("web2,x,,", "web3,3,,"), table(",4,,"))
    assert await bench.engine.outcome(import_id) == {"inserted": 2, "rejected": 2}
    errors = await bench.engine.rows("SELECT record_number, position, field, code FROM row_errors ORDER BY 1")
    assert [(each["record_number"], each["position"]) for each in errors] == [
        (2, "input 2, line 2, row 1"), (4, "input 3, line 2, row 1"),
    ]  # fmt: skip
    assert await depot.counters(import_id, host) == {"entries": 4, "created": 2, "errors": 1, "empty_keys": 1}


@pytest.mark.parametrize(
    ("second", "code", "position"),
    [(b"", "EMPTY_FILE", "input 2"), (b'Name,Cores\n"web', "TRUNCATED", "input 2, line 2")],
)
async def test_one_damaged_input_fails_the_run(
    bench: Bench, depot: Depot, host: Type, second: bytes, code: str, position: str
) -> None:
    import_id = await triggered(bench, depot, table("web1,1,,"), second, table("web3,3,,"))
    assert await bench.attempt(import_id) is Ending.FAILED
    row = await bench.row(import_id)
    assert (row["error_code"], row["error_position"]) == (code, position)
    assert await depot.documents() == {}
    await bench.assert_nothing_left()


async def test_a_run_without_data_is_one_of_nothing_and_misses_nothing(
    bench: Bench, depot: Depot, host: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    await imported(bench, depot, table("web1,1,,"))
    orders = record_orders(monkeypatch)
    import_id = await imported(bench, depot)
    assert orders == []
    assert await bench.engine.outcome(import_id) == {}
    assert await depot.cautions(import_id) == {"MISSING_NOT_JUDGED": 1}
    assert list(await depot.documents()) == ["web1"]
    await bench.assert_nothing_left()


async def test_a_scan_without_a_file_is_none(bench: Bench) -> None:
    import_id = await bench.engine.queued()
    await bench.engine.admin.execute("DELETE FROM import_inputs WHERE import_id = %s", (import_id,))
    assert await bench.attempt(import_id) is Ending.FAILED
    assert (await bench.row(import_id))["error_code"] == "FILE_MISSING"


@pytest.mark.parametrize("replies", [3, 4])
async def test_a_run_of_several_inputs_goes_on_after_its_worker_has_died(
    bench: Bench, depot: Depot, host: Type, monkeypatch: pytest.MonkeyPatch, replies: int
) -> None:
    inputs = [large(number) for number in range(3)]
    await imported(bench, depot, *inputs)
    expected = await dump(bench.engine)
    assert len(expected["objects"]) == 3 * ROWS
    await bench.engine.admin.execute(b"TRUNCATE objects, object_references, sightings, before_images")

    import_id = await triggered(bench, depot, *inputs)

    async def vanish() -> None:
        raise Killed

    with monkeypatch.context() as patched:
        after_reply(patched, replies, vanish)
        claim = await bench.engine.claimed(import_id)
        with pytest.raises(Killed):
            await bench.prepared(claim, chunk_records=200)._work()
    (checkpoint,) = await bench.engine.rows("SELECT ordinal FROM staging.checkpoints")
    assert 0 < checkpoint["ordinal"] < 3 * ROWS
    await bench.engine.admin.execute("UPDATE import_leases SET expires_at = now() - interval '1 second'")
    orders = record_orders(monkeypatch)
    assert await bench.attempt(import_id) is Ending.SUCCEEDED
    assert [(order.resume_after, order.inputs) for order in orders] == [(checkpoint["ordinal"], 3)]
    assert await bench.engine.outcome(import_id) == {"inserted": 3 * ROWS}
    assert await depot.counters(import_id, host) == {
        "entries": 3 * ROWS, "created": 3 * ROWS, "updated_references": 3 * ROWS,
    }  # fmt: skip
    await depot.assert_references()


async def test_a_merge_that_was_interrupted_is_done_again_without_reading(
    bench: Bench, depot: Depot, host: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id = await triggered(bench, depot, large(0), large(1))

    async def die(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(runner, "flip", die)
        claim = await bench.engine.claimed(import_id)
        with pytest.raises(Killed):
            await bench.prepared(claim)._work()
    await bench.engine.admin.execute("UPDATE import_leases SET expires_at = now() - interval '1 second'")
    orders = record_orders(monkeypatch)
    assert await bench.attempt(import_id) is Ending.SUCCEEDED
    assert orders == []
    assert await bench.engine.outcome(import_id) == {"inserted": 2 * ROWS}


async def test_the_same_data_again_is_compared_and_not_skipped(bench: Bench, depot: Depot, host: Type) -> None:
    data = table("web1,1,a,web2", "web2,2,b,")
    await imported(bench, depot, data)
    before = await depot.versions()
    import_id = await imported(bench, depot, data)
    assert await bench.engine.outcome(import_id) == {"unchanged": 2}
    assert await depot.counters(import_id, host) == {"entries": 2, "identical": 2}
    assert await depot.versions() == before


async def test_the_report_has_what_the_merge_rejects(bench: Bench, depot: Depot, host: Type) -> None:
    import_id = await imported(bench, depot, table("web1,1,a,", "web2,x,b,", "web3,3,a,"))
    assert await bench.engine.outcome(import_id) == {"inserted": 1, "rejected": 2}
    report = await bench.report_of(import_id)
    assert [(line[0], line[1], line[2], line[3]) for line in report] == [
        ("2", "line 3, row 2", "Cores", "TYPE_MISMATCH"), ("3", "line 4", "Serial", "VALUE_NOT_UNIQUE"),
    ]  # fmt: skip
    assert await bench.engine.value("SELECT count(*) FROM row_errors") == 2


@pytest.mark.parametrize(
    "policy", [{"on_error": "abort"}, {"on_error": "all_or_nothing"}, {"on_error": "abort_above", "max_errors": 0}]
)
async def test_what_the_merge_rejects_is_judged_like_any_error(
    bench: Bench, depot: Depot, host: Type, policy: dict[str, Any]
) -> None:
    import_id = await triggered(bench, depot, table("web1,1,a,", "web2,2,a,"), policy=policy)
    assert await bench.attempt(import_id) is Ending.FAILED
    assert (await bench.row(import_id))["error_code"] == "TOO_MANY_ERRORS"
    assert await depot.documents() == {}
    assert len(await bench.report_of(import_id)) == 1
    (error,) = await bench.engine.rows("SELECT * FROM row_errors")
    assert (error["record_number"], error["code"]) == (2, "VALUE_NOT_UNIQUE")
    await bench.assert_nothing_left()


@pytest.mark.parametrize("plan", [{}, {"types": "?"}, {"type": "objects", "types": [{"unknown": 1}]}])
async def test_a_run_without_a_mapping_that_can_be_read_fails(
    bench: Bench, depot: Depot, host: Type, plan: dict[str, Any]
) -> None:
    import_id = await triggered(bench, depot, table("web1,1,a,"), plan=plan)
    assert await bench.attempt(import_id) is Ending.FAILED
    assert (await bench.row(import_id))["error_code"] == "MAPPING_MISSING"


async def test_a_mapping_of_a_type_that_is_gone_fails_the_run(bench: Bench, depot: Depot, host: Type) -> None:
    import_id = await triggered(bench, depot, table("web1,1,a,"))
    await bench.engine.admin.execute(b"DELETE FROM object_attributes")
    await bench.engine.admin.execute(b"DELETE FROM object_types")
    assert await bench.attempt(import_id) is Ending.FAILED
    assert (await bench.row(import_id))["error_code"] == "OBJECT_TYPE_MISSING"


async def test_a_retry_by_another_mapping_stages_anew(bench: Bench, depot: Depot, host: Type) -> None:
    old = await triggered(bench, depot, table("web1,1,a,"))
    claim = await bench.engine.claimed(old)
    await bench.engine.staged(claim, [host.row(Name="web1")])
    await bench.engine.admin.execute(
        "UPDATE imports SET state = 'FAILED', resumable_until = now() + interval '1 hour' WHERE import_id = %s", (old,)
    )
    for plan, is_adopted in ((ObjectPlan(types=(host.plan("Name"),)), False), (depot.plan, True)):
        await bench.engine.admin.execute(
            "UPDATE imports SET resumable_until = now() + interval '1 hour' WHERE import_id = %s", (old,)
        )
        new = await bench.engine.queued(**depot.columns(plan=plan, origin="retry", origin_import_id=old))
        await bench.engine.admin.execute(
            "UPDATE import_inputs n SET object_key = o.object_key, etag = o.etag, size = o.size "
            "FROM import_inputs o WHERE n.import_id = %s AND o.import_id = %s",
            (new, old),
        )
        held = await bench.engine.claimed(new)
        async with bench.engine.worker.transaction(TENANT) as connection:
            assert await adopt(connection, held, TARGETS["objects"]) is is_adopted
        await bench.engine.admin.execute("UPDATE imports SET state = 'FAILED' WHERE import_id = %s", (new,))
