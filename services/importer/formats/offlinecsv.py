"""PlexTrac's table of findings, which people fill in by hand or with a script: one row a finding.

The columns are those of PlexTrac's page "Using Report Findings CSV Template" and of public scripts that write it. Its
own importer wants them in this order and all of them; here the order is free and only title, severity and one more
column must be there. Any other column is a custom field. `affected_assets` has names, addresses, URLs or `host:port`,
between commas or line ends. Nothing is published about the version of `cvss_temporal`: a number is taken for a temporal
score of version 3.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from services.importer.formats.kit.addresses import ip_address, is_hostname, place
from services.importer.formats.kit.csv import Row, header_of, walk_csv
from services.importer.formats.kit.cvss import score, vector_of
from services.importer.formats.kit.format import ByteStream, Format, Item, RecordError
from services.importer.formats.kit.identifiers import cves_in, cwes_in
from services.importer.formats.kit.node import Node
from services.importer.formats.kit.severity import severity_of_word
from services.importer.formats.kit.values import (
    NAME_LIMIT,
    TEXT_LIMIT,
    TITLE_LIMIT,
    URL_LIMIT,
    finding_key,
    line,
    title_number,
)
from services.importer.targets.findings.records import (
    AffectedAsset,
    Asset,
    Caution,
    Finding,
    FindingsRecord,
    Score,
    Severity,
)

SOURCE = "CSV"

_WANTED = tuple(
    frozenset({"title", "severity", third}) for third in ("description", "recommendations", "affected_assets")
)
_DESCRIPTION = ("description",)
_RECOMMENDATIONS = ("recommendations", "recommendation")
_REFERENCES = ("references", "reference")
_ASSETS = ("affected_assets", "affected_asset", "assets")
_KNOWN = frozenset(
    {
        *("title", "severity", "status", "tags", "cvss_temporal", "cwe", "cve", "category"),
        *_DESCRIPTION,
        *_RECOMMENDATIONS,
        *_REFERENCES,
        *_ASSETS,
    }
)

_STATUSES = {"open": "Open", "in process": "In Process", "closed": "Closed"}
_ASSETS_LIMIT = 10_000
_SEPARATOR = re.compile(r"[,\r\n]+")
_NUMBER_SEPARATOR = re.compile(r"[,;\s]+")


def sniff(head: bytes) -> bool:
    return bool(header_of(head, _WANTED))


def walk(stream: ByteStream) -> Iterator[Item]:
    return walk_csv(stream, _WANTED, _KNOWN)


def read(raw: Node) -> tuple[FindingsRecord, ...]:
    row: Row = raw.value
    title = line(row.get("title"), TITLE_LIMIT)
    if not title:
        raise RecordError("MISSING_FIELD", "title", "The row has no title.", line(row.get(*_DESCRIPTION)))
    notes = list(raw.cautions)
    cves, cwes, scores = cves_in([row.get("cve")]), _weaknesses(row.get("cwe")), _scores(row.get("cvss_temporal"))
    is_read = {"cve": bool(cves), "cwe": bool(cwes), "cvss_temporal": any(each.vector for each in scores)}
    finding = Finding(
        key=finding_key(None, title),
        number=title_number(title),
        title=title,
        severity=_severity(row, notes),
        description=_text(row, _DESCRIPTION, notes),
        recommendations=_text(row, _RECOMMENDATIONS, notes),
        references=_text(row, _REFERENCES, notes),
        source=SOURCE,
        cves=cves,
        cwes=cwes,
        scores=scores,
        fields=_fields(row, is_read, notes),
        tags=tuple(_parts(row.get("tags"))),
    )
    places = dict.fromkeys(_parts(row.get(*_ASSETS), URL_LIMIT))
    if len(places) > _ASSETS_LIMIT:
        message = f"The row names more than {_ASSETS_LIMIT} assets."
        raise RecordError("TOO_MANY_ASSETS", "affected_assets", message)
    return (finding, *(record for text in places for record in _affected(raw, finding.key, text)), *notes)


def _affected(raw: Node, key: str, text: str) -> tuple[Asset, AffectedAsset]:
    where = raw.once(("place", text), lambda: place(text))
    name = where.name or line(text)
    asset = raw.once(("asset", name), lambda: _asset(name))
    return asset, AffectedAsset(
        finding=key, asset=asset.ref, port=where.port, protocol=where.protocol, location=where.url
    )


def _asset(name: str) -> Asset:
    address = ip_address(name)
    return Asset(ref=name, name=name, hostname=name if is_hostname(name) else "", ips=(address,) if address else ())


def _severity(row: Row, notes: list[Caution]) -> Severity:
    word = row.get("severity")
    severity = severity_of_word(word) if word else Severity.INFORMATIONAL
    if severity is None:
        notes.append(Caution("UNKNOWN_SEVERITY", f'The severity "{word[:40]}" was read as Informational.'))
    return Severity.INFORMATIONAL if severity is None else severity


def _text(row: Row, names: tuple[str, ...], notes: list[Caution]) -> str:
    text = row.get(*names)
    if len(text) > TEXT_LIMIT:
        notes.append(Caution("TEXT_CUT", f"A text in the column {names[0]} was cut to {TEXT_LIMIT} characters."))
    return text[:TEXT_LIMIT]


def _parts(text: str, limit: int = NAME_LIMIT) -> list[str]:
    return [part for each in dict.fromkeys(_SEPARATOR.split(text)) if (part := line(each, limit))]


def _weaknesses(text: str) -> tuple[int, ...]:
    """CWE numbers from `79`, `CWE-79` or a list of them."""
    return cwes_in(f"CWE-{part}" if part.isdigit() else part for part in dict.fromkeys(_NUMBER_SEPARATOR.split(text)))


def _scores(text: str) -> tuple[Score, ...]:
    system, vector = vector_of(text)
    found = score(system, vector, "") if vector else score("cvss3_1", "", "", temporal=text)
    return (found,) if found else ()


def _fields(row: Row, is_read: dict[str, bool], notes: list[Caution]) -> dict[str, str]:
    """Custom fields: the columns that nobody knows, the status and the category.

    What could not be read stays as it is written; so does a number that names no version of CVSS.
    """
    fields = row.extra()
    if status := row.get("status"):
        known = _STATUSES.get(" ".join(status.lower().replace("_", " ").split()))
        if known is None:
            notes.append(Caution("UNKNOWN_STATUS", f'The status "{status[:40]}" is none of Open, In Process, Closed.'))
        fields["status"] = known or line(status)
    if category := line(row.get("category")):
        fields["category"] = category
    word = row.get("severity")
    is_read = {"severity": not word or severity_of_word(word) is not None, **is_read}
    fields |= {name: text for name, is_ in is_read.items() if not is_ and (text := line(row.get(name)))}
    return fields


FORMAT = Format(
    name="offlinecsv",
    title="a table of findings (CSV)",
    family="offlinecsv",
    syntax="csv",
    extensions=(".csv",),
    sources=("offlinecsv", "custom"),
    sniff=sniff,
    walk=walk,
    read=read,
)
