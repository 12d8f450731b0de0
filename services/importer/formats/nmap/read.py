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
    notes = tuple(Caution(*note) for note in raw.notes)
    return (_asset(raw, "First seen in an Nmap import."), *_port_cautions(raw), *notes)


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
    records += _affected(asset.ref, weaknesses_of(raw.scripts, raw.findings), 0, "", "")
    records += _port_cautions(raw)
    records += (Caution(*note) for note in raw.notes)
    return tuple(records)


def _is_up(raw: HostSeen) -> bool:
    # Without a status the host is there because something answered.
    return raw.state in {"up", ""}


def _asset(raw: HostSeen, description: str) -> Asset:
    ips = tuple(dict.fromkeys(ip for address, _ in raw.addresses if (ip := ip_address(address))))
    names = [name for text in raw.hostnames if (name := line(text))]
    mac = next((address for address, kind in raw.addresses if kind == "mac"), "")
    ref = next(iter((*ips, mac, *names)), "")
    if not ref:
        raise RecordError("MISSING_FIELD", "address", "The host has neither address nor name.")
    for port in raw.ports:
        if not port.is_made:
            _make(port, raw)
    return Asset(
        ref=ref[:NAME_LIMIT],
        name=names[0] if names else ref[:NAME_LIMIT],
        hostname=names[0] if names else "",
        ips=ips,
        mac=mac_address(mac),
        operating_systems=tuple(line(system) for system in raw.systems[:1] if system.strip()),
        type=_DEVICES.get(raw.device, ""),
        description=description,
        ports=tuple(port.open_port for port in raw.ports if port.open_port is not None),
    )


def _make(port: PortSeen, raw: HostSeen) -> None:
    """Fill in what a port gives, the same for every host that has it."""
    number = whole(port.number)
    if port.state == "open" and number is not None and number <= PORT_MAX:
        name, *told, tunnel = port.service
        name = f"{tunnel}/{name}" if tunnel else name
        port.open_port = Port(number, port.protocol[:NAME_LIMIT].lower(), line(name), line(" ".join(filter(None, told))))
    port.weaknesses = weaknesses_of(port.scripts, raw.findings) if port.scripts else ()
    port.is_made = True


def _port_cautions(raw: HostSeen) -> Iterable[Caution]:
    for port in raw.ports:
        if port.state == "open" and port.open_port is None:
            told = line(port.number, 40)
            yield Caution("INVALID_PORT", f'The port "{told}" is not a number from 0 to {PORT_MAX}.')


def _affected(
    ref: str, weaknesses: tuple[Weakness, ...], port: int, protocol: str, service: str
) -> Iterable[FindingsRecord]:
    for finding, notes, proof in weaknesses:
        yield finding
        yield AffectedAsset(finding.key, ref, port, protocol, service, notes=notes, evidence=proof)
        yield from cautions_of(proof)
