"""Reads results of Checkmarx OSA in JSON: a list of two lists, vulnerabilities and the libraries that have them.

The libraries come second, so a vulnerability names its library by the id alone, under which the library is defined.
"""

from __future__ import annotations

from collections.abc import Iterator

from services.importer.formats.checkmarx.components import component_asset, component_finding
from services.importer.formats.checkmarx.findings import labelled, left_out, severity_or_caution
from services.importer.formats.kit.format import ByteStream, Format, Item, RecordError
from services.importer.formats.kit.json import member_paths, walk_json
from services.importer.formats.kit.members import Members, inner, members_of, text
from services.importer.formats.kit.node import Node
from services.importer.formats.kit.values import TEXT_LIMIT, URL_LIMIT, line
from services.importer.targets.findings.records import AffectedAsset, FindingsRecord

_SIGNS = frozenset({"[][].libraryId", "[][].newestVersion"})


def sniff(head: bytes) -> bool:
    return bool(member_paths(head) & _SIGNS)


def walk(stream: ByteStream) -> Iterator[Item]:
    return walk_json(stream, items=frozenset({"[][]"}), signs=_SIGNS)


def read(raw: Node) -> tuple[FindingsRecord, ...]:
    value = members_of(raw.value)
    return (*(_vulnerability if "libraryId" in value else _library)(raw, value), *raw.cautions)


def _library(raw: Node, library: Members) -> tuple[FindingsRecord, ...]:
    name = "-".join(filter(None, (text(library, "name"), text(library, "version"))))
    return (component_asset(raw.once, name, text(library, "id")),)


def _vulnerability(raw: Node, found: Members) -> tuple[FindingsRecord, ...]:
    name, library, state = text(found, "cveName", "id"), line(text(found, "libraryId")), inner(found, "state")
    if not library:
        raise RecordError("MISSING_FIELD", "libraryId", "The vulnerability names no library.", line(name))
    if caution := left_out(name, text(state, "name")):
        return (caution,)
    severity, cautions = severity_or_caution(text(inner(found, "severity"), "name") or text(found, "severity"))
    finding = component_finding(
        raw.once,
        name,
        severity,
        description=text(found, "description"),
        recommendations=text(found, "recommendations"),
        references=line(text(found, "url"), URL_LIMIT),
        fields={"score": line(text(found, "score"), 20)},
        tags=("osa",),
    )
    notes = [
        ("State", text(state, "name").replace("_", " ").capitalize()),
        ("Published", text(found, "publishDate")),
        ("File", text(found, "sourceFileName")),
        ("Vulnerability", text(found, "id")),
    ]
    affected = AffectedAsset(finding=finding.key, asset=library, notes=labelled(notes)[:TEXT_LIMIT])
    return (finding, affected, *cautions)


FORMAT = Format(
    name="checkmarx_osa",
    title="results of Checkmarx OSA",
    family="checkmarx",
    syntax="json",
    extensions=(".json",),
    sources=("checkmarx",),
    sniff=sniff,
    walk=walk,
    read=read,
)
