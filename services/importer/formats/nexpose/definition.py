"""Makes a finding of a definition in a Nexpose report (`VulnerabilityDefinitions/vulnerability`)."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from services.importer.formats.kit.cvss import score
from services.importer.formats.kit.format import RecordError
from services.importer.formats.kit.identifiers import cves_in, cwes_in
from services.importer.formats.kit.severity import severity_of_score
from services.importer.formats.kit.trees import all_text, elements_at
from services.importer.formats.kit.values import (
    TEXT_LIMIT,
    TITLE_LIMIT,
    decimal,
    finding_key,
    line,
    title_number,
    unique_lines,
)
from services.importer.formats.nexpose.markup import plain_text
from services.importer.formats.nexpose.report import key_of
from services.importer.targets.findings.records import Finding, Score, Severity

SOURCE = "Nexpose"

_SCORES = (
    ("cvss2", "cvssvector", "cvssscore"),
    ("cvss3", "cvssv3vector", "cvssv3score"),
    ("cvss4", "cvssv4vector", "cvssv4score"),
)
_FIELDS = {
    "severity": "severity",
    "pci_severity": "pciseverity",
    "risk_score": "riskscore",
    "published": "published",
    "added": "added",
    "modified": "modified",
}
_FIELD_LIMIT, _LISTED, _TAGS = 16_384, 100, 50


def finding(element: Element) -> Finding:
    told = {name.lower(): text.strip() for name, text in element.attrib.items()}
    identifier = key_of(told.get("id", ""))
    title = line(told.get("title", ""), TITLE_LIMIT) or line(identifier, TITLE_LIMIT)
    if not identifier:
        raise RecordError("MISSING_FIELD", "id", "The definition has no id.", title)
    referred = elements_at(element, "references/reference")
    references = [(each.get("source", "").strip(), all_text(each)) for each in referred]
    scores = tuple(
        made
        for system, vector, base in _SCORES
        if (made := score(system, told.get(vector, ""), told.get(base, ""))) is not None
    )
    return Finding(
        key=finding_key(identifier, ""),
        number=title_number(title),
        title=title,
        severity=_severity(told.get("severity", ""), scores),
        description=plain_text(element.find("description"))[:TEXT_LIMIT],
        recommendations=plain_text(element.find("solution"))[:TEXT_LIMIT],
        references=_references(references)[:TEXT_LIMIT],
        source=SOURCE,
        cves=cves_in(text for source, text in references if source.upper() == "CVE"),
        cwes=cwes_in(f"{source}-{text}" for source, text in references),
        scores=scores,
        fields=_fields(element, told),
        tags=tuple(dict.fromkeys(filter(None, map(line, map(all_text, elements_at(element, "tags/tag"))))))[:_TAGS],
    )


def _severity(number: str, scores: tuple[Score, ...]) -> Severity:
    value = decimal(number)
    if value is None:
        value = next((each.base for each in reversed(scores) if each.base is not None), 0.0)
    return severity_of_score(value)


def _references(references: list[tuple[str, str]]) -> str:
    """Addresses as they are, ids of other lists with its name; CVEs have a place of their own."""
    shown = ((source.upper(), text) for source, text in references if text)
    return unique_lines(
        *(text if source == "URL" else f"{source}: {text}" for source, text in shown if source != "CVE")
    )


def _fields(element: Element, told: dict[str, str]) -> dict[str, str]:
    exploits = (
        f"{each.get('title', '')} ({each.get('type', '')}, {each.get('skillLevel', '')}): {each.get('link', '')}"
        for each in elements_at(element, "exploits/exploit")[:_LISTED]
    )
    malware = (line(each.get("name", "") or all_text(each)) for each in elements_at(element, "malware/*")[:_LISTED])
    texts = {name: told.get(attribute, "") for name, attribute in _FIELDS.items()}
    texts |= {"exploits": unique_lines(*map(line, exploits)), "malware": unique_lines(*malware)}
    return {name: text[:_FIELD_LIMIT] for name, text in texts.items() if text}
