"""Reads Nexpose reports check by check, in the full form (XML export 1.0 and 2.0) and the simple one.

Items are: a check that found something; a host, at its end, when all is known of it; a definition. Definitions stand
after all hosts, and the merge joins them. The checks that found nothing are most of some files: they are no items, and
passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from services.importer.formats.kit.format import ByteStream, DamagedFile, Item, Position
from services.importer.formats.kit.node import Once
from services.importer.formats.kit.trees import LIMITS
from services.importer.formats.kit.walking import items
from services.importer.formats.kit.xml import Attributes, XmlReader
from services.importer.formats.nexpose.report import Check, Definition, Host, Service, status_of

ROOTS = frozenset({"NexposeReport", "NeXposeSimpleXML"})

_HOSTS, _CHECKS = frozenset({"node", "device"}), frozenset({"test", "vulnerability"})
_LISTS = frozenset(
    {
        *("VulnerabilityDefinitions", "devices", "endpoints", "fingerprints", "names"),
        *("nodes", "services", "tests", "vulnerabilities"),
    }
)
_SMALL = frozenset({"fingerprint", "name", "os"})

_SERVICES_LIMIT, _NAMES_LIMIT, _SYSTEMS_LIMIT = 200_000, 1_000, 100


def walk(stream: ByteStream) -> Iterator[Item]:
    report = _Report(stream)
    return items(report.reader, report.ready)


class _Report:
    """The state of one pass: the elements that are open, and the host and service among them."""

    def __init__(self, stream: ByteStream) -> None:
        self.ready: list[Item] = []
        self.reader = XmlReader(
            stream, ROOTS, {}, {}, default_start=self._begins, default_end=self._ends, limits=LIMITS
        )
        self._open: list[str] = []
        self._is_skipping = False
        self._host: Host | None = None
        self._host_position = self._position = Position()
        self._endpoint, self._service = Service(), Service()
        self._check = ""
        self._once = Once()

    def _begins(self, name: str, attributes: Attributes) -> None:
        host = self._host
        if not self._open or name in _LISTS:
            self._open.append(name)
        elif host is None and name in _HOSTS:
            self._host_begins(name, attributes)
        elif host is None and name == "vulnerability":
            self._position = self._begin_record(name)
            self.reader.build(name, attributes, self._definition)
        elif host is not None and name in _CHECKS and (status := status_of(attributes)) is not None:
            self._check, self._position = status, self._begin_record(name)
            host.has_checks = True
            self.reader.build(name, attributes, self._checked)
        elif host is not None and name in _SMALL:
            self.reader.build(name, attributes, self._told)
        elif host is not None and name in {"endpoint", "service"}:
            self._service_begins(name, attributes, host)
        else:
            self._is_skipping = True
            self.reader.skip()

    def _ends(self, name: str, text: str) -> None:
        if self._is_skipping:
            self._is_skipping = False
            return
        self._open.pop()
        if name == "service":
            self._service = self._endpoint
        elif name == "endpoint":
            self._service = self._endpoint = Service()
        elif name in _HOSTS and self._host is not None:
            self._give(self._host, self._host_position)
            self._host = None

    def _begin_record(self, name: str) -> Position:
        return self.reader.begin_record("/".join((*self._open, name)))

    def _host_begins(self, name: str, attributes: Attributes) -> None:
        self._host_position = self._begin_record(name)
        self.reader.end_record()
        self._open.append(name)
        self._host = Host(attributes)
        self._endpoint = self._service = Service()

    def _service_begins(self, name: str, attributes: Attributes, host: Host) -> None:
        """An `endpoint` has port and state, the `service` inside it a name; in the simple form a service has all."""
        self._open.append(name)
        outer = self._endpoint
        self._service = Service(
            attributes.get("port", outer.port),
            attributes.get("protocol", outer.protocol),
            attributes.get("name", ""),
            attributes.get("status", "open" if outer.is_open else "").strip().lower() == "open",
        )
        if name == "endpoint":
            self._endpoint = self._service
        if len(host.services) >= _SERVICES_LIMIT:
            message = f"A host has more than {_SERVICES_LIMIT} services."
            raise DamagedFile("TOO_MANY_ELEMENTS", message, self._host_position)
        host.services.append(self._service)

    def _told(self, element: Element) -> None:
        """A name of the host, or what it or a service runs."""
        host = self._host
        if host is None:
            return
        if element.tag == "name":
            host.names += [element.text or ""] if len(host.names) < _NAMES_LIMIT else []
            return
        # The simple form has elements where the full one has attributes.
        told = dict(element.attrib) | {child.tag: child.text for child in element if child.text}
        if self._service.port:
            self._service.software = self._service.software or told
        elif len(host.systems) < _SYSTEMS_LIMIT:
            host.systems.append(told)

    def _checked(self, element: Element) -> None:
        self.reader.end_record()
        if self._host is not None:
            self._give(Check(element, self._check, self._host, self._service, self._once), self._position)

    def _definition(self, element: Element) -> None:
        self.reader.end_record()
        self._give(Definition(element), self._position)

    def _give(self, raw: Check | Host | Definition, position: Position) -> None:
        raw.notes, self.reader.notes[:] = tuple(self.reader.notes), []
        self.ready.append(Item(raw, position))
