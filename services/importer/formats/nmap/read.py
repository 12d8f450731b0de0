"""Maps hosts of an Nmap report to records: assets, and findings of the vulners script on their open ports."""

from __future__ import annotations

from collections.abc import Iterable

from services.importer.formats.kit.addresses import ip_address, mac_address
from services.importer.formats.kit.evidence import cautions_of
from services.importer.formats.kit.format import RecordError
from services.importer.formats.kit.values import NAME_LIMIT, PORT_MAX, line, whole
from services.importer.formats.nmap.report import Findings, HostSeen, PortMade, PortSeen, Weakness
from services.importer.formats.nmap.vulners import weaknesses_of
from services.importer.targets.findings.records import AffectedAsset, Asset, Caution, FindingsRecord, Port

_NETWORK_DEVICES = frozenset({"WAP", "broadband router", "firewall", "load balancer", "router", "switch"})


def read_assets(raw: HostSeen) -> tuple[FindingsRecord, ...]:
    """Hosts that are up, as assets; nothing else."""
    if not _is_up(raw):
        return ()
    made = _ports(raw)
    return (_asset(raw, made, "First seen in an Nmap import."), *_cautions(raw, made))


def read(raw: HostSeen) -> tuple[FindingsRecord, ...]:
    """Hosts that are up, as assets, and what vulners knows about the software on them."""
    if not _is_up(raw):
        return ()
    made = _ports(raw)
    asset = _asset(raw, made, "")
    records: list[FindingsRecord] = [asset]
    for seen, (port, weaknesses, _) in zip(raw.ports, made, strict=True):
        if weaknesses:
            number = port.number if port is not None else min(whole(seen.number) or 0, PORT_MAX)
            place = AffectedAsset("", asset.ref, number, _protocol(seen), seen.service.name[:NAME_LIMIT])
            records += _affected(place, weaknesses)
    if raw.scripts:
        records += _affected(AffectedAsset("", asset.ref), weaknesses_of(raw.scripts, raw.findings))
    records += _cautions(raw, made)
    return tuple(records)


def _is_up(raw: HostSeen) -> bool:
    # Without a status the host is there because something answered.
    return raw.state == "up" or not raw.state


def _asset(raw: HostSeen, made: list[PortMade], description: str) -> Asset:
    ips, mac = [], ""
    for address, kind in raw.addresses:
        if kind == "mac":
            mac = mac or address
        elif (ip := ip_address(address)) and ip not in ips:
            ips.append(ip)
    name = next(filter(None, map(line, raw.hostnames)), "")
    ref = ips[0] if ips else mac[:NAME_LIMIT] or name
    if not ref:
        raise RecordError("MISSING_FIELD", "address", "The host has neither address nor name.")
    return Asset(
        ref=ref,
        name=name or ref,
        hostname=name,
        ips=tuple(ips),
        mac=mac_address(mac) if mac else "",
        operating_systems=tuple(line(system) for system in raw.systems[:1] if system),
        type="Network Device" if raw.device in _NETWORK_DEVICES else "",
        description=description,
        ports=tuple([each.port for each in made if each.port is not None]),
    )


def _ports(raw: HostSeen) -> list[PortMade]:
    """What the ports give, made once for each that reads the same."""
    return [port.made or _made(port, raw.findings) for port in raw.ports]


def _made(seen: PortSeen, findings: Findings) -> PortMade:
    state, name, product, version, extra, tunnel = seen.service
    number = whole(seen.number)
    port, caution = None, None
    if state == "open":
        if number is None or number > PORT_MAX:
            told = f'The port "{line(seen.number, 40)}" is not a number from 0 to {PORT_MAX}.'
            caution = ("INVALID_PORT", told)
        else:
            software = " ".join(filter(None, (product, version, extra)))[:NAME_LIMIT]
            service = f"{tunnel}/{name}" if tunnel else name
            port = Port(number, _protocol(seen), service[:NAME_LIMIT], software)
    weaknesses = weaknesses_of(seen.scripts, findings) if seen.scripts else ()
    seen.made = PortMade(port, weaknesses, caution)
    return seen.made


def _protocol(seen: PortSeen) -> str:
    return seen.protocol[:NAME_LIMIT].lower()


def _cautions(raw: HostSeen, made: list[PortMade]) -> list[Caution]:
    told = [each.caution for each in made if each.caution is not None]
    return [Caution(*each) for each in (*told, *raw.notes)]


def _affected(place: AffectedAsset, weaknesses: Iterable[Weakness]) -> Iterable[FindingsRecord]:
    """The findings, each with an instance at this place."""
    for finding, notes, proof in weaknesses:
        yield finding
        yield AffectedAsset(
            finding.key, place.asset, place.port, place.protocol, place.service, notes=notes, evidence=proof
        )
        yield from cautions_of(proof)
