"""Maps checks, hosts and definitions of a Nexpose report to records.

The severity is Nexpose's number from 1 to 10 in the bands of CVSS: Rapid7 makes it of the CVSS score.
"""

from __future__ import annotations

import re

from services.importer.formats.kit.addresses import ip_address, mac_address
from services.importer.formats.kit.evidence import cautions_of, evidence
from services.importer.formats.kit.format import RecordError
from services.importer.formats.kit.identifiers import cves_in
from services.importer.formats.kit.values import (
    NAME_LIMIT,
    PORT_MAX,
    TEXT_LIMIT,
    TITLE_LIMIT,
    URL_LIMIT,
    decimal,
    finding_key,
    line,
    port_number,
    title_number,
    unique_lines,
    whole,
)
from services.importer.formats.nexpose.definition import SOURCE, finding
from services.importer.formats.nexpose.markup import plain_text
from services.importer.formats.nexpose.report import Check, Definition, Host, Service, is_excepted, key_of
from services.importer.targets.findings.records import (
    AffectedAsset,
    Asset,
    Caution,
    Finding,
    FindingsRecord,
    Port,
    Severity,
)

_PATH = re.compile(r"/[^/]|[A-Za-z]:\\|[a-z]{2,10}://")
_HARDWARE = re.compile(r"[0-9A-Fa-f]{12}")
_NETWORK_DEVICES = frozenset({"firewall", "load balancer", "router", "switch", "wap", "wireless access point"})
_PROTOCOL_LIMIT, _OTHER_NAMES = 32, 20


def read(raw: Check | Host | Definition) -> tuple[FindingsRecord, ...]:
    told = tuple(Caution(*note) for note in raw.notes)
    if isinstance(raw, Definition):
        return (finding(raw.element), *told)
    records = _read_host(raw) if isinstance(raw, Host) else _read_check(raw)
    return (*records, *told)


def _read_check(raw: Check) -> tuple[FindingsRecord, ...]:
    element = raw.element
    identifier = key_of(element.get("id", ""))
    if not identifier:
        raise RecordError("MISSING_FIELD", "id", "The check names no vulnerability.")
    ref = _ref(raw.host)
    if is_excepted(raw.status):
        message = (
            f'A check for "{identifier[:200]}" found something that an exception of Nexpose covers; it is left out.'
        )
        return (Caution("IGNORED", message),)
    is_simple = element.tag == "vulnerability"
    proof = "" if is_simple else plain_text(element)
    pieces = (evidence("Proof", proof),) if proof else ()
    told = element.get("key", "").strip()
    port, protocol, service = raw.service.place or _place(raw.service)
    affected = AffectedAsset(
        finding=finding_key(identifier, ""),
        asset=ref,
        port=port,
        protocol=protocol,
        service=service,
        location=line(told, URL_LIMIT) if _PATH.match(told) else "",
        notes=_notes(raw, told),
        evidence=pieces,
    )
    defined = _defined(raw, identifier) if is_simple else ()
    return (*defined, affected, *cautions_of(pieces))


def _place(service: Service) -> tuple[int, str, str]:
    port, protocol = port_number(service.port.strip()), line(service.protocol, _PROTOCOL_LIMIT).lower()
    service.place = port, protocol, line(service.name)
    return service.place


def _notes(raw: Check, told: str) -> str:
    lines = [f"Status: {raw.status[:NAME_LIMIT]}"] if raw.status else []
    lines += [f"Key: {line(told)}"] if told and not _PATH.match(told) else []
    since = line(raw.element.get("vulnerable-since", ""), 40)
    lines += [f"Vulnerable since: {since}"] if since else []
    return "\n".join(lines)


def _defined(raw: Check, identifier: str) -> tuple[FindingsRecord, ...]:
    """The simple form has no definitions: ids of other lists are all that it says of a vulnerability."""
    listed = tuple((each.get("type", "").lower(), line(each.text or "", URL_LIMIT)) for each in raw.element)
    texts = [text if kind == "url" else f"{kind}: {text}" for kind, text in listed if text]
    made = raw.once(("finding", identifier, *texts), lambda: _simple(raw.element.get("id", ""), texts))
    message = "The simple form of a report tells no severities; all its findings are Informational."
    return (made, Caution("UNKNOWN_SEVERITY", message))


def _simple(identifier: str, texts: list[str]) -> Finding:
    title = line(identifier, TITLE_LIMIT)
    return Finding(
        key=finding_key(key_of(identifier), title),
        number=title_number(title),
        title=title,
        severity=Severity.INFORMATIONAL,
        references=unique_lines(*texts)[:TEXT_LIMIT],
        source=SOURCE,
        cves=cves_in(texts),
    )


def _ref(host: Host) -> str:
    host.ref = host.ref or line(host.attributes.get("address", "")) or next(filter(None, map(line, host.names)), "")
    if not host.ref:
        raise RecordError("MISSING_FIELD", "address", "The host has neither address nor name.")
    return host.ref


def _read_host(host: Host) -> tuple[Asset, ...]:
    if host.attributes.get("status") == "dead" and not host.has_checks:
        return ()
    ref = _ref(host)
    ip = ip_address(ref)
    names = list(dict.fromkeys(filter(None, map(line, host.names))))
    hardware = host.attributes.get("hardware-address", "").strip()
    if _HARDWARE.fullmatch(hardware):
        hardware = ":".join(hardware[at : at + 2] for at in range(0, len(hardware), 2))
    system = max(host.systems, key=lambda each: decimal(each.get("certainty", "")) or 0.0, default={})
    shown = _software(system)
    return (
        Asset(
            ref=ref,
            name=ref,
            hostname=names[0] if names else "" if ip else ref,
            ips=(ip,) if ip else (),
            mac=mac_address(hardware),
            operating_systems=(shown,) if shown else (),
            type="Network Device" if system.get("device-class", "").strip().lower() in _NETWORK_DEVICES else "",
            description=line(f"Also called {', '.join(names[1:_OTHER_NAMES])}.") if names[1:] else "",
            ports=_ports(host),
        ),
    )


def _ports(host: Host) -> tuple[Port, ...]:
    found: dict[tuple[int, str], Port] = {}
    for service in host.services:
        number = whole(service.port)
        if service.is_open and number is not None and 0 < number <= PORT_MAX:
            protocol = line(service.protocol, _PROTOCOL_LIMIT).lower()
            # The service is inside the endpoint, and says more.
            found[number, protocol] = Port(number, protocol, line(service.name), _software(service.software))
    return tuple(found.values())


def _software(told: dict[str, str]) -> str:
    """`Ubuntu Linux 20.04` of vendor, product and version, which repeat each other."""
    if description := line(told.get("description", "")):
        return description
    words: list[str] = []
    for part in (told.get("vendor", ""), told.get("product") or told.get("family", ""), told.get("version", "")):
        words += [word for word in part.split() if word not in words]
    return " ".join(words)[:NAME_LIMIT]
