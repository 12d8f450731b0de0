"""Host based reports of Qualys VM (`ASSET_DATA_REPORT` XML).

An item is one `VULN_INFO` of a host, a `HOST` that has none, or one `VULN_DETAILS` of the glossary. The glossary is the
last part of the file: a detection names its finding by QID, and the two are joined when the import is merged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple
from xml.etree.ElementTree import Element

from services.importer.formats.kit.encoding import Note
from services.importer.formats.kit.format import ByteStream, Format, Item, Position
from services.importer.formats.kit.fragments import Fragments
from services.importer.formats.kit.looks import xml_root
from services.importer.formats.kit.memo import Memo
from services.importer.formats.kit.qualys import finding, qid
from services.importer.formats.kit.trees import text_of
from services.importer.formats.kit.walking import items
from services.importer.formats.kit.xml import Attributes, XmlReader
from services.importer.formats.qualys_vm.detections import (
    SOURCE,
    Detection,
    Place,
    affected,
    fixed,
    is_fixed,
    label,
    place_of,
)
from services.importer.formats.qualys_vm.hosts import asset_of
from services.importer.formats.qualys_vm.knowledge import in_glossary
from services.importer.formats.qualys_vm.plain import Plain
from services.importer.targets.findings.records import Asset, Caution, FindingsRecord

ROOT = "ASSET_DATA_REPORT"

_HOST_PATH = f"{ROOT}/HOST_LIST/HOST"
_DETECTION_PATH = f"{_HOST_PATH}/VULN_INFO_LIST/VULN_INFO"
_DETAILS_PATH = f"{ROOT}/GLOSSARY/VULN_DETAILS_LIST/VULN_DETAILS"
# Parts without hosts and glossary, which have elements of the same names.
_SKIPPED = ("HEADER", "RISK_SCORE_PER_HOST", "APPENDICES")

_CHILDREN = {
    "QID": "qid",
    "TYPE": "kind",
    "PORT": "port",
    "SERVICE": "service",
    "FQDN": "fqdn",
    "PROTOCOL": "protocol",
    "SSL": "ssl",
    "INSTANCE": "instance",
    "RESULT": "result",
    "FIRST_FOUND": "first_found",
    "LAST_FOUND": "last_found",
    "TIMES_FOUND": "times_found",
    "VULN_STATUS": "status",
    "LAST_FIXED": "last_fixed",
    "CVSS_FINAL": "cvss",
    "CVSS3_FINAL": "cvss3",
    "TICKET_NUMBER": "ticket",
    "TICKET_STATE": "ticket_state",
}
_HOST_CHILDREN = frozenset(
    {"IP", "IPV6", "DNS", "NETBIOS", "OPERATING_SYSTEM", "ASSET_TAG", "ASSET_GROUP_TITLE", "HOST_ID", "QG_HOSTID"}
)
_MORE_COUNT = _LISTED_COUNT = 100
_TEXT_LIMIT = 1 << 16
# QIDs whose detections are told apart; Qualys has some hundred thousand.
_QID_COUNT, _QID_LENGTH = 200_000, 18
# What is known of QIDs and places takes so much besides its text, and may take so much in all.
_KNOWN_BYTES, _KNOWN_LIMIT = 600, 6 << 20


class Host:
    """A `HOST`: its texts by element. `asset` is kept here once made, so that all its items have the same object."""

    __slots__ = ("asset", "texts")

    def __init__(self) -> None:
        self.texts: dict[str, list[str]] = {}
        self.asset: Asset | None = None


class Common(NamedTuple):
    """The texts of a detection that repeat."""

    qid: str
    port: str
    protocol: str
    service: str
    status: str


class Known:
    """What many detections have in common. `made`, QID and place, keeps what was read of it."""

    __slots__ = ("is_fixed", "made", "told")

    def __init__(self, told: Common) -> None:
        self.told = told
        self.is_fixed = is_fixed(told.status)
        self.made: tuple[str, Place] | None = None


@dataclass(slots=True)
class Seen:
    """One detection on a host; without a detection it is a host that has none."""

    host: Host
    detection: Detection | None = None
    known: Known | None = None
    notes: tuple[Note, ...] = ()


@dataclass(slots=True)
class Details:
    """One entry of the glossary. `is_left_out` where all detections of its QID before it are marked as fixed."""

    element: Element
    is_left_out: bool
    notes: tuple[Note, ...] = ()


def sniff(head: bytes) -> bool:
    return xml_root(head)[0] == ROOT


def walk(stream: ByteStream) -> Iterator[Item]:
    report = _Report(stream)
    return items(report.reader, report.ready, Fragments(report.reader, b"VULN_INFO", report, is_bare=True))


class _Report:
    """The state of one pass: the host and the detection that are open, and the QIDs seen."""

    def __init__(self, stream: ByteStream) -> None:
        self.ready: list[Item] = []
        self.reader = XmlReader(
            stream,
            frozenset({ROOT}),
            starts={
                **dict.fromkeys(_SKIPPED, self._skipped),
                "HOST": self._host_begins,
                "VULN_INFO": self._detection_begins,
                "VULN_DETAILS": self._details_begin,
            },
            ends={"HOST": self._host_ends, "VULN_INFO": self._detection_ends},
            default_end=self._child_ends,
        )
        self._host: Host | None = None
        self._host_position = self._position = Position()
        self._open: dict[str, str] | None = None
        self._has_items = False
        self._plain = Plain()
        self._known: Memo[tuple[str, str, str, str, str], Known] = Memo(_KNOWN_LIMIT)
        self._active, self._fixed = set[str](), set[str]()

    # Handlers.

    def _skipped(self, attributes: Attributes) -> None:
        if self._host is None:
            self.reader.skip()

    def _host_begins(self, attributes: Attributes) -> None:
        self._host_position = self.reader.begin_record(_HOST_PATH)
        self.reader.end_record()
        self._host, self._has_items = Host(), False

    def _host_ends(self, text: str) -> None:
        if self._host is not None and not self._has_items:
            self.ready.append(Item(Seen(self._host, notes=self._noted()), self._host_position))
        self._host = None

    def _detection_begins(self, attributes: Attributes) -> None:
        self._position = self.reader.begin_record(_DETECTION_PATH)
        self._open = {}

    def _detection_ends(self, text: str) -> None:
        self.reader.end_record()
        told, self._open = self._open, None
        if told is None or self._host is None:
            return
        known = {name: told.pop(child) for child, name in _CHILDREN.items() if child in told}
        more = tuple((label(child), each.strip()) for child, each in told.items() if each.strip())
        self._give(Detection(**known, more=more), self._position)

    def _child_ends(self, name: str, text: str) -> None:
        if self._open is not None:
            if name in _CHILDREN or len(self._open) < _MORE_COUNT:
                self._open.setdefault(name, text)
        elif self._host is not None and name in _HOST_CHILDREN:
            listed = self._host.texts.setdefault(name, [])
            if len(listed) < _LISTED_COUNT:
                listed.append(text[:_TEXT_LIMIT])

    def _details_begin(self, attributes: Attributes) -> None:
        self._position = self.reader.begin_record(_DETAILS_PATH)
        self.reader.build("VULN_DETAILS", attributes, self._details_end)

    def _details_end(self, element: Element) -> None:
        self.reader.end_record()
        number = text_of(element, "QID")
        is_left_out = number in self._fixed and number not in self._active
        self.ready.append(Item(Details(element, is_left_out, self._noted()), self._position))

    def _give(self, detection: Detection, position: Position) -> None:
        if self._host is None:
            return
        self._has_items = True
        told = detection.qid, detection.port, detection.protocol, detection.service, detection.status
        known = self._known.get(told) or self._learn(Common(*told))
        self.ready.append(Item(Seen(self._host, detection, known, self._noted()), position))

    def _learn(self, told: Common) -> Known:
        known = Known(told)
        self._known.put(told, known, _KNOWN_BYTES + sum(map(len, told)))
        seen = self._fixed if known.is_fixed else self._active
        if len(seen) < _QID_COUNT:
            seen.add(told.qid.strip()[:_QID_LENGTH])
        return known

    def _noted(self) -> tuple[Note, ...]:
        if not self.reader.notes:
            return ()
        notes = tuple(self.reader.notes)
        self.reader.notes.clear()
        return notes

    # What needs no parser.

    def is_expecting(self) -> bool:
        return self._host is not None and self._open is None

    def recall(self, fragment: bytes) -> bool:
        detection = self._plain.detection(fragment)
        if detection is None:
            return False
        self._give(detection, self.reader.position(_DETECTION_PATH))
        return True

    def learn(self, fragment: bytes) -> None:
        pass


def read(raw: Seen | Details) -> tuple[FindingsRecord, ...]:
    notes = tuple(Caution(*note) for note in raw.notes) if raw.notes else ()
    if isinstance(raw, Details):
        if raw.is_left_out:
            number = qid(raw.element.findtext("QID") or "")
            return (Caution("FIXED", f"QID {number} is marked as fixed on all its hosts and left out."), *notes)
        return (*finding(in_glossary(raw.element), SOURCE), *notes)
    host, detection, known = raw.host, raw.detection, raw.known
    asset = host.asset = host.asset or _asset(host)
    if detection is None or known is None:
        return (asset, *notes)
    number, place = known.made = known.made or _made(known.told)
    if known.is_fixed:
        return (asset, fixed(number), *notes)
    return (asset, *affected(detection, number, asset, place), *notes)


def _made(told: Common) -> tuple[str, Place]:
    return qid(told.qid), place_of(told.port, told.protocol, told.service)


def _asset(host: Host) -> Asset:
    told = host.texts
    return asset_of(
        (*told.get("IP", ()), *told.get("IPV6", ())),
        dns=_first(told, "DNS"),
        netbios=_first(told, "NETBIOS"),
        systems=told.get("OPERATING_SYSTEM", ()),
        tags=(*told.get("ASSET_TAG", ()), *told.get("ASSET_GROUP_TITLE", ())),
        other_name=_first(told, "HOST_ID") or _first(told, "QG_HOSTID"),
    )


def _first(texts: dict[str, list[str]], name: str) -> str:
    return next(iter(texts.get(name, ())), "")


FORMAT = Format(
    name="qualys_vm_report",
    title="a Qualys VM host report",
    family="qualys_vm",
    syntax="xml",
    extensions=(".xml",),
    sources=("qualys",),
    sniff=sniff,
    walk=walk,
    read=read,
)
