"""Reads JSON exports of Acunetix: scans with vulnerabilities, and the types that these name by `vt_id`.

No such file is public. Known, from the program of another project that reads them, are `export.scans[]` with `info`
(`host`, `start_url`), `vulnerability_types[]` (`vt_id`, `name`, `description`, `severity`, `recommendation`, `app_id`,
`use_ssl`, `tags`, `cvss_score`, `cvss2`, `cvss3`) and `vulnerabilities[]` (`info` with `vt_id` and `request`,
`response`). Assumed is that other members are those of Acunetix's API (`affects_url`, `affects_detail`, `details`,
`impact`, `references`, …), that severities are its levels from 0 to 3 or words, and that a response may be in base64.

Types may stand before or behind their uses: both are items, joined at the merge by the id of the type.
"""

from __future__ import annotations

from collections.abc import Iterator

from services.importer.formats.acunetix.places import Scan, location_of, scan_of, severity_of
from services.importer.formats.kit.addresses import origin
from services.importer.formats.kit.cvss import score
from services.importer.formats.kit.evidence import base64_bytes, body_text, cautions_of
from services.importer.formats.kit.format import ByteStream, Format, Item, RecordError
from services.importer.formats.kit.identifiers import cves_in, cwes_in
from services.importer.formats.kit.json import member_paths, walk_json
from services.importer.formats.kit.members import Members, each, inner, members_of, text, texts
from services.importer.formats.kit.node import Node, Once
from services.importer.formats.kit.values import (
    NAME_LIMIT,
    TEXT_LIMIT,
    TITLE_LIMIT,
    custom_fields,
    finding_key,
    line,
    paragraphs,
    public_number,
)
from services.importer.formats.kit.web import proof, web_asset
from services.importer.targets.findings.records import AffectedAsset, Finding, FindingsRecord, Score

SOURCE = "Acunetix"

_SCAN = "export.scans[]"
_TYPE, _PLACE = f"{_SCAN}.vulnerability_types[]", f"{_SCAN}.vulnerabilities[]"
_SIGNS = frozenset({_SCAN.removesuffix("[]")})


def sniff(head: bytes) -> bool:
    return not _SIGNS.isdisjoint(member_paths(head))


def walk(stream: ByteStream) -> Iterator[Item]:
    return walk_json(
        stream,
        items=frozenset({_TYPE, _PLACE}),
        signs=_SIGNS,
        contexts={_SCAN: _scan},
        keep=frozenset({"info"}),
        closing=frozenset({_SCAN}),
    )


def read(raw: Node) -> tuple[FindingsRecord, ...]:
    scan: Scan = raw.above[-1]
    if raw.path == _SCAN:
        asset = web_asset(scan.origin, raw.once)
        return (asset, *raw.cautions) if asset else raw.cautions
    members = members_of(raw.value)
    if raw.path == _TYPE:
        return (*raw.once((_TYPE, repr(members)), lambda: _type_records(members)), *raw.cautions)
    return (*_place_records(members, scan, raw.once), *raw.cautions)


def _scan(kept: Members, _: object) -> Scan:
    info = inner(kept, "info")
    return scan_of(text(info, "start_url", "host"))


def _type_records(members: Members) -> tuple[FindingsRecord, ...]:
    kind, title = line(text(members, "vt_id")), line(text(members, "name"), TITLE_LIMIT)
    if not title or not kind:
        raise RecordError(
            "MISSING_FIELD", "vt_id" if title else "name", "The type lacks its id or name.", kind or title
        )
    severity, cautions = severity_of(text(members, "severity"))
    tags = [line(tag) for tag in texts(members, "tags")]
    links = [link for each_ in each(members, "references") if (link := text(each_, "href", "url", "rel"))]
    description = paragraphs(text(members, "description"), text(members, "impact"), text(members, "long_description"))
    fields = {"app_id": text(members, "app_id"), "use_ssl": text(members, "use_ssl"), "vt_id": kind}
    finding = Finding(
        key=finding_key(kind, title),
        number=public_number(kind, title),
        title=title,
        severity=severity,
        description=description[:TEXT_LIMIT],
        recommendations=text(members, "recommendation")[:TEXT_LIMIT],
        references="\n".join([*links, *texts(members, "references")])[:TEXT_LIMIT],
        source=SOURCE,
        cves=cves_in([title, *tags, description]),
        cwes=cwes_in(tags),
        scores=_scores(members),
        fields=custom_fields(fields),
        tags=tuple(tag for tag in tags if not cves_in([tag]) and not cwes_in([tag])),
    )
    return (finding, *cautions)


def _scores(members: Members) -> tuple[Score, ...]:
    vectors = [(system, vector) for system in ("cvss2", "cvss3", "cvss4") if (vector := text(members, system))]
    base = text(members, "cvss_score")
    # The score is that of the newest vector.
    found = (score(system, vector, base if system == vectors[-1][0] else "") for system, vector in vectors)
    return tuple(each_ for each_ in found if each_)


def _place_records(members: Members, scan: Scan, once: Once) -> tuple[FindingsRecord, ...]:
    info = {**members, **inner(members, "info")}
    kind = line(text(info, "vt_id"))
    if not kind:
        raise RecordError("MISSING_FIELD", "vt_id", "The vulnerability names no type.")
    url = text(info, "affects_url", "url")
    place = scan.origin if scan.origin.host or not url else origin(url)
    asset = web_asset(place, once)
    if asset is None:
        raise RecordError("MISSING_FIELD", "start_url", "Neither the scan nor the vulnerability names a host.", kind)
    parameter = line(text(info, "affects_detail", "parameter"))
    pieces = proof(
        details=text(info, "details"),
        request=text(info, "request"),
        response=_response(text(info, "response", "http_response")),
    )
    told = {name: text(info, name) for name in ("confidence", "status", "vuln_id")}
    affected = AffectedAsset(
        finding=finding_key(kind, ""),
        asset=asset.ref,
        port=place.port,
        protocol="tcp" if place.port else "",
        service=place.scheme[:NAME_LIMIT],
        location=location_of(scan, url),
        parameters=(parameter,) if parameter else (),
        notes="\n".join(f"{name}: {said}" for name, said in told.items() if said)[:TEXT_LIMIT],
        evidence=pieces,
    )
    return (asset, affected, *cautions_of(pieces))


def _response(told: str) -> str:
    """The response, decoded where it is nothing but base64 of one."""
    data = base64_bytes(told.encode()) if told else None
    return body_text(data) if data is not None and data.startswith(b"HTTP/") else told


FORMAT = Format(
    name="acunetix_json",
    title="an Acunetix export",
    family="acunetix",
    syntax="json",
    extensions=(".json",),
    sources=("acunetix",),
    sniff=sniff,
    walk=walk,
    read=read,
)
