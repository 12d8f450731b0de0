"""The files that chaos jobs import: each with what must come of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench import documents
from tests.scans import nessus

SUCCEEDED, FAILED, CANCELLED = "SUCCEEDED", "FAILED", "CANCELLED"
POISON = b"<!-- a parser dies of this -->"
"""What tests/chaos/poison.py waits for."""


@dataclass(frozen=True)
class Content:
    """Bytes, the source they are sent as, and how an import of them may end."""

    name: str
    source: str
    data: bytes
    states: Sequence[str] = (SUCCEEDED,)
    codes: Sequence[str] = ()

    @property
    def succeeds(self) -> bool:
        return SUCCEEDED in self.states


def good(seed: int) -> list[Content]:
    """Of several formats and sizes; some have items that are rejected."""
    return [
        Content("nessus", "nessus", b"".join(documents.nessus(400, seed))),
        Content("nessus in many chunks", "nessus", b"".join(documents.nessus(2_500, seed + 1))),
        Content("nessus of the large lane", "nessus", b"".join(documents.nessus(6_000, seed + 2))),
        Content("burp", "burp", b"".join(documents.burp(60, seed))),
        Content("nmap", "nmap", b"".join(documents.nmap(60, seed))),
        Content("nessus with rejected items", "nessus", with_rejected_items()),
    ]


def invalid(seed: int) -> list[Content]:
    """What a scanner or an upload that went wrong leaves."""
    whole = b"".join(documents.nessus(300, seed))
    return [
        Content("cut off", "nessus", whole[: len(whole) // 2], [FAILED], ["TRUNCATED", "MALFORMED_XML"]),
        Content("empty", "nessus", b"", [FAILED], ["EMPTY_FILE"]),
        Content("of another format", "nessus", b"".join(documents.burp(3, seed)), [FAILED], ["WRONG_FORMAT"]),
    ]


def poisoned() -> Content:
    """Kills every parser child that reads it."""
    data = nessus(hosts=4, plugins=4).replace(b"<Report ", POISON + b"<Report ", 1)
    return Content("poison", "nessus", data, [FAILED], ["PARSER_CRASHED"])


def with_rejected_items(hosts: int = 60, plugins: int = 10) -> bytes:
    """Every host has one item whose plugin id is no number."""
    return nessus(hosts, plugins).replace(b'pluginID="90003"', b'pluginID="ninety"')
