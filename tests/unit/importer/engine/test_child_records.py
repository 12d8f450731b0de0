"""What a parser child says of sync files: its order says what the job asks of them."""

from __future__ import annotations

from io import BytesIO
from typing import Any
from uuid import UUID

import pytest

from schema import staging
from services.importer.engine.child import Parser, Pipe
from services.importer.engine.chunk import Chunk
from services.importer.engine.frames import LENGTH, Batch, Finished, Opened, Order, Refused, reply_decoder
from services.importer.engine.limits import Limits
from services.importer.engine.target import Job, Tally
from services.importer.targets.records.demands import Demands
from services.importer.targets.records.records import Footer, Header, RecordsRecord, Upsert, Upserts
from services.importer.targets.records.rows import RecordsStager
from tests.formats.golden import DATA
from tests.formats.syncing import sync_file

SAMPLE = (DATA / "cc5" / "rows-that-cannot-be-used.cc5txt").read_bytes()


class Wire(Pipe):
    """A pipe whose other end is a test."""

    def __init__(self, data: bytes) -> None:
        self._in = BytesIO(LENGTH.pack(len(data)) + data + LENGTH.pack(0))
        self._decoder = reply_decoder(RecordsRecord)
        self.replies: list[Any] = []

    def receive(self, size: int) -> bytes:
        return self._in.read(size)

    def send(self, payload: bytes) -> None:
        self.replies.append(self._decoder.decode(payload))


def parsed(data: bytes, **order: Any) -> list[Any]:
    wire = Wire(data)
    Parser(wire, Order(source="cc5", **order), lambda _: None).run()
    return wire.replies


def batches(replies: list[Any]) -> list[Batch[Any]]:
    return [reply for reply in replies if isinstance(reply, Batch)]


def test_rows_are_counted_and_header_and_footer_are_not() -> None:
    replies = parsed(sync_file("10|F1|a|1|{}", "10|F2|b|2|{}"), demands=Demands())
    opened, end = replies[0], replies[-1]
    assert isinstance(opened, Opened)
    assert isinstance(end, Finished)
    assert (opened.format, opened.family, end.read) == ("cc5", "cc5", 2)
    items = [(item.ordinal, type(item.records[0])) for batch in batches(replies) for item in batch.items]
    assert items == [(0, Header), (1, Upsert), (2, Upsert), (0, Footer)]


def test_a_run_is_the_rows_that_it_stands_for() -> None:
    rows = [Upsert(f'["F{number}"]', f'{{"entityId":"F{number}"}}', 5 + number) for number in range(3)]
    run = Upserts("\n".join(row.key for row in rows), "\n".join(row.document for row in rows), 5)
    assert (len(run), list(run.each())) == (3, rows)
    assert [list(run.behind(count).each()) for count in range(3)] == [rows, rows[1:], rows[2:]]


def test_a_rejected_row_comes_with_its_text() -> None:
    lines = SAMPLE.decode().splitlines()
    rejected = [each for batch in batches(parsed(SAMPLE)) for each in batch.rejected]
    assert len(rejected) == 20
    for each in rejected:
        assert each.raw == lines[int(each.position.removeprefix("line ")) - 1]
        # Only the text itself repeats what looks like a secret.
        assert "Xk3vQz81LmNw0sYd5TgB" not in f"{each.message} {each.value}"


@pytest.mark.parametrize("resume_after", [0, 1, 9, 15, 19, 20])
@pytest.mark.parametrize("bad", [(), (0,), (5, 6), (19,)])
def test_a_resumed_child_gives_the_header_again_and_no_row_twice(resume_after: int, bad: tuple[int, ...]) -> None:
    """Rows that can be used come in runs, which begin and end anywhere."""
    data = sync_file(*[f"10|F{number}|a|{'x' if number in bad else 1}|{{}}" for number in range(20)])
    replies = parsed(data, resume_after=resume_after, demands=Demands())
    end = replies[-1]
    assert isinstance(end, Finished)
    assert end.read == 20
    found = {each.ordinal: each.code for batch in batches(replies) for each in batch.rejected}
    for item in (item for batch in batches(replies) for item in batch.items if item.ordinal):
        (record,) = item.records
        rows = record.each() if isinstance(record, Upserts) else [record]
        found |= {ordinal: row.key for ordinal, row in enumerate(rows, item.ordinal)}
    assert found == {
        number + 1: "TYPE_MISMATCH" if number in bad else f'["F{number}"]' for number in range(resume_after, 20)
    }
    about = [item.records for batch in batches(replies) for item in batch.items if not item.ordinal]
    assert [type(records[0]) for records in about] == [Header, Footer]


def test_a_run_is_staged_as_the_items_that_it_stands_for() -> None:
    job = Job(1, UUID(int=1), 0, None, "cc5", (), (), use_parser_actions=False)
    tally = Tally()
    chunk = Chunk(RecordsStager(job, tally), tally, Limits(chunk_records=20))
    for batch in batches(parsed(sync_file(*[f"10|F{number}|a|1|{{}}" for number in range(20)]))):
        chunk.add(batch)
    assert (tally.read, tally.staged, chunk.is_due) == (20, 20, True)
    rows, rejected = chunk.take()
    assert [(row[2], row[3]) for row in rows[staging.records]] == [(n + 1, f'["F{n}"]') for n in range(20)]
    assert not rejected


@pytest.mark.parametrize(
    ("demands", "code"),
    [(Demands(workspaces=("another",)), "WORKSPACE_MISMATCH"), (Demands(), "FOOTER_COUNT_MISMATCH")],
)
def test_a_file_that_is_not_what_the_job_asks_for_is_refused(demands: Demands, code: str) -> None:
    end = parsed(sync_file("10|F1|a|1|{}", footer="99|2"), demands=demands)[-1]
    assert isinstance(end, Refused)
    assert end.code == code


def test_a_job_that_does_without_the_footer_is_told_so() -> None:
    replies = parsed(sync_file("10|F1|a|1|{}", footer="99|2"), demands=Demands(require_footer=False))
    assert isinstance(replies[-1], Finished)
