"""Tables of client assets: one row a host, or a port of one as tools make them of Nmap's output.

Nothing is published about the columns of PlexTrac's asset import. Those known here are the ones that PlexTrac's own
script exports assets with (`name`, `ip addresses`, `host fqdn`, `ports` as `number//protocol//service//version/`), the
names of the fields of its API, and those of public converters from Nmap. Each may be missing, but a row must name its
asset in some way. What the record of an asset has no place for is kept in its description.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from services.importer.formats.kit.addresses import ip_address, is_hostname, mac_address
from services.importer.formats.kit.csv import Row, header_of, plain_name, walk_csv
from services.importer.formats.kit.format import ByteStream, Format, Item, RecordError
from services.importer.formats.kit.node import Node
from services.importer.formats.kit.values import NAME_LIMIT, PORT_MAX, line, whole
from services.importer.targets.findings.records import Asset, Caution, FindingsRecord, Port

_NAME = ("name", "asset", "asset name", "system name", "device", "device name")
_HOSTNAME = ("hostname", "host name", "host fqdn", "fqdn", "dns name", "dns", "host rdns", "rdns")
_ADDRESSES = ("ip addresses", "known ips", "ips", "ip", "ip address", "ipv4", "ipv6", "address", "addr", "host")
_MAC = ("mac address", "mac", "mac addr")
_NETBIOS = ("netbios name", "netbios")
_SYSTEMS = ("operating system", "operating systems", "os", "os name", "os match")
_TYPE = ("type", "asset type", "device type")
_DESCRIPTION = ("description", "notes")
_TAGS = ("tags", "tag")
_PORTS = ("ports", "open ports")
_PORT = ("port", "port number", "port id")
_PROTOCOL = ("protocol", "proto", "port protocol", "tcp/udp")
_STATE = ("state", "port state")
_HOST_STATE = ("host status", "host state", "status")
_SERVICE = ("service", "service name")
_VERSION = (("product", "service product"), ("version", "service version"), ("extra info", "extrainfo"))
_OF_PORTS = (*_PORTS, *_PORT, *_PROTOCOL, *_STATE, *_SERVICE, *(name for names in _VERSION for name in names))
_KNOWN = frozenset(
    {
        *_NAME, *_HOSTNAME, *_ADDRESSES, *_MAC, *_NETBIOS, *_SYSTEMS, *_TYPE, *_DESCRIPTION, *_TAGS, *_PORTS, *_PORT,
        *_PROTOCOL, *_STATE, *_HOST_STATE, *_SERVICE, *(name for names in _VERSION for name in names),
    }
)  # fmt: skip

_WANTED = tuple(frozenset({name}) for name in (*_NAME, *_HOSTNAME, *_ADDRESSES))
# A table with one of these is about findings.
_OF_FINDINGS = frozenset(
    {
        *("severity", "risk", "risk level", "priority", "cvss", "cvss score", "cve", "cves", "cve id", "cwe", "issue"),
        *("plugin", "plugin id", "plugin name", "qid", "oid", "nvt oid", "nvt name", "title", "finding", "findings"),
        *("vulnerability", "vulnerabilities", "vulnerability id", "vulnerability name", "weakness", "weakness id"),
        *("recommendation", "recommendations", "solution", "remediation", "technique", "techniques", "campaign"),
        # Of simulated attacks: their steps, and hosts as a pentest sees them.
        *("att&ck technique", "attack technique", "module", "rtags", "is in scope", "is domain controller"),
    }
)

_PLAIN_KNOWN, _PLAIN_OF_FINDINGS = frozenset(map(plain_name, _KNOWN)), frozenset(map(plain_name, _OF_FINDINGS))

_LIST = re.compile(r"[,;\s]+")
_PHRASES = re.compile(r"[,;\r\n]+")
_SLASHES = re.compile(r"/+")
_SHOWN_SERVICE = re.compile(r"(\d{1,5})(?:/(\w{1,8}))?\s*\((.{0,200})\)")
_PROTOCOLS = frozenset({"tcp", "udp", "sctp", "ip", "icmp"})
_STATES = frozenset({"open", "closed", "filtered", "unfiltered", "open|filtered", "closed|filtered"})
_PORT_COUNT = 65_536


def sniff(head: bytes) -> bool:
    return bool(header_of(head, _WANTED, _is_header))


def walk(stream: ByteStream) -> Iterator[Item]:
    return walk_csv(stream, _WANTED, _KNOWN, check=_is_header, kept="in descriptions")


def _is_header(names: frozenset[str]) -> bool:
    """Is this about assets: two columns known, or the only one, and none that speaks of findings?"""
    return not names & _PLAIN_OF_FINDINGS and len(names & _PLAIN_KNOWN) >= min(2, len(names))


def read(raw: Node) -> tuple[FindingsRecord, ...]:
    row: Row = raw.value
    if row.get(*_HOST_STATE).lower() == "down":
        return (Caution("HOST_DOWN_LEFT_OUT", "Hosts that are down are left out."), *raw.cautions)
    told = [text for cell in row.cells(_ADDRESSES) for text in _LIST.split(cell)]
    ips = tuple(dict.fromkeys(filter(None, map(ip_address, told))))
    hostname = line(row.get(*_HOSTNAME))
    name = line(row.get(*_NAME)) or hostname or (ips[0] if ips else line(row.get(*_ADDRESSES)))
    if not name:
        raise RecordError("MISSING_FIELD", "name", "The row has neither name nor address.", " ".join(row.extra()))
    address = ip_address(name)
    # What many hosts have in common is read once.
    ports, notes = raw.once(("ports", *row.cells(_OF_PORTS)), lambda: _ports(row))
    systems, tags = row.get(*_SYSTEMS), row.get(*_TAGS)
    description, cut = _description(row)
    asset = Asset(
        ref=name,
        name=name,
        hostname=hostname or (name if is_hostname(name) else ""),
        ips=(address, *(ip for ip in ips if ip != address)) if address else ips,
        mac=mac_address(row.get(*_MAC)),
        netbios=line(row.get(*_NETBIOS)),
        operating_systems=raw.once(("phrases", systems), lambda: _phrases(systems)),
        type=line(row.get(*_TYPE)),
        description=description,
        ports=ports,
        tags=raw.once(("phrases", tags), lambda: _phrases(tags)),
    )
    return (raw.once.same(asset), *notes, *cut, *raw.cautions)


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(phrase for part in _PHRASES.split(text) if (phrase := line(part))))


def _ports(row: Row) -> tuple[tuple[Port, ...], list[Caution]]:
    """The open ports of a list in one cell, and the one that the row is about."""
    found: dict[tuple[int, str], Port] = {}
    notes: list[Caution] = []
    cells = [text for part in _PHRASES.split(row.get(*_PORTS)) if (text := part.strip())]
    if (port := row.get(*_PORT)) and row.get(*_STATE).lower() in {"", "open", "up"}:
        # A row about one port names its parts in columns of their own.
        version = " ".join(filter(None, (row.get(*names) for names in _VERSION)))
        cells.append(
            "/".join((port, row.get(*_PROTOCOL), row.get(*_SERVICE).replace("/", " "), version.replace("/", " ")))
        )
    for text in cells[:_PORT_COUNT]:
        made = _port(text)
        if made is None:
            notes.append(Caution("INVALID_PORT", f'The port "{line(text, 40)}" is not a number from 0 to {PORT_MAX}.'))
        elif made.number >= 0:
            found.setdefault((made.number, made.protocol), made)
    return tuple(found.values()), notes


def _port(text: str) -> Port | None:
    """A port from `443`, `443/tcp`, `443/tcp (https)`, `443//tcp//https//1.0/` or Nmap's `443/open/tcp//https///`.

    None for anything else; one that is not open has the number -1.
    """
    shown = _SHOWN_SERVICE.fullmatch(text)
    number_text, *told = shown.groups("") if shown else (part.strip() for part in _SLASHES.split(text))
    number = whole(number_text)
    if number is None or number > PORT_MAX:
        return None
    words = [word for word in told if word]
    state = next((word.lower() for word in words if word.lower() in _STATES), "open")
    protocol = next((word.lower() for word in words if word.lower() in _PROTOCOLS), "")
    rest = [word for word in words if word.lower() not in _STATES and word.lower() != protocol]
    service, version = line(rest[0]) if rest else "", line(" ".join(rest[1:]))
    return Port(number if state == "open" else -1, protocol or "tcp", service, version)


def _description(row: Row) -> tuple[str, list[Caution]]:
    """What the row says besides, a line each; cut where it is longer than a description may be."""
    extra = (f"{label}: {line(text)}" for label, text in row.extra().items())
    text = "\n".join(filter(None, (row.get(*_DESCRIPTION), *extra)))
    if len(text) <= NAME_LIMIT:
        return text, []
    return text[:NAME_LIMIT], [Caution("TEXT_CUT", f"A description was cut to {NAME_LIMIT} characters.")]


FORMAT = Format(
    name="asset_csv",
    title="a table of assets (CSV)",
    family="assets",
    syntax="csv",
    extensions=(".csv",),
    asset_sources=("csv", "nmap-csv"),
    sniff=sniff,
    walk=walk,
    read=read,
)
