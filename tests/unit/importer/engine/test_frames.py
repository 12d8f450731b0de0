from __future__ import annotations

import msgspec
import pytest

from services.importer.engine.frames import (
    Batch,
    BatchWriter,
    Finished,
    Opened,
    Refused,
    Rejected,
    StagedItem,
    reply_decoder,
)
from services.importer.targets.findings.records import (
    AffectedAsset,
    Asset,
    Caution,
    Evidence,
    Finding,
    FindingsRecord,
    Port,
    Score,
    Severity,
)

RECORDS = [
    Finding(
        key="10881", number=10881, title="SSH", severity=Severity.LOW, cwes=(79,), scores=(Score("cvss3", "AV:N", 5.0),)
    ),
    Asset(ref="h", name="h", ips=("10.0.0.1",), ports=(Port(22, "tcp", "ssh"),)),
    AffectedAsset(finding="10881", asset="h", port=22, protocol="tcp", evidence=(Evidence("output", "é\u2028", 2),)),
    Caution("CUT", "cut"),
]


def test_a_batch_comes_back_as_it_was_written() -> None:
    writer = BatchWriter()
    writer.add(StagedItem(1, RECORDS[:2]))
    writer.add(StagedItem(3, RECORDS[2:]))
    rejected = Rejected(2, "line 4", "severity", "BAD_SEVERITY", "no such severity", "Zap")
    writer.reject(rejected)

    batch = reply_decoder(FindingsRecord).decode(writer.take(read=3, bytes_read=99))

    assert isinstance(batch, Batch)
    assert [item.ordinal for item in batch.items] == [1, 3]
    assert batch.items[0].records + batch.items[1].records == RECORDS
    assert batch.rejected == [rejected]
    assert (batch.read, batch.bytes) == (3, 99)


def test_a_writer_is_empty_after_its_batch_is_taken() -> None:
    writer = BatchWriter()
    writer.add(StagedItem(1, RECORDS))
    assert len(writer) > 0
    writer.take(read=1, bytes_read=1)
    assert writer.is_empty
    assert reply_decoder(FindingsRecord).decode(writer.take(read=1, bytes_read=1)).items == []


@pytest.mark.parametrize(
    "message", [Opened("nessus", "nessus", True), Finished(5, 10), Refused("TRUNCATED", "cut", "line 3")], ids=repr
)
def test_other_replies_come_back_as_they_were_written(message: msgspec.Struct) -> None:
    assert reply_decoder(FindingsRecord).decode(msgspec.msgpack.encode(message)) == message


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x00",
        msgspec.msgpack.encode(
            {"type": "batch", "items": [[1, [["Finding", 7]]]], "rejected": [], "read": 1, "bytes": 1}
        ),
        msgspec.msgpack.encode({"type": "shell", "command": "true"}),
        msgspec.msgpack.encode(
            {"type": "batch", "items": [[1, [["Caution", b"\xff", "x"]]]], "rejected": [], "read": 1, "bytes": 1}
        ),
    ],
    ids=["empty", "number", "wrong record", "unknown type", "bytes for text"],
)
def test_what_is_no_reply_is_refused(payload: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        reply_decoder(FindingsRecord).decode(payload)
