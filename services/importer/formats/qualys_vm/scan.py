"""Scan results of Qualys VM (`SCAN` XML), which describe each QID where it is found.

An item is one `VULN`, `PRACTICE`, `SERVICE` or `INFO`, or the `IP` around them, which stands after its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from xml.etree.ElementTree import Element

from services.importer.formats.kit.format import ByteStream, Format, Item
from services.importer.formats.kit.looks import text_of as head_text
from services.importer.formats.kit.looks import xml_root
from services.importer.formats.kit.node import Node
from services.importer.formats.kit.qualys import finding, qid
from services.importer.formats.kit.trees import text_of, walk_trees
from services.importer.formats.qualys_vm.detections import SOURCE, Detection, affected, place_of
from services.importer.formats.qualys_vm.hosts import asset_of
from services.importer.formats.qualys_vm.knowledge import in_scan
from services.importer.targets.findings.records import Asset, FindingsRecord

ROOT = "SCAN"

_KINDS = {"VULN": "Vulnerability", "PRACTICE": "Potential vulnerability", "SERVICE": "Service", "INFO": "Information"}


class Category(NamedTuple):
    """A `CAT`: where the entries in it were found."""

    name: str
    port: str
    protocol: str
    fqdn: str
    service: str


def sniff(head: bytes) -> bool:
    root, attributes = xml_root(head)
    # The name is a common one. A scan has an id like `scan/1234.5678`, and a document type of its own.
    return root == ROOT and ("scan/" in attributes or "scan-1.dtd" in head_text(head))


def walk(stream: ByteStream) -> Iterator[Item]:
    return walk_trees(
        stream,
        roots=frozenset({ROOT}),
        items=frozenset(_KINDS),
        contexts={
            "IP": _host,
            "VULNS": None,
            "PRACTICES": None,
            "SERVICES": None,
            "INFOS": None,
            "CAT": _category,
        },
        keep=frozenset({"OS", "NETBIOS_HOSTNAME"}),
        closing=frozenset({"IP"}),
    )


def read(raw: Node) -> tuple[FindingsRecord, ...]:
    entry: Element = raw.value
    host: _Host = raw.above[0]
    asset: Asset = raw.once(("host", *host), lambda: _asset(host))
    if entry.tag == "IP":
        return (asset, *raw.cautions)
    category: Category = raw.above[1] if len(raw.above) > 1 else Category("", "", "", "", "")
    told = in_scan(entry, category.name)
    described = raw.once(("finding", *told), lambda: finding(told, SOURCE))
    detection = Detection(
        kind=_KINDS[entry.tag],
        fqdn=category.fqdn,
        instance=text_of(entry, "INSTANCE"),
        result=entry.findtext("RESULT") or "",
        more=(("Errors", text_of(entry, "RESULT_ERRORS")),),
    )
    return (
        asset,
        *described,
        *affected(detection, qid(told.qid), asset, place_of(category.port, category.protocol, category.service)),
        *raw.cautions,
    )


class _Host(NamedTuple):
    address: str
    name: str
    netbios: str
    system: str


def _host(element: Element, _above: tuple[object, ...]) -> _Host:
    told = str(element.get("value", "")), str(element.get("name", ""))
    return _Host(*told, text_of(element, "NETBIOS_HOSTNAME"), text_of(element, "OS"))


def _asset(host: _Host) -> Asset:
    return asset_of((host.address,), dns=host.name, netbios=host.netbios, systems=(host.system,))


def _category(element: Element, _above: tuple[object, ...]) -> Category:
    name, port, protocol, fqdn, misc = (
        str(element.get(key, "")) for key in ("value", "port", "protocol", "fqdn", "misc")
    )
    # A category is called for the service wherever it has a port.
    return Category(name, port, protocol, fqdn, misc or (name if port else ""))


FORMAT = Format(
    name="qualys_vm_scan",
    title="a Qualys VM scan",
    family="qualys_vm",
    syntax="xml",
    extensions=(".xml",),
    sources=("qualys",),
    sniff=sniff,
    walk=walk,
    read=read,
)
