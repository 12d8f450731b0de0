"""The frames between a worker and its parser child: length-prefixed, typed, and never trusted by the worker.

Worker to child: one `Order` frame, then data frames (an empty one ends each input). Child to worker: `Opened` once,
any number of `Batch`, and one of `Finished` or `Refused`. A batch is written without building a list first: each
item is encoded straight into the frame's buffer.
"""

from __future__ import annotations

import struct
from typing import Any, Generic, TypeVar

import msgspec

from services.importer.targets.objects.plan import ObjectPlan
from services.importer.targets.records.demands import Demands

LENGTH = struct.Struct(">I")
MAX_FRAME_BYTES = 256 * 1024 * 1024
ERROR_BYTES = 256
_ARRAY_32 = struct.Struct(">BI")

RecordT = TypeVar("RecordT")


class Order(msgspec.Struct, frozen=True):
    """What the child is asked to do."""

    source: str
    inputs: int = 1
    """How many there are. Each is a file of its own; their items are counted through."""
    assets_only: bool = False
    """True for an import of client assets: the same source may then be read by another format."""
    resume_after: int = 0
    cpu_seconds: int = 60
    memory_bytes: int = 1 << 30
    unpacked_bytes: int = 10 << 30
    """How large what is packed in an archive may be, all together."""
    demands: Demands | ObjectPlan | None = None
    """What the job asks of a file of records, or the mapping of objects."""


class StagedItem(msgspec.Struct, Generic[RecordT], frozen=True, array_like=True, gc=False):
    """The records of one item of `walk`. `ordinal` counts items from 1; 0: it is about the file and no item of it.

    A run of items is one record, and `ordinal` that of the first of them.
    """

    ordinal: int
    records: list[RecordT]


class Rejected(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One item that could not be used.

    `raw` is all of it where the target makes a file of those, else empty. `types` are ids of what it would have become,
    where the target counts by them.
    """

    ordinal: int
    position: str
    field: str
    code: str
    message: str
    value: str
    raw: str = ""
    types: tuple[int, ...] = ()


class Opened(msgspec.Struct, frozen=True, tag="opened"):
    """The child knows what the file is."""

    format: str
    family: str
    is_network_dropped: bool


class Batch(msgspec.Struct, Generic[RecordT], frozen=True, tag="batch"):
    """Items in order. `read` and `bytes` count from the beginning of the first input.

    Items without records are in `read` only.
    """

    items: list[StagedItem[RecordT]]
    rejected: list[Rejected]
    read: int
    bytes: int


class Finished(msgspec.Struct, frozen=True, tag="finished"):
    """Every byte was read and the file's structure is whole.

    `cautions` are about the file and not of one item: code, message, count.
    """

    read: int
    bytes: int
    cautions: list[tuple[str, str, int]] = []


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """The file cannot be imported. `code` is stable, `position` says where if known."""

    code: str
    message: str
    position: str


def reply_decoder(record_type: Any) -> msgspec.msgpack.Decoder[Any]:
    """A decoder of everything a child of this target may say; any other bytes raise `msgspec.DecodeError`."""
    return msgspec.msgpack.Decoder(Opened | Batch[record_type] | Finished | Refused)


class BatchWriter:
    """Builds the bytes of a `Batch` item by item, so that a batch is never held as objects and bytes at once."""

    def __init__(self) -> None:
        self._encoder = msgspec.msgpack.Encoder()
        self._items = bytearray()
        self.item_count = 0
        self._rejected: list[Rejected] = []
        self._raw_characters = 0

    def __len__(self) -> int:
        """Bytes waiting, about."""
        return len(self._items) + ERROR_BYTES * len(self._rejected) + self._raw_characters

    @property
    def is_empty(self) -> bool:
        """True when there is nothing to send."""
        return not self.item_count and not self._rejected

    def add(self, item: StagedItem[Any]) -> None:
        """Encodes an item behind the ones before it."""
        self._encoder.encode_into(item, self._items, -1)
        self.item_count += 1

    def reject(self, rejected: Rejected) -> None:
        """Notes a rejected item."""
        self._rejected.append(rejected)
        self._raw_characters += len(rejected.raw)

    def take(self, read: int, bytes_read: int) -> bytes:
        """The frame's payload; the writer is empty afterwards."""
        encode = self._encoder.encode
        payload = b"".join(
            (
                b"\x85",  # a map of five members
                encode("type"), encode("batch"),
                encode("items"), _ARRAY_32.pack(0xDD, self.item_count), self._items,
                encode("rejected"), encode(self._rejected),
                encode("read"), encode(read),
                encode("bytes"), encode(bytes_read),
            )
        )  # fmt: skip
        self._items = bytearray()
        self.item_count = 0
        self._rejected = []
        self._raw_characters = 0
        return payload
