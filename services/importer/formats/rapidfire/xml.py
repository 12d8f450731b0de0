"""RapidFire exports as XML.

Nothing is published about them. It is assumed that they hold what the tables hold: an element for each row, whose
children or attributes are named like the columns, spelled as in .NET data sets (`<IP_x0020_Address>`) or otherwise. A
document in which no row can be found that way is refused, not passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from services.importer.formats.kit.csv import Columns, Row, plain_name
from services.importer.formats.kit.format import ByteStream, Format, Item, WrongFormat
from services.importer.formats.kit.looks import text_of, xml_root
from services.importer.formats.kit.node import Node
from services.importer.formats.kit.trees import all_text, walk_trees
from services.importer.formats.rapidfire.findings import KNOWN, read_row
from services.importer.targets.findings.records import Caution, FindingsRecord

_ROOTS = frozenset(
    {
        *("NewDataSet", "DocumentElement", "DataSet", "VulnerabilityScanReport", "VulScan", "VulScanReport"),
        *("RapidFire", "RapidFireTools", "NetworkDetective", "ScanReport", "Report", "Vulnerabilities", "Issues"),
    }
)
_LISTS = ("Devices", "Device", "Issues", "Vulnerabilities", "Findings", "Rows", "Results", "Data")
_ROWS = frozenset(
    {
        *("Table", "Table1", "Row", "Record", "Item", "Entry", "Result", "Issue", "Vulnerability", "Finding"),
        *("ByDevice", "ByIssue", "VulnerabilityScan", "VulnerabilityScanResult"),
    }
)
_SIGNS = ({"issue", "severity", "oid"}, {"issue", "severity", "affecteddevices"}, {"issue", "severity", "ipaddress"})

# .NET writes what a name may not have as its number: IP_x0020_Address.
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_NAME = re.compile(r"<([A-Za-z_][\w.:-]{0,200})|\s([A-Za-z_][\w.:-]{0,200})=[\"']")


def sniff(head: bytes) -> bool:
    if xml_root(head)[0] not in _ROOTS:
        return False
    names = {plain_name(_unescaped(element or attribute)) for element, attribute in _NAME.findall(text_of(head))}
    return any(signs <= names for signs in _SIGNS)


def walk(stream: ByteStream) -> Iterator[Item]:
    found = False
    for item in walk_trees(stream, roots=_ROOTS, items=_ROWS, contexts=dict.fromkeys(_LISTS)):
        if not found and not _is_row(item.raw.value):
            break
        found = True
        yield item
    if not found:
        raise WrongFormat("The file is XML without rows that name an issue and its severity, as RapidFire's do.")


def read(raw: Node) -> tuple[FindingsRecord, ...]:
    cells = _cells(raw.value)
    columns = raw.once(("columns", *cells), lambda: Columns(tuple(cells), KNOWN))
    notes = (Caution(*note) for note in columns.notes("as fields"))
    return (*read_row(Row(list(cells.values()), columns), raw), *notes)


def _is_row(element: Element) -> bool:
    return {"issue", "severity"} <= set(map(plain_name, _cells(element)))


def _cells(element: Element) -> dict[str, str]:
    """The columns of a row; what stands more than once is a list."""
    cells = {_unescaped(name): text for name, text in element.attrib.items()}
    for child in element:
        name, text = _unescaped(child.tag), all_text(child)
        cells[name] = f"{cells[name]},{text}" if cells.get(name) else text
    return cells


def _unescaped(name: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), name)


FORMAT = Format(
    name="rapidfire_xml",
    title="a RapidFire export (XML)",
    family="rapidfire",
    syntax="xml",
    extensions=(".xml",),
    sources=("rapidfire",),
    sniff=sniff,
    walk=walk,
    read=read,
)
