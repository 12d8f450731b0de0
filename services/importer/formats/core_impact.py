"""Exports of Core Impact in XML: hosts with what was tried on them, and agents that were left there.

An item is one `entity`. All content is nested `property` elements with a `key`. Known from one public export of version
16: `Vulnerabilities`, with the modules that tried each. Known by name only: `exposures` of version 2017 (title,
description, severity, service) and entities of agents. Version 16 tells no severity: where a module deployed an agent,
the weakness is High, else Medium.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from services.importer.formats.kit.addresses import ip_address, mac_address
from services.importer.formats.kit.evidence import cautions_of, evidence
from services.importer.formats.kit.format import ByteStream, Format, Item, RecordError, WrongFormat
from services.importer.formats.kit.identifiers import cves_in
from services.importer.formats.kit.looks import xml_root
from services.importer.formats.kit.node import Node
from services.importer.formats.kit.severity import severity_of_score, severity_of_word
from services.importer.formats.kit.trees import all_text, walk_trees
from services.importer.formats.kit.values import (
    PORT_MAX,
    TEXT_LIMIT,
    TITLE_LIMIT,
    decimal,
    finding_key,
    line,
    paragraphs,
    title_number,
    whole,
)
from services.importer.formats.kit.xml import Attributes
from services.importer.targets.findings.records import (
    AffectedAsset,
    Asset,
    Caution,
    Finding,
    FindingsRecord,
    Port,
    Severity,
)

SOURCE = "Core Impact"
ROOT, CREATOR = "entities", "CORE IMPACT"

_WEAKNESSES = ("Vulnerabilities", "exposures")
_AGENT = "core-impact-agent"
_AGENT_TITLE = "Core Impact agent deployed"
_AGENT_TEXT = "Core Impact ran an agent on the host: whoever can do the same runs code there."
# The agent that Core Impact itself runs in.
_OWN_HOSTS = frozenset({"", "localagent", "localhost"})
_SERVICE = re.compile(r"(\d{1,5})-([A-Za-z]{1,16})")
_TRUE = frozenset({"true", "1", "yes"})
_NO_SYSTEM = frozenset({"", "unknown"})
_MAC_KEYS, _TAGS = ("mac", "mac address", "mac_address"), 50

Services = dict[tuple[int, str], tuple[str, str]]


def sniff(head: bytes) -> bool:
    root, attributes = xml_root(head)
    return root == ROOT and CREATOR in attributes.upper()


def walk(stream: ByteStream) -> Iterator[Item]:
    return walk_trees(stream, roots=frozenset({ROOT}), items=frozenset({"entity"}), check=_check)


def _check(attributes: Attributes) -> None:
    if CREATOR not in attributes.get("creator", "").upper():
        raise WrongFormat(f"The file is XML with the root element <{ROOT}>, but no export of Core Impact.")


def read(raw: Node) -> tuple[FindingsRecord, ...]:
    kind = raw.value.get("class", "").strip().lower()
    if kind == "host":
        return (*_host(raw, raw.value), *raw.cautions)
    if kind == "agent":
        return (*_agent(raw, raw.value), *raw.cautions)
    return raw.cautions


def _host(raw: Node, host: Element) -> Iterator[FindingsRecord]:
    services = _services(_child(host, "services"))
    asset = _asset(host, services)
    yield asset
    for name in _WEAKNESSES:
        for weakness in _children(_child(host, name)):
            yield from _weakness(raw, weakness, asset.ref, services)
    if solved := len(_children(_child(host, "Solved Vulnerabilities"))):
        message = f"{solved} weaknesses of {asset.ref[:200]} are solved and left out."
        yield Caution("FIXED", message)


def _asset(host: Element, services: Services) -> Asset:
    ref = _host_name(host) or line(_text(host, "ip")) or line(_text(host, "display_name"))
    if not ref:
        raise RecordError("MISSING_FIELD", "name", "The host has neither name nor address.")
    addresses = (ip_address(text) for text in (_text(host, "ip"), ref))
    names = [line(each.get("key", "")) for each in _children(_child(host, "dns names"))]
    shown = _system(_child(host, "os"))
    tags = (all_text(tag).removeprefix("tag-") for tag in _children(_child(host, "tags")))
    return Asset(
        ref=ref,
        name=ref,
        hostname=next(filter(None, names), "" if ip_address(ref) else ref),
        ips=tuple(dict.fromkeys(filter(None, addresses))),
        mac=next(filter(None, (mac_address(_text(host, key)) for key in _MAC_KEYS)), ""),
        operating_systems=(shown,) if shown else (),
        ports=_ports(host, services),
        tags=tuple(dict.fromkeys(filter(None, map(line, tags))))[:_TAGS],
    )


def _weakness(raw: Node, weakness: Element, ref: str, services: Services) -> Iterator[FindingsRecord]:
    """A finding, with a place for each module that was tried on the host."""
    name = line(weakness.get("key", ""), TITLE_LIMIT)
    title = line(_text(weakness, "title"), TITLE_LIMIT) or name
    if not title:
        yield Caution("MISSING_FIELD", f"A weakness of {ref[:200]} has no name and is left out.")
        return
    modules = _children(_child(weakness, "Modules"))
    descriptions = dict.fromkeys(_text(each, "description") for each in (weakness, *modules))
    description = paragraphs(*descriptions)[:TEXT_LIMIT]
    severity = _severity(_text(weakness, "severity"), modules)
    yield raw.once(
        ("finding", name, title, description, severity),
        lambda: Finding(
            key=finding_key(name, title),
            number=title_number(title),
            title=title,
            severity=severity,
            description=description,
            source=SOURCE,
            cves=cves_in((name, title)),
        ),
    )
    gathered = "\n".join(_lines(_child(weakness, "Identities"), ""))
    for module in modules or [weakness]:
        port, protocol, service, cautions = _place(_text(module, "port") or _text(module, "service"), services)
        told = "\n".join(_lines(module, "")) if modules else ""
        pieces = [evidence(f"Module {line(module.get('key', ''), 200)}", told)] if told else []
        pieces += [evidence("Identities", gathered)] if gathered else []
        yield AffectedAsset(
            finding=finding_key(name, title),
            asset=ref,
            port=port,
            protocol=protocol,
            service=service,
            evidence=tuple(pieces),
        )
        yield from cautions
        yield from cautions_of(tuple(pieces))


def _severity(told: str, modules: list[Element]) -> Severity:
    found = severity_of_word(told)
    if found is None and (number := decimal(told)) is not None:
        found = severity_of_score(number)
    if found is not None:
        return found
    is_deployed = any(_text(module, "agent_deployed").lower() in _TRUE for module in modules)
    return Severity.HIGH if is_deployed else Severity.MEDIUM


def _place(told: str, services: Services) -> tuple[int, str, str, tuple[Caution, ...]]:
    """Port, protocol and service of `443`, `443-tcp` or the name of a service."""
    exact = _SERVICE.fullmatch(told)
    number = whole(exact[1] if exact else told)
    if number is not None and number > PORT_MAX:
        return 0, "", "", (Caution("INVALID_PORT", f'The port "{told[:40]}" is not a number from 0 to {PORT_MAX}.'),)
    for (port, protocol), (service, _) in services.items():
        if (number == port and (not exact or exact[2].lower() == protocol)) or (number is None and told == service):
            return port, protocol, service, ()
    return number or 0, exact[2].lower() if exact else "", "" if number is not None else line(told), ()


def _services(listed: Element | None) -> Services:
    """Name and software of what listens, by port and protocol: `https/443-tcp/Product`."""
    found: Services = {}
    for service in _children(listed):
        for port in _children(service):
            if (place := _SERVICE.fullmatch(port.get("key", ""))) and int(place[1]) <= PORT_MAX:
                software = line(f"{_text(port, 'Product')} {_text(port, 'Version')}")
                found.setdefault((int(place[1]), place[2].lower()), (line(service.get("key", "")), software))
    return found


def _ports(host: Element, services: Services) -> tuple[Port, ...]:
    """Ports that listen, and those of services unless the host says that they do not."""
    found = dict.fromkeys(services, True)
    for protocol in ("tcp", "udp"):
        for port in _children(_child(host, f"{protocol}_ports")):
            number = whole(port.get("key", ""))
            if number is not None and number <= PORT_MAX:
                found[number, protocol] = all_text(port).lower() == "listen"
    return tuple(Port(*place, *services.get(place, ("", ""))) for place in sorted(found) if found[place])


def _system(system: Element | None) -> str:
    if system is None:
        return ""
    name = _text(system, "entity name") or system.get("name", "")
    if name.lower() in _NO_SYSTEM:
        return ""
    more = (all_text(each) for each in _children(_child(system, "properties")))
    return line(" ".join(dict.fromkeys([name, *(text for text in more if text.lower() not in _NO_SYSTEM)])))


def _agent(raw: Node, agent: Element) -> Iterator[FindingsRecord]:
    ref = _host_name(agent)
    if ref in _OWN_HOSTS:
        return
    ip = ip_address(ref)
    yield Asset(ref=ref, name=ref, hostname="" if ip else ref, ips=(ip,) if ip else ())
    yield raw.once(
        (_AGENT,),
        lambda: Finding(
            key=_AGENT,
            number=title_number(_AGENT_TITLE),
            title=_AGENT_TITLE,
            severity=Severity.HIGH,
            description=_AGENT_TEXT,
            source=SOURCE,
        ),
    )
    pieces = (evidence(line(agent.get("name", "")), "\n".join(_lines(agent, ""))),)
    yield AffectedAsset(finding=_AGENT, asset=ref, evidence=pieces)
    yield from cautions_of(pieces)


def _host_name(entity: Element) -> str:
    """Entities are named like paths: `/192.0.2.1` is a host, `/192.0.2.1/agent0` an agent on it."""
    return line(entity.get("name", "").strip().strip("/").partition("/")[0])


def _lines(parent: Element | None, path: str) -> Iterator[str]:
    """The leaves below an element, each as a line `key/key: text`."""
    for child in _children(parent):
        key = f"{path}{line(child.get('key', ''))}"
        if len(child):
            yield from _lines(child, f"{key}/")
        elif text := all_text(child):
            yield f"{key}: {text}"


def _children(parent: Element | None) -> list[Element]:
    return [child for child in parent if child.tag == "property"] if parent is not None else []


def _child(parent: Element, key: str) -> Element | None:
    return next((child for child in _children(parent) if child.get("key") == key), None)


def _text(parent: Element, key: str) -> str:
    child = _child(parent, key)
    return (child.text or "").strip() if child is not None else ""


FORMAT = Format(
    name="coreimpact",
    title="a Core Impact export",
    family="coreimpact",
    syntax="xml",
    extensions=(".xml",),
    sources=("coreimpact",),
    sniff=sniff,
    walk=walk,
    read=read,
)
