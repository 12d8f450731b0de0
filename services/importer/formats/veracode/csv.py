"""Reads the issues that Veracode's agent for components exports as CSV."""

from __future__ import annotations

from collections.abc import Iterator

from services.importer.formats.kit.csv import Row, header_of, walk_csv
from services.importer.formats.kit.cvss import score
from services.importer.formats.kit.format import ByteStream, Format, Item
from services.importer.formats.kit.identifiers import cves_in
from services.importer.formats.kit.node import Node
from services.importer.formats.kit.severity import severity_of_word
from services.importer.formats.kit.values import URL_LIMIT, line
from services.importer.formats.veracode.findings import component, labelled, left_out, vulnerability
from services.importer.targets.findings.records import AffectedAsset, Caution, FindingsRecord, Severity

_WANTED = (("Issue ID", "Issue type", "Library", "Version in use"),)
_NOTED = (
    "Issue ID", "Ignored", "Project", "Branch", "Tag", "Package manager", "Coordinate 1", "Coordinate 2",
    "Dependency (Transitive or Direct)", "Issue opened: Scan date", "Scan date", "Status",
    "Has vulnerable methods", "License", "License Risk",
)  # fmt: skip
_KNOWN = frozenset({
    *_NOTED, "Issue type", "Project ID", "Library", "Version in use", "Library release date",
    "Latest version", "Latest release date", "Issue opened: Scan ID", "Issue fixed: Scan ID",
    "Issue fixed: Scan date", "Scan", "Vulnerability ID", "Title", "CVSS score", "Severity", "CVE",
    "Public or Veracode Customer Access", "Disclosure date", "Number of vulnerable methods", "Updated release date",
    "Release date", "Updated Version",
})  # fmt: skip


def sniff(head: bytes) -> bool:
    return bool(header_of(head, _WANTED))


def walk(stream: ByteStream) -> Iterator[Item]:
    return walk_csv(stream, _WANTED, _KNOWN)


def read(raw: Node) -> tuple[FindingsRecord, ...]:
    row: Row = raw.value
    kind = row.get("Issue type").lower()
    if kind not in {"vulnerability", ""}:
        message = f'Issues of the type "{line(kind, 40)}" are no vulnerabilities and left out.'
        return (Caution("NO_VULNERABILITY", message), *raw.cautions)
    title = row.get("Title")
    if caution := left_out(title, row.get("Status")):
        return (caution, *raw.cautions)
    word = row.get("Severity")
    severity = severity_of_word(word)
    doubts = (
        ()
        if severity is not None
        else (Caution("UNKNOWN_SEVERITY", f'The severity "{line(word, 40)}" was read as Informational.'),)
    )
    number = row.get("CVE")
    # Written without its prefix.
    cve = f"CVE-{number}" if number[:4].isdigit() else number
    found = score("cvss3", "", row.get("CVSS score"))
    updated = row.get("Updated Version")
    finding = vulnerability(
        raw.once,
        cve or row.get("Vulnerability ID"),
        Severity.INFORMATIONAL if severity is None else severity,
        title=title,
        cves=cves_in([cve]),
        scores=(found,) if found else (),
        fields={
            "vulnerability_id": row.get("Vulnerability ID"),
            "disclosure_date": row.get("Disclosure date"),
            **row.extra(),
        },
    )
    asset = component(raw.once, row.get("Library"), row.get("Version in use"))
    notes = labelled(
        *((name, row.get(name)) for name in _NOTED),
        ("Latest version", row.get("Latest version")),
        ("Fixed in", updated),
    )
    location = line(":".join(filter(None, (row.get("Coordinate 1"), row.get("Coordinate 2")))), URL_LIMIT)
    affected = AffectedAsset(finding=finding.key, asset=asset.ref, location=location, notes=notes)
    return (asset, finding, affected, *doubts, *raw.cautions)


FORMAT = Format(
    name="veracode_csv",
    title="issues of Veracode's agent in CSV",
    family="veracode",
    syntax="csv",
    extensions=(".csv",),
    sources=("veracode",),
    sniff=sniff,
    walk=walk,
    read=read,
)
