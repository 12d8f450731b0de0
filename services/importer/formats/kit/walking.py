"""Runs an input through a reader and gives the items that its handlers make."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from services.importer.formats.kit.format import DamagedFile, Item
from services.importer.formats.kit.xml import XmlReader


class Sink(Protocol):
    """What takes a document: a reader, or something that stands before it."""

    def feed(self, data: bytes, /) -> None: ...
    def close(self) -> None: ...


def items(reader: XmlReader, ready: list[Item], sink: Sink | None = None) -> Iterator[Item]:
    """Feed the whole input to `reader`, or to the `sink` before it, and give what the handlers put into `ready`.

    Items that were whole before damage come out before the error.
    """
    sink = sink or reader
    for block in reader.blocks():
        try:
            sink.feed(block)
        except DamagedFile:
            yield from ready
            raise
        yield from ready
        ready.clear()
    sink.close()
    yield from ready
