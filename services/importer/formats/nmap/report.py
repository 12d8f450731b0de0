"""What the walk over an Nmap report hands to `read`: hosts with their ports, and the rows of the vulners script."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from services.importer.formats.kit.encoding import Note
from services.importer.formats.kit.memo import Memo
from services.importer.targets.findings.records import Evidence, Finding, Port

SCRIPT_ID = "vulners"
SYSTEMS_LIMIT = 5


class Group(NamedTuple):
    """What the script says about one product: its CPE or name, and one map of values for each vulnerability."""

    product: str
    rows: list[dict[str, str]]


@dataclass(slots=True)
class Script:
    """One output of the vulners script."""

    output: str
    groups: list[Group] = field(default_factory=list)


class Weakness(NamedTuple):
    """One finding on one port, ready but for the host."""

    finding: Finding
    notes: str
    evidence: tuple[Evidence, ...]


@dataclass(slots=True)
class PortSeen:
    """One `port`, shared by all hosts where it reads the same; `open_port` and `weaknesses` are kept here once made.

    `service` is name, product, version, extra information and tunnel.
    """

    protocol: str
    number: str
    state: str = ""
    service: tuple[str, ...] = ("", "", "", "", "")
    scripts: list[Script] = field(default_factory=list)
    is_made: bool = False
    is_invalid: bool = False
    open_port: Port | None = None
    weaknesses: tuple[Weakness, ...] = ()


@dataclass(slots=True)
class HostSeen:
    """One `host`, its addresses with their kind. `findings` is shared by all hosts: a vulnerability is one object."""

    findings: Memo[tuple[object, ...], Finding]
    state: str = ""
    addresses: list[tuple[str, str]] = field(default_factory=list)
    hostnames: list[str] = field(default_factory=list)
    ports: list[PortSeen] = field(default_factory=list)
    systems: list[str] = field(default_factory=list)
    device: str = ""
    scripts: list[Script] = field(default_factory=list)
    notes: tuple[Note, ...] = ()
