"""What a format is: a name, `sniff`, `walk` and `read`; and the three ways a file can be refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol


class ByteStream(Protocol):
    """The bytes of one input, once, forward only."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; fewer are no end of file, none are."""


class Position(NamedTuple):
    """Where an item begins.

    Line from 1, byte offset from 0, element path or record number as text. Zero and "" are unknown.
    """

    line: int = 0
    offset: int = 0
    path: str = ""


class Item(NamedTuple):
    """One item of `walk`, the unit of conservation: it ends as exactly one outcome."""

    raw: Any
    position: Position


class Run(Protocol):
    """One record that stands for several, each of an item of its own: as many as its length."""

    def __len__(self) -> int: ...

    def behind(self, count: int) -> Run:
        """What is left behind so many of them, which are not all."""


class Items(NamedTuple):
    """A run of items at once, of a format whose rows are so small that each by itself would cost more than reading it.

    None of them is refused, about the file or a definition. `read` gives their records one by one, one for each;
    `position` is that of the first.
    """

    raw: Run
    position: Position


class WrongFormat(Exception):
    """The file is not of this format at all ("not mine"). The message says what was found instead."""


class DamagedFile(Exception):
    """The file is of this format and its structure is broken: the import fails, nothing of it is kept.

    `code` is stable (`TRUNCATED`, `MALFORMED_XML`, `ENTITY_FORBIDDEN`, `TOO_DEEP`, …); `position` says where.
    """

    def __init__(self, code: str, message: str, position: Position | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.position = position or Position()


class RecordError(Exception):
    """One item cannot be used; the import goes on. `value` is the offending text: the engine cuts and redacts it.

    `raw` is the whole item as it stands in the file, where a file of the rejected items is to be made (1 MiB at most).
    `types` are ids of what the item would have become, where the target counts by them.
    """

    def __init__(
        self, code: str, field: str, message: str, value: str = "", raw: str = "", types: tuple[int, ...] = ()
    ) -> None:
        super().__init__(message)
        self.code = code
        self.field = field
        self.message = message
        self.value = value
        self.raw = raw
        self.types = types


Syntax = Literal["xml", "json", "csv", "html", "cc5"]

FINDINGS, RECORDS, OBJECTS = "findings", "records", "objects"


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One entry of the registry.

    `title` is what a file of it is called in messages ("a Nessus report"). `family` is the tool family of finding
    identity; formats of one tool share it. `sources` are the public names that bring such a file into a report,
    `asset_sources` those that bring client assets without one, `record_sources` records of a workspace,
    `object_sources` objects of one.

    `sniff` sees the first 4,096 bytes (fewer when the file is shorter). `walk` raises `WrongFormat` before its first
    item or `DamagedFile` at any time; a file cut short is always `DamagedFile` where the syntax has an end (a table
    has none: there it is where the cut shows). `read` maps one raw item to records, or raises `RecordError`. `adapt`
    gives the same format for a job that asks more of its file, in the words of its target.
    """

    name: str
    title: str
    family: str
    syntax: Syntax
    extensions: tuple[str, ...]
    sources: tuple[str, ...] = ()
    asset_sources: tuple[str, ...] = ()
    record_sources: tuple[str, ...] = ()
    object_sources: tuple[str, ...] = ()
    target: str = FINDINGS
    sniff: Callable[[bytes], bool]
    walk: Callable[[ByteStream], Iterator[Item | Items]]
    read: Callable[[Any], Iterable[Any]]
    adapt: Callable[[Any], Format] | None = None
