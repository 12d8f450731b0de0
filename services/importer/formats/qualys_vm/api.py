"""Detections as the API of Qualys VM lists them (`HOST_LIST_VM_DETECTION_OUTPUT` XML).

Known from Qualys's description of the API; it tells neither titles nor texts of a QID, so a finding is called by its
number. An item is one `DETECTION`, or the `HOST` around them, which stands after its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple
from xml.etree.ElementTree import Element

from services.importer.formats.kit.format import ByteStream, Format, Item
from services.importer.formats.kit.looks import xml_root
from services.importer.formats.kit.node import Node
from services.importer.formats.kit.qualys import Vulnerability, finding, qid
from services.importer.formats.kit.trees import elements_at, text_of, walk_trees
from services.importer.formats.qualys_vm.detections import (
    SOURCE,
    Detection,
    affected,
    fixed,
    is_fixed,
    is_yes,
    label,
    place_of,
)
from services.importer.formats.qualys_vm.hosts import asset_of
from services.importer.targets.findings.records import Asset, Caution, FindingsRecord

ROOT = "HOST_LIST_VM_DETECTION_OUTPUT"

_HOST_CHILDREN = frozenset({"ID", "IP", "IPV6", "OS", "DNS", "DNS_DATA", "NETBIOS", "TAGS"})
_DETECTION_CHILDREN = frozenset(
    {
        *("QID", "TYPE", "SEVERITY", "PORT", "SERVICE", "FQDN", "PROTOCOL", "SSL", "INSTANCE", "RESULTS", "STATUS"),
        *("FIRST_FOUND_DATETIME", "LAST_FOUND_DATETIME", "TIMES_FOUND", "LAST_FIXED_DATETIME"),
        *("IS_IGNORED", "IS_DISABLED", "TITLE", "QDS_FACTORS"),
    }
)


class _Host(NamedTuple):
    addresses: tuple[str, ...]
    name: str
    netbios: str
    system: str
    tags: tuple[str, ...]
    id: str


def sniff(head: bytes) -> bool:
    return xml_root(head)[0] == ROOT


def walk(stream: ByteStream) -> Iterator[Item]:
    return walk_trees(
        stream,
        roots=frozenset({ROOT}),
        items=frozenset({"DETECTION"}),
        contexts={"RESPONSE": None, "HOST_LIST": None, "HOST": _host, "DETECTION_LIST": None},
        keep=_HOST_CHILDREN,
        closing=frozenset({"HOST"}),
    )


def read(raw: Node) -> tuple[FindingsRecord, ...]:
    element: Element = raw.value
    host: _Host = raw.above[0]
    asset: Asset = raw.once(("host", *host), lambda: _asset(host))
    if element.tag == "HOST":
        return (asset, *raw.cautions)
    text = partial(text_of, element)
    number = qid(text("QID"))
    if is_yes(text("IS_IGNORED")) or is_yes(text("IS_DISABLED")):
        return (asset, Caution("IGNORED", f"QID {number} is ignored on a host and left out there."), *raw.cautions)
    detection = _detection(element)
    if is_fixed(detection.status):
        return (asset, fixed(number), *raw.cautions)
    told = Vulnerability(qid=number, title=text("TITLE"), level=text("SEVERITY"))
    described = raw.once(("finding", *told), lambda: finding(told, SOURCE))
    return (
        asset,
        *described,
        *affected(detection, number, asset, place_of(text("PORT"), text("PROTOCOL"), text("SERVICE"))),
        *raw.cautions,
    )


def _detection(element: Element) -> Detection:
    text = partial(text_of, element)
    others = ((child.tag, (child.text or "").strip()) for child in element if child.tag not in _DETECTION_CHILDREN)
    return Detection(
        kind=text("TYPE"),
        fqdn=text("FQDN"),
        ssl=text("SSL"),
        instance=text("INSTANCE"),
        result=element.findtext("RESULTS") or "",
        first_found=text("FIRST_FOUND_DATETIME"),
        last_found=text("LAST_FOUND_DATETIME"),
        times_found=text("TIMES_FOUND"),
        status=text("STATUS"),
        last_fixed=text("LAST_FIXED_DATETIME"),
        more=tuple((label(tag), value) for tag, value in others if value),
    )


def _host(element: Element, _above: tuple[object, ...]) -> _Host:
    tags = tuple(name.strip() for each in elements_at(element, "TAGS/TAG") if (name := each.findtext("NAME") or ""))
    return _Host(
        (text_of(element, "IP"), text_of(element, "IPV6")),
        text_of(element, "DNS_DATA/FQDN") or text_of(element, "DNS"),
        text_of(element, "NETBIOS"),
        text_of(element, "OS"),
        tags,
        text_of(element, "ID"),
    )


def _asset(host: _Host) -> Asset:
    return asset_of(
        host.addresses,
        dns=host.name,
        netbios=host.netbios,
        systems=(host.system,),
        tags=host.tags,
        other_name=f"Qualys host {host.id}" if host.id else "",
    )


FORMAT = Format(
    name="qualys_vm_api",
    title="a list of detections of the Qualys VM API",
    family="qualys_vm",
    syntax="xml",
    extensions=(".xml",),
    sources=("qualys",),
    sniff=sniff,
    walk=walk,
    read=read,
)
