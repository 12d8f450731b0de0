"""Reads NodeZero's tables of weaknesses, hosts and services. Their columns are assumed: see `findings.py`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from services.importer.formats.kit.credentials import told_of
from services.importer.formats.kit.csv import Row, header_of, walk_csv
from services.importer.formats.kit.format import ByteStream, Format, Item
from services.importer.formats.kit.node import Node
from services.importer.formats.nodezero.findings import (
    KNOWN,
    SOURCE,
    TITLE,
    host_records,
    is_weakness,
    weakness_records,
)
from services.importer.targets.findings.records import FindingsRecord

# What no other tool calls so, beside what anybody may.
_OF_WEAKNESSES = ("vuln_id", "weakness_id", "vuln_short_name", "weakness_name")
_OF_HOSTS = ("is_domain_controller", "is_in_scope", "confirmed_weaknesses_count", "iana_service_name")
_WANTED = (
    *(frozenset(pair) for pair in product(_OF_WEAKNESSES, ("severity", "score", "context_score", "ip", *TITLE[:2]))),
    *(frozenset({"ip", name}) for name in _OF_HOSTS),
)


def sniff(head: bytes) -> bool:
    return bool(header_of(head, _WANTED))


def walk(stream: ByteStream) -> Iterator[Item]:
    return walk_csv(stream, _WANTED, KNOWN, kept="as notes")


def read(raw: Node) -> tuple[FindingsRecord, ...]:
    row: Row = raw.value
    records = weakness_records(row, raw.once) if is_weakness(row) else host_records(row, raw.once)
    return (*records, *told_of(records, SOURCE), *raw.cautions)


FORMAT = Format(
    name="nodezero_csv",
    title="a NodeZero table (CSV)",
    family="nodezero",
    syntax="csv",
    extensions=(".csv",),
    sources=("nodezero", "horizon"),
    sniff=sniff,
    walk=walk,
    read=read,
)
