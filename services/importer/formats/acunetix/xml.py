"""Reads XML reports of Acunetix (WVS, Standard, Premium): scans with report items, one for each place of a finding.

Items have ids of the report only, so a finding is known by its name. Texts are HTML and stay so; requests were made
HTML by the exporter, and are made text again.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import unescape
from xml.etree.ElementTree import Element

from services.importer.formats.acunetix.places import Scan, location_of, scan_of, severity_of
from services.importer.formats.kit.cvss import score
from services.importer.formats.kit.evidence import cautions_of
from services.importer.formats.kit.format import ByteStream, Format, Item, RecordError
from services.importer.formats.kit.identifiers import cves_in, cwes_in
from services.importer.formats.kit.looks import xml_root
from services.importer.formats.kit.node import Node, Once
from services.importer.formats.kit.trees import all_text, elements_at, text_of, walk_trees
from services.importer.formats.kit.values import (
    NAME_LIMIT,
    TEXT_LIMIT,
    TITLE_LIMIT,
    custom_fields,
    finding_key,
    line,
    paragraphs,
    title_number,
)
from services.importer.formats.kit.web import proof, web_asset
from services.importer.targets.findings.records import AffectedAsset, Caution, Finding, FindingsRecord, Score

ROOT = "ScanGroup"
SOURCE = "Acunetix"

# What a finding is made of.
_DEFINING = (
    "ModuleName",
    "Severity",
    "Type",
    "Impact",
    "Description",
    "DetailedInformation",
    "Recommendation",
    "CWEList",
    "CWE",
    "CVEList",
    "CVSS",
    "CVSS3",
    "References",
)
_SCORES = (("cvss2", "CVSS"), ("cvss3", "CVSS3"), ("cvss4", "CVSS4"))


def sniff(head: bytes) -> bool:
    return xml_root(head)[0] == ROOT


def walk(stream: ByteStream) -> Iterator[Item]:
    return walk_trees(
        stream,
        roots=frozenset({ROOT}),
        items=frozenset({"ReportItem"}),
        contexts={"Scan": _scan, "ReportItems": None},
        keep=frozenset({"StartURL", "Os", "WebServer", "Banner"}),
        closing=frozenset({"Scan"}),
    )


def read(raw: Node) -> tuple[FindingsRecord, ...]:
    element: Element = raw.value
    scan: Scan = raw.above[-1]
    asset = web_asset(scan.origin, raw.once, system=scan.system, server=scan.server)
    if element.tag == "Scan":
        return (asset, *raw.cautions) if asset else raw.cautions
    title = line(text_of(element, "Name"), TITLE_LIMIT)
    if not title:
        raise RecordError("MISSING_FIELD", "Name", "The item has no name.")
    if text_of(element, "IsFalsePositive").lower() in {"true", "1"}:
        told = f'An item "{title}" is marked as a false positive and left out.'
        return (Caution("FALSE_POSITIVE", told), *raw.cautions)
    if asset is None:
        raise RecordError("MISSING_FIELD", "StartURL", "The scan of the item names no host.")
    finding, cautions = _finding(element, title, raw.once)
    parameter = line(text_of(element, "Parameter"))
    # Items of one place and parameter, such as two cookies, are one place with the proof of all.
    pieces = proof(
        details=text_of(element, "Details"),
        request=unescape(text_of(element, "TechnicalDetails/Request")),
        response=unescape(text_of(element, "TechnicalDetails/Response")),
    )
    affected = AffectedAsset(
        finding=finding.key,
        asset=asset.ref,
        port=scan.origin.port,
        protocol="tcp" if scan.origin.port else "",
        service=scan.origin.scheme[:NAME_LIMIT],
        location=location_of(scan, text_of(element, "Affects")),
        parameters=(parameter,) if parameter and parameter != "<empty>" else (),
        notes=_notes(element)[:TEXT_LIMIT],
        evidence=pieces,
    )
    return (asset, finding, affected, *cautions_of(pieces), *cautions, *raw.cautions)


def _scan(element: Element, _: object) -> Scan:
    server = text_of(element, "Banner") or text_of(element, "WebServer")
    return scan_of(text_of(element, "StartURL"), text_of(element, "Os"), server)


def _finding(element: Element, title: str, once: Once) -> tuple[Finding, tuple[Caution, ...]]:
    severity, cautions = severity_of(text_of(element, "Severity"))

    def make() -> Finding:
        return Finding(
            key=finding_key(None, title),
            number=title_number(title),
            title=title,
            severity=severity,
            description=paragraphs(
                text_of(element, "Description"),
                _headed("Impact", text_of(element, "Impact")),
                _headed("Details", text_of(element, "DetailedInformation")),
            )[:TEXT_LIMIT],
            recommendations=text_of(element, "Recommendation")[:TEXT_LIMIT],
            references="\n".join(_references(element))[:TEXT_LIMIT],
            source=SOURCE,
            cves=cves_in([title, all_text(element.find("CVEList"))]),
            cwes=cwes_in(all_text(each) for each in element.iter("CWE")),
            scores=_scores(element),
            fields=custom_fields({"type": text_of(element, "Type"), "module": text_of(element, "ModuleName")}),
        )

    return once(("item", title, *(all_text(element.find(name)) for name in _DEFINING)), make), cautions


def _headed(heading: str, html: str) -> str:
    return f"<h4>{heading}</h4>\n{html}" if html else ""


def _references(element: Element) -> Iterator[str]:
    for reference in elements_at(element, "References/Reference"):
        name, url = line(text_of(reference, "Database")), text_of(reference, "URL")
        yield f"{name}: {url}" if name and url else name or url


def _scores(element: Element) -> tuple[Score, ...]:
    found = (
        score(
            system,
            text_of(element, f"{name}/Descriptor"),
            text_of(element, f"{name}/Score"),
            "",
            text_of(element, f"{name}/TempScore"),
        )
        for system, name in _SCORES
    )
    return tuple(each for each in found if each)


def _notes(element: Element) -> str:
    file, number = line(text_of(element, "AOP_SourceFile")), line(text_of(element, "AOP_SourceLine"))
    place = f"Source file: {file}:{number}" if file and number else f"Source file: {file}" if file else ""
    affected = line(text_of(element, "Affects"))
    elsewhere = f"Affects: {affected}" if affected and not affected.startswith("/") else ""
    return paragraphs(elsewhere, place, text_of(element, "AOP_Additional"))


FORMAT = Format(
    name="acunetix",
    title="an Acunetix report",
    family="acunetix",
    syntax="xml",
    extensions=(".xml",),
    sources=("acunetix",),
    sniff=sniff,
    walk=walk,
    read=read,
)
