"""Reads Veracode's detailed reports: flaws of static, dynamic and manual analysis, and vulnerable components.

Everything is in attributes, in the namespace of the report. Categories and weaknesses stand around their flaws.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from xml.etree.ElementTree import Element

from services.importer.formats.kit.cvss import score
from services.importer.formats.kit.format import ByteStream, Format, Item
from services.importer.formats.kit.identifiers import cves_in, cwes_in
from services.importer.formats.kit.looks import xml_root
from services.importer.formats.kit.node import Node
from services.importer.formats.kit.trees import walk_trees
from services.importer.formats.kit.values import URL_LIMIT, line, paragraphs
from services.importer.formats.veracode.findings import (
    code_place,
    component,
    flaw,
    labelled,
    left_out,
    severity_of,
    vulnerability,
    weakness,
)
from services.importer.targets.findings.records import AffectedAsset, FindingsRecord

ROOT = "detailedreport"

_KINDS = {"staticflaws": "SAST", "dynamicflaws": "DAST", "manualflaws": "Manual"}


class Category(NamedTuple):
    """A group of weaknesses with Veracode's advice about them."""

    name: str
    description: str
    recommendations: str


class Weakness(NamedTuple):
    """A CWE as the report describes it. `standards` are its places in lists such as OWASP's."""

    cwe: str
    name: str
    description: str
    standards: tuple[tuple[str, str], ...]


class Component(NamedTuple):
    """A component that the application has within it."""

    name: str
    version: str
    files: tuple[str, ...]
    notes: str


def sniff(head: bytes) -> bool:
    return xml_root(head)[0] == ROOT


def walk(stream: ByteStream) -> Iterator[Item]:
    return walk_trees(
        stream,
        roots=frozenset({ROOT}),
        items=frozenset({"flaw", "vulnerability"}),
        contexts={
            ROOT: lambda element, _: line(element.get("app_name", "")),
            "severity": None,
            "category": lambda element, _: _category(element),
            "cwe": lambda element, _: _weakness(element),
            **{name: lambda element, _: _KINDS[element.tag] for name in _KINDS},
            "software_composition_analysis": None,
            "vulnerable_components": None,
            "component": lambda element, _: _component(element),
            "vulnerabilities": None,
        },
        keep=frozenset({"desc", "recommendations", "description", "file_paths", "licenses"}),
    )


def read(raw: Node) -> tuple[FindingsRecord, ...]:
    found = _flaw(raw) if raw.value.tag == "flaw" else _vulnerability(raw)
    return (*found, *raw.cautions)


def _flaw(raw: Node) -> tuple[FindingsRecord, ...]:
    told = raw.value.attrib
    app, category, about, kind = raw.above
    # A flaw may name a weakness that is more exact than the one it stands under.
    cwe = told.get("cweid", "") or about.cwe
    title = (about.name if cwe == about.cwe else "") or told.get("categoryname", "")
    if caution := left_out(title, told.get("remediation_status", "")):
        return (caution,)
    severity, cautions = severity_of(told.get("severity", ""))
    finding = weakness(
        raw.once,
        cwe,
        title,
        severity,
        kind,
        description=paragraphs(category.description, about.description),
        recommendations=category.recommendations,
        fields={
            "category": category.name,
            "exploitation_difficulty": told.get("exploitLevel", ""),
            "remediation_effort": told.get("remediationeffort", ""),
            "veracode_severity": told.get("severity", ""),
            **dict(about.standards),
        },
    )
    notes = labelled(
        ("Issue", told.get("issueid", "")),
        ("Module", told.get("module", "")),
        ("Attack vector", told.get("type", "")),
        ("Scope", told.get("scope", "")),
        ("Function", told.get("functionprototype", "")),
        ("First found", told.get("date_first_occurrence", "")),
        ("Status", told.get("remediation_status", "")),
        ("Mitigation", told.get("mitigation_status_desc", "")),
        *(
            (f"Mitigation of {each.get('date', '')}", f"{each.get('action', '')}: {each.get('description', '')}")
            for each in raw.value.iter("mitigation")
        ),
        ("Note", told.get("note", "")),
    )
    place = code_place(told.get("sourcefilepath", "") + told.get("sourcefile", ""), told.get("line", ""))
    records = flaw(
        raw.once,
        finding,
        app,
        url=line(told.get("url", ""), URL_LIMIT),
        place=place,
        parameter=told.get("vuln_parameter", ""),
        notes=notes,
        proof=told.get("description", ""),
    )
    return (*records, *cautions)


def _vulnerability(raw: Node) -> tuple[FindingsRecord, ...]:
    told = raw.value.attrib
    app, part = raw.above
    name = told.get("cve_id", "")
    severity, cautions = severity_of(told.get("severity", ""))
    # The report does not say of which version the score is; peers read it as version 3.
    found = score("cvss3", "", told.get("cvss_score", ""))
    finding = vulnerability(
        raw.once,
        name,
        severity,
        description=told.get("cve_summary", ""),
        cves=cves_in([name]),
        cwes=cwes_in([told.get("cwe_id", "")]),
        scores=(found,) if found else (),
        fields={"veracode_severity": told.get("severity", "")},
    )
    asset = component(raw.once, part.name, part.version)
    affected = AffectedAsset(
        finding=finding.key,
        asset=asset.ref,
        location=line(part.files[0] if part.files else "", URL_LIMIT),
        notes=paragraphs(
            labelled(
                ("Application", app),
                ("First found", told.get("first_found_date", "")),
                ("Mitigated", told.get("mitigated_date", "") or told.get("mitigation", "").replace("false", "")),
                ("Mitigation", told.get("mitigation_type", "")),
            ),
            part.notes,
        ),
    )
    return (asset, finding, affected, *cautions)


def _category(element: Element) -> Category:
    return Category(line(element.get("categoryname", "")), _prose(element, "desc"), _prose(element, "recommendations"))


def _weakness(element: Element) -> Weakness:
    lists = ("owasp", "owaspmobile", "sans", "certc", "certcpp", "certjava", "pcirelated")
    standards = tuple((name, value) for name in lists if (value := element.get(name, "")))
    return Weakness(
        line(element.get("cweid", "")), element.get("cwename", ""), _prose(element, "description"), standards
    )


def _component(element: Element) -> Component:
    files = tuple(path for each in element.iter("file_path") if (path := each.get("value", "").strip()))
    licences = ", ".join(each.get("name", "") for each in element.iter("license"))
    notes = labelled(
        ("Vendor", element.get("vendor", "")),
        ("SHA-1", element.get("sha1", "")),
        ("Licences", licences),
        *(("File", path) for path in files[1:]),
    )
    name = element.get("library", "") or element.get("file_name", "")
    return Component(line(name), line(element.get("version", "")), files, notes)


def _prose(element: Element, name: str) -> str:
    """The paragraphs and list items that a kept child has in attributes."""
    child = element.find(name)
    if child is None:
        return ""
    return paragraphs(
        *(f"- {each.get('text', '')}" if each.tag == "bulletitem" else each.get("text", "") for each in child.iter())
    )


FORMAT = Format(
    name="veracode",
    title="a detailed report of Veracode",
    family="veracode",
    syntax="xml",
    extensions=(".xml",),
    sources=("veracode",),
    sniff=sniff,
    walk=walk,
    read=read,
)
