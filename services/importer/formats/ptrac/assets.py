"""Assets of PlexTrac: those of a client, and the copies of them in findings, which also say where a finding is."""

from __future__ import annotations

from typing import NamedTuple

from services.importer.formats.kit.addresses import ip_address, mac_address
from services.importer.formats.kit.format import RecordError
from services.importer.formats.kit.members import Members, as_text, text, texts
from services.importer.formats.kit.values import (
    FIELD_LIMIT,
    NAME_LIMIT,
    PORT_MAX,
    URL_LIMIT,
    digest,
    line,
    paragraphs,
    whole,
)
from services.importer.targets.findings.records import Asset, Caution, Port

_PARAMETERS_LIMIT = 1_000

# What an asset has no member for is said in its description.
_REMARKS = (
    ("Criticality", ("assetCriticality",)),
    ("Parent asset", ("parent_asset", "parentName")),
    ("DNS name", ("dns_name", "dnsName")),
    ("Reverse DNS", ("host_rdns", "hostRdns")),
    ("System owner", ("system_owner", "systemOwner")),
    ("Data owner", ("data_owner", "dataOwner")),
    ("Physical location", ("physical_location", "physicalLocation")),
    ("PCI status", ("pci_status", "pciStatus")),
)


class Place(NamedTuple):
    """Where a finding is: what makes two instances the same."""

    finding: str
    asset: str
    port: int = 0
    protocol: str = ""
    location: str = ""
    parameters: tuple[str, ...] = ()


def affected_in(finding: Members) -> list[Members]:
    """The affected assets of a finding, by id in `affected_assets` or in a list; each with an id."""
    found = finding.get("affected_assets")
    if isinstance(found, dict):
        return [{**value, "id": text(value, "id") or key} for key, value in found.items() if isinstance(value, dict)]
    return [value for value in found if isinstance(value, dict)] if isinstance(found, list) else []


def ref_of(identifier: str) -> str:
    """What an asset is called within the file: its id."""
    return identifier if len(identifier) <= NAME_LIMIT else digest(identifier)


def asset_of(members: Members) -> tuple[Asset, list[Caution]]:
    """The definition. Raises `RecordError` for an asset without a name."""
    name = line(text(members, "asset", "name", "hostname"))
    if not name:
        raise RecordError("MISSING_FIELD", "asset", "The asset has no name.", text(members, "id"))
    ports, notes = ports_of(members)
    description = paragraphs(text(members, "description"), _remarks(members))
    if len(description) > FIELD_LIMIT:
        notes.append(Caution("TEXT_CUT", f"The description of an asset was cut to {FIELD_LIMIT} characters."))
    addresses = [ip_address(name), *map(ip_address, texts(members, "knownIps"))]
    asset = Asset(
        ref=ref_of(text(members, "id", "cuid") or name),
        name=name,
        hostname=line(text(members, "hostname", "host_fqdn", "hostFqdn", "dns_name", "dnsName")),
        ips=tuple(dict.fromkeys(filter(None, addresses))),
        mac=mac_address(text(members, "mac_address", "macAddress")),
        netbios=line(text(members, "netbios_name", "netbiosName")),
        operating_systems=tuple(line(each) for each in texts(members, "operating_system")),
        type=line(text(members, "type")),
        description=description[:FIELD_LIMIT],
        ports=tuple(dict.fromkeys(ports)),
        tags=tuple(line(tag) for tag in texts(members, "tags")),
    )
    return asset, notes


def ports_of(members: Members) -> tuple[list[Port], list[Caution]]:
    """The ports of an asset, or those where it is affected. One that is no number is left out, with a caution."""
    found = members.get("ports")
    listed = found.values() if isinstance(found, dict) else found if isinstance(found, list) else ()
    ports, notes = [], []
    for value in listed:
        said = value if isinstance(value, dict) else {"number": value}
        number = whole(text(said, "number"))
        if number is None or number > PORT_MAX:
            notes.append(Caution("INVALID_PORT", "A port that is not a number from 0 to 65535 was left out."))
            continue
        protocol = line(text(said, "protocol")).lower() or "tcp"
        ports.append(Port(number, protocol, line(text(said, "service")), line(text(said, "version"))))
    return ports, notes


def places_of(affected: Members, key: str) -> list[tuple[Place, str]]:
    """The places of a finding on an affected asset, one at least, each with the service there."""
    ref = ref_of(text(affected, "id", "cuid") or line(text(affected, "asset", "name", "hostname")))
    location = line(text(affected, "locationUrl", "location_url"), URL_LIMIT)
    parameters = tuple(dict.fromkeys(_parameters(affected)))[:_PARAMETERS_LIMIT]
    ports, _ = ports_of(affected)
    there = {(port.number, port.protocol): port.service for port in ports if port.number} or {(0, ""): ""}
    return [
        (Place(key, ref, number, protocol, location, parameters), service)
        for (number, protocol), service in there.items()
    ]


def evidence_ids(affected: Members) -> list[str]:
    """The ids of the evidence that stands elsewhere in the file."""
    listed = affected.get("evidence")
    values = listed if isinstance(listed, list) else []
    return [found for value in values if (found := as_text(value))]


def _parameters(affected: Members) -> list[str]:
    """`[{id, text}]`, or a list of texts."""
    listed = affected.get("vulnerableParameters")
    values = listed if isinstance(listed, list) else [listed]
    said = (text(value, "text", "name") if isinstance(value, dict) else as_text(value) for value in values)
    return [parameter for value in said if (parameter := line(value))]


def _remarks(members: Members) -> str:
    said = ((name, line(text(members, *names))) for name, names in _REMARKS)
    return "\n".join(f"{name}: {value}" for name, value in said if value)
