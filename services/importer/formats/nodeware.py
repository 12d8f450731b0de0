"""Reads exports of Nodeware, IGI's vulnerability scanner: JSON, and tables.

Public is one page of PlexTrac about its import of Nodeware's JSON: findings have `title` and `severity`, and no id of
their own. No file is public. Assumed is the rest:

- findings stand in a list that is the document, or in a member called `findings`, `vulnerabilities` or the like;
- names are like those below, whatever their case, spaces and signs; what else there is, is kept as notes and told;
- a finding names one host, or has a list of hosts: names, addresses, or objects with names like those of a finding;
- JSON is known by `title` and `severity` beside each other in such a list, in an object beside a name for a host too; a
  table by those and a host, without a column that another tool has. Either is known by the word Nodeware as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from typing import Any

from services.importer.formats.kit.addresses import ip_address, is_hostname, mac_address, place
from services.importer.formats.kit.csv import header_of, plain_name, walk_csv
from services.importer.formats.kit.cvss import score
from services.importer.formats.kit.entries import (
    Entry,
    ObjectEntry,
    beginning,
    entry_of,
    plain_names,
    shown,
    unchosen,
    walk_objects,
)
from services.importer.formats.kit.evidence import cautions_of, evidence
from services.importer.formats.kit.format import ByteStream, Format, Item, RecordError
from services.importer.formats.kit.identifiers import cves_in, cwes_in
from services.importer.formats.kit.json import member_paths
from services.importer.formats.kit.looks import text_of
from services.importer.formats.kit.node import Node, Once
from services.importer.formats.kit.severity import severity_of_score, severity_of_word
from services.importer.formats.kit.values import (
    PORT_MAX,
    TEXT_LIMIT,
    TITLE_LIMIT,
    custom_fields,
    decimal,
    finding_key,
    line,
    paragraphs,
    title_number,
    unique_lines,
    whole,
)
from services.importer.targets.findings.records import (
    AffectedAsset,
    Asset,
    Caution,
    Evidence,
    Finding,
    FindingsRecord,
    Severity,
)

SOURCE = "Nodeware"

_TITLE, _SEVERITY = ("title", "vulnerability name", "vulnerability", "name"), ("severity", "risk", "threat")
_SCORE = ("cvss", "cvss score", "cvss base score", "cvss v3 score", "score")
_VECTOR = ("cvss vector", "cvss base vector", "vector")
_DESCRIPTION, _IMPACT, _INSIGHT = ("description", "summary", "synopsis"), ("impact",), ("insight", "details")
_ADVICE = ("solution", "remediation", "recommendation", "recommendations", "resolution", "fix")
_REFERENCES = ("references", "reference", "links", "see also", "urls")
_CVES, _CWES = ("cve", "cves", "cve id", "cve ids"), ("cwe", "cwes", "cwe id")
_OUTPUT = ("output", "evidence", "result", "specific result", "proof", "detection result")
_HOSTS = ("hosts", "assets", "devices", "affected hosts", "affected assets", "affected devices", "targets")
_NAME = ("hostname", "host name", "host", "device name", "device", "asset name", "asset", "dns name", "target")
_ADDRESS = ("ip", "ip address", "host ip", "ipv4", "address", "ips", "ip addresses")
_MAC, _SYSTEM = ("mac", "mac address"), ("os", "operating system")
_PORT, _PROTOCOL, _SERVICE = ("port", "port number"), ("protocol", "port protocol"), ("service", "service name")
_FIELDS = {
    "id": ("oid", "nvt oid", "vulnerability id", "plugin id", "check id"),
    "family": ("family", "category", "type"),
}
_NOTES = {
    "First seen": ("first seen", "first detected", "first found"),
    "Last seen": ("last seen", "last detected", "last found", "date", "timestamp"),
    "Status": ("status", "state"),
}
_OF_HOSTS = (_NAME, _ADDRESS, _MAC, _SYSTEM, _PORT, _PROTOCOL, _SERVICE)
_KNOWN = plain_names(
    *(_TITLE, _SEVERITY, _SCORE, _VECTOR, _DESCRIPTION, _IMPACT, _INSIGHT, _ADVICE, _REFERENCES, _CVES, _CWES, _OUTPUT),
    *(_HOSTS, *_OF_HOSTS, *_FIELDS.values(), *_NOTES.values()),
)
_CHOICES = (_TITLE, _SEVERITY, _SCORE, _DESCRIPTION, _INSIGHT, _ADVICE, _REFERENCES, _OUTPUT, _NAME, _ADDRESS,
            *_FIELDS.values(), *_NOTES.values())  # fmt: skip
_KNOWN_OF_HOSTS = plain_names(*_OF_HOSTS)

_NODEWARE = re.compile(r"\bnodeware\b", re.IGNORECASE)
_LISTS = ("findings", "vulnerabilities", "results", "issues", "data", "items")
_PATHS = frozenset({"[]", *(f"{name}[]" for name in _LISTS)})
_PLACED = plain_names(_HOSTS, _NAME, _ADDRESS)
_WANTED = [frozenset({"title", "severity", name}) for name in (*_HOSTS, *_NAME, *_ADDRESS)]
_NAMED = [frozenset({title, severity}) for title, severity in product(_TITLE, _SEVERITY)]
# Columns and members by which other tools are known.
_OTHERS = plain_names(
    ("QID", "plugin", "plugin name", "issue", "issue id", "flaw_id", "scan type", "affected_assets", "sources"),
    ("location", "technique", "technique id", "rtags"),
)

_LIST = re.compile(r"[,;\r\n]+")
_PORT_TEXT = re.compile(r"(\d{1,5})(?:/(\w{1,16}))?")
_PLACES_LIMIT, _HIGHEST = 65_536, 10


def sniff_csv(head: bytes) -> bool:
    return bool(header_of(head, _wanted(head), _is_header))


def walk_table(stream: ByteStream) -> Iterator[Item]:
    head, whole_table = beginning(stream)
    return walk_csv(whole_table, _wanted(head), _KNOWN, check=_is_header, kept="as notes")


def _wanted(head: bytes) -> list[frozenset[str]]:
    """The columns of which a table must have some: less is enough where it names the product."""
    return _NAMED if _NODEWARE.search(text_of(head)) else _WANTED


def _is_header(names: frozenset[str]) -> bool:
    return not names & _OTHERS


def sniff_json(head: bytes) -> bool:
    names: dict[str, set[str]] = {}
    for path in member_paths(head):
        above, _, name = path.rpartition(".")
        names.setdefault(above, set()).add(plain_name(name))
    is_named = _NODEWARE.search(text_of(head)) is not None
    return any(
        found >= {"title", "severity"} and (is_named or (not found & _OTHERS and (path == "[]" or found & _PLACED)))
        for path, found in names.items()
        if path in _PATHS
    )


def walk_findings(stream: ByteStream) -> Iterator[Item]:
    return walk_objects(stream, items=_PATHS, known=_KNOWN, sniff=sniff_json, title="an export of Nodeware")


def read(raw: Node) -> tuple[FindingsRecord, ...]:
    entry = entry_of(raw, _KNOWN)
    title = line(entry.get(*_TITLE), TITLE_LIMIT)
    if not title:
        raise RecordError("MISSING_FIELD", "title", "The finding has no title.")
    severity, cautions = _severity(entry)
    hosts, unnamed = _hosts(entry)
    output = entry.get(*_OUTPUT)
    told = {label: entry.get(*names) for label, names in _NOTES.items()} | unchosen(entry, *_CHOICES) | entry.extra()
    # What belongs to a host is kept with the finding where no host is named.
    fields = {} if hosts else told | {"Output": output}
    finding = raw.once.same(_finding(entry, title, severity, fields))
    pieces = (evidence("Output", output),) if output else ()
    notes = "\n".join(f"{label}: {value}" for label, value in told.items() if value)
    places = (record for host in hosts for record in _place(finding.key, host, entry, notes, pieces, raw.once))
    return (finding, *places, *cautions, *unnamed, *(cautions_of(pieces) if hosts else ()), *raw.cautions)


class _Named:
    """A host of which a list has no more than its name or address."""

    def __init__(self, text: str) -> None:
        self._text = text

    def get(self, *names: str) -> str:
        return self._text if names == _NAME else ""

    def cells(self, names: tuple[str, ...], /) -> tuple[str, ...]:
        return (self._text,) if names == _NAME else ()

    def extra(self) -> dict[str, str]:
        return {}


def _hosts(entry: Entry) -> tuple[list[Entry], tuple[Caution, ...]]:
    """What describes the hosts of a finding: the elements of its list, else the finding itself; and what does not."""
    values: list[Any] = entry.values(*_HOSTS) if isinstance(entry, ObjectEntry) else [entry.get(*_HOSTS)]
    hosts: list[Entry] = []
    for value in values:
        if isinstance(value, dict):
            hosts.append(ObjectEntry(value, _KNOWN_OF_HOSTS))
        else:
            hosts += [_Named(text) for part in _LIST.split(shown(value)) if (text := line(part))]
    if len(hosts) > _PLACES_LIMIT:
        raise RecordError("TOO_MANY_ASSETS", "hosts", f"The finding names more than {_PLACES_LIMIT} hosts.")
    named = [host for host in hosts if host.get(*_NAME) or host.get(*_ADDRESS)]
    left_out = Caution("HOST_WITHOUT_NAME", "Hosts of findings that have neither name nor address are left out.")
    is_placed = bool(entry.get(*_NAME) or entry.get(*_ADDRESS))
    return named or ([entry] if is_placed else []), (left_out,) if len(named) < len(hosts) else ()


def _place(
    key: str, host: Entry, entry: Entry, notes: str, pieces: tuple[Evidence, ...], once: Once
) -> tuple[Asset, AffectedAsset]:
    """The asset that a host is, and where on it the finding is; what a host lacks, the finding may say for all."""
    where = place(host.get(*_NAME))
    asset = once.same(_asset(host, where.name))
    told = _PORT_TEXT.match(host.get(*_PORT) or entry.get(*_PORT))
    number = whole(told[1]) if told else None
    port = number if number is not None and number <= PORT_MAX else where.port
    protocol = line(host.get(*_PROTOCOL) or entry.get(*_PROTOCOL)) or (told[2] if told and told[2] else where.protocol)
    own = "" if host is entry else "\n".join(f"{name}: {value}" for name, value in host.extra().items())
    affected = AffectedAsset(
        finding=key,
        asset=asset.ref,
        port=port,
        protocol=(protocol or "tcp").lower() if port else "",
        service=line(host.get(*_SERVICE) or entry.get(*_SERVICE)),
        location=where.url,
        notes=unique_lines(own, notes)[:TEXT_LIMIT],
        evidence=pieces,
    )
    return asset, affected


def _asset(host: Entry, name: str) -> Asset:
    addresses = [ip for part in _LIST.split(host.get(*_ADDRESS)) if (ip := ip_address(part))]
    own = ip_address(name)
    shown_name = name or next(iter(addresses), "") or line(host.get(*_ADDRESS))
    system = line(host.get(*_SYSTEM))
    return Asset(
        ref=shown_name,
        name=shown_name,
        hostname=name if is_hostname(name) or (addresses and not own) else "",
        ips=tuple(dict.fromkeys(ip for ip in (*addresses, own) if ip)),
        mac=mac_address(host.get(*_MAC)),
        operating_systems=(system,) if system else (),
    )


def _finding(entry: Entry, title: str, severity: Severity, fields: dict[str, str]) -> Finding:
    labelled = (("Impact", entry.get(*_IMPACT)), ("Insight", entry.get(*_INSIGHT)))
    description = paragraphs(entry.get(*_DESCRIPTION), *(f"{label}:\n{text}" for label, text in labelled if text))
    references, cves, cwes = entry.get(*_REFERENCES), entry.get(*_CVES), entry.get(*_CWES)
    number = entry.get(*_SCORE)
    found = score("", entry.get(*_VECTOR), number)
    told = {name: entry.get(*names) for name, names in _FIELDS.items()}
    # A number without a vector names no version of CVSS.
    told |= {"cvss": "" if found and found.system else number, "severity": entry.get(*_SEVERITY)}
    return Finding(
        key=finding_key(None, title),
        number=title_number(title),
        title=title,
        severity=severity,
        description=description[:TEXT_LIMIT],
        recommendations=entry.get(*_ADVICE)[:TEXT_LIMIT],
        references=unique_lines(references)[:TEXT_LIMIT],
        source=SOURCE,
        cves=cves_in([title, cves, description, references]),
        cwes=cwes_in(f"CWE-{part}" if part.isdigit() else part for part in _LIST.split(cwes)),
        scores=(found,) if found and found.system else (),
        fields=custom_fields(told | fields),
    )


def _severity(entry: Entry) -> tuple[Severity, tuple[Caution, ...]]:
    word = entry.get(*_SEVERITY)
    if (severity := severity_of_word(word)) is not None:
        return severity, ()
    number = decimal(word) if word else decimal(entry.get(*_SCORE))
    if number is not None and 0 <= number <= _HIGHEST:
        return severity_of_score(number), ()
    told = f'The severity "{line(word, 40)}"' if word else "A finding without a severity"
    message = f"{told} was read as Informational."
    return Severity.INFORMATIONAL, (Caution("UNKNOWN_SEVERITY", message),)


FORMATS = (
    Format(
        name="nodeware",
        title="an export of Nodeware",
        family="nodeware",
        syntax="json",
        extensions=(".json",),
        sources=("nodeware",),
        sniff=sniff_json,
        walk=walk_findings,
        read=read,
    ),
    Format(
        name="nodeware_csv",
        title="a table of Nodeware (CSV)",
        family="nodeware",
        syntax="csv",
        extensions=(".csv",),
        sources=("nodeware",),
        sniff=sniff_csv,
        walk=walk_table,
        read=read,
    ),
)
