"""What the walk over an Nmap report hands to `read`: hosts with their ports, and the rows of the vulners script."""

from __future__ import annotations

from typing import NamedTuple

from services.importer.formats.kit.encoding import Note
from services.importer.formats.kit.memo import Memo
from services.importer.targets.findings.records import Evidence, Finding, Port

SCRIPT_ID = "vulners"
SYSTEMS_LIMIT = 5

Row = dict[str, str]
Findings = Memo[tuple[str, ...], Finding]


class Group(NamedTuple):
    """What the script says about one product: its CPE or name, and one map of values for each vulnerability."""

    product: str
    rows: list[Row]


class Script(NamedTuple):
    """One output of the vulners script: its text, and its tables where it has any."""

    output: str
    groups: list[Group]


class Weakness(NamedTuple):
    """One finding on one port, ready but for the host."""

    finding: Finding
    notes: str
    evidence: tuple[Evidence, ...]


class Service:
    """State and service of a port: the same for many ports of many hosts.

    `texts` are state, name, product, version, extra information, tunnel. `shown` is kept here once read: name and
    software.
    """

    __slots__ = ("shown", "texts")

    def __init__(self, texts: tuple[str, ...]) -> None:
        self.texts = texts
        self.shown: tuple[str, str] | None = None


class PortSeen:
    """One `port`, shared by all hosts where it reads the same. What is below the number is kept here once read.

    `port` is there where it is open and has a good number.
    """

    __slots__ = ("caution", "is_made", "number", "port", "protocol", "scripts", "service", "weaknesses")

    def __init__(self, protocol: str, number: str, service: Service, scripts: list[Script]) -> None:
        self.protocol = protocol
        self.number = number
        self.service = service
        self.scripts = scripts
        self.is_made = False
        self.port: Port | None = None
        self.weaknesses: tuple[Weakness, ...] = ()
        self.caution: tuple[str, str] | None = None


class HostSeen:
    """One `host`, its addresses with their kind. `findings` is shared by all hosts: a vulnerability is one object."""

    __slots__ = ("addresses", "device", "findings", "hostnames", "notes", "ports", "scripts", "state", "systems")

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.state = ""
        self.addresses: list[tuple[str, str]] = []
        self.hostnames: list[str] = []
        self.ports: list[PortSeen] = []
        self.systems: list[str] = []
        self.device = ""
        self.scripts: list[Script] = []
        self.notes: tuple[Note, ...] = ()
