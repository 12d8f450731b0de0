"""Reads what Veracode's APIs and command lines answer in JSON.

- findings of the REST API (`_embedded.findings[]`, or a bare `findings[]`), of all kinds of scan;
- results of a pipeline scan (`findings[]` with `cwe_id` and `files`);
- issues of the agent for components (`_embedded.issues[]`).

An answer of the API may be one page of several; then a caution tells.
"""

from __future__ import annotations

from collections.abc import Iterator

from services.importer.formats.kit.cvss import score
from services.importer.formats.kit.format import ByteStream, Format, Item, RecordError
from services.importer.formats.kit.identifiers import cves_in, cwes_in
from services.importer.formats.kit.json import member_paths, walk_json
from services.importer.formats.kit.members import Members, each, inner, members_of, text, texts
from services.importer.formats.kit.node import Node, Once
from services.importer.formats.kit.severity import severity_of_score
from services.importer.formats.kit.values import URL_LIMIT, decimal, line, whole
from services.importer.formats.veracode.findings import (
    code_place,
    component,
    flaw,
    labelled,
    left_out,
    severity_of,
    vulnerability,
    weakness,
)
from services.importer.targets.findings.records import AffectedAsset, Caution, FindingsRecord, Score

_EMBEDDED, _BARE, _ISSUES = "_embedded.findings[]", "findings[]", "_embedded.issues[]"
_SIGNS = frozenset(
    f"{path}.{name}"
    for path, names in {
        _EMBEDDED: ("scan_type", "finding_details"),
        _BARE: ("scan_type", "finding_details", "cwe_id"),
        _ISSUES: ("library", "issue_type"),
    }.items()
    for name in names
)
# What says so much even where there is no finding.
_EMPTY_SIGNS = frozenset({"_embedded.findings", "_embedded.issues", "pipeline_scan"})
_KINDS = {"STATIC": "SAST", "DYNAMIC": "DAST", "MANUAL": "Manual"}


def sniff(head: bytes) -> bool:
    paths = member_paths(head)
    is_other = "findings[].vulnerability" in paths or "findings[].similarityId" in paths
    return bool(paths & (_SIGNS | _EMPTY_SIGNS)) and not is_other


def walk(stream: ByteStream) -> Iterator[Item]:
    return walk_json(
        stream,
        items=frozenset({_EMBEDDED, _BARE, _ISSUES}),
        signs=_SIGNS | _EMPTY_SIGNS,
        contexts={"": lambda members, _: members},
        keep=frozenset({"page"}),
        closing=frozenset({""}),
    )


def read(raw: Node) -> tuple[FindingsRecord, ...]:
    told = members_of(raw.value)
    if not raw.path:
        return (*_pages(inner(told, "page")), *raw.cautions)
    if raw.path == _ISSUES:
        found = _issue(told, raw.once)
    elif "finding_details" in told or "scan_type" in told:
        found = _finding(told, raw.once)
    else:
        found = _pipeline(told, raw.once)
    return (*found, *raw.cautions)


def _pages(page: Members) -> tuple[Caution, ...]:
    total = whole(text(page, "total_pages")) or 0
    if total <= 1:
        return ()
    message = f"The file is page {whole(text(page, 'number')) or 0} (from 0) of {total}: the others have more findings."
    return (Caution("ONE_PAGE", message),)


def _finding(told: Members, once: Once) -> tuple[FindingsRecord, ...]:
    """A finding of the REST API."""
    details, status = inner(told, "finding_details"), inner(told, "finding_status")
    cwe = inner(details, "cwe")
    category = text(inner(details, "finding_category"), "name")
    is_component = text(told, "scan_type").upper() == "SCA"
    title = text(inner(details, "cve"), "name") if is_component else text(cwe, "name") or category
    if caution := left_out(title, text(status, "status"), text(status, "resolution")):
        return (caution,)
    dates = (
        ("First found", text(status, "first_found_date")),
        ("Last seen", text(status, "last_seen_date")),
        ("Status", text(status, "status")),
        ("Resolution", text(status, "resolution").removeprefix("UNRESOLVED")),
    )
    if is_component:
        return _component(told, details, dates, once)
    severity, cautions = severity_of(text(details, "severity"))
    kind = text(told, "scan_type").upper()
    finding = weakness(
        once,
        text(cwe, "id"),
        title,
        severity,
        _KINDS.get(kind, line(kind) or "SAST"),
        fields={
            "category": category,
            "exploitation_difficulty": text(details, "exploitability"),
            "veracode_severity": text(details, "severity"),
        },
    )
    notes = labelled(
        ("Issue", text(told, "issue_id")),
        ("Module", text(details, "module")),
        ("Plugin", text(details, "plugin")),
        ("Attack vector", text(details, "attack_vector")),
        ("Function", text(details, "procedure")),
        *dates,
        ("Violates the policy", text(told, "violates_policy")),
        *((f"{text(note, 'action') or 'Note'}", text(note, "comment")) for note in each(told, "annotations")),
    )
    records = flaw(
        once,
        finding,
        text(told, "context_guid") or text(details, "module"),
        url=line(_url(details), URL_LIMIT),
        place=code_place(text(details, "file_path", "file_name"), text(details, "file_line_number")),
        parameter=text(details, "vulnerable_parameter"),
        notes=notes,
        proof=text(told, "description"),
    )
    return (*records, *cautions)


def _url(details: Members) -> str:
    if url := text(details, "url"):
        return url
    host, port = text(details, "hostname"), text(details, "port")
    scheme = "https" if port.endswith("443") else "http"
    return f"{scheme}://{host}{f':{port}' if port else ''}{text(details, 'path')}" if host else ""


def _component(
    told: Members, details: Members, dates: tuple[tuple[str, str], ...], once: Once
) -> tuple[FindingsRecord, ...]:
    severity, cautions = severity_of(text(details, "severity"))
    cve = inner(details, "cve")
    name = text(cve, "name")
    finding = vulnerability(
        once,
        name,
        severity,
        description=text(told, "description"),
        cves=cves_in([name]),
        cwes=cwes_in([f"CWE-{text(inner(details, 'cwe'), 'id')}"]),
        references=text(cve, "href"),
        scores=_scores((cve, "cvss2", "cvss", "vector"), (inner(cve, "cvss3"), "cvss3", "score", "vector")),
        fields={"veracode_severity": text(details, "severity")},
    )
    asset = component(once, text(details, "component_filename"), text(details, "version"))
    licences = ", ".join(text(licence, "license_id", "name") for licence in each(details, "licenses"))
    paths = [text(path, "path") for path in each(details, "component_path")] or texts(details, "component_path")
    notes = labelled(
        ("Issue", text(told, "issue_id")),
        ("Application", text(told, "context_guid")),
        *dates,
        ("Licences", licences),
        *(("File", path) for path in paths[1:]),
    )
    location = line(paths[0] if paths else "", URL_LIMIT)
    affected = AffectedAsset(finding=finding.key, asset=asset.ref, location=location, notes=notes)
    return (asset, finding, affected, *cautions)


def _pipeline(told: Members, once: Once) -> tuple[FindingsRecord, ...]:
    """A flaw that a pipeline scan has found."""
    severity, cautions = severity_of(text(told, "severity"))
    source = inner(inner(told, "files"), "source_file")
    finding = weakness(
        once,
        text(told, "cwe_id"),
        text(told, "issue_type") or text(told, "title"),
        severity,
        "SAST",
        fields={"veracode_severity": text(told, "severity")},
    )
    file = text(source, "file", "upload_file")
    records = flaw(
        once,
        finding,
        text(told, "project_name") or file or "pipeline scan",
        place=code_place(file, text(source, "line")),
        notes=labelled(
            ("Issue", text(told, "issue_id")),
            ("Attack vector", text(told, "title")),
            ("Function", text(source, "qualified_function_name", "function_name")),
        ),
        proof=text(told, "display_text"),
    )
    return (*records, *cautions)


def _issue(told: Members, once: Once) -> tuple[FindingsRecord, ...]:
    """An issue of the agent: a vulnerability; others are about licences and old versions."""
    kind = text(told, "issue_type").lower()
    library, found = inner(told, "library"), inner(told, "vulnerability")
    if kind not in {"vulnerability", ""}:
        message = f'An issue of the type "{line(kind, 40)}" is no vulnerability and left out.'
        return (Caution("NO_VULNERABILITY", message),)
    if not found:
        raise RecordError("MISSING_FIELD", "vulnerability", "The issue has no vulnerability.", text(told, "id"))
    if caution := left_out(text(found, "title"), text(told, "issue_status", "status")):
        return (caution,)
    level = decimal(text(told, "severity"))
    number = text(found, "cve")
    # The CSV of the same issues writes a CVE without its prefix.
    cve = f"CVE-{number}" if number[:4].isdigit() else number
    finding = vulnerability(
        once,
        cve or text(found, "id"),
        severity_of_score(level or 0.0),
        title=text(found, "title"),
        description=text(found, "overview"),
        cves=cves_in([cve]),
        scores=_scores((found, "cvss2", "cvss_score", "cvss_vector"), (found, "cvss3", "cvss3_score", "cvss3_vector")),
        fields={"veracode_severity": text(told, "severity"), "vulnerability_id": text(found, "id")},
    )
    asset = component(once, text(library, "name", "id"), text(library, "version"))
    fixed = text(told, "fixed_version", "updated_version")
    notes = labelled(
        ("Issue", text(told, "id")),
        ("Project", text(told, "project_name")),
        ("Branch", text(told, "project_branch")),
        ("Found", text(told, "created_date")),
        ("Fixed in", fixed),
    )
    location = line(text(library, "id"), URL_LIMIT)
    return (asset, finding, AffectedAsset(finding=finding.key, asset=asset.ref, location=location, notes=notes))


def _scores(*told: tuple[Members, str, str, str]) -> tuple[Score, ...]:
    """Each from an object, a system, and the members of base score and vector."""
    found = (score(system, text(where, vector), text(where, base)) for where, system, base, vector in told)
    return tuple(one for one in found if one)


FORMAT = Format(
    name="veracode_json",
    title="findings of Veracode in JSON",
    family="veracode",
    syntax="json",
    extensions=(".json",),
    sources=("veracode",),
    sniff=sniff,
    walk=walk,
    read=read,
)
