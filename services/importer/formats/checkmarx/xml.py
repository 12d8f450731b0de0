"""Reads reports of CxSAST (`CxXMLResults`).

An item is a result: one path through the code that a query found. PlexTrac's mapping is followed where it says
something: title, severity, CWE as reference, tags of categories and group, the file as asset.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple
from xml.etree.ElementTree import Element

from services.importer.formats.checkmarx.findings import (
    STATES,
    Step,
    cwes_of,
    file_asset,
    flow_of,
    labelled,
    left_out,
    place_of,
    query_finding,
    query_key,
    severity_or_caution,
    trace,
)
from services.importer.formats.kit.evidence import cautions_of
from services.importer.formats.kit.format import ByteStream, Format, Item, RecordError
from services.importer.formats.kit.looks import xml_root
from services.importer.formats.kit.node import Node, Once
from services.importer.formats.kit.trees import elements_at, text_of, walk_trees
from services.importer.formats.kit.values import NAME_LIMIT, TEXT_LIMIT, URL_LIMIT, line, whole
from services.importer.targets.findings.records import AffectedAsset, Finding, FindingsRecord, Severity

ROOT = "CxXMLResults"

_TAG_SEPARATOR = re.compile("[;,]")
_TAGS_LIMIT = 50
_NO_STEP = Step("", "", "", "", "")


def sniff(head: bytes) -> bool:
    return xml_root(head)[0] == ROOT


class _Scan(NamedTuple):
    """What the report says of itself."""

    project: str
    link: str


class _Query(NamedTuple):
    """What the results of a query have in common: its attributes."""

    name: str
    key: str
    severity: str
    cwe: str
    group: str
    language: str
    path: str
    categories: str


def walk(stream: ByteStream) -> Iterator[Item]:
    return walk_trees(
        stream,
        roots=frozenset({ROOT}),
        items=frozenset({"Result"}),
        contexts={ROOT: _scan, "Query": _query},
    )


def _scan(element: Element, _: tuple[object, ...]) -> _Scan:
    return _Scan(line(element.get("ProjectName", "")), line(element.get("DeepLink", ""), URL_LIMIT))


def _query(element: Element, _: tuple[object, ...]) -> _Query:
    names = ("name", "id", "Severity", "cweId", "group", "Language", "QueryPath", "categories")
    return _Query(*(element.get(name, "").strip() for name in names))


def read(raw: Node) -> tuple[FindingsRecord, ...]:
    result: Element = raw.value
    if not isinstance(raw.above[-1], _Query):
        raise RecordError("MISSING_FIELD", "Query", "The result stands in no query.")
    scan, query = raw.above
    if not query.name:
        raise RecordError("MISSING_FIELD", "name", "The query of the result has no name.", query.key)
    number = whole(result.get("state", ""))
    state = STATES[number] if number is not None and number < len(STATES) else ""
    is_false = result.get("FalsePositive", "").lower() == "true"
    if caution := left_out(query.name, STATES[1] if is_false else state, result.get("Status", "")):
        return (caution, *raw.cautions)
    told, cautions = severity_or_caution(result.get("Severity", "") or query.severity)
    # Triage may have changed the severity of a result; the query's own is the least that PlexTrac shows.
    severity = min(told, severity_or_caution(query.severity or result.get("Severity", ""))[0])
    finding = raw.once(("query", *query, scan.link, severity), lambda: _finding(raw.once, scan, query, severity))
    paths = [(path.get("PathId", ""), _steps(path)) for path in result.findall("Path")]
    steps = [step for _, each in paths for step in each] or [_NO_STEP]
    first, last = steps[0], steps[-1]
    file = result.get("FileName", "").strip() or first.file
    asset = file_asset(raw.once, file, scan.project)
    name = line(first.name)
    source = place_of(file, result.get("Line", "") or first.line, result.get("Column", "") or first.column)
    sink = place_of(last.file, last.line, last.column)
    # Of several paths each has its id.
    proof = tuple(trace(f"Path {number}".strip(), each) for number, each in paths if each)
    affected = AffectedAsset(
        finding=finding.key,
        asset=asset.ref,
        location=flow_of(source, sink),
        parameters=(name,) if name else (),
        notes=_notes(result, state, query.severity)[:TEXT_LIMIT],
        evidence=proof,
    )
    return (asset, finding, affected, *cautions, *cautions_of(proof), *raw.cautions)


def _finding(once: Once, scan: _Scan, query: _Query, severity: Severity) -> Finding:
    texts = [line(text, NAME_LIMIT) for text in (*_TAG_SEPARATOR.split(query.categories), query.group)]
    return query_finding(
        once,
        query.key or query_key(query.group, query.name),
        query.name,
        severity,
        recommendations=f"See the results in Checkmarx: {scan.link}" if scan.link else "",
        cwes=cwes_of(query.cwe),
        fields={
            "query_id": line(query.key),
            "query_severity": line(query.severity),
            "group": line(query.group),
            "language": line(query.language),
            "query_path": line(query.path),
            "project": scan.project,
        },
        tags=tuple(dict.fromkeys(text for text in texts if text))[:_TAGS_LIMIT],
    )


def _steps(path: Element) -> list[Step]:
    return [
        Step(
            text_of(node, "FileName"),
            text_of(node, "Line"),
            text_of(node, "Column"),
            text_of(node, "Name"),
            "\n".join([code.text or "" for code in elements_at(node, "Snippet/Line/Code")]),
        )
        for node in path.findall("PathNode")
    ]


def _notes(result: Element, state: str, usual: str) -> str:
    path = result.find("Path")
    severity = result.get("Severity", "")
    return labelled(
        [
            ("State", state.capitalize()),
            ("Status", result.get("Status", "")),
            ("Severity", severity if severity != usual else ""),
            ("Remark", result.get("Remark", "")),
            ("Assigned to", result.get("AssignToUser", "")),
            ("Similarity", path.get("SimilarityId", "") if path is not None else ""),
            ("Link", result.get("DeepLink", "")),
        ]
    )


FORMAT = Format(
    name="checkmarx",
    title="a Checkmarx report",
    family="checkmarx",
    syntax="xml",
    extensions=(".xml",),
    sources=("checkmarx",),
    sniff=sniff,
    walk=walk,
    read=read,
)
