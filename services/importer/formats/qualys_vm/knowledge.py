"""Reads what the XML of Qualys VM says about a QID: entries of a glossary, and descriptions inside a scan."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from services.importer.formats.kit.identifiers import cves_in
from services.importer.formats.kit.qualys import Vulnerability, exploits, headed, scores, system_of_version
from services.importer.formats.kit.trees import all_text, elements_at, text_of
from services.importer.formats.kit.values import line, paragraphs

_LISTS = ("VENDOR_REFERENCE_LIST/VENDOR_REFERENCE", "CVE_ID_LIST/CVE_ID", "BUGTRAQ_ID_LIST/BUGTRAQ_ID")


def in_glossary(details: Element) -> Vulnerability:
    """An entry of the glossary, `VULN_DETAILS`."""
    return Vulnerability(
        qid=text_of(details, "QID") or str(details.get("id", "")).removeprefix("qid_"),
        title=text_of(details, "TITLE"),
        level=text_of(details, "SEVERITY"),
        threat=paragraphs(text_of(details, "THREAT"), text_of(details, "THREAT_COMMENT")),
        impact=paragraphs(text_of(details, "IMPACT"), text_of(details, "IMPACT_COMMENT")),
        solution=paragraphs(text_of(details, "SOLUTION"), text_of(details, "SOLUTION_COMMENT")),
        links=tuple(_links(details)),
        cves=cves_in(_ids(details, "CVE_ID_LIST/CVE_ID")),
        scores=scores(
            ("cvss2", text_of(details, "CVSS_SCORE/CVSS_BASE"), text_of(details, "CVSS_SCORE/CVSS_TEMPORAL")),
            (
                system_of_version(text_of(details, "CVSS3_SCORE/CVSS3_VERSION")),
                text_of(details, "CVSS3_SCORE/CVSS3_BASE"),
                text_of(details, "CVSS3_SCORE/CVSS3_TEMPORAL"),
            ),
        ),
        fields=tuple(_fields(details, text_of(details, "CATEGORY"))),
    )


def in_scan(entry: Element, category: str) -> Vulnerability:
    """The description in a `VULN`, `INFO`, `SERVICE` or `PRACTICE` of a scan."""
    listed = str(entry.get("cveid", "")).split(",")
    return Vulnerability(
        qid=str(entry.get("number", "")),
        title=text_of(entry, "TITLE"),
        level=str(entry.get("severity", "")),
        threat=paragraphs(text_of(entry, "DIAGNOSIS"), text_of(entry, "DIAGNOSIS_COMMENT")),
        impact=paragraphs(text_of(entry, "CONSEQUENCE"), text_of(entry, "CONSEQUENCE_COMMENT")),
        solution=paragraphs(text_of(entry, "SOLUTION"), text_of(entry, "SOLUTION_COMMENT")),
        links=tuple(_links(entry)),
        cves=cves_in((*listed, *_ids(entry, "CVE_ID_LIST/CVE_ID"))),
        scores=scores(
            ("cvss2", text_of(entry, "CVSS_BASE"), text_of(entry, "CVSS_TEMPORAL")),
            (
                system_of_version(text_of(entry, "CVSS3_VERSION")),
                text_of(entry, "CVSS3_BASE"),
                text_of(entry, "CVSS3_TEMPORAL"),
            ),
        ),
        fields=tuple(_fields(entry, category)),
    )


def _links(entry: Element) -> Iterator[str]:
    for path in _LISTS:
        for each in elements_at(entry, path):
            yield line(text_of(each, "URL"), 4_096)


def _ids(entry: Element, path: str) -> Iterator[str]:
    for each in elements_at(entry, path):
        yield text_of(each, "ID")


def _fields(entry: Element, category: str) -> Iterator[tuple[str, str]]:
    yield "category", category
    yield "pci", {"1": "yes", "0": "no"}.get(text_of(entry, "PCI_FLAG"), text_of(entry, "PCI_FLAG"))
    yield "vendor_references", "\n".join(map(line, _ids(entry, _LISTS[0])))
    yield "bugtraq_ids", "\n".join(map(line, _ids(entry, _LISTS[2])))
    yield "last_update", text_of(entry, "LAST_UPDATE")
    yield "customized", all_text(entry.find("CUSTOMIZED"))
    yield "compliance", "\n\n".join(_compliance(entry))
    yield from exploits(entry.find("CORRELATION"))


def _compliance(entry: Element) -> Iterator[str]:
    for each in entry.iter("COMPLIANCE_INFO"):
        kind = " ".join(filter(None, (text_of(each, "COMPLIANCE_TYPE"), text_of(each, "COMPLIANCE_SECTION"))))
        yield headed(kind or "Compliance", text_of(each, "COMPLIANCE_DESCRIPTION"))
