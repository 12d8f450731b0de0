"""What the walk over an Nmap report hands to `read`: hosts with their ports, and the rows of the vulners script."""

from __future__ import annotations

from typing import NamedTuple

from services.importer.formats.kit.encoding import Note
from services.importer.formats.nmap.findings import Findings, Row
from services.importer.formats.nmap.listing import Listing
from services.importer.targets.findings.records import Caution, Evidence, Finding, Port

SYSTEMS_LIMIT = 5

# One finding on one port, ready but for the host: the finding, notes, evidence and cautions of its instance there.
Weakness = tuple[Finding, str, tuple[Evidence, ...], tuple[Caution, ...]]


class Group(NamedTuple):
    """What the script says about one product: its CPE or name, and one map of values for each vulnerability."""

    product: str
    rows: list[Row]


class Script:
    """One output of the vulners script, shared by all ports where it reads the same.

    It is a listing, or has its tables in groups, or is text alone. `weaknesses` are kept here once read.
    """

    __slots__ = ("groups", "listing", "output", "weaknesses")

    def __init__(self, output: str, groups: list[Group], listing: Listing | None = None) -> None:
        self.output = output
        self.groups = groups
        self.listing = listing
        self.weaknesses: tuple[Weakness, ...] | None = None


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

    __slots__ = ("caution", "is_made", "number", "port", "protocol", "service")

    def __init__(self, protocol: str, number: str, service: Service) -> None:
        self.protocol = protocol
        self.number = number
        self.service = service
        self.is_made = False
        self.port: Port | None = None
        self.caution: tuple[str, str] | None = None


class HostSeen:
    """One `host`, its addresses with their kind. `findings` is shared by all hosts: a vulnerability is one object.

    `port_scripts` are those of each port that has any, `scripts` those of the host itself.
    """

    __slots__ = (
        "addresses",
        "device",
        "findings",
        "hostnames",
        "notes",
        "port_scripts",
        "ports",
        "scripts",
        "state",
        "systems",
    )

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.state = ""
        self.addresses: list[tuple[str, str]] = []
        self.hostnames: list[str] = []
        self.ports: list[PortSeen] = []
        self.port_scripts: list[tuple[PortSeen, list[Script]]] = []
        self.scripts: list[Script] = []
        self.systems: list[str] = []
        self.device = ""
        self.notes: tuple[Note, ...] = ()
