"""What a parser child says of files of objects: its order has the mapping."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from services.importer.engine.child import Parser, Pipe
from services.importer.engine.frames import LENGTH, Batch, Finished, Opened, Order, Refused, reply_decoder
from services.importer.targets.objects.records import ObjectRecord, ObjectsRecord, Remark, Skipped
from tests.formats.mapped import attribute, plan_of, type_plan

PLAN = plan_of(
    type_plan(attribute(1, "Name"), attribute(2, "Cores", "integer"), attribute(3, "Gone")),
    type_plan(attribute(21, "Owner"), type_id=20, name="Person"),
)
ROWS = b"Name,Cores,Owner\nweb,8,\ndb,many,Ann\n,5,\ncache,,Bo\n"


class Wire(Pipe):
    """A pipe whose other end is a test."""

    def __init__(self, *inputs: bytes) -> None:
        self._in = BytesIO(b"".join(LENGTH.pack(len(data)) + data + LENGTH.pack(0) for data in inputs))
        self._decoder = reply_decoder(ObjectsRecord)
        self.replies: list[Any] = []

    def receive(self, size: int) -> bytes:
        return self._in.read(size)

    def send(self, payload: bytes) -> None:
        self.replies.append(self._decoder.decode(payload))


def parsed(data: bytes, source: str = "objects-csv", **order: Any) -> list[Any]:
    wire = Wire(data)
    Parser(wire, Order(source=source, demands=PLAN, **order), lambda _: None).run()
    return wire.replies


def records(replies: list[Any]) -> list[tuple[int, Any]]:
    batches = [reply for reply in replies if isinstance(reply, Batch)]
    return [(item.ordinal, record) for batch in batches for item in batch.items for record in item.records]


def rejected(replies: list[Any]) -> list[Any]:
    return [each for reply in replies if isinstance(reply, Batch) for each in reply.rejected]


def test_rows_become_objects_and_remarks_are_about_the_file() -> None:
    replies = parsed(ROWS)
    opened, end = replies[0], replies[-1]
    assert isinstance(opened, Opened)
    assert isinstance(end, Finished)
    assert (opened.format, opened.family, end.read, end.bytes) == ("objects_csv", "objects", 4, len(ROWS))
    assert [(ordinal, type(record)) for ordinal, record in records(replies)] == [
        (1, ObjectRecord),
        (1, Skipped),
        (4, ObjectRecord),
        (4, ObjectRecord),
        (0, Remark),
    ]


def test_a_rejected_record_says_of_which_types_it_would_have_been() -> None:
    found = [(each.ordinal, each.code, each.field, each.types) for each in rejected(parsed(ROWS))]
    assert found == [(2, "TYPE_MISMATCH", "Cores", (10, 20)), (3, "IDENTIFIER_EMPTY", "", (10, 20))]


def test_a_resumed_child_sends_what_is_new() -> None:
    replies = parsed(ROWS, resume_after=2)
    assert [ordinal for ordinal, _ in records(replies)] == [4, 4, 0]
    assert [each.ordinal for each in rejected(replies)] == [3]


def test_a_file_that_the_mapping_cannot_read_is_refused() -> None:
    (_, refused) = parsed(b"a;b\n1;2\n")
    assert isinstance(refused, Refused)
    assert refused.code == "WRONG_FORMAT"
    (refused,) = parsed(b"Name\nx\n", "objects-json")
    assert (refused.code, "takes JSON" in refused.message) == ("WRONG_FORMAT", True)
    *_, refused = parsed(b'{"data": {"x": ', "objects-chunk")
    assert refused.code == "TRUNCATED"
