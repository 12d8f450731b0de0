"""Maps hosts of an Nmap report to records: assets, and findings of the vulners script on their open ports."""

from __future__ import annotations

from collections.abc import Iterable

from services.importer.formats.kit.addresses import ip_address, mac_address
from services.importer.formats.kit.evidence import cautions_of
from services.importer.formats.kit.format import RecordError
from services.importer.formats.kit.values import NAME_LIMIT, PORT_MAX, line, whole
from services.importer.formats.nmap.report import HostSeen, PortSeen, Weakness
from services.importer.formats.nmap.vulners import weaknesses_of
from services.importer.targets.findings.records import (
    AffectedAsset,
    Asset,
    Caution,
    FindingsRecord,
    Port,
)

_DEVICES = {
    "WAP": "Network Device",
    "broadband router": "Network Device",
    "firewall": "Network Device",
    "load balancer": "Network Device",
    "router": "Network Device",
    "switch": "Network Device",
}


def read_assets(raw: HostSeen) -> tuple[FindingsRecord, ...]:
    """Hosts that are up, as assets; nothing else."""
    if not _is_up(raw):
        return ()
    return (_asset(raw, "First seen in an Nmap import."), *_cautions(raw))


def read(raw: HostSeen) -> tuple[FindingsRecord, ...]:
    """Hosts that are up, as assets, and what vulners knows about the software on them."""
    if not _is_up(raw):
        return ()
    asset = _asset(raw, "")
    records: list[FindingsRecord] = [asset]
    for port in raw.ports:
        if port.weaknesses:
            number = min(whole(port.number) or 0, PORT_MAX)
            service = line(port.service[0])
            records += _affected(asset.ref, port.weaknesses, number, port.protocol[:NAME_LIMIT].lower(), service)
    if raw.scripts:
        records += _affected(asset.ref, weaknesses_of(raw.scripts, raw.findings), 0, "", "")
    records += _cautions(raw)
    return tuple(records)


def _is_up(raw: HostSeen) -> bool:
    # Without a status the host is there because something answered.
    return raw.state in {"up", ""}


def _asset(raw: HostSeen, description: str) -> Asset:
    ips, mac, opened = [], "", []
    for address, kind in raw.addresses:
        if kind == "mac":
            mac = mac or address
        elif (ip := ip_address(address)) and ip not in ips:
            ips.append(ip)
    for port in raw.ports:
        if not port.is_made:
            _make(port, raw)
        if port.open_port is not None:
            opened.append(port.open_port)
    name = next(filter(None, map(line, raw.hostnames)), "")
    ref = ips[0] if ips else mac[:NAME_LIMIT] or name
    if not ref:
        raise RecordError("MISSING_FIELD", "address", "The host has neither address nor name.")
    return Asset(
        ref=ref,
        name=name or ref,
        hostname=name,
        ips=tuple(ips),
        mac=mac_address(mac),
        operating_systems=(line(raw.systems[0]),) if raw.systems and raw.systems[0].strip() else (),
        type=_DEVICES.get(raw.device, ""),
        description=description,
        ports=tuple(opened),
    )


def _make(port: PortSeen, raw: HostSeen) -> None:
    """Fill in what a port gives, the same for every host that has it."""
    number = whole(port.number)
    if port.state == "open" and number is not None and number <= PORT_MAX:
        name, *told, tunnel = port.service
        name = f"{tunnel}/{name}" if tunnel else name
        version = " ".join(filter(None, told))
        port.open_port = Port(number, port.protocol[:NAME_LIMIT].lower(), name[:NAME_LIMIT], version[:NAME_LIMIT])
    port.is_invalid = port.state == "open" and port.open_port is None
    port.weaknesses = weaknesses_of(port.scripts, raw.findings) if port.scripts else ()
    port.is_made = True


def _cautions(raw: HostSeen) -> Iterable[Caution]:
    for port in raw.ports:
        if port.is_invalid:
            told = line(port.number, 40)
            yield Caution("INVALID_PORT", f'The port "{told}" is not a number from 0 to {PORT_MAX}.')
    yield from (Caution(*note) for note in raw.notes)


def _affected(
    ref: str, weaknesses: tuple[Weakness, ...], port: int, protocol: str, service: str
) -> Iterable[FindingsRecord]:
    for finding, notes, proof in weaknesses:
        yield finding
        yield AffectedAsset(finding.key, ref, port, protocol, service, notes=notes, evidence=proof)
        yield from cautions_of(proof)
