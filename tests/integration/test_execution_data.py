"""Data that clients send for runs of import sources in pieces, over PostgreSQL and an object store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from services.importer.assets import chunks
from services.importer.metrics import CHUNKS
from tests.integration.execution_api import MAX_CHUNK_BYTES, PUSHED, Runs, opened_runs
from tests.integration.import_api import refusal
from tests.stack import Database
from tests.stack import ObjectStore as Bucket

CLOSED = (grpc.StatusCode.INVALID_ARGUMENT, "EXECUTION_NOT_INGESTING")
ROWS = {"hosts": [{"name": "alpha", "note": 'a "b" \\ {[', "tags": ["x", {"y": None}]}]}


@pytest.fixture
async def runs(database: Database, object_store: Bucket) -> AsyncIterator[Runs]:
    async with opened_runs(database, object_store) as runs:
        yield runs


def piece(number: int = 1, **members: Any) -> dict[str, Any]:
    return {"data": ROWS, "clientGeneratedId": f"batch-{number}", **members}


def large(number: int) -> bytes:
    rows = [{"name": f"host {index}", "of": number} for index in range(10_000)]
    return json.dumps({"clientGeneratedId": f"large-{number}", "data": {"hosts": rows}}).encode()


async def test_pieces_are_inputs_as_they_came_in_the_order_of_their_arrival(runs: Runs) -> None:
    execution_id = await runs.started()
    bodies = [json.dumps(piece(number)).encode() for number in range(3)] + [large(4)]
    for body in bodies:
        await runs.sending(execution_id, body, piece=50_000)
    await runs.sending(execution_id, {"completed": True})
    assert await runs.pieces(execution_id) == bodies
    row = await runs.row(execution_id)
    assert (row["state"], row["file_size"], row["open_until"]) == ("QUEUED", sum(map(len, bodies)), None)
    assert (row["lane"], await runs.is_sent(execution_id)) == ("large", True)
    assert (await runs.rows("SELECT lane FROM outbox"))[0]["lane"] == "large"
    assert len(await runs.stored()) == len(bodies)


async def test_the_last_piece_may_say_so_itself(runs: Runs) -> None:
    execution_id = await runs.started()
    await runs.sending(execution_id, {"completed": True, "data": {}})
    assert (await runs.row(execution_id))["state"] == "QUEUED"
    assert len(await runs.pieces(execution_id)) == 1


async def test_a_run_without_any_data_is_one_of_nothing(runs: Runs) -> None:
    execution_id = await runs.started()
    await runs.sending(execution_id, {"completed": True})
    assert (await runs.row(execution_id))["state"] == "QUEUED"
    assert (await runs.pieces(execution_id), await runs.stored()) == ([], [])


async def test_the_same_piece_counts_once(runs: Runs) -> None:
    execution_id = await runs.started()
    await runs.sending(execution_id, piece())
    await runs.sending(execution_id, piece())
    assert len(await runs.pieces(execution_id)) == 1
    assert len(await runs.stored()) == 1
    await runs.sending(execution_id, piece(2, completed=True))
    # Its client has not heard that the last piece was taken, and sends it again.
    await runs.sending(execution_id, piece(2, completed=True))
    await runs.sending(execution_id, piece())
    assert len(await runs.pieces(execution_id)) == len(await runs.stored()) == 2


async def test_other_data_under_the_same_id_is_refused(runs: Runs) -> None:
    execution_id = await runs.started()
    await runs.sending(execution_id, piece())
    refused = await refusal(runs.sending(execution_id, piece(data={"hosts": []})))
    assert refused == (grpc.StatusCode.ALREADY_EXISTS, "CHUNK_MISMATCH")
    assert len(await runs.stored()) == 1
    await runs.sending(execution_id, piece(2))


async def test_without_an_id_every_piece_counts(runs: Runs) -> None:
    execution_id = await runs.started()
    for _ in range(2):
        await runs.sending(execution_id, {"data": ROWS})
    assert len(await runs.pieces(execution_id)) == 2


async def test_of_the_same_piece_sent_twice_at_once_one_is_kept(runs: Runs) -> None:
    execution_id = await runs.started()
    body = large(1)
    await asyncio.gather(*(runs.sending(execution_id, body, piece=30_000) for _ in range(4)))
    assert await runs.pieces(execution_id) == [body]
    assert len(await runs.stored()) == 1


async def test_pieces_sent_at_once_all_count(runs: Runs) -> None:
    execution_id = await runs.started()
    await asyncio.gather(*(runs.sending(execution_id, piece(number)) for number in range(10)))
    assert len(set(await runs.pieces(execution_id))) == 10


async def test_a_run_is_completed_once_however_often_that_is_said(runs: Runs) -> None:
    execution_id = await runs.started()
    await asyncio.gather(*(runs.sending(execution_id, {"completed": True}) for _ in range(4)))
    assert len(await runs.rows("SELECT * FROM outbox")) == 1
    await runs.end(execution_id)
    await runs.sending(execution_id, {"completed": True})
    await runs.end(execution_id, "CANCELLED")
    assert await refusal(runs.sending(execution_id, {"completed": True})) == CLOSED


async def test_a_piece_beside_the_completion_is_taken_whole_or_not_at_all(runs: Runs) -> None:
    execution_id = await runs.started()
    results = await asyncio.gather(
        *(runs.sending(execution_id, piece(number)) for number in range(6)),
        runs.sending(execution_id, {"completed": True}),
        return_exceptions=True,
    )
    taken = [each for each in results[:-1] if not isinstance(each, BaseException)]
    assert (await runs.row(execution_id))["state"] == "QUEUED"
    assert len(await runs.pieces(execution_id)) == len(taken) == len(await runs.stored())


@pytest.mark.parametrize("state", ["QUEUED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"])
async def test_only_an_open_run_takes_data(runs: Runs, state: str) -> None:
    execution_id = await runs.started()
    await runs.execute("UPDATE imports SET state = %s WHERE import_id = %s", state, execution_id)
    assert await refusal(runs.sending(execution_id, piece())) == CLOSED
    assert await runs.stored() == []


async def test_each_piece_keeps_the_run_open(runs: Runs) -> None:
    execution_id = await runs.started()
    await runs.execute("UPDATE imports SET open_until = now() + interval '1 second'")
    await runs.sending(execution_id, piece())
    (row,) = await runs.rows("SELECT open_until > now() + interval '50 minutes' AS is_kept FROM imports")
    assert row["is_kept"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"data": {}',
        b'{"data": {}} x',
        b'{"data": {"a": [1}',
        b"x" * 100_000,
        b'{"data": {"a": "' + b"x" * 100_000,
    ],
)
async def test_what_is_no_json_object_is_refused(runs: Runs, body: bytes) -> None:
    execution_id = await runs.started()
    assert (await refusal(runs.sending(execution_id, body)))[1] == "INVALID_JSON"
    assert await runs.stored() == []


async def test_a_wrong_member_behind_much_data_leaves_nothing(runs: Runs) -> None:
    execution_id = await runs.started()
    body = large(1)[:-1] + b', "completed": "yes"}'
    assert (await refusal(runs.sending(execution_id, body)))[1] == "INVALID_DATA"
    assert await runs.stored() == []
    assert await runs.pieces(execution_id) == []


async def test_a_piece_may_have_so_many_bytes(runs: Runs) -> None:
    execution_id = await runs.started()
    beginning, end = b'{"data": {"x": "', b'"}}'
    rest = MAX_CHUNK_BYTES - len(beginning) - len(end)
    await runs.sending(execution_id, beginning + b"x" * rest + end, piece=50_000)
    refused = await refusal(runs.sending(execution_id, beginning + b"x" * (rest + 1) + end, piece=50_000))
    assert refused == (grpc.StatusCode.OUT_OF_RANGE, "CHUNK_TOO_LARGE")
    assert len(await runs.stored()) == 1


async def test_all_pieces_together_are_limited_as_a_file_is(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    execution_id = await runs.started()
    await runs.execute("INSERT INTO tenant_limits (tenant_id, max_file_bytes) VALUES (1, 1000)")
    await runs.sending(execution_id, piece())
    await runs.execute("UPDATE imports SET file_size = 990")
    assert (await refusal(runs.sending(execution_id, piece(2))))[1] == "FILE_TOO_LARGE"
    monkeypatch.setattr(chunks, "MOST_CHUNKS", 1)
    refused = await refusal(runs.sending(execution_id, piece(2)))
    assert refused == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_CHUNKS")
    assert len(await runs.stored()) == 1


async def test_a_client_that_goes_away_leaves_nothing(runs: Runs) -> None:
    execution_id = await runs.started()
    call = runs.sending(execution_id, large(1), piece=100)
    await asyncio.sleep(0.05)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    async with asyncio.timeout(10):
        while await runs.stored():  # noqa: ASYNC110 - nothing tells us when
            await asyncio.sleep(0.05)
    assert await runs.pieces(execution_id) == []
    await runs.sending(execution_id, large(1))


async def test_a_piece_whose_transaction_fails_is_not_lost_when_it_is_sent_again(runs: Runs) -> None:
    execution_id = await runs.started()
    taken = CHUNKS.labels("taken")._value.get()
    await runs.execute("ALTER TABLE import_inputs ADD CONSTRAINT broken CHECK (chunk_id <> 'batch-1') NOT VALID")
    status, _ = await refusal(runs.sending(execution_id, piece()))
    assert status is grpc.StatusCode.INTERNAL
    # Nobody can be sure that the row is not there, so the object is left to the reaper.
    assert len(await runs.stored()) == 1
    await runs.execute("ALTER TABLE import_inputs DROP CONSTRAINT broken")
    await runs.sending(execution_id, piece())
    assert len(await runs.pieces(execution_id)) == 1
    assert CHUNKS.labels("taken")._value.get() == taken + 1


async def test_a_body_in_single_bytes_is_the_same(runs: Runs) -> None:
    execution_id = await runs.started()
    body = json.dumps(piece(completed=True)).encode()
    await runs.sending(execution_id, body, PUSHED, piece=1)
    assert await runs.pieces(execution_id) == [body]
    assert (await runs.row(execution_id))["state"] == "QUEUED"
