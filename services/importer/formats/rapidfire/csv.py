"""RapidFire VulScan tables, "By Device" (one row a device and issue) and "By Issue" (one row an issue).

"By Device" is known from public samples, "By Issue" from the columns that a public reader of it asks for.
"""

from __future__ import annotations

from collections.abc import Iterator

from services.importer.formats.kit.csv import header_of, walk_csv
from services.importer.formats.kit.format import ByteStream, Format, Item
from services.importer.formats.kit.node import Node
from services.importer.formats.rapidfire.findings import KNOWN, read_row
from services.importer.targets.findings.records import FindingsRecord

_WANTED = (
    frozenset({"Issue", "Severity", "IP Address"}),
    frozenset({"Issue", "Severity", "Hostname"}),
    frozenset({"Issue", "Severity", "Affected Devices"}),
)


def sniff(head: bytes) -> bool:
    return bool(header_of(head, _WANTED))


def walk(stream: ByteStream) -> Iterator[Item]:
    return walk_csv(stream, _WANTED, KNOWN)


def read(raw: Node) -> tuple[FindingsRecord, ...]:
    return read_row(raw.value, raw)


FORMAT = Format(
    name="rapidfire_csv",
    title="a RapidFire table (CSV)",
    family="rapidfire",
    syntax="csv",
    extensions=(".csv",),
    sources=("rapidfire",),
    sniff=sniff,
    walk=walk,
    read=read,
)
