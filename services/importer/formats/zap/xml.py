"""Reads XML reports of ZAP, alert by alert and instance by instance, so that an alert may have any number of them.

Versions from 1.4 on: with instances or (before 2.5) an alert for each, with requests and responses or without.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from services.importer.formats.kit.format import ByteStream, Format, Item
from services.importer.formats.kit.looks import xml_root
from services.importer.formats.kit.members import Members
from services.importer.formats.kit.node import Node
from services.importer.formats.kit.trees import walk_trees
from services.importer.formats.kit.web import web_asset
from services.importer.formats.kit.xml import LIMITS
from services.importer.formats.zap.alerts import alert_records, head_of, instance_of, site_of
from services.importer.targets.findings.records import FindingsRecord

ROOT = "OWASPZAPReport"

_KEPT = frozenset({
    "pluginid", "alertRef", "alert", "name", "riskcode", "confidence", "reliability", "confidencedesc", "riskdesc",
    "desc", "uri", "method", "param", "attack", "evidence", "otherinfo", "requestheader", "requestbody",
    "responseheader", "responsebody", "systemic", "solution", "reference", "cweid", "wascid", "tags",
})  # fmt: skip


def sniff(head: bytes) -> bool:
    return xml_root(head)[0] == ROOT


def walk(stream: ByteStream) -> Iterator[Item]:
    return walk_trees(
        stream,
        roots=frozenset({ROOT}),
        items=frozenset({"instance"}),
        contexts={
            "site": lambda element, _: site_of(element.attrib),
            "alerts": None,
            "alertitem": lambda element, _: head_of(_members(element)),
            "instances": None,
        },
        keep=_KEPT,
        closing=frozenset({"site", "alertitem"}),
        limits=LIMITS,
    )


def read(raw: Node) -> tuple[FindingsRecord, ...]:
    element: Element = raw.value
    site, *alert = raw.above
    if element.tag == "site":
        asset = web_asset(site, raw.once)
        return (asset, *raw.cautions) if asset else raw.cautions
    (head,) = alert
    if element.tag == "alertitem":
        return (*alert_records(_members(element), head, site, raw.once), *raw.cautions)
    if head.is_false_positive:
        return raw.cautions
    return (*instance_of(_members(element), head, site, raw.once), *raw.cautions)


def _members(element: Element) -> Members:
    """The element as JSON reports have it. Of two children of a name, which 1.4 wrote, the first counts."""
    members: Members = {}
    for child in element:
        tags = [{"tag": tag.findtext("tag")} for tag in child.iter("tag") if len(tag)] if len(child) else []
        members.setdefault(child.tag, tags or child.text)
    return members


FORMAT = Format(
    name="zap",
    title="a ZAP report",
    family="zap",
    syntax="xml",
    extensions=(".xml",),
    sources=("owaspzap",),
    sniff=sniff,
    walk=walk,
    read=read,
)
