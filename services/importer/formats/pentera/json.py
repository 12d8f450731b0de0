"""Reads JSON reports of Pentera: hosts, and vulnerabilities that name theirs by its id.

Known are the names of members, from public readers of such reports. Assumed is that `achievements` of newer reports are
like vulnerabilities.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from services.importer.formats.kit.addresses import ip_address
from services.importer.formats.kit.credentials import shown_field, told_of, without_credentials
from services.importer.formats.kit.entries import ObjectEntry, plain_names, shown, walk_objects
from services.importer.formats.kit.format import ByteStream, Format, Item, RecordError
from services.importer.formats.kit.identifiers import cves_in, cwes_in
from services.importer.formats.kit.json import member_paths
from services.importer.formats.kit.members import Members, each, members_of, text
from services.importer.formats.kit.node import Node
from services.importer.formats.kit.values import (
    FIELD_LIMIT,
    PORT_MAX,
    TEXT_LIMIT,
    TITLE_LIMIT,
    custom_fields,
    finding_key,
    line,
    paragraphs,
    title_number,
    whole,
)
from services.importer.formats.pentera.findings import PLACES_LIMIT, SOURCE, host_asset, severity_of, techniques_in
from services.importer.targets.findings.records import (
    AffectedAsset,
    Asset,
    Caution,
    Finding,
    FindingsRecord,
    Port,
    Severity,
)

_HOSTS = "hosts[]"
_ITEMS = frozenset({_HOSTS, "vulnerabilities[]", "achievements[]"})
_HOST = ("id", "target", "task_run_id", "hostname", "ip", "domain", "os_name", "os_type", "vendor", "services")
_RESULT = (
    *("id", "creation_time", "name", "summary", "found_on", "target", "target_id", "port", "protocol", "severity"),
    *("priority", "insight", "remediation"),
)
_KNOWN = plain_names(_HOST, _RESULT)
_SIGNS = frozenset(
    {
        *(f"vulnerabilities[].{name}" for name in ("found_on", "target_id", "insight")),
        *(f"achievements[].{name}" for name in ("found_on", "target_id", "insight")),
        *("hosts[].task_run_id", "hosts[].os_type"),
    }
)
_TOP = frozenset({"meta", "hosts", "vulnerabilities"})

_FOUND_ON = re.compile(r"\b(?:target|host|ip)s?[ \t]{0,8}:([^\r\n]*)", re.IGNORECASE)
_LIST = re.compile(r"[,;\s]+")
_LAST_MOMENT = 253_402_300_799_000
_CLOSED = frozenset({"closed", "filtered"})


def sniff(head: bytes) -> bool:
    paths = member_paths(head)
    return not _SIGNS.isdisjoint(paths) or paths >= _TOP


def walk(stream: ByteStream) -> Iterator[Item]:
    return walk_objects(stream, items=_ITEMS, known=_KNOWN, sniff=sniff, title="a Pentera report")


def read(raw: Node) -> tuple[FindingsRecord, ...]:
    members = members_of(raw.value)
    extra = {name: shown_field(name, value) for name, value in ObjectEntry(members, _KNOWN).extra().items()}
    records = _host(raw, members, extra) if raw.path == _HOSTS else _result(raw, members, extra)
    return (*records, *told_of(records, SOURCE), *raw.cautions)


def _host(raw: Node, members: Members, extra: dict[str, str]) -> tuple[FindingsRecord, ...]:
    address, target = ip_address(text(members, "ip")), line(text(members, "target"))
    hostname = line(text(members, "hostname"))
    name = hostname or address or target
    ref = line(text(members, "id")) or address or target or hostname
    if not name:
        raise RecordError("MISSING_FIELD", "target", "The host has neither name nor address.", ref)
    told = {"Domain": shown(members.get("domain")), "Vendor": text(members, "vendor"), **extra}
    system = line(text(members, "os_name", "os_type"))
    ports, unread = _ports(members)
    asset = Asset(
        ref=ref,
        name=name,
        hostname="" if ip_address(hostname) else hostname,
        ips=tuple(dict.fromkeys(ip for ip in (address, ip_address(target)) if ip)),
        operating_systems=(system,) if system else (),
        description="\n".join(f"{label}: {value}" for label, value in told.items() if value)[:FIELD_LIMIT],
        ports=ports,
    )
    cautions = (
        Caution("INVALID_PORT", f'The port "{line(port, 40)}" of a host was not understood.') for port in unread
    )
    return (raw.once.same(asset), *cautions)


def _ports(members: Members) -> tuple[tuple[Port, ...], list[str]]:
    """The open ports of a host, and those that are no numbers."""
    ports: list[Port] = []
    unread: list[str] = []
    for service in each(members, "services"):
        told = text(service, "port")
        number = whole(told)
        if number is None or number > PORT_MAX:
            unread.append(told)
        elif text(service, "state").lower() not in _CLOSED:
            ports.append(Port(number, line(text(service, "transport")).lower() or "tcp", line(text(service, "name"))))
    return tuple(ports), unread


def _result(raw: Node, members: Members, extra: dict[str, str]) -> tuple[FindingsRecord, ...]:
    title = line(without_credentials(text(members, "name")), TITLE_LIMIT)
    if not title:
        raise RecordError("MISSING_FIELD", "name", "The vulnerability has no name.", text(members, "id"))
    severity, cautions = severity_of(text(members, "severity"))
    told_port = text(members, "port")
    number = whole(told_port)
    port = number if number is not None and number <= PORT_MAX else 0
    told = {
        "Found": _moment(text(members, "creation_time")),
        "Found on": without_credentials(text(members, "found_on")),
        "Port": "" if str(port) == told_port else without_credentials(told_port),
        "Id": text(members, "id"),
        **extra,
    }
    refs, assets = _places(raw, members)
    # What belongs to a place is kept with the finding where there is none.
    finding = raw.once.same(_finding(members, title, severity, {} if refs else told))
    notes = "\n".join(f"{label}: {value}" for label, value in told.items() if value)[:TEXT_LIMIT]
    affected = (
        AffectedAsset(
            finding=finding.key,
            asset=ref,
            port=port,
            protocol=line(text(members, "protocol")).lower() if port else "",
            notes=notes,
        )
        for ref in refs
    )
    return (*assets, finding, *affected, *cautions)


def _finding(members: Members, title: str, severity: Severity, fields: dict[str, str]) -> Finding:
    summary, insight, remediation = (
        without_credentials(text(members, name)) for name in ("summary", "insight", "remediation")
    )
    return Finding(
        key=finding_key(None, title),
        number=title_number(title),
        title=title,
        severity=severity,
        description=paragraphs(summary, insight)[:TEXT_LIMIT],
        recommendations=remediation[:TEXT_LIMIT],
        source=SOURCE,
        cves=cves_in([title, summary, insight]),
        cwes=cwes_in([title, summary, insight]),
        fields=custom_fields({"severity": text(members, "severity"), "priority": text(members, "priority"), **fields}),
        tags=techniques_in(f"{title} {summary}"),
    )


def _places(raw: Node, members: Members) -> tuple[tuple[str, ...], tuple[Asset, ...]]:
    """The refs of the hosts of a result, and what it says of those hosts itself.

    A result whose host has no id here names it in `target` or `found_on`: `Host: a.example.com, 192.0.2.1`.
    """
    target, ref = text(members, "target"), line(text(members, "target_id"))
    named = [part for told in _FOUND_ON.findall(text(members, "found_on")) for part in _LIST.split(told) if part]
    if ref:
        asset = host_asset(raw.once, target or next(iter(named), ""), ref)
        return (ref,), (asset,) if asset else ()
    names = dict.fromkeys([target] if target else named)
    if len(names) > PLACES_LIMIT:
        raise RecordError("TOO_MANY_ASSETS", "found_on", f"The vulnerability names more than {PLACES_LIMIT} hosts.")
    assets = tuple(asset for name in names if (asset := host_asset(raw.once, name)))
    return tuple(asset.ref for asset in assets), assets


def _moment(told: str) -> str:
    """Milliseconds since 1970 as a time of day; other text as it is."""
    number = whole(told)
    if number is None or number > _LAST_MOMENT:
        return line(told)
    return datetime.fromtimestamp(number // 1_000, UTC).isoformat()


FORMAT = Format(
    name="pentera",
    title="a Pentera report",
    family="pentera",
    syntax="json",
    extensions=(".json",),
    sources=("pentera",),
    sniff=sniff,
    walk=walk,
    read=read,
)
