"""Reads XML reports of Invicti Enterprise (formerly Netsparker Enterprise) and Acunetix 360, issue by issue.

They differ in the name of the root only. No report of Acunetix 360 in XML is public; it is known from descriptions.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from xml.etree.ElementTree import Element

from services.importer.formats.issues360.issues import (
    ACUNETIX,
    INVICTI,
    folded_element,
    issue_records,
    target_records,
)
from services.importer.formats.kit.format import ByteStream, Format, Item, RecordError
from services.importer.formats.kit.looks import xml_root
from services.importer.formats.kit.node import Node
from services.importer.formats.kit.trees import text_of, walk_trees
from services.importer.formats.kit.values import URL_LIMIT, line
from services.importer.targets.findings.records import FindingsRecord

ACUNETIX_ROOTS = frozenset({"acunetix-360"})
INVICTI_ROOTS = frozenset({"invicti-enterprise", "netsparker-enterprise", "netsparker-cloud"})

_ISSUE = "vulnerability"


def sniff(roots: frozenset[str], head: bytes) -> bool:
    return xml_root(head)[0] in roots


def walk(roots: frozenset[str], stream: ByteStream) -> Iterator[Item]:
    return walk_trees(
        stream,
        roots=roots,
        items=frozenset({_ISSUE}),
        contexts={**dict.fromkeys(roots, _target), "vulnerabilities": None},
        keep=frozenset({"target"}),
        closing=roots,
    )


def read(source: str, raw: Node) -> tuple[FindingsRecord, ...]:
    (target,) = raw.above
    element: Element = raw.value
    if element.tag != _ISSUE:  # The document itself, at its end.
        return (*target_records(target, raw.once), *raw.cautions)
    issue = folded_element(element)
    if not isinstance(issue, dict):
        raise RecordError("MISSING_FIELD", "name", "The issue is empty.")
    return (*issue_records(issue, target, source, raw.once), *raw.cautions)


def _target(report: Element, _: object) -> str:
    return line(text_of(report, "target/url"), URL_LIMIT)


ACUNETIX_REPORT = Format(
    name="acunetix_360",
    title="an Acunetix 360 report",
    family="acunetix",
    syntax="xml",
    extensions=(".xml",),
    sources=("acunetix",),
    sniff=partial(sniff, ACUNETIX_ROOTS),
    walk=partial(walk, ACUNETIX_ROOTS),
    read=partial(read, ACUNETIX),
)
INVICTI_REPORT = Format(
    name="invicti_enterprise",
    title="an Invicti Enterprise report",
    family="invicti",
    syntax="xml",
    extensions=(".xml",),
    sources=("invicti", "netsparker"),
    sniff=partial(sniff, INVICTI_ROOTS),
    walk=partial(walk, INVICTI_ROOTS),
    read=partial(read, INVICTI),
)
FORMATS = (ACUNETIX_REPORT, INVICTI_REPORT)
