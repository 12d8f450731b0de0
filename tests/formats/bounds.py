"""What every record promises to the database: bounded lengths, numbers in range, text that PostgreSQL takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from services.importer.formats.kit.evidence import EVIDENCE_LIMIT
from services.importer.formats.kit.values import (
    FIELD_LIMIT,
    INT32_MAX,
    KEY_LIMIT,
    NAME_LIMIT,
    PORT_MAX,
    TEXT_LIMIT,
    TITLE_LIMIT,
    URL_LIMIT,
)
from services.importer.targets.findings.records import AffectedAsset, Asset, Caution, Evidence, Finding, Port, Record

LIMITS: dict[type, dict[str, int]] = {
    Finding: {
        "key": KEY_LIMIT,
        "title": TITLE_LIMIT,
        "description": TEXT_LIMIT,
        "recommendations": TEXT_LIMIT,
        "references": TEXT_LIMIT,
        "source": NAME_LIMIT,
    },
    Asset: {
        **dict.fromkeys(("ref", "name", "hostname", "mac", "netbios", "type"), NAME_LIMIT),
        "description": FIELD_LIMIT,
    },
    AffectedAsset: {
        "finding": KEY_LIMIT,
        "asset": NAME_LIMIT,
        "protocol": NAME_LIMIT,
        "service": NAME_LIMIT,
        "location": URL_LIMIT,
        "notes": TEXT_LIMIT,
    },
    Caution: {"code": 40, "message": 2 * TITLE_LIMIT},
    Evidence: {"caption": NAME_LIMIT, "code": EVIDENCE_LIMIT},
    Port: dict.fromkeys(("protocol", "service", "version"), NAME_LIMIT),
}


def check(record: Record) -> None:
    """Assert that a record keeps its promises."""
    for part in _parts(record):
        for name, limit in LIMITS.get(type(part), {}).items():
            assert len(getattr(part, name)) <= limit, (type(part).__name__, name)
        if isinstance(part, Finding):
            assert part.key
            assert part.title
            assert 0 <= part.number <= INT32_MAX
        if isinstance(part, Asset):
            assert part.ref
            assert part.name
        if isinstance(part, AffectedAsset | Port):
            assert 0 <= (part.port if isinstance(part, AffectedAsset) else part.number) <= PORT_MAX
    for text in _texts(msgspec.to_builtins(record)):
        assert "\0" not in text
        text.encode("utf-8")


def _parts(value: Any) -> Iterator[msgspec.Struct]:
    if isinstance(value, msgspec.Struct):
        yield value
        for name in value.__struct_fields__:
            yield from _parts(getattr(value, name))
    elif isinstance(value, tuple):
        for each in value:
            yield from _parts(each)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, dict):
        yield from value
        yield from (text for text in value.values() if isinstance(text, str))
