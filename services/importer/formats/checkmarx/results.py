"""Maps what scan reports of Checkmarx One list: code, infrastructure, packages; and at the end the queries."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from services.importer.formats.checkmarx.components import component_asset, component_finding, scores_of
from services.importer.formats.checkmarx.findings import (
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
from services.importer.formats.kit.format import DamagedFile, RecordError
from services.importer.formats.kit.members import Members, each, inner, members_of, text, texts
from services.importer.formats.kit.node import Node, Once
from services.importer.formats.kit.values import TEXT_LIMIT, finding_key, line, paragraphs, whole
from services.importer.targets.findings.records import AffectedAsset, Caution, Finding, FindingsRecord, Severity

# Members in which a package may list its vulnerabilities.
_LISTS = ("vulnerabilities", "packageVulnerabilities", "risks", "results")
NOT_READ = ("containerScanResults", "apiSecScanResults")
_QUERIES_LIMIT, _TAGS_LIMIT = 10_000, 50


@dataclass(slots=True)
class Queries:
    """The queries that results were found by: what is said of each, and the severity of its worst result."""

    found: dict[str, tuple[Members, Severity]] = field(default_factory=dict)

    def add(self, key: str, query: Members, severity: Severity) -> None:
        """One more result of a query. What the first of its worst results says is kept."""
        known = self.found.get(key)
        if known is None and len(self.found) >= _QUERIES_LIMIT:
            raise DamagedFile("TOO_MANY_ELEMENTS", f"The report has more than {_QUERIES_LIMIT} queries.")
        if known is None or severity < known[1]:
            self.found[key] = (query, severity)


class Ended(NamedTuple):
    """What is known when the document has ended."""

    kept: Members
    queries: Queries


def query_of(raw: Node) -> Members:
    """The query a result stands below, with the language above it."""
    merged: Members = {}
    for context in raw.above[1:]:
        merged |= context
    return merged


def key_of(query: Members, result: Members) -> str:
    """The key of the query; "" where it has no name."""
    name, path = text(query, "queryName"), text(query, "queryPath").split("/")
    group = text(result, "groupName") or (path[-2] if len(path) > 1 else "")
    return query_key(group, name) if name else ""


def _project(raw: Node) -> str:
    return text(inner(raw.above[0], "reportHeader"), "projectName") if raw.above else ""


def read_code(raw: Node) -> tuple[FindingsRecord, ...]:
    """A path through the code. Its finding follows at the end."""
    result, query = members_of(raw.value), query_of(raw)
    name, key = text(query, "queryName"), key_of(query, result)
    if not key:
        raise RecordError("MISSING_FIELD", "queryName", "The query of the result has no name.")
    if caution := left_out(name, text(result, "state"), text(result, "status")):
        return (caution,)
    _, cautions = severity_or_caution(text(result, "severity"))
    steps = _steps(result)
    first = steps[0] if steps else Step("", "", "", "", "")
    last = steps[-1] if steps else first
    file = text(result, "sourceFileName") or first.file
    source = place_of(file, text(result, "sourceLine") or first.line, first.column)
    end = text(result, "destinationFileName") or last.file
    sink = place_of(end, text(result, "destinationLine") or last.line, last.column)
    asset = file_asset(raw.once, file, _project(raw))
    start = text(result, "sourceNode") or first.name
    affected = AffectedAsset(
        finding=finding_key(key, name),
        asset=asset.ref,
        location=flow_of(source, sink),
        parameters=(line(start),) if start else (),
        notes=_notes(result)[:TEXT_LIMIT],
        evidence=(trace("Path", steps),) if steps else (),
    )
    return (asset, affected, *cautions, *cautions_of(affected.evidence))


def _steps(result: Members) -> list[Step]:
    """The nodes of the path; where a report leaves them out, its two ends."""
    nodes = [
        Step(
            text(node, "fileName"),
            text(node, "line"),
            text(node, "column"),
            text(node, "node", "name"),
            text(node, "code"),
        )
        for node in each(result, "nodes")
    ]
    ends = [
        Step(
            text(result, f"{end}FileName"),
            text(result, f"{end}Line"),
            "",
            text(result, f"{end}Node"),
            text(result, f"{end}Code"),
        )
        for end in ("source", "destination")
    ]
    return nodes or [end for end in dict.fromkeys(ends) if end.file]


def read_place(raw: Node) -> tuple[FindingsRecord, ...]:
    """A place in a file that describes infrastructure."""
    result, query = members_of(raw.value), query_of(raw)
    name = text(query, "queryName") or text(result, "queryName")
    if not name:
        raise RecordError("MISSING_FIELD", "queryName", "The query of the result has no name.")
    if caution := left_out(name, text(result, "state"), text(result, "status")):
        return (caution,)
    severity, cautions = severity_or_caution(text(result, "severity"))
    technology, category = text(query, "name", "languageName"), text(query, "category") or text(result, "category")
    finding = query_finding(
        raw.once,
        query_key(category, name),
        name,
        severity,
        description=(text(query, "description") or text(result, "description"))[:TEXT_LIMIT],
        cwes=cwes_of(text(query, "cweId")),
        fields={"engine": "kics", "group": line(category), "platform": line(technology)},
        tags=tuple(line(tag) for tag in ("kics", category, technology) if tag),
    )
    file = text(result, "fileName", "filename")
    asset = file_asset(raw.once, file, _project(raw))
    affected = AffectedAsset(
        finding=finding.key,
        asset=asset.ref,
        location=place_of(file, text(result, "line")),
        notes=_notes(result)[:TEXT_LIMIT],
    )
    return (asset, finding, affected, *cautions)


def read_package(raw: Node) -> tuple[FindingsRecord, ...]:
    """A package with the vulnerabilities it has."""
    package = members_of(raw.value)
    found = [vulnerability for name in _LISTS for vulnerability in each(package, name)]
    parts = text(package, "packageName", "name"), text(package, "packageVersion", "version")
    name = text(package, "packageId", "id") or "-".join(filter(None, parts))
    if not found:
        raise RecordError("MISSING_FIELD", "vulnerabilities", "The package lists no vulnerability.", line(name))
    asset = component_asset(raw.once, name)
    records: list[FindingsRecord] = [asset]
    for vulnerability in found:
        title = text(vulnerability, "cve", "cveName", "id", "name")
        if caution := left_out(title, text(vulnerability, "state"), text(vulnerability, "status")):
            records.append(caution)
            continue
        severity, cautions = severity_or_caution(text(vulnerability, "severity"))
        finding = component_finding(
            raw.once,
            title,
            severity,
            description=text(vulnerability, "description"),
            recommendations=text(vulnerability, "recommendations", "fixResolutionText"),
            cwe=text(vulnerability, "cwe", "cweId"),
            scores=scores_of(inner(vulnerability, "cvss"), text(vulnerability, "score", "cvssScore")),
            fields={"engine": "sca"},
            tags=("sca",),
        )
        notes = _notes(vulnerability)[:TEXT_LIMIT]
        affected = AffectedAsset(finding=finding.key, asset=asset.ref, notes=notes)
        records += [finding, affected, *cautions]
    return tuple(records)


def _notes(result: Members) -> str:
    return labelled(
        [
            ("State", text(result, "state")),
            ("Status", text(result, "status").capitalize()),
            ("Method", text(result, "sourceMethod")),
            ("Sink", text(result, "destinationMethod")),
            ("Issue", text(result, "issueType")),
            ("Expected", text(result, "expectedValue")),
            ("Actual", text(result, "actualValue")),
            ("First found", text(result, "firstFoundDate", "firstDetectionDate")),
            ("Similarity", text(result, "similarityId")),
            ("Notes", ", ".join(texts(result, "notes"))),
            ("Link", text(result, "resultViewerLink")),
        ]
    )


def read_end(ended: Ended, once: Once) -> tuple[FindingsRecord, ...]:
    kept, queries = ended
    details = {text(each_, "vulnerabilityName"): each_ for each_ in reversed(each(kept, "vulnerabilityDetails"))}
    findings = [_finding(once, key, *found, details, kept) for key, found in queries.found.items()]
    return (*findings, *_not_read(kept))


def _finding(
    once: Once, key: str, query: Members, severity: Severity, details: dict[str, Members], kept: Members
) -> Finding:
    name = text(query, "queryName")
    detail = details.get(name, {})
    risk, cause = text(detail, "risk"), text(detail, "cause")
    categories = [
        part
        for category in each(query, "categories")
        for part in (text(category, "name"), *texts(category, "subCategories"))
    ]
    group = key.rpartition("/")[0]
    tags = dict.fromkeys(line(tag) for tag in ("sast", *categories, group) if tag)
    return query_finding(
        once,
        key,
        name,
        severity,
        description=paragraphs(
            text(query, "description"), f"Risk:\n{risk}" if risk else "", f"Cause:\n{cause}" if cause else ""
        )[:TEXT_LIMIT],
        recommendations=text(detail, "generalRecommendations")[:TEXT_LIMIT],
        references=line(text(query, "queryDescriptionLink"), TEXT_LIMIT),
        cwes=cwes_of(text(query, "cweId"), text(detail, "cweId")),
        fields={
            "engine": "sast",
            "group": line(group),
            "language": line(text(query, "languageName") or text(query, "queryPath").partition("/")[0]),
            "project": line(text(inner(kept, "reportHeader"), "projectName")),
        },
        tags=tuple(tags)[:_TAGS_LIMIT],
    )


def _not_read(kept: Members) -> list[Caution]:
    """Results of engines whose form is not known."""
    return [
        Caution("RESULTS_NOT_READ", f'The results in "{name}" are not read.')
        for name in NOT_READ
        if (part := kept.get(name)) and (not isinstance(part, dict) or whole(text(part, "totalResults")) != 0)
    ]
