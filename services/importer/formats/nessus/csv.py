"""Tables of Nessus and of Tenable's other products: one row a plugin on one port of one host.

The rows become the raw items of a Nessus report and are read as those are, so the same scan gives the same findings as
a table and as a report. Some tables have a row for each CVE of a plugin: the definitions of one plugin then differ in
their CVEs alone, and the merge unites those.

Columns were taken from public exports of every product but web application scans with dotted names, which are assumed
to be like those of hosts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from services.importer.formats.kit.csv import Row, header_of, walk_csv
from services.importer.formats.kit.format import ByteStream, Format, Item
from services.importer.formats.kit.node import Node
from services.importer.formats.kit.severity import severity_of_word
from services.importer.formats.kit.values import TEXT_LIMIT, line, unique_lines, whole
from services.importer.formats.nessus import columns
from services.importer.formats.nessus.read import made_once, read_host
from services.importer.formats.nessus.read import read as read_item
from services.importer.formats.nessus.report import Definition, Host, ReportItem
from services.importer.formats.nessus.walk import parted
from services.importer.targets.findings.records import AffectedAsset, Caution, FindingsRecord

_WANTED = (
    frozenset({"Plugin ID", "Host", "Name"}),
    frozenset({"Plugin", "Plugin Name", "Severity"}),
    frozenset({"definition.id", "definition.name", "asset.name"}),
)

Pairs = tuple[tuple[str, str], ...]

_RESULTS = frozenset({"PASSED", "FAILED", "WARNING", "ERROR"})
_ABSENT = frozenset({"", "null", "n/a"})
_NOT_SO = _ABSENT | {"false", "no"}
_LIST = re.compile(r"[;,\s]+")
_LISTED = re.compile(r"[;\n]|,\s")
_TAG = re.compile(r'"category"\s*:\s*"([^"]{1,200})"\s*,\s*"value"\s*:\s*"([^"]{1,200})"')
_HIGHEST_SCORE = 10


def sniff(head: bytes) -> bool:
    return bool(header_of(head, _WANTED))


def walk(stream: ByteStream) -> Iterator[Item]:
    return walk_csv(stream, _WANTED, columns.KNOWN)


def read(raw: Node) -> tuple[FindingsRecord, ...]:
    row: Row = raw.value
    definition, own = _definition(raw)
    if not row.has(*columns.HOST):
        made = made_once(definition)
        told = Caution("NO_HOSTS", "The table is a summary without hosts: its findings have no affected assets.")
        return (made.finding, *made.cautions, told, *raw.cautions)
    host = _host(raw)
    if row.get(*columns.STATE).lower() == "fixed":
        told = Caution("FIXED", "What Tenable calls fixed is left out.")
        return (read_host(host), told, *raw.cautions)
    item = ReportItem(
        host,
        definition,
        row.get(*columns.PORT),
        row.get(*columns.SERVICE),
        row.get(*columns.PROTOCOL),
        _output(row.exact(*columns.OUTPUT)),
        own,
    )
    notes = _notes(row)
    records = (_with_notes(record, notes) for record in read_item(item))
    return (*records, *raw.cautions)


def _definition(raw: Node) -> tuple[Definition, Pairs]:
    """What the row says of the plugin, and what of the host."""
    row: Row = raw.value
    return raw.once(("plugin", *row.cells(columns.OF_PLUGIN)), lambda: _defined(row))


def _defined(row: Row) -> tuple[Definition, Pairs]:
    severity, family = row.get(*columns.SEVERITY), row.get(*columns.FAMILY)
    told = (row.get(*columns.PLUGIN_ID), row.get(*columns.NAME), family, _severity_digit(severity))
    texts = [(name, text) for name, *names in columns.TEXTS if (text := _present(row.get(*names)))]
    texts += [(name, _with_point(name, text)) for name, *names in columns.SCORES if (text := _present(row.get(*names)))]
    texts += [(name, "true") for name, *names in columns.FLAGS if row.get(*names).lower() not in _NOT_SO]
    texts = [pair for name, text in texts for pair in _listed(name, text)]
    if severity.upper() in _RESULTS:
        texts += [("compliance", "true"), ("cm:compliance-result", severity.upper())]
    shared, own = parted({"pluginFamily": family}, texts)
    # Unknown columns may differ from row to row; the finding has those of the first, each place its own.
    return Definition(told, (*shared, *row.extra().items())), tuple(own)


def _severity_digit(text: str) -> str:
    """As the attribute of a report: 4 is critical. "" leaves it to risk factor and scores."""
    severity = severity_of_word(text)
    return "43210"[severity] if severity is not None else text if text in {*"01234"} else ""


def _present(text: str) -> str:
    return "" if text.lower() in _ABSENT else text


def _with_point(name: str, text: str) -> str:
    """A score with its decimal point back: spreadsheets of some countries make 98 of 9.8 and 3833 of 0.3833."""
    number = whole(text)
    if number is None:
        return text
    if name == "epss_score":
        return f"0.{text}" if number > 1 else text
    return f"{text[:-1]}.{text[-1]}" if number > _HIGHEST_SCORE else text


def _listed(name: str, text: str) -> list[tuple[str, str]]:
    """The elements of a report that a cell stands for, which has what they repeat as a list."""
    if name == "cwe":
        return [(name, part) for part in _LIST.split(text) if part]
    if name in {"see_also", "xref", "bid", "cpe"}:
        return [(name, part.strip()) for part in _LISTED.split(text) if part.strip()]
    return [(name, text)]


def _host(raw: Node) -> Host:
    row: Row = raw.value
    return raw.once(("host", *row.cells(columns.OF_HOST)), lambda: _described(row))


def _described(row: Row) -> Host:
    host = Host(line(row.get(*columns.HOST)))
    host.labels = tuple(f"{category}:{value}" for category, value in _TAG.findall(row.get(*columns.TAGS)))
    for tag, *names in columns.HOST_TAGS:
        host.tags[tag] = unique_lines(*(_present(row.get(name)) for name in names))
    # A workgroup may stand before the name: WORKGROUP\NAME.
    host.tags["netbios-name"] = host.tags["netbios-name"].rpartition("\\")[2]
    return host


def _output(text: str) -> str:
    """Plugin output without what Tenable.sc and spreadsheets put before it."""
    if text.startswith("Plugin Output:"):
        return text.removeprefix("Plugin Output:").lstrip(" ")
    return text[1:] if text.startswith("'\n") else text


def _notes(row: Row) -> str:
    pairs = ((label, _present(row.get(*names))) for label, *names in columns.NOTES)
    told = [f"{label}: {text}" for label, text in pairs if text and text.lower() != "none"]
    told += [f"{label}: {text}" for label, text in row.extra().items()]
    return "\n".join(told)[:TEXT_LIMIT]


def _with_notes(record: FindingsRecord, notes: str) -> FindingsRecord:
    if not notes or not isinstance(record, AffectedAsset):
        return record
    return msgspec.structs.replace(record, notes=unique_lines(record.notes, notes)[:TEXT_LIMIT])


FORMAT = Format(
    name="nessus_csv",
    title="a Nessus or Tenable table (CSV)",
    family="nessus",
    syntax="csv",
    extensions=(".csv",),
    sources=("nessus",),
    sniff=sniff,
    walk=walk,
    read=read,
)
