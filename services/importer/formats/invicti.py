"""Reads reports of Invicti Standard, once Netsparker, in XML: the "vulnerabilities list" with the root `netsparker`.

The other reports of this product, those of the server, are read by `issues360`; here a vulnerability is told in its
words. Old versions write HTML as it is, outside CDATA: such a file is not well-formed, and refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from services.importer.formats.issues360.issues import INVICTI, folded_element, issue_records, target_records
from services.importer.formats.kit.cvss import vector_of
from services.importer.formats.kit.format import ByteStream, Format, Item, RecordError
from services.importer.formats.kit.looks import xml_root
from services.importer.formats.kit.members import Members, each, inner, text
from services.importer.formats.kit.node import Node
from services.importer.formats.kit.trees import all_text, elements_at, text_of, walk_trees
from services.importer.formats.kit.values import URL_LIMIT, line
from services.importer.targets.findings.records import FindingsRecord

ROOT = "netsparker"

_ISSUE = "vulnerability"
# The names of the server's reports for those of Standard.
_NAMES = {
    "title": "name",
    "actionstotake": "remedialactions",
    "remedy": "remedialprocedure",
    "requiredskillsforexploitation": "exploitationskills",
}
_CVSS = {"cvss3": "cvss", "cvss3_1": "cvss31", "cvss4": "cvss40"}


def sniff(head: bytes) -> bool:
    return xml_root(head)[0] == ROOT


def walk(stream: ByteStream) -> Iterator[Item]:
    return walk_trees(
        stream,
        roots=frozenset({ROOT}),
        items=frozenset({_ISSUE}),
        contexts={ROOT: _target, "vulnerabilities": None},
        keep=frozenset({"target"}),
        closing=frozenset({ROOT}),
    )


def read(raw: Node) -> tuple[FindingsRecord, ...]:
    (target,) = raw.above
    element: Element = raw.value
    if element.tag != _ISSUE:  # The document itself, at its end.
        return (*target_records(target, raw.once), *raw.cautions)
    told = folded_element(element)
    if not isinstance(told, dict):
        raise RecordError("MISSING_FIELD", "type", "The vulnerability is empty.")
    return (*issue_records(_issue(element, told), target, INVICTI, raw.once), *raw.cautions)


def _target(report: Element, _: object) -> str:
    return line(text_of(report, "target/url"), URL_LIMIT)


def _issue(element: Element, told: Members) -> Members:
    """The vulnerability as reports of the server would tell it."""
    issue: Members = {_NAMES.get(name, name): value for name, value in told.items()}
    parameter = {
        "name": text(told, "vulnerableparameter"),
        "type": text(told, "vulnerableparametertype"),
        "value": text(told, "vulnerableparametervalue"),
    }
    issue["httprequest"] = {
        "content": all_text(element.find("rawrequest")),
        "parameters": [parameter] if parameter["name"] else [],
    }
    issue["httpresponse"] = {"content": all_text(element.find("rawresponse"))}
    issue["extrainformation"] = [*_infos(element), *_proofs(element)]
    issue["classification"] = _classification(inner(told, "classification"))
    return issue


def _infos(element: Element) -> Iterator[Members]:
    """Names and values, which older versions write as an attribute and text."""
    for info in elements_at(element, "extrainformation/info"):
        yield {
            "name": text_of(info, "name") or info.get("name", ""),
            "value": text_of(info, "value") or info.get("value", "") or (info.text or "").strip(),
        }


def _proofs(element: Element) -> Iterator[Members]:
    for proof in elements_at(element, "proofs/proof"):
        yield {
            "name": text_of(proof, "key") or proof.get("key", ""),
            "value": text_of(proof, "value") or all_text(proof),
        }


def _classification(told: Members) -> Members:
    """Standards, with the scores by the version of CVSS that their vectors name."""
    classes = {name: value for name, value in told.items() if name != "cvss"}
    for scores in each(told, "cvss"):
        system, _ = vector_of(text(scores, "vector"))
        classes.setdefault(_CVSS.get(system, "cvss"), scores)
    return classes


FORMAT = Format(
    name="invicti_standard",
    title="an Invicti Standard report",
    family="invicti",
    syntax="xml",
    extensions=(".xml",),
    sources=("invicti", "netsparker"),
    sniff=sniff,
    walk=walk,
    read=read,
)
