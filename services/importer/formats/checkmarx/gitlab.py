"""Reads results of Checkmarx One in the form of GitLab's security reports: `vulnerabilities[]` beside `scan`.

Other tools write this form, too: the scanner's name tells. A query has no id and no group here, so its name is the key.
"""

from __future__ import annotations

from collections.abc import Iterator

from services.importer.formats.checkmarx.components import component_asset, component_finding
from services.importer.formats.checkmarx.findings import (
    cwes_of,
    file_asset,
    labelled,
    left_out,
    place_of,
    query_finding,
    severity_or_caution,
)
from services.importer.formats.kit.evidence import cautions_of, evidence
from services.importer.formats.kit.format import ByteStream, Format, Item, RecordError, WrongFormat
from services.importer.formats.kit.identifiers import cves_in
from services.importer.formats.kit.json import Above, member_paths, walk_json
from services.importer.formats.kit.looks import text_of
from services.importer.formats.kit.members import Members, each, inner, members_of, text
from services.importer.formats.kit.node import Node
from services.importer.formats.kit.values import TEXT_LIMIT, line, unique_lines
from services.importer.targets.findings.records import AffectedAsset, Asset, Finding, FindingsRecord, Severity

_MARKS = ("checkmarx", "cxone")


def sniff(head: bytes) -> bool:
    paths, text = member_paths(head), text_of(head).lower()
    return (
        bool(paths & {"scan.scanner", "vulnerabilities"}) and "version" in paths and any(map(text.__contains__, _MARKS))
    )


def walk(stream: ByteStream) -> Iterator[Item]:
    walked = walk_json(
        stream,
        items=frozenset({"vulnerabilities[]"}),
        signs=frozenset({"vulnerabilities"}),
        contexts={"": _scanner},
        keep=frozenset({"scan"}),
        closing=frozenset({""}),
    )
    is_known = False
    for node, position in walked:
        if not is_known:
            names = [*node.above, _scanner_of(node.value if isinstance(node.value, dict) else {})]
            is_known = any(mark in name.lower() for name in names for mark in _MARKS)
            if not is_known:
                raise WrongFormat("The file is JSON with vulnerabilities, but not of Checkmarx.")
        yield Item(node, position)


def _scanner(kept: Members, _: Above) -> str:
    return _scanner_of(inner(kept, "scan"))


def _scanner_of(members: Members) -> str:
    scanner = inner(members, "scanner")
    return " ".join((text(scanner, "id"), text(scanner, "name"), text(members, "category")))


def read(raw: Node) -> tuple[FindingsRecord, ...]:
    if not raw.path:  # The document itself, which ends.
        return raw.cautions
    result = members_of(raw.value)
    name = text(result, "name", "message")
    if not name:
        raise RecordError("MISSING_FIELD", "name", "The vulnerability has no name.", line(text(result, "id")))
    if caution := left_out(name, text(result, "state")):
        return (caution, *raw.cautions)
    severity, cautions = severity_or_caution(text(result, "severity"))
    dependency = inner(inner(result, "location"), "dependency")
    finding, asset = (_component if dependency else _code)(raw, result, severity, name)
    location = inner(result, "location")
    file = text(location, "file")
    proof = (evidence("Description", told),) if (told := text(result, "description")) else ()
    affected = AffectedAsset(
        finding=finding.key,
        asset=asset.ref,
        location=place_of(file, text(location, "start_line")),
        notes=_notes(result)[:TEXT_LIMIT],
        evidence=() if dependency else proof,
    )
    return (asset, finding, affected, *cautions, *cautions_of(affected.evidence), *raw.cautions)


def _code(raw: Node, result: Members, severity: Severity, name: str) -> tuple[Finding, Asset]:
    """A place in a file. Its description tells of that place, so it is kept as evidence."""
    finding = query_finding(
        raw.once,
        name,
        name,
        severity,
        recommendations=text(result, "solution")[:TEXT_LIMIT],
        cwes=cwes_of(*_identifiers(result)),
        fields={"category": line(text(result, "category"))},
        tags=tuple(filter(None, (line(text(result, "category")),))),
    )
    return finding, file_asset(raw.once, text(inner(result, "location"), "file"))


def _component(raw: Node, result: Members, severity: Severity, name: str) -> tuple[Finding, Asset]:
    """A package with a known vulnerability."""
    dependency = inner(inner(result, "location"), "dependency")
    cves = cves_in([*_identifiers(result), name])
    finding = component_finding(
        raw.once,
        cves[0] if cves else name,
        severity,
        cve=" ".join(cves),
        description=text(result, "description"),
        recommendations=text(result, "solution"),
        references=_links(result),
        cwe=" ".join(_identifiers(result)),
        fields={"category": line(text(result, "category"))},
        tags=tuple(filter(None, (line(text(result, "category")),))),
    )
    parts = text(inner(dependency, "package"), "name"), text(dependency, "version")
    return finding, component_asset(raw.once, "-".join(filter(None, parts)))


def _identifiers(result: Members) -> list[str]:
    """The texts of identifiers; the numbers of scans and results are none."""
    return [
        text(each_, "name", "value") for each_ in each(result, "identifiers") if "cx" not in text(each_, "type").lower()
    ]


def _links(result: Members) -> str:
    return unique_lines(*(text(link, "url") for name in ("links", "identifiers") for link in each(result, name)))


def _notes(result: Members) -> str:
    return labelled(
        [
            ("Confidence", text(result, "confidence")),
            ("Result", text(result, "id")),
            ("Links", ", ".join(_links(result).splitlines())),
        ]
    )


FORMAT = Format(
    name="checkmarx_gitlab",
    title="a GitLab report of Checkmarx",
    family="checkmarx",
    syntax="json",
    extensions=(".json",),
    sources=("checkmarx",),
    sniff=sniff,
    walk=walk,
    read=read,
)
