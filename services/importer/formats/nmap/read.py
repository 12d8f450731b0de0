"""Maps hosts of an Nmap report to records: assets, and findings of the vulners script on their open ports."""

from __future__ import annotations

from collections.abc import Iterable

from services.importer.formats.kit.addresses import ip_address, mac_address
from services.importer.formats.kit.format import RecordError
from services.importer.formats.kit.values import NAME_LIMIT, PORT_MAX, line, whole
from services.importer.formats.nmap.report import HostSeen, PortSeen, Service, Weakness
from services.importer.formats.nmap.vulners import weaknesses_of
from services.importer.targets.findings.records import AffectedAsset, Asset, Caution, FindingsRecord, Port

_NETWORK_DEVICES = frozenset({"WAP", "broadband router", "firewall", "load balancer", "router", "switch"})


def read_assets(raw: HostSeen) -> list[FindingsRecord]:
    """Hosts that are up, as assets; nothing else."""
    return [_asset(raw, "First seen in an Nmap import."), *_cautions(raw)] if _is_up(raw) else []


def read(raw: HostSeen) -> list[FindingsRecord]:
    """Hosts that are up, as assets, and what vulners knows about the software on them."""
    if not _is_up(raw):
        return []
    asset = _asset(raw, "")
    records: list[FindingsRecord] = [asset]
    for seen, scripts in raw.port_scripts:
        number = seen.port.number if seen.port is not None else min(whole(seen.number) or 0, PORT_MAX)
        place = AffectedAsset("", asset.ref, number, _protocol(seen), seen.service.texts[1][:NAME_LIMIT])
        _add_affected(records, place, weaknesses_of(scripts, raw.findings))
    if raw.scripts:
        _add_affected(records, AffectedAsset("", asset.ref), weaknesses_of(raw.scripts, raw.findings))
    records += _cautions(raw)
    return records


def _is_up(raw: HostSeen) -> bool:
    # Without a status the host is there because something answered.
    return raw.state == "up" or not raw.state


def _asset(raw: HostSeen, description: str) -> Asset:
    ips: list[str] = []
    mac = ""
    for address, kind in raw.addresses:
        if kind == "mac":
            mac = mac or address
        elif (ip := ip_address(address)) and ip not in ips:
            ips.append(ip)
    opened = []
    for seen in raw.ports:
        if not seen.is_made:
            _make(seen)
        if seen.port is not None:
            opened.append(seen.port)
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
        operating_systems=(line(raw.systems[0]),) if raw.systems and raw.systems[0] else (),
        type="Network Device" if raw.device in _NETWORK_DEVICES else "",
        description=description,
        ports=tuple(opened),
    )


def _make(seen: PortSeen) -> None:
    """Fill in what a port gives, the same for every host that has it."""
    seen.is_made = True
    if seen.service.texts[0] != "open":
        return
    number = whole(seen.number)
    if number is None or number > PORT_MAX:
        told = f'The port "{line(seen.number, 40)}" is not a number from 0 to {PORT_MAX}.'
        seen.caution = ("INVALID_PORT", told)
        return
    name, software = seen.service.shown or _shown(seen.service)
    seen.port = Port(number, _protocol(seen), name, software)


def _shown(service: Service) -> tuple[str, str]:
    _, name, *software, tunnel = service.texts
    told = f"{tunnel}/{name}" if tunnel else name
    service.shown = told[:NAME_LIMIT], " ".join(filter(None, software))[:NAME_LIMIT]
    return service.shown


def _protocol(seen: PortSeen) -> str:
    return seen.protocol[:NAME_LIMIT].lower()


def _cautions(raw: HostSeen) -> list[Caution]:
    told = [seen.caution for seen in raw.ports if seen.caution is not None]
    return [Caution(*each) for each in (*told, *raw.notes)]


def _add_affected(records: list[FindingsRecord], place: AffectedAsset, weaknesses: Iterable[Weakness]) -> None:
    """Add the findings, each with an instance at this place."""
    asset, port, protocol, service = place.asset, place.port, place.protocol, place.service
    for finding, notes, proof, cautions in weaknesses:
        records.append(finding)
        records.append(AffectedAsset(finding.key, asset, port, protocol, service, "", (), notes, proof))
        records += cautions
