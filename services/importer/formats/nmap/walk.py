"""Reads Nmap reports (`-oX`) host by host.

Of the scripts only vulners is kept. Hosts written in Nmap's own way are read by patterns, all others by expat.
"""

from __future__ import annotations

from collections.abc import Iterator

from services.importer.formats.kit.format import ByteStream, Item, Position, WrongFormat
from services.importer.formats.kit.fragments import Fragments
from services.importer.formats.kit.looks import xml_root
from services.importer.formats.kit.walking import items
from services.importer.formats.kit.xml import Attributes, XmlReader
from services.importer.formats.nmap.findings import Findings
from services.importer.formats.nmap.listing import SCRIPT_ID
from services.importer.formats.nmap.plain import Plain
from services.importer.formats.nmap.report import SYSTEMS_LIMIT, Group, HostSeen, PortSeen, Script, Service

ROOT = "nmaprun"

_PATH = f"{ROOT}/host"
_UNKNOWN = ("",) * 6
_SERVICE = ("name", "product", "version", "extrainfo", "tunnel")
# A table of the script is a product; a table in it is one vulnerability.
_PRODUCT_LEVEL, _ROW_LEVEL = 1, 2


def sniff(head: bytes) -> bool:
    root, attributes = xml_root(head)
    return root == ROOT and "masscan" not in attributes


def walk(stream: ByteStream) -> Iterator[Item]:
    report = _Report(stream)
    return items(report.reader, report.ready, Fragments(report.reader, b"host", report))


class _Report:
    """The state of one pass: the host, port and script that are open, and the ports and findings seen lately."""

    def __init__(self, stream: ByteStream) -> None:
        self.ready: list[Item] = []
        self.reader = XmlReader(
            stream,
            frozenset({ROOT}),
            starts={
                ROOT: self._root,
                "host": self._host_begins,
                "status": self._status,
                "address": self._address,
                "hostname": self._hostname,
                "port": self._port_begins,
                "state": self._state,
                "service": self._service,
                "script": self._script_begins,
                "table": self._table_begins,
                "elem": self._elem_begins,
                "osmatch": self._system,
                "osclass": self._system_class,
            },
            ends={
                "host": self._host_ends,
                "port": self._port_ends,
                "script": self._script_ends,
                "table": self._table_ends,
                "elem": self._elem_ends,
            },
        )
        self._position = Position()
        self._host: HostSeen | None = None
        self._port: PortSeen | None = None
        self._port_scripts: list[Script] = []
        self._script: Script | None = None
        self._level = 0
        self._key = ""
        self._findings = Findings()
        self._plain = Plain(self._findings)

    def _root(self, attributes: Attributes) -> None:
        if (scanner := attributes.get("scanner", "nmap")) != "nmap":
            raise WrongFormat(f"The file is a report of {scanner[:40]}, not of Nmap.")

    def _host_begins(self, attributes: Attributes) -> None:
        self._position = self.reader.begin_record(_PATH)
        self._host = HostSeen(self._findings)
        self._port = self._script = None

    def _host_ends(self, text: str) -> None:
        self.reader.end_record()
        host, self._host = self._host, None
        if host is not None:
            self._give(host, self._position)

    def _give(self, host: HostSeen, position: Position) -> None:
        if self.reader.notes:
            host.notes = tuple(self.reader.notes)
            self.reader.notes.clear()
        self.ready.append(Item(host, position))

    def _status(self, attributes: Attributes) -> None:
        if self._host is not None:
            self._host.state = attributes.get("state", "")

    def _address(self, attributes: Attributes) -> None:
        if self._host is not None:
            self._host.addresses.append((attributes.get("addr", ""), attributes.get("addrtype", "")))

    def _hostname(self, attributes: Attributes) -> None:
        if self._host is not None:
            self._host.hostnames.append(attributes.get("name", ""))

    def _system(self, attributes: Attributes) -> None:
        if self._host is not None and len(self._host.systems) < SYSTEMS_LIMIT:
            self._host.systems.append(attributes.get("name", ""))

    def _system_class(self, attributes: Attributes) -> None:
        if self._host is not None and not self._host.device:
            self._host.device = attributes.get("type", "")

    def _port_begins(self, attributes: Attributes) -> None:
        self._port = PortSeen(attributes.get("protocol", ""), attributes.get("portid", ""), Service(_UNKNOWN))
        self._port_scripts = []

    def _state(self, attributes: Attributes) -> None:
        if self._port is not None:
            self._port.service = Service((attributes.get("state", ""), *self._port.service.texts[1:]))

    def _service(self, attributes: Attributes) -> None:
        if self._port is not None:
            told = (attributes.get(name, "") for name in _SERVICE)
            self._port.service = Service((self._port.service.texts[0], *told))

    def _port_ends(self, text: str) -> None:
        if self._host is not None and self._port is not None:
            self._host.ports.append(self._port)
            if self._port_scripts:
                self._host.port_scripts.append((self._port, self._port_scripts))
        self._port = None

    def _script_begins(self, attributes: Attributes) -> None:
        self._level = 0
        if self._host is None or attributes.get("id") != SCRIPT_ID:
            self._script = None
            return
        self._script = Script(attributes.get("output", ""), [])
        (self._host.scripts if self._port is None else self._port_scripts).append(self._script)

    def _script_ends(self, text: str) -> None:
        self._script = None

    def _table_begins(self, attributes: Attributes) -> None:
        if self._script is None:
            return
        self._level += 1
        if self._level == _PRODUCT_LEVEL:
            self._script.groups.append(Group(attributes.get("key", ""), []))
        elif self._level == _ROW_LEVEL:
            self._script.groups[-1].rows.append({})

    def _table_ends(self, text: str) -> None:
        if self._script is not None:
            self._level -= 1

    def _elem_begins(self, attributes: Attributes) -> None:
        self._key = attributes.get("key", "")

    def _elem_ends(self, text: str) -> None:
        if self._script is not None and self._level == _ROW_LEVEL:
            self._script.groups[-1].rows[-1][self._key] = text

    # What needs no parser.

    def is_expecting(self) -> bool:
        return self._host is None

    def recall(self, fragment: bytes) -> bool:
        host = self._plain.host(fragment)
        if host is None:
            return False
        self._give(host, self.reader.position(_PATH))
        return True

    def learn(self, fragment: bytes) -> None:
        pass
