"""Tables of results as OpenVAS and Greenbone export them ("CSV Results"): one row a result.

Columns are those of public exports from 2018 to 2024. A table names no version of CVSS, so its number is a field and
no score.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from services.importer.formats.kit.csv import Row, header_of, walk_csv
from services.importer.formats.kit.evidence import cautions_of, evidence
from services.importer.formats.kit.format import ByteStream, Format, Item
from services.importer.formats.kit.node import Node
from services.importer.formats.kit.values import NAME_LIMIT, line, port_number, unique_lines
from services.importer.formats.openvas.findings import asset, finding, left_out
from services.importer.formats.openvas.report import Test
from services.importer.targets.findings.records import AffectedAsset, Caution, FindingsRecord

# The columns of what is the same for all results of a test, and their names in it.
_OF_A_TEST = {
    "NVT OID": "oid",
    "NVT Name": "name",
    "NVT Family": "family",
    "Summary": "summary",
    "Vulnerability Insight": "insight",
    "Affected Software/OS": "affected",
    "Impact": "impact",
    "Vulnerability Detection Method": "detection",
    "Solution": "solution",
    "Solution Type": "solution_type",
    "Max Severity EPSS score": "epss_score",
    "Max Severity EPSS percentile": "epss_percentile",
    "CVEs": "cves",
    "BIDs": "bids",
    "CERTs": "certs",
    "Other References": "references",
}
_LISTS = ("cves", "bids", "certs", "references")
_KNOWN = (
    *_OF_A_TEST,
    *("IP", "Hostname", "Port", "Port Protocol", "CVSS", "Severity", "QoD"),
    *("Specific Result", "Product Detection Result"),
    # About the scan, not the flaw.
    *("Task ID", "Task Name", "Timestamp", "Result ID"),
)
_WANTED = (frozenset({"IP", "NVT Name"}), frozenset({"Hostname", "NVT OID"}))


def sniff(head: bytes) -> bool:
    return bool(header_of(head, _WANTED))


def walk(stream: ByteStream) -> Iterator[Item]:
    return walk_csv(stream, _WANTED, _KNOWN)


def read(raw: Node) -> tuple[FindingsRecord, ...]:
    row: Row = raw.value
    place = asset(raw.once, row.get("IP"), row.get("Hostname"))
    threat, number = row.get("Severity"), row.get("CVSS")
    if kind := left_out(threat, number):
        message = f'A result of "{line(row.get("NVT Name"), 200)}" is {kind} and left out.'
        return (place, Caution("FALSE_POSITIVE" if "false" in kind else "NO_RESULT", message), *raw.cautions)
    told = tuple(map(row.get, _OF_A_TEST))
    extra = row.extra()
    key = ("finding", *told, threat, number, *extra, *extra.values())
    found = raw.once(key, lambda: finding(_test(told), threat, number, extra))
    result = row.exact("Specific Result").strip("\n")
    proof = (evidence("Detection result", result),) if result else ()
    affected = AffectedAsset(
        finding=found.key,
        asset=place.ref,
        port=port_number(row.get("Port")),
        protocol=row.get("Port Protocol")[:NAME_LIMIT].lower(),
        notes=_notes(row),
        evidence=proof,
    )
    return (place, found, affected, *cautions_of(proof), *raw.cautions)


def _test(told: tuple[str, ...]) -> Test:
    texts: dict[str, Any] = dict(zip(_OF_A_TEST.values(), told, strict=True))
    texts |= {name: unique_lines(*texts[name].split(",")) for name in _LISTS}
    # Below the method stand name and version of the test, which changes with every update of the scanner.
    method, _, _ = texts["detection"].partition("Details:\n")
    return Test(**texts)._replace(detection=method.strip())


def _notes(row: Row) -> str:
    quality = row.get("QoD")
    lines = [f"Quality of detection: {line(quality, 40)} %"] if quality else []
    product, _, _ = row.get("Product Detection Result").partition("\n")
    lines += [f"Detected product: {line(product.removeprefix('Product:'))}"] if product else []
    return "\n".join(lines)


FORMAT = Format(
    name="openvas_csv",
    title="an OpenVAS table",
    family="openvas",
    syntax="csv",
    extensions=(".csv",),
    sources=("openvas",),
    sniff=sniff,
    walk=walk,
    read=read,
)
