"""Reads risk reports of Checkmarx SCA in JSON (`RiskReportSummary`, `Packages`, `Vulnerabilities`).

No such file is public; the members are those that PlexTrac's converter and DefectDojo read.
"""

from __future__ import annotations

from collections.abc import Iterator

from services.importer.formats.checkmarx.components import component_asset, component_finding, scores_of
from services.importer.formats.checkmarx.findings import labelled, severity_or_caution
from services.importer.formats.kit.cvss import score
from services.importer.formats.kit.format import ByteStream, Format, Item
from services.importer.formats.kit.json import Above, member_paths, walk_json
from services.importer.formats.kit.members import Members, inner, is_true, members_of, text, texts
from services.importer.formats.kit.node import Node
from services.importer.formats.kit.values import TEXT_LIMIT, line, unique_lines
from services.importer.targets.findings.records import AffectedAsset, Caution, FindingsRecord, Score

_SIGNS = frozenset({"RiskReportSummary", "Vulnerabilities[].PackageId"})


def sniff(head: bytes) -> bool:
    return bool(member_paths(head) & _SIGNS)


def walk(stream: ByteStream) -> Iterator[Item]:
    return walk_json(
        stream,
        items=frozenset({"Vulnerabilities[]"}),
        signs=_SIGNS,
        contexts={"": _project},
        keep=frozenset({"RiskReportSummary"}),
    )


def _project(kept: Members, _: Above) -> str:
    return text(inner(kept, "RiskReportSummary"), "ProjectName")


def read(raw: Node) -> tuple[FindingsRecord, ...]:
    found = members_of(raw.value)
    name = text(found, "Id", "CveName")
    parts = text(found, "PackageName"), text(found, "PackageVersion")
    package = text(found, "PackageId") or "-".join(filter(None, parts))
    if is_true(found, "IsIgnored"):
        message = f"The vulnerability {line(name)} of {line(package)} is marked as ignored and left out."
        return (Caution("FALSE_POSITIVE", message), *raw.cautions)
    severity, cautions = severity_or_caution(text(found, "Severity") or text(inner(found, "Cvss3"), "Severity"))
    finding = component_finding(
        raw.once,
        name,
        severity,
        cve=text(found, "CveName"),
        description=text(found, "Description"),
        recommendations=text(found, "Recommendations") or text(found, "FixResolutionText"),
        references=unique_lines(*texts(found, "References")),
        cwe=text(found, "Cwe"),
        scores=_scores(found),
        fields={"fix_resolution_text": line(text(found, "FixResolutionText")), "epss": _epss(found)},
        tags=("sca",),
    )
    asset = component_asset(raw.once, package)
    affected = AffectedAsset(finding=finding.key, asset=asset.ref, notes=_notes(found, *raw.above)[:TEXT_LIMIT])
    return (asset, finding, affected, *cautions, *raw.cautions)


def _scores(found: Members) -> tuple[Score, ...]:
    third = inner(found, "Cvss3") or inner(found, "Cvss")
    scores = scores_of(third, text(third, "BaseScore", "Score") or text(found, "Score"))
    second = score("cvss2", "", text(inner(found, "Cvss2"), "BaseScore", "Score"))
    return (*scores, second) if second else scores


def _epss(found: Members) -> str:
    return text(found, "EpssValue") or text(inner(found, "Epss"), "EpssValue", "Value")


def _notes(found: Members, project: str) -> str:
    return labelled(
        [
            ("Project", project),
            ("Type", text(found, "Type")),
            ("Fix", text(found, "FixResolutionText")),
            ("Published", text(found, "PublishDate")),
            ("First found", text(found, "FirstFoundAt")),
            ("Violates a policy", "yes" if is_true(found, "IsViolatingPolicy") else ""),
            ("Exploitable methods", ", ".join(texts(found, "ExploitableMethods"))),
        ]
    )


FORMAT = Format(
    name="checkmarx_sca",
    title="a Checkmarx SCA risk report",
    family="checkmarx",
    syntax="json",
    extensions=(".json",),
    sources=("checkmarx",),
    sniff=sniff,
    walk=walk,
    read=read,
)
