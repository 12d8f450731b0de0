"""Maps results and hosts of an OpenVAS report to records."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element

from services.importer.formats.kit.addresses import ip_address, mac_address
from services.importer.formats.kit.evidence import cautions_of, evidence
from services.importer.formats.kit.format import RecordError
from services.importer.formats.kit.trees import all_text, elements_at, text_of
from services.importer.formats.kit.values import PORT_MAX, TEXT_LIMIT, URL_LIMIT, line, unique_lines, whole
from services.importer.formats.openvas.findings import asset, finding, left_out, place_of
from services.importer.formats.openvas.nvt import with_headings
from services.importer.formats.openvas.report import Seen, Test
from services.importer.targets.findings.records import AffectedAsset, Asset, Caution, FindingsRecord, Port

_PATH = re.compile(r"/[^/]|[A-Za-z]:\\|[a-z]{2,10}://")
_SERVICE = re.compile(r"(\d{1,5}),(tcp|udp),(.*)", re.DOTALL)
_NO_VERDICT = frozenset({"", "undefined"})
_SYSTEMS, _NOTE_LIMIT = 5, 4_096

# The children of a result by name; none that is used may stand twice.
Children = dict[str, Element]


def read(raw: Seen) -> tuple[FindingsRecord, ...]:
    told = tuple(Caution(*note) for note in raw.notes)
    return (*(_read_host(raw.element) if raw.element.tag == "host" else _read_result(raw)), *told)


def _read_result(raw: Seen) -> tuple[FindingsRecord, ...]:
    result = {child.tag: child for child in raw.element}
    host = result.get("host", Element("host"))
    place = asset(raw.once, host.text or "", text_of(host, "hostname"))
    threat, number = _text(result, "threat"), _text(result, "severity")
    test = raw.test or Test()
    test = test if test.name else test._replace(name=_text(result, "name"))
    if kind := left_out(threat, number):
        message = f'A result of "{line(test.name, 200)}" is {kind} and left out.'
        return (place, Caution("FALSE_POSITIVE" if "false" in kind else "NO_RESULT", message))
    description = (result["description"].text if "description" in result else "") or ""
    test = test if test.summary else with_headings(test, description)
    found = raw.once(("finding", *test, threat, number), lambda: finding(test, threat, number))
    port, protocol, service = place_of(_text(result, "port"))
    proof = (evidence("Detection result", description.strip("\n")),) if description.strip() else ()
    detection = _detection(result)
    where = detection.get("location", "")
    affected = AffectedAsset(
        finding=found.key,
        asset=place.ref,
        port=port,
        protocol=protocol,
        service=service,
        location=where[:URL_LIMIT] if _PATH.match(where) else "",
        notes=_notes(result, detection)[:TEXT_LIMIT],
        evidence=proof,
    )
    return (place, found, affected, *cautions_of(proof))


def _text(children: Children, name: str) -> str:
    child = children.get(name)
    return (child.text or "").strip() if child is not None else ""


def _detection(result: Children) -> dict[str, str]:
    """What was found that has the flaw: `product`, `location`, `source_name`."""
    if "detection" not in result:
        return {}
    details = elements_at(result["detection"], "result/details/detail")
    return {text_of(detail, "name"): text_of(detail, "value") for detail in details}


def _notes(result: Children, detection: dict[str, str]) -> str:
    lines = []
    if (quality := result.get("qod")) is not None and (value := text_of(quality, "value")):
        kind = text_of(quality, "type")
        lines.append(f"Quality of detection: {value} %" + (f" ({kind})" if kind else ""))
    if product := detection.get("product"):
        lines.append(f"Detected product: {product}")
    if (verdict := _text(result, "compliance")) not in _NO_VERDICT:
        lines.append(f"Compliance: {verdict}")
    for override in result.get("overrides", ()):
        was = line(f"{_text(result, 'original_threat')} {_text(result, 'original_severity')}")
        lines.append(f"Overridden, was {was}: {line(text_of(override, 'text'), _NOTE_LIMIT)}")
    notes = (all_text(note.find("text")) for note in result.get("notes", ()))
    lines += [f"Note: {line(note, _NOTE_LIMIT)}" for note in notes if note]
    return "\n".join(lines)


def _read_host(host: Element) -> tuple[Asset, ...]:
    """What the report says of a host as a whole."""
    address = line(text_of(host, "ip") or host.text or "")
    if not address:
        raise RecordError("MISSING_FIELD", "ip", "The host has no address.")
    details: dict[str, list[str]] = {}
    for detail in host.findall("detail"):
        details.setdefault(text_of(detail, "name"), []).append(text_of(detail, "value"))
    ip = ip_address(address)
    hostname = line(next(filter(None, details.get("hostname", ())), "")) or ("" if ip else address)
    systems = details.get("best_os_txt") or [name for name in details.get("OS", ()) if not name.startswith("cpe:")]
    return (
        Asset(
            ref=address,
            name=address,
            hostname=hostname,
            ips=(ip,) if ip else (),
            mac=mac_address(next(iter(details.get("MAC", ())), "")),
            operating_systems=tuple(unique_lines(*map(line, systems)).splitlines()[:_SYSTEMS]),
            ports=_ports(details),
        ),
    )


def _ports(details: dict[str, list[str]]) -> tuple[Port, ...]:
    """Open ports, with the names of services where they are known; the plain list is of TCP."""
    found: dict[tuple[int, str], str] = {}
    for name, protocol in (("ports", "tcp"), ("tcp_ports", "tcp"), ("udp_ports", "udp")):
        for text in details.get(name, ()):
            numbers = map(whole, text.split(","))
            found.update(((number, protocol), "") for number in numbers if number and number <= PORT_MAX)
    for text in details.get("Services", ()):
        if (service := _SERVICE.fullmatch(text)) and 0 < int(service[1]) <= PORT_MAX:
            found[int(service[1]), service[2]] = line(service[3])
    return tuple(Port(number, protocol, service) for (number, protocol), service in sorted(found.items()))
