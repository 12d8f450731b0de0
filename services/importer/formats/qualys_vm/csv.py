"""Tables of Qualys VM: host based reports, exports of VMDR, PCI reports (also called Hacker Guardian).

An item is one row: a detection with the description of its QID, or a host of a report that has none. What was decided:

- A VMDR export by CVE has a row for each CVE of a QID. They are one finding; what a row says of its CVE is evidence.
- VMDR writes `'` before values that a spreadsheet would calculate, and `'-` or `-` for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from services.importer.formats.kit.addresses import ip_address
from services.importer.formats.kit.csv import Row, header_of, walk_csv
from services.importer.formats.kit.evidence import evidence
from services.importer.formats.kit.format import ByteStream, Format, Item
from services.importer.formats.kit.identifiers import cves_in
from services.importer.formats.kit.node import Node
from services.importer.formats.kit.qualys import Vulnerability, finding, listed, qid, scores, something
from services.importer.formats.kit.values import line
from services.importer.formats.qualys_vm.detections import (
    SOURCE,
    Detection,
    affected,
    fixed,
    is_fixed,
    is_yes,
    place_of,
)
from services.importer.formats.qualys_vm.hosts import asset_of
from services.importer.formats.qualys_vm.wrapped import Unwrapped, unwrapped_head
from services.importer.targets.findings.records import Asset, Caution, Evidence, FindingsRecord

_REPORT = ("IP", "QID", "Title", "Severity", "Type")
_VMDR = ("QID", "Title", "Severity", "Asset Id", "Asset Name")
_PCI = ("IP", "QID", "VULN TITLE", "Q_SEVERITY")
_HEADERS = (_REPORT, _VMDR, _PCI)

# Columns by what they are; reports by template, VMDR and PCI call them by different names.
_ADDRESSES = ("IP", "Asset IPV4", "IPV4", "IPV6", "Asset IPV6")
_NAMES = ("DNS", "HOSTNAME", "Asset Name")
_TAGS = ("Associated Tags", "Asset Tags")
_SYSTEMS = ("OS", "Operating System")
_OF_HOST = (*_ADDRESSES, *_NAMES, *_TAGS, *_SYSTEMS, "NetBIOS", "Asset Id")
_KIND = ("Type", "Type Detected")
_STATUS = ("Vuln Status", "Status")
_FALSE_POSITIVE = "FALSE POSITIVE STATUS"
_LEVEL = ("Q_SEVERITY", "Severity")
# What is said of the QID, as the fields of a finding.
_FIELDS = {
    "category": ("Category",),
    "vendor_references": ("Vendor Reference",),
    "bugtraq_ids": ("Bugtraq ID",),
    "exploits": ("Exploitability",),
    "malware": ("Associated Malware",),
    "kb_severity": ("KB Severity",),
    "published": ("Published Date",),
    "patch_released": ("Patch Released",),
    "patchable": ("Vuln Patchable",),
    "threat_indicators": ("RTI",),
    "cvss_rating": ("CVSS Rating Labels",),
    "vulnerability_tags": ("Vulnerability Tags",),
    "mitre_tactic_ids": ("MITRE ATT&CK TACTIC ID",),
    "mitre_tactics": ("MITRE ATT&CK TACTIC NAME",),
    "mitre_technique_ids": ("MITRE ATT&CK TECHNIQUE ID",),
    "mitre_techniques": ("MITRE ATT&CK TECHNIQUE NAME",),
}
_OF_QID = (
    *("QID", "Title", "VULN TITLE", "Q_SEVERITY", "Severity", "Threat", "Impact", "Solution", "PCI Vuln", "IS_PCI"),
    *("CVE ID", "CVEID", "CVE", "CVSS Base", "CVSS_BASE", "CVSS Temporal", "CVSSv2 Base (nvd)"),
    *("CVSS3 Base", "CVSS3 Temporal", "CVSS3.1 Base", "CVSS3.1 Temporal", "CVSSv3.1 Base (nvd)"),
    *(name for names in _FIELDS.values() for name in names),
)
# What is said of the detection, besides what all reports say.
_NOTES = {
    "QDS": ("QDS", "QVS Score"),
    "QDS severity": ("QDS Severity",),
    "Detection age": ("Detection AGE",),
    "Last reopened": ("Last Reopened",),
    "Detection source": ("Detection Source",),
    "Asset criticality": ("Asset Critical Score",),
    "TruRisk score": ("TruRisk Score",),
}
_SEVERITY_OF_PCI = {"H": "High", "M": "Medium", "L": "Low"}
_SHOWN = 200

_KNOWN = frozenset(
    {
        *_REPORT,
        *_VMDR,
        *_PCI,
        *_ADDRESSES,
        *_NAMES,
        *_TAGS,
        *_KIND,
        *_STATUS,
        *(name for names in (*_FIELDS.values(), *_NOTES.values()) for name in names),
        *(
            _FALSE_POSITIVE,
            "PCI Vuln",
            "IS_PCI",
            "IP Status",
            "NetBIOS",
            "OS",
            "Operating System",
            "Network",
            "Tracking Method",
            "OS CPE",
        ),
        *("Port", "Protocol", "FQDN", "SSL", "Instance", "Service", "Results", "Result", "Deep Scan Result"),
        *("First Detected", "Last Detected", "Last Scan", "Times Detected", "Date Last Fixed", "Last Fixed"),
        *("CVE ID", "CVEID", "CVE", "CVE-Description", "CVSS", "CVSS Base", "CVSS Temporal", "CVSS_BASE"),
        *("CVSS3", "CVSS3 Base", "CVSS3 Temporal", "CVSSv2 Base (nvd)", "CVSSv3.1 Base (nvd)"),
        *("Threat", "Impact", "Solution", "Ticket State", "Disabled", "Ignored", "CVSS3.1 Base", "CVSS3.1 Temporal"),
    }
)


def sniff(head: bytes) -> bool:
    return bool(header_of(unwrapped_head(head), _HEADERS))


def walk(stream: ByteStream) -> Iterator[Item]:
    return walk_csv(Unwrapped(stream), _HEADERS, _KNOWN)


def read(raw: Node) -> tuple[FindingsRecord, ...]:
    row: Row = raw.value
    number = _cell(row, "QID")
    if not number and not _addresses(row):
        # Reports have lines between their tables: about hosts without results, for example.
        said = line(row.get("IP", *_NAMES, "Title"), _SHOWN)
        return (
            Caution("NOT_A_DETECTION", f'A row has neither QID nor address and was left out: "{said}".'),
            *raw.cautions,
        )
    asset = raw.once(("host", *row.cells(_OF_HOST)), lambda: _asset(row))
    if not number:
        return (asset, *raw.cautions)
    key = qid(number)
    detection = _detection(row)
    if reason := _left_out(row, detection, key):
        return (asset, reason, *raw.cautions)
    texts = *row.cells(_OF_QID), *row.extra().items()
    described = raw.once(("finding", *texts), lambda: finding(_vulnerability(row, key), SOURCE))
    place = place_of(_cell(row, "Port"), _cell(row, "Protocol"), _cell(row, "Service"))
    return (asset, *described, *affected(detection, key, asset, place, _about_cve(row)), *raw.cautions)


def _cell(row: Row, *names: str) -> str:
    """The text of a column, without the `'` that keeps a spreadsheet from calculating it."""
    for name in names:
        text = row.get(name)
        if text.startswith("'") and not text.endswith("'"):
            text = text[1:].lstrip()
        if text := something(text):
            return text
    return ""


def _addresses(row: Row) -> tuple[str, ...]:
    cells = (_cell(row, name) for name in _ADDRESSES)
    return tuple(ip for cell in cells for part in cell.replace(";", ",").split(",") if (ip := ip_address(part)))


def _asset(row: Row) -> Asset:
    number = _cell(row, "Asset Id")
    return asset_of(
        _addresses(row),
        dns=_cell(row, *_NAMES),
        netbios=_cell(row, "NetBIOS"),
        systems=(_cell(row, *_SYSTEMS),),
        tags=tuple(part.strip() for part in _cell(row, *_TAGS).split(",")),
        other_name=_cell(row, "IP") or (f"Qualys asset {number}" if number else ""),
    )


def _left_out(row: Row, detection: Detection, key: str) -> Caution | None:
    """Why a detection is left out; None where it is not."""
    if is_fixed(detection.status):
        return fixed(key)
    if _cell(row, _FALSE_POSITIVE).lower() in {"approved", "accepted", "yes"}:
        return Caution("FALSE_POSITIVE", f"QID {key} is a false positive on a host and left out there.")
    if is_yes(_cell(row, "Ignored")) or is_yes(_cell(row, "Disabled")):
        return Caution("IGNORED", f"QID {key} is ignored on a host and left out there.")
    return None


def _vulnerability(row: Row, key: str) -> Vulnerability:
    in_scope = _cell(row, "PCI Vuln", "IS_PCI")
    fields = [("pci", "" if not in_scope else "yes" if is_yes(in_scope) else "no")]
    fields += [(name, _cell(row, *columns)) for name, columns in _FIELDS.items()]
    pci_word = _cell(row, "Severity")
    if pci_word in _SEVERITY_OF_PCI and row.has("Q_SEVERITY"):
        fields.append(("pci_severity", _SEVERITY_OF_PCI[pci_word]))
    return Vulnerability(
        qid=key,
        title=_cell(row, "Title", "VULN TITLE"),
        level=_cell(row, *_LEVEL),
        threat=_cell(row, "Threat"),
        impact=_cell(row, "Impact"),
        solution=_cell(row, "Solution"),
        cves=cves_in((_cell(row, "CVE ID", "CVEID", "CVE"),)),
        scores=scores(
            ("cvss2", _cell(row, "CVSS Base", "CVSS_BASE", "CVSSv2 Base (nvd)"), _cell(row, "CVSS Temporal")),
            ("cvss3", _cell(row, "CVSS3 Base"), _cell(row, "CVSS3 Temporal")),
            ("cvss3_1", _cell(row, "CVSS3.1 Base", "CVSSv3.1 Base (nvd)"), _cell(row, "CVSS3.1 Temporal")),
        ),
        fields=(*fields, *row.extra().items()),
    )


def _detection(row: Row) -> Detection:
    false_positive = _cell(row, _FALSE_POSITIVE)
    return Detection(
        kind=_cell(row, *_KIND).capitalize(),
        fqdn=_cell(row, "FQDN"),
        ssl=_cell(row, "SSL"),
        instance=_cell(row, "Instance"),
        result="\n".join(filter(None, (_cell(row, "Results", "Result"), _cell(row, "Deep Scan Result")))),
        first_found=_cell(row, "First Detected"),
        last_found=_cell(row, "Last Detected", "Last Scan"),
        times_found=_cell(row, "Times Detected"),
        status=_cell(row, *_STATUS).capitalize(),
        last_fixed=_cell(row, "Date Last Fixed", "Last Fixed"),
        cvss=_cell(row, "CVSS"),
        cvss3=_cell(row, "CVSS3"),
        ticket_state=_cell(row, "Ticket State"),
        more=(
            *((name, _cell(row, *columns)) for name, columns in _NOTES.items()),
            ("False positive", false_positive),
            ("Network", _cell(row, "Network")),
            ("Tracking method", _cell(row, "Tracking Method")),
        ),
    )


def _about_cve(row: Row) -> tuple[Evidence, ...]:
    """What a row of an export by CVE says of that CVE."""
    cve = _cell(row, "CVE")
    if not cve:
        return ()
    text = listed(
        ("CVE", cve),
        ("CVSS 2", _cell(row, "CVSSv2 Base (nvd)")),
        ("CVSS 3.1", _cell(row, "CVSSv3.1 Base (nvd)")),
        ("Description", _cell(row, "CVE-Description")),
    )
    return (evidence(line(cve), text),)


FORMAT = Format(
    name="qualys_vm_csv",
    title="a Qualys VM table",
    family="qualys_vm",
    syntax="csv",
    extensions=(".csv",),
    sources=("qualys",),
    sniff=sniff,
    walk=walk,
    read=read,
)
