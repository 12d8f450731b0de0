"""Reads results in the JSON of cx-flow: `xissues[]`, each one query in one file with the lines it was found on.

`unFilteredIssues` has the same again, with what the filters of cx-flow took away, and is passed over. An issue has no
query id of its own; the link to its description has, so that the same query from CxSAST's XML is the same finding.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

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
    severity_or_caution,
    trace,
)
from services.importer.formats.kit.evidence import cautions_of, evidence
from services.importer.formats.kit.format import ByteStream, Format, Item, RecordError
from services.importer.formats.kit.json import Above, member_paths, walk_json
from services.importer.formats.kit.members import Members, each, inner, is_true, members_of, text
from services.importer.formats.kit.node import Node, Once
from services.importer.formats.kit.values import TEXT_LIMIT, URL_LIMIT, line, whole
from services.importer.targets.findings.records import (
    AffectedAsset,
    Caution,
    Evidence,
    Finding,
    FindingsRecord,
    Severity,
)

_SIGNS = frozenset({"xissues", "unFilteredIssues"})
_QUERY_ID = re.compile(r"queryID=(\d{1,18})", re.IGNORECASE | re.ASCII)
_TAG_SEPARATOR = re.compile("[;,]")
_TAGS_LIMIT = 50


def sniff(head: bytes) -> bool:
    paths = member_paths(head)
    return bool(paths & _SIGNS) or "additionalDetails.flow-summary" in paths


def walk(stream: ByteStream) -> Iterator[Item]:
    return walk_json(
        stream,
        items=frozenset({"xissues[]"}),
        signs=_SIGNS,
        contexts={"": _project},
        keep=frozenset({"project"}),
    )


def _project(kept: Members, _: Above) -> str:
    return text(kept, "project")


def read(raw: Node) -> tuple[FindingsRecord, ...]:
    issue = members_of(raw.value)
    name = text(issue, "vulnerability")
    if not name:
        raise RecordError("MISSING_FIELD", "vulnerability", "The issue names no query.")
    if caution := left_out(name, STATES[1] if is_true(issue, "allFalsePositive") else ""):
        return (caution, *raw.cautions)
    severity, cautions = severity_or_caution(text(issue, "severity"))
    finding = _finding(raw.once, issue, name, severity)
    file = text(issue, "filename")
    asset = file_asset(raw.once, file, *raw.above)
    paths = each(inner(issue, "additionalDetails"), "results")
    affected: list[AffectedAsset | Caution] = []
    for number, detail in _lines(issue):
        if caution := left_out(name, STATES[1] if is_true(detail, "falsePositive") else ""):
            affected.append(caution)
            continue
        own = [path for path in paths if text(inner(path, "source"), "line") in {number, ""}]
        affected.append(_affected(issue, finding.key, asset.ref, number, detail, own))
    cut = [caution for each_ in affected if isinstance(each_, AffectedAsset) for caution in cautions_of(each_.evidence)]
    return (asset, finding, *affected, *cautions, *cut, *raw.cautions)


def _lines(issue: Members) -> list[tuple[str, Members]]:
    """The lines an issue was found on; one without a number where it names none."""
    details = inner(issue, "details")
    return [(number, inner(details, number)) for number in details] or [("", {})]


def _finding(once: Once, issue: Members, name: str, severity: Severity) -> Finding:
    more = inner(issue, "additionalDetails")
    fix = line(text(more, "recommendedFix"), URL_LIMIT)
    number = _QUERY_ID.search(fix)
    tags = dict.fromkeys(line(tag) for tag in _TAG_SEPARATOR.split(text(more, "categories")) if tag.strip())
    return query_finding(
        once,
        number[1] if number else name,
        name,
        severity,
        description=text(issue, "description")[:TEXT_LIMIT],
        recommendations=fix,
        references=line(text(more, "CodeBashingLesson"), URL_LIMIT),
        cwes=cwes_of(text(issue, "cwe")),
        fields={"language": line(text(issue, "language")), "query_id": number[1] if number else ""},
        tags=tuple(tags)[:_TAGS_LIMIT],
    )


def _affected(
    issue: Members, finding: str, asset: str, number: str, detail: Members, paths: list[Members]
) -> AffectedAsset:
    source, sink = place_of(text(issue, "filename"), number), inner(paths[0], "sink") if len(paths) == 1 else {}
    notes = [
        ("Status", text(issue, "vulnerabilityStatus").capitalize()),
        ("Comment", text(detail, "comment")),
        ("Similarity", text(issue, "similarityId")),
        ("Link", text(issue, "link")),
    ]
    return AffectedAsset(
        finding=finding,
        asset=asset,
        location=flow_of(source, place_of(text(sink, "file"), text(sink, "line"))),
        notes=labelled(notes)[:TEXT_LIMIT],
        evidence=(*([evidence("Code", code)] if (code := text(detail, "codeSnippet")) else []), *_traces(paths)),
    )


def _traces(paths: list[Members]) -> Iterator[Evidence]:
    """The paths through the code. Steps have numbers for names; `source` and `sink` are the first and the last."""
    for path in paths:
        numbered = sorted((int(name), name) for name in path if whole(name) is not None)
        names = [name for _, name in numbered] or ["source", "sink"]
        steps = [
            Step(
                text(step, "file"),
                text(step, "line"),
                text(step, "column"),
                text(step, "object"),
                text(step, "snippet"),
            )
            for name in names
            if (step := inner(path, name))
        ]
        if steps:
            yield trace("Path", steps)


FORMAT = Format(
    name="checkmarx_cxflow",
    title="results of cx-flow",
    family="checkmarx",
    syntax="json",
    extensions=(".json",),
    sources=("checkmarx",),
    sniff=sniff,
    walk=walk,
    read=read,
)
