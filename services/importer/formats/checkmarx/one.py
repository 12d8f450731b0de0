"""Reads results of Checkmarx One in JSON, as its command line and its API give them: `results[]` of all engines.

What differs from engine to engine is in `data`: a path through the code (`sast`), a place in a file (`kics`, secrets),
a package (`sca`). Ids of queries are the same in no two kinds of reports, so a query is known by group and name.
"""

from __future__ import annotations

from collections.abc import Iterator

from services.importer.formats.checkmarx.components import component_asset, component_finding, scores_of
from services.importer.formats.checkmarx.findings import (
    Step,
    cwes_of,
    file_asset,
    flow_of,
    group_of,
    labelled,
    left_out,
    place_of,
    query_finding,
    query_key,
    severity_or_caution,
    trace,
)
from services.importer.formats.kit.evidence import cautions_of, evidence
from services.importer.formats.kit.format import ByteStream, Format, Item, RecordError
from services.importer.formats.kit.json import member_paths, walk_json
from services.importer.formats.kit.members import Members, each, inner, members_of, text, texts
from services.importer.formats.kit.node import Node
from services.importer.formats.kit.values import TEXT_LIMIT, URL_LIMIT, line, unique_lines
from services.importer.targets.findings.records import AffectedAsset, Asset, Evidence, Finding, FindingsRecord, Severity

_SIGNS = frozenset({"results[].similarityId", "totalCount", "scanID"})
_TAGS_LIMIT = 50


def sniff(head: bytes) -> bool:
    paths = member_paths(head)
    return "results" in paths and bool(paths & _SIGNS)


def walk(stream: ByteStream) -> Iterator[Item]:
    return walk_json(stream, items=frozenset({"results[]"}), signs=_SIGNS)


def read(raw: Node) -> tuple[FindingsRecord, ...]:
    result = members_of(raw.value)
    data = inner(result, "data")
    name = text(data, "queryName", "ruleName") or text(result, "id")
    if caution := left_out(name, text(result, "state"), text(result, "status")):
        return (caution, *raw.cautions)
    severity, cautions = severity_or_caution(text(result, "severity"))
    engine = text(result, "type").lower()
    is_component = engine.startswith(("sca", "container")) or bool(text(data, "packageIdentifier", "packageName"))
    make = _component if is_component else _place
    asset, finding, affected = make(raw, result, severity, engine)
    return (asset, finding, affected, *cautions, *cautions_of(affected.evidence), *raw.cautions)


def _place(raw: Node, result: Members, severity: Severity, engine: str) -> tuple[Asset, Finding, AffectedAsset]:
    """A path through the code, or a place in a file."""
    data, details = inner(result, "data"), inner(result, "vulnerabilityDetails")
    name = text(data, "queryName", "ruleName")
    if not name:
        raise RecordError("MISSING_FIELD", "queryName", "The result names no query.", line(text(result, "id")))
    nodes = [
        Step(text(node, "fileName"), text(node, "line"), text(node, "column"), text(node, "name"), text(node, "code"))
        for node in each(data, "nodes")
    ]
    file = nodes[0].file if nodes else text(data, "fileName", "filename")
    # Of a path, the description tells where it goes; else it is that of the query.
    told = text(result, "description")
    description = "" if nodes else told[:TEXT_LIMIT]
    group = group_of(text(data, "group"))
    tags = dict.fromkeys(line(tag) for tag in (engine, *texts(details, "compliances"), group) if tag)
    finding = query_finding(
        raw.once,
        query_key(group, name),
        name,
        severity,
        description=description,
        recommendations=text(data, "remediation")[:TEXT_LIMIT],
        cwes=cwes_of(text(details, "cweId")),
        fields={
            "engine": line(engine),
            "group": group,
            "language": line(text(data, "languageName")),
            "platform": line(text(data, "platform")),
        },
        tags=tuple(tags)[:_TAGS_LIMIT],
    )
    asset = file_asset(raw.once, file)
    source = place_of(*nodes[0][:3]) if nodes else place_of(file, text(data, "line"))
    proof = [trace("Path", nodes)] if nodes else []
    if snippet := text(data, "snippet"):
        proof.append(evidence("Code", snippet))
    affected = AffectedAsset(
        finding=finding.key,
        asset=asset.ref,
        location=flow_of(source, place_of(*nodes[-1][:3])) if nodes else source,
        parameters=(line(nodes[0].name),) if nodes and nodes[0].name else (),
        notes="\n".join(filter(None, (told if nodes else "", _notes(result, data))))[:TEXT_LIMIT],
        evidence=tuple(proof),
    )
    return asset, finding, affected


def _component(raw: Node, result: Members, severity: Severity, engine: str) -> tuple[Asset, Finding, AffectedAsset]:
    """A package with a known vulnerability."""
    data, details = inner(result, "data"), inner(result, "vulnerabilityDetails")
    package = inner(data, "scaPackageData")
    parts = text(data, "packageName"), text(data, "packageVersion")
    name = text(data, "packageIdentifier") or "-".join(filter(None, parts))
    version = text(data, "recommendedVersion")
    links = unique_lines(*(text(link, "url") for link in each(data, "packageData")), text(package, "fixLink"))
    finding = component_finding(
        raw.once,
        text(result, "id", "similarityId", "cveId"),
        severity,
        cve=text(details, "cveName") or text(result, "cveId"),
        description=text(result, "description"),
        recommendations=f"Update {name} to {version}." if version else "",
        references=links,
        cwe=text(details, "cweId"),
        scores=scores_of(inner(details, "cvss"), text(details, "cvssScore")),
        fields={"engine": line(engine)},
        tags=(line(engine),) if engine else (),
    )
    asset = component_asset(raw.once, name)
    locations = texts(package, "locations")
    affected = AffectedAsset(
        finding=finding.key,
        asset=asset.ref,
        location=line(locations[0], URL_LIMIT) if locations else "",
        notes=_notes(
            result,
            data,
            ("Dependency", text(package, "typeOfDependency")),
            ("Recommended version", version),
            ("Files", ", ".join(locations)),
        )[:TEXT_LIMIT],
        evidence=_dependencies(package),
    )
    return asset, finding, affected


def _dependencies(package: Members) -> tuple[Evidence, ...]:
    """How the package came in: each chain of packages from the project's own dependency down to it."""
    paths = package.get("dependencyPaths")
    chains = [
        " > ".join(filter(None, (text(link, "name", "id") for link in chain if isinstance(link, dict))))
        for chain in (paths if isinstance(paths, list) else [])
        if isinstance(chain, list)
    ]
    lines = unique_lines(*chains)
    return (evidence("Dependency paths", lines),) if lines else ()


def _notes(result: Members, data: Members, *more: tuple[str, str]) -> str:
    return labelled(
        [
            ("State", text(result, "state").replace("_", " ").capitalize()),
            ("Status", text(result, "status").capitalize()),
            ("Issue", text(data, "issueType")),
            ("Expected", text(data, "expectedValue")),
            ("Actual", text(data, "value")),
            *more,
            ("First found", text(result, "firstFoundAt")),
            ("Result", text(result, "id")),
            ("Similarity", text(result, "similarityId")),
        ]
    )


FORMAT = Format(
    name="checkmarx_one",
    title="results of Checkmarx One",
    family="checkmarx",
    syntax="json",
    extensions=(".json",),
    sources=("checkmarx",),
    sniff=sniff,
    walk=walk,
    read=read,
)
