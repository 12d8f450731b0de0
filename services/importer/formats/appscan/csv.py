"""Reads tables of issues exported by AppScan on Cloud.

No such file is public. Known is that it begins with a line naming the product, and that it has these columns: Issue Id,
Issue Type Name, Severity, Status, Location, Source File, Line, Cve, Cwe, Remediation, Scan Name, Date Created. Assumed
are the other names below, those of the same values in the XML, and that a table need not have them all. A type has no
id here: its name is the key of the finding, so the same scan read from XML gives findings of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from services.importer.formats.appscan.findings import CWE_MAX, SOURCE
from services.importer.formats.appscan.issues import CLOSED, is_parameter
from services.importer.formats.kit.addresses import origin
from services.importer.formats.kit.csv import Row, header_of, walk_csv
from services.importer.formats.kit.cvss import score
from services.importer.formats.kit.format import ByteStream, Format, Item, RecordError
from services.importer.formats.kit.identifiers import cves_in
from services.importer.formats.kit.node import Node, Once
from services.importer.formats.kit.severity import severity_of_word
from services.importer.formats.kit.values import (
    NAME_LIMIT,
    TEXT_LIMIT,
    TITLE_LIMIT,
    URL_LIMIT,
    custom_fields,
    finding_key,
    line,
    paragraphs,
    title_number,
    whole,
)
from services.importer.formats.kit.web import web_asset
from services.importer.targets.findings.records import (
    AffectedAsset,
    Asset,
    Caution,
    Finding,
    FindingsRecord,
    Severity,
)

_WANTED = ({"Issue Type Name", "Severity", "Location"}, {"Issue Type Name", "Severity", "Source File"})

# Columns that notes tell of.
_NOTED = ("Status", "Scan Name", "Date Created", "Last Updated", "Issue Id", "Caller", "Source", "Sink", "Context")
_FIELDS = ("Threat Class", "Language", "Fix Group Id", "Classification")
# Columns that say what an issue is.
_DEFINING = (
    "Severity",
    "Description",
    "Cause",
    "Remediation",
    "References",
    "Cve",
    "Cwe",
    "Cvss",
    "Cvss Vector",
    "Technology",
)
_PLACE = ("Issue Type Name", "Location", "Url", "Source File", "Line", "Element", "Element Type")


def sniff(head: bytes) -> bool:
    return bool(header_of(head, _WANTED))


def walk(stream: ByteStream) -> Iterator[Item]:
    return walk_csv(stream, _WANTED, (*_PLACE, *_DEFINING, *_NOTED, *_FIELDS))


def read(raw: Node) -> tuple[FindingsRecord, ...]:
    row: Row = raw.value
    title = line(row.get("Issue Type Name"), TITLE_LIMIT)
    if not title:
        raise RecordError("MISSING_FIELD", "Issue Type Name", "The row names no type.", line(row.get("Issue Id")))
    status = row.get("Status").lower()
    if status in CLOSED:
        code, word = CLOSED[status]
        return (Caution(code, f'An issue "{title}" is marked as {word} and left out.'), *raw.cautions)
    cautions = list(raw.cautions)
    if severity_of_word(row.get("Severity")) is None:
        word = line(row.get("Severity"), 40)
        cautions.append(Caution("UNKNOWN_SEVERITY", f'The severity "{word}" was read as Informational.'))
    finding = _finding(row, title, raw.once)
    place = _place(row, raw.once)
    element = line(row.get("Element"))
    affected = AffectedAsset(
        finding=finding.key,
        asset=place.asset.ref,
        port=place.port,
        protocol="tcp" if place.port else "",
        service=place.service,
        location=place.location,
        parameters=(element,) if element and is_parameter(row.get("Element Type")) else (),
        notes=_notes(row),
    )
    return (place.asset, finding, affected, *cautions)


def _finding(row: Row, title: str, once: Once) -> Finding:
    # Columns that nobody knows may say something else in every row; the notes have them, too.
    extra = {name: text for name in _FIELDS if (text := row.get(name))} | row.extra()

    def make() -> Finding:
        found = score("", row.get("Cvss Vector"), row.get("Cvss"))
        number = whole(row.get("Cwe").removeprefix("CWE-"))
        technology = line(row.get("Technology"))
        word = severity_of_word(row.get("Severity"))
        return Finding(
            key=finding_key(None, title),
            number=title_number(title),
            title=title,
            severity=Severity.INFORMATIONAL if word is None else word,
            description=paragraphs(row.get("Description"), row.get("Cause"))[:TEXT_LIMIT],
            recommendations=row.get("Remediation")[:TEXT_LIMIT],
            references=row.get("References")[:TEXT_LIMIT],
            source=SOURCE,
            cves=cves_in([row.get("Cve")]),
            cwes=(number,) if number and number < CWE_MAX else (),
            scores=(found,) if found and found.system else (),
            fields=custom_fields(extra),
            tags=(technology,) if technology else (),
        )

    return once((title, *row.cells(_DEFINING), *extra.items()), make)


class _Place(NamedTuple):
    """Where an issue is: a URL, or a line of a source file."""

    asset: Asset
    location: str
    port: int = 0
    service: str = ""


def _place(row: Row, once: Once) -> _Place:
    location, file = row.get("Location", "Url"), line(row.get("Source File"))
    if not file and "://" in location and (web := web_asset(url := origin(location), once)):
        return _Place(web, line(location, URL_LIMIT), url.port, url.scheme[:NAME_LIMIT])
    name = file or line(location)
    if not name:
        raise RecordError("MISSING_FIELD", "Location", "The row names neither a URL nor a file.")
    number = line(row.get("Line"), 20)
    asset = once(("file", name), lambda: Asset(ref=name, name=name, type="Application"))
    return _Place(asset, line(f"{name}:{number}" if whole(number) else name, URL_LIMIT))


def _notes(row: Row) -> str:
    told = {name: row.get(name) for name in _NOTED} | row.extra()
    return "\n".join([f"{name}: {text}" for name, text in told.items() if text])[:TEXT_LIMIT]


FORMAT = Format(
    name="appscan_csv",
    title="a table of AppScan on Cloud",
    family="appscan",
    syntax="csv",
    extensions=(".csv",),
    sources=("hclappscan",),
    sniff=sniff,
    walk=walk,
    read=read,
)
