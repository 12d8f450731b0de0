"""What a row of RapidFire's tables says, whatever file it stands in: a finding and the devices that have it.

The scanner behind RapidFire's VulScan is OpenVAS, whose test ids (`OID`) are the keys of findings. Titles end with a
score, "(CVSS: 7.5)", of which no version is named: it is a field and no score.
"""

from __future__ import annotations

import re
from functools import partial
from itertools import product

from services.importer.formats.kit.addresses import ip_address, mac_address
from services.importer.formats.kit.csv import Row
from services.importer.formats.kit.evidence import cautions_of, evidence
from services.importer.formats.kit.format import RecordError
from services.importer.formats.kit.identifiers import cves_in
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
    public_number,
    unique_lines,
)
from services.importer.targets.findings.records import AffectedAsset, Asset, Caution, Finding, FindingsRecord, Severity

SOURCE = "RapidFire"

KNOWN = frozenset(
    {
        *("IP Address", "Hostname", "MAC Address", "Severity", "CVSS", "Issue", "Ports", "OID", "CVE"),
        *("Affected Devices", "Number of Device(s)", "Last Detected", "Known Exploited Vulnerability"),
        *("Known Exploited Vulnerabilities", "Known Exploited", "Known To Be Used In Ransomware Campaigns"),
        *("Summary", "Vulnerability Detection Result", "Impact", "Solution", "Vulnerability Insight"),
        *("Vulnerability Detection Method", "References"),
    }
)

_SCORE = re.compile(r" ?\(CVSS:?\s*(\d{1,2}(?:\.\d{1,2})?)\)$", re.IGNORECASE)
_PORT = re.compile(r"(\d{1,5})(?:/(\w{1,16}))?(?:\s*\(([^()]{0,200})\))?")
_DEVICE = re.compile(r"([^()]*?)\s*\(([^()]*)\)")
_NEXT_URL = re.compile(r",\s*(?=[a-z]{1,10}://)", re.IGNORECASE)
_NO_PROTOCOL = frozenset({"na", "n"})
_PLACES_LIMIT = 65_536

Place = tuple[int, str, str]


def read_row(row: Row, raw: Node) -> tuple[FindingsRecord, ...]:
    """The finding of a row, its devices, and where they have it."""
    finding = _finding(row, raw.once)
    devices = _devices(row, raw.once)
    places, unread = _places(row.get("Ports"))
    notes = [f"Last detected: {line(seen)}"] if (seen := row.get("Last Detected")) else []
    if len(devices) > 1 and len(places) > 1:
        # The table has the ports of all devices together.
        notes.append(f"Ports: {line(row.get('Ports'), TITLE_LIMIT)}")
        places = [(0, "", "")]
    if len(devices) * len(places) > _PLACES_LIMIT:
        raise RecordError("TOO_MANY_ASSETS", "Affected Devices", f"The row names more than {_PLACES_LIMIT} places.")
    result = row.exact("Vulnerability Detection Result").strip("\r\n")
    proof = (evidence("Detection result", result),) if result else ()
    affected = (
        AffectedAsset(
            finding=finding.key,
            asset=device.ref,
            port=port,
            protocol=protocol,
            service=service,
            notes="\n".join(notes),
            evidence=proof,
        )
        for device, (port, protocol, service) in product(devices, places)
    )
    told = [Caution("INVALID_PORT", f'The port "{line(text, 40)}" was not understood.') for text in unread]
    return (finding, *devices, *affected, *told, *cautions_of(proof), *raw.cautions)


def _finding(row: Row, once: Once) -> Finding:
    issue = line(row.get("Issue"), TITLE_LIMIT)
    scored = _SCORE.search(issue)
    title = issue[: scored.start()] if scored else issue
    oid = row.get("OID")
    if not title:
        raise RecordError("MISSING_FIELD", "Issue", "The row names no issue.", oid)
    number = row.get("CVSS") or (scored[1] if scored else "")
    labelled = (
        ("Insight", row.get("Vulnerability Insight")),
        ("Impact", row.get("Impact")),
        ("Detection method", row.get("Vulnerability Detection Method")),
    )
    description = paragraphs(row.get("Summary"), *(f"{label}:\n{text}" for label, text in labelled if text))
    fields = {
        "oid": oid,
        "cvss": number,
        "severity": row.get("Severity"),
        "known_exploited": row.get(
            "Known Exploited Vulnerability", "Known Exploited Vulnerabilities", "Known Exploited"
        ),
        "ransomware": row.get("Known To Be Used In Ransomware Campaigns"),
    } | row.extra()
    solution, references, cves = row.get("Solution"), row.get("References"), row.get("CVE")

    def make() -> Finding:
        return Finding(
            key=finding_key(oid, title),
            number=public_number(oid, title),
            title=title,
            severity=_severity(row.get("Severity"), number),
            description=description[:TEXT_LIMIT],
            recommendations=solution[:TEXT_LIMIT],
            references=unique_lines(*_NEXT_URL.split(references))[:TEXT_LIMIT],
            source=SOURCE,
            cves=cves_in([cves]),
            fields=custom_fields(fields),
        )

    return once(("finding", title, description, solution, references, cves, *fields, *fields.values()), make)


def _severity(word: str, number: str) -> Severity:
    severity = severity_of_word(word)
    if severity is None:
        score = decimal(number)
        severity = severity_of_score(score) if score is not None else Severity.INFORMATIONAL
    return severity


def _devices(row: Row, once: Once) -> list[Asset]:
    """The device of the row, or each of `Affected Devices`: `name (address)`, a name or an address."""
    if not row.has("Affected Devices"):
        told = [(line(row.get("Hostname")), line(row.get("IP Address")), row.get("MAC Address"))]
    else:
        told = [(*_named(text), "") for part in row.get("Affected Devices").split(",") if (text := line(part))]
    if not any(name or address for name, address, _ in told):
        raise RecordError("MISSING_FIELD", "IP Address", "The row names no device.", line(row.get("Issue")))
    return [once(("device", *device), partial(_device, *device)) for device in dict.fromkeys(told)]


def _named(text: str) -> tuple[str, str]:
    """Name and address of a device."""
    parts = _DEVICE.fullmatch(text)
    first, second = (parts[1].strip(), parts[2].strip()) if parts else (text, "")
    return (second, first) if ip_address(first) else (first, second)


def _device(name: str, address: str, mac: str) -> Asset:
    ip = ip_address(address)
    ref = address or name
    return Asset(
        ref=ref,
        name=name or address,
        hostname="" if " " in name or ip_address(name) else name,
        ips=(ip,) if ip else (),
        mac=mac_address(mac),
    )


def _places(text: str) -> tuple[list[Place], list[str]]:
    """The places of `8080/tcp (http-alt)`, `2083/tcp,2087/tcp`, `22 (ssh)` or `0/NA`, and what is none of these."""
    places: list[Place] = []
    unread: list[str] = []
    for part in text.split(","):
        found = _PORT.fullmatch(part.strip())
        if found and int(found[1]) <= PORT_MAX:
            protocol = (found[2] or "").lower()
            places.append((int(found[1]), "" if protocol in _NO_PROTOCOL else protocol, line(found[3] or "")))
        elif part.strip() and not part.strip().lower().startswith("general"):
            unread.append(part)
    return list(dict.fromkeys(places)) or [(0, "", "")], unread
