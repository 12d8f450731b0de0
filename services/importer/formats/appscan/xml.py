"""Reads AppScan reports in XML: AppScan Standard of HCL and IBM, and AppScan on Cloud, dynamic, static or both.

A report is a list of issues among groups of definitions, which they refer to by id; some groups stand before the
issues, others behind. Issues are given as they come. Definitions are few: they are kept, and given as one item when
the document ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from services.importer.formats.appscan.issues import is_left_out, severity_of
from services.importer.formats.appscan.read import read
from services.importer.formats.appscan.report import (
    HOSTS,
    ISSUES,
    Definitions,
    Issue,
    Report,
    Sightings,
    reference_of,
)
from services.importer.formats.kit.format import ByteStream, Format, Item, WrongFormat
from services.importer.formats.kit.looks import xml_root
from services.importer.formats.kit.node import Node
from services.importer.formats.kit.trees import text_of, walk_trees
from services.importer.formats.kit.xml import Attributes, Limits
from services.importer.targets.findings.records import Severity

ROOT = "xml-report"
# Each group is kept whole, so it may be less large than an issue with its traffic.
LIMITS = Limits(text=16 << 20, record=32 << 20)

_KEPT = frozenset(
    {
        "issue-type-group",
        "advisory-group",
        "article-group",
        "fix-recommendation-group",
        "threat-class-group",
        "security-risk-group",
        "cause-group",
        "remediation-group",
        "url-group",
        "entity-group",
    }
)
_SLIM = ("cwe", "cvss-score", "cvss-vector", "issue-type-name", "technology", "advisory", "threat-class",
         "remediation", "security-risks", "cause-id", "fix")  # fmt: skip


def sniff(head: bytes) -> bool:
    name, attributes = xml_root(head)
    return name == ROOT and ("AppScan" in attributes or "technology=" in attributes or "XmlExportVersion" in attributes)


def walk(stream: ByteStream) -> Iterator[Item]:
    sightings = Sightings()
    walked = walk_trees(
        stream,
        roots=frozenset({ROOT}),
        items=frozenset({"item"}),
        contexts={
            ROOT: lambda element, _: element,
            ISSUES: lambda _, above: Report(above[0]),
            HOSTS: lambda *_: HOSTS,
            "scan-configuration": None,
        },
        keep=_KEPT,
        closing=frozenset({ROOT}),
        check=_check,
        limits=LIMITS,
    )
    for node, position in walked:
        around = node.above[-1]
        if isinstance(around, Report):
            yield Item(_issue(node, around, sightings), position)
        elif around == HOSTS:
            yield Item(node, position)
        else:
            yield Item(Node(Definitions(Report(node.value), sightings), (), node.once, node.notes), position)


def _check(attributes: Attributes) -> None:
    if "AppScan" not in attributes.get("name", "") and not attributes.keys() & {"technology", "xmlExportVersion"}:
        raise WrongFormat(f"The file is XML with the root element <{ROOT}>, but not written by AppScan.")


def _issue(node: Node, report: Report, sightings: Sightings) -> Node:
    element: Element = node.value
    sightings.count += 1
    kind, url = reference_of(element, "issue-type"), reference_of(element, "url")
    if kind and not is_left_out(element):
        slim = Element("item")
        slim.extend(child for name in _SLIM if (child := element.find(name)) is not None)
        sightings.add(kind, severity_of(element) or Severity.INFORMATIONAL, slim)
    found = report.find("url-group", url)
    if url and found is None and not text_of(element, "host"):
        sightings.add_late_url(url)
    issue = Issue(element, found, report.find("entity-group", reference_of(element, "entity")))
    return Node(issue, (), node.once, node.notes)


FORMAT = Format(
    name="appscan",
    title="an AppScan report",
    family="appscan",
    syntax="xml",
    extensions=(".xml",),
    sources=("hclappscan",),
    sniff=sniff,
    walk=walk,
    read=read,
)
