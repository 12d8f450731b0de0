"""Scans as the API of Qualys WAS gives them (`WasScan` XML).

An item is one `WasScanVuln`, `WasScanSensitiveContent` or `WasScanIg`, or the scan around them, which stands last.
They tell title and QID but neither severity nor description.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from xml.etree.ElementTree import Element

from services.importer.formats.kit.evidence import cautions_of, evidence
from services.importer.formats.kit.format import ByteStream, Format, Item
from services.importer.formats.kit.looks import xml_root
from services.importer.formats.kit.node import Node
from services.importer.formats.kit.qualys import Vulnerability, finding, listed, qid, something
from services.importer.formats.kit.trees import elements_at, text_of, walk_trees
from services.importer.formats.kit.values import TEXT_LIMIT
from services.importer.formats.qualys_was.applications import SOURCE, affected, application, asset_at
from services.importer.formats.qualys_was.payloads import decoded
from services.importer.targets.findings.records import Asset, Evidence, FindingsRecord, Severity

ROOT = "WasScan"

_KINDS = {
    "WasScanVuln": "Vulnerability",
    "WasScanSensitiveContent": "Sensitive content",
    "WasScanIg": "Information gathered",
}
_APPLICATION = "application"
# The levels of vulnerabilities found in public scans, as their own statistics confirm them.
_LEVELS = {
    "150001": "5",
    "150003": "5",
    "150004": "2",
    "150011": "3",
    "150012": "5",
    "150022": "3",
    "150053": "3",
    "150081": "1",
    "150084": "1",
    "150085": "3",
    "150112": "2",
    "150122": "2",
    "150123": "2",
    "150124": "3",
}


class Scan(NamedTuple):
    """What a scan says of the web application it was of."""

    url: str
    name: str
    system: str


def sniff(head: bytes) -> bool:
    return xml_root(head)[0] == ROOT


def walk(stream: ByteStream) -> Iterator[Item]:
    return walk_trees(
        stream,
        roots=frozenset({ROOT}),
        items=frozenset(_KINDS),
        contexts={ROOT: _scan, "vulns": None, "sensitiveContents": None, "igs": None, "list": None},
        keep=frozenset({"name", "target", "summary"}),
        closing=frozenset({ROOT}),
    )


def read(raw: Node) -> tuple[FindingsRecord, ...]:
    element: Element = raw.value
    scan: Scan = raw.above[0]
    whole: Asset = raw.once(("application", *scan), lambda: application(_APPLICATION, *scan))
    if element.tag == ROOT:
        return (whole, *raw.cautions)
    key = qid(text_of(element, "qid"))
    is_weakness = element.tag != "WasScanIg"
    told = Vulnerability(
        qid=key,
        title=text_of(element, "title"),
        level=text_of(element, "severity") or (_LEVELS.get(key, "") if is_weakness else ""),
        fields=(("category", _KINDS[element.tag]),),
    )
    otherwise = Severity.MEDIUM if is_weakness else Severity.INFORMATIONAL
    described = raw.once(("finding", otherwise, *told), lambda: finding(told, SOURCE, otherwise))
    url = something(text_of(element, "uri"))
    asset = asset_at(raw.once, url) or whole
    proof = tuple(_proof(element))
    notes = listed(("Type", _KINDS[element.tag]), *_circumstances(element))
    place = affected(key, asset.ref, url, text_of(element, "param"), notes[:TEXT_LIMIT], proof)
    return (asset, *described, place, *cautions_of(proof), *raw.cautions)


def _scan(element: Element, _above: tuple[object, ...]) -> Scan:
    application = text_of(element, "target/webApp/name")
    return Scan(
        text_of(element, "target/webApp/url"), application or text_of(element, "name"), text_of(element, "summary/os")
    )


def _proof(element: Element) -> Iterator[Evidence]:
    for instance in elements_at(element, "instances/list/*"):
        for payload in elements_at(instance, "payloads/list/*"):
            if sent := something(text_of(payload, "payload")):
                yield evidence("Payload", sent)
            if (got := decoded(payload.find("result"))).strip():
                yield evidence("Result", got)
    if (data := decoded(element.find("data"))).strip():
        yield evidence("Data", data)


def _circumstances(element: Element) -> Iterator[tuple[str, str]]:
    for instance in elements_at(element, "instances/list/*"):
        yield "Authenticated", text_of(instance, "authenticated")
        yield "Form", something(text_of(instance, "form"))


FORMAT = Format(
    name="qualys_was_api",
    title="a scan of the Qualys WAS API",
    family="qualys_was",
    syntax="xml",
    extensions=(".xml",),
    sources=("qualys",),
    sniff=sniff,
    walk=walk,
    read=read,
)
