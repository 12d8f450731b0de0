"""The record types of the findings target: what a scanner format may say, and nothing else.

A format turns one item of its file into any number of these. Records refer to each other by name, never by position:
an `AffectedAsset` names its finding by `Finding.key` and its asset by `Asset.ref`, so a definition may come before or
after its uses, once or many times. The engine sends each equal definition once and joins them at the merge.

Every text is valid Unicode without NUL. Lengths are bounded by the kit before a record is made.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar

import msgspec

from services.importer.targets.record import Caution, Record

__all__ = [
    "AffectedAsset",
    "Asset",
    "Caution",
    "Evidence",
    "Finding",
    "FindingsRecord",
    "Port",
    "Record",
    "Score",
    "Severity",
]


class Severity(IntEnum):
    """PlexTrac's `sev`: 0 is the worst (published finding object, v2.6.7)."""

    CRITICAL = 0
    HIGH = 1
    MEDIUM = 2
    LOW = 3
    INFORMATIONAL = 4


class Score(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One CVSS score. `system` is one of `cvss2`, `cvss3`, `cvss3_1`, `cvss4`; absent numbers are None."""

    system: str
    vector: str
    base: float | None = None
    temporal: float | None = None


class Port(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An open port of an asset. `number` is 0 to 65535."""

    number: int
    protocol: str
    service: str = ""
    version: str = ""


class Evidence(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Proof on one affected asset: scanner output, a request, a response.

    `code` is cut by the kit at its limit; `length` is the true length in characters before that cut.
    """

    caption: str
    code: str
    length: int


class Finding(Record, frozen=True):
    """A definition: one vulnerability, whatever the number of hosts that have it.

    `key` is the scanner's own id where it has one, else the SHA-256 (hex) of the normalised title; at most 128
    characters (`kit.values.finding_key` makes it). `number` is the public id it asks for: the scanner's number, or
    PlexTrac's title hash
    (`int(sha256(title)) % 10**8`); 0 to 2**31-1.
    """

    IS_DEFINITION: ClassVar[bool] = True

    key: str
    number: int
    title: str
    severity: Severity
    description: str = ""
    recommendations: str = ""
    references: str = ""
    source: str = ""
    cves: tuple[str, ...] = ()
    cwes: tuple[int, ...] = ()
    scores: tuple[Score, ...] = ()
    fields: dict[str, str] = {}  # noqa: RUF012  (msgspec copies it for each instance)
    tags: tuple[str, ...] = ()


class Asset(Record, frozen=True):
    """A host or another thing that can be affected. `ref` is unique to it within the file (1 to 512 characters).

    `name` is what people call it; `hostname`, `name` and `ips` are what it is matched by, case-insensitively.
    """

    IS_DEFINITION: ClassVar[bool] = True

    ref: str
    name: str
    hostname: str = ""
    ips: tuple[str, ...] = ()
    mac: str = ""
    netbios: str = ""
    operating_systems: tuple[str, ...] = ()
    type: str = ""
    description: str = ""
    ports: tuple[Port, ...] = ()
    tags: tuple[str, ...] = ()


class AffectedAsset(Record, frozen=True):
    """One instance of a finding on an asset: the place (port, URL, parameter) and its proof.

    `port` 0 means the whole host. `location` is a URL or path, `parameters` the names of vulnerable parameters.
    Two records with equal finding, asset, port, protocol, location and parameters are the same instance.
    """

    finding: str
    asset: str
    port: int = 0
    protocol: str = ""
    service: str = ""
    location: str = ""
    parameters: tuple[str, ...] = ()
    notes: str = ""
    evidence: tuple[Evidence, ...] = ()


FindingsRecord = Finding | Asset | AffectedAsset | Caution
