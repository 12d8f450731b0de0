"""How PlexTrac shows an asset: of a client, of the tenant, and as affected by a finding.

A finding can be in several places of one asset (ports, URLs, parameters); PlexTrac has one entry for all of them, so a
function here that takes `places` takes all places of one finding on one asset.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from dialects.plextrac.findings import SEVERITIES, evidence_ids
from dialects.plextrac.ids import cuid
from dialects.plextrac.times import epoch_ms

Row = Mapping[str, Any]

# The gravest first: an asset is as open as its most open place.
STATUSES = ("Open", "In Process", "Closed")
# The words of the v2 list for the five severities, by `sev`.
COUNTS = ("critical", "high", "medium", "low", "info")
WHOLE_HOST = 0


def client_asset(asset: Row) -> dict[str, Any]:
    """An asset of a client but for `findings`, which may be long and is written behind it."""
    return {
        **_description(asset),
        "client_id": asset["client_id"],
        "child_assets": {},
        "parent_asset": None,
        "created": _js_date(asset["created_at"]),
        "createdAt": epoch_ms(asset["created_at"]),
        "updatedAt": epoch_ms(asset["updated_at"]),
        "doc_type": "client_asset",
        "notes": [],
    }


def client_asset_item(asset: Row, counts: Mapping[int, int]) -> dict[str, Any]:
    """An item of the v2 list; `counts` are numbers of findings by `sev`."""
    return {
        **_description(asset),
        "client_id": asset["client_id"],
        "parent": None,
        "createdAt": epoch_ms(asset["created_at"]),
        "updatedAt": epoch_ms(asset["updated_at"]),
        "findings": {
            **{word: counts.get(severity, 0) for severity, word in enumerate(COUNTS)},
            "total": sum(counts.values()),
        },
    }


def tenant_asset(asset: Row) -> dict[str, Any]:
    """An item of the tenant's list, which writes the same members in camelCase."""
    described = _description(asset)
    return {
        "id": described["id"],
        "cuid": described["cuid"],
        "clientId": asset["client_id"],
        "asset": described["asset"],
        "assetCriticality": described["assetCriticality"],
        "createdAt": epoch_ms(asset["created_at"]),
        "updatedAt": epoch_ms(asset["updated_at"]),
        "dataOwner": described["data_owner"],
        "description": described["description"],
        "dnsName": described["dns_name"],
        "hostFqdn": described["host_fqdn"],
        "hostname": described["hostname"],
        "hostRdns": described["host_rdns"],
        "knownIps": described["knownIps"],
        "macAddress": described["mac_address"],
        "netbiosName": described["netbios_name"],
        "notes": [],
        "operatingSystems": described["operating_system"],
        "parentName": "",
        "pciStatus": described["pci_status"],
        "physicalLocation": described["physical_location"],
        "ports": described["ports"],
        "systemOwner": described["system_owner"],
        "tags": described["tags"],
        "totalCves": 0,
        "type": described["type"],
        "findings": {},
    }


def affected_asset(places: Sequence[Row]) -> dict[str, Any]:
    """An entry of a finding's `affected_assets`. The rows have the asset's columns and, prefixed, the place's."""
    asset = places[0]
    return {
        **_description(asset),
        **_relation(asset["tenant_id"], places),
        "client_id": asset["client_id"],
        "exhibits": [],
        "findings": {},
    }


def finding_on_asset(places: Sequence[Row]) -> dict[str, Any]:
    """An entry of an asset's `findings`: the findings of all reports that have this public id, each an instance.

    The rows have the finding's columns and, prefixed, the place's.
    """
    newest = max(places, key=lambda place: place["updated_at"])
    return {
        **_relation(newest["tenant_id"], places),
        "id": newest["flaw_id"],
        "cuid": cuid("finding", newest["tenant_id"], newest["finding_id"]),
        "client_id": newest["client_id"],
        "title": newest["title"],
        "severity": SEVERITIES[newest["severity"]],
        "instances": {str(place["report_id"]): _instance(place) for place in places},
    }


def _instance(finding: Row) -> dict[str, Any]:
    return {
        "report_id": finding["report_id"],
        "report_flaw_title": finding["title"],
        "report_severity": SEVERITIES[finding["severity"]],
        "report_status": finding["status"],
        "report_flaw_visibility": finding["visibility"],
        "createdAt": epoch_ms(finding["created_at"]),
        "updatedAt": epoch_ms(finding["updated_at"]),
    }


def _description(asset: Row) -> dict[str, Any]:
    """What an asset is. Members for what is not kept here are empty."""
    return {
        "id": str(asset["asset_id"]),
        "cuid": cuid("asset", asset["tenant_id"], asset["asset_id"]),
        "asset": asset["name"],
        "assetCriticality": "",
        "data_owner": "",
        "description": asset["description"],
        "dns_name": "",
        "host_fqdn": "",
        "host_rdns": "",
        "hostname": asset["hostname"],
        "knownIps": list(asset["ips"]),
        "mac_address": asset["mac"],
        "netbios_name": asset["netbios"],
        "operating_system": list(asset["operating_systems"]),
        "pci_status": "",
        "physical_location": "",
        "ports": _ports_by_number(asset["ports"].values(), seen=epoch_ms(asset["updated_at"])),
        "system_owner": "",
        "tags": list(asset["tags"]),
        "total_cves": "",
        "type": asset["type"],
    }


def _relation(tenant_id: int, places: Sequence[Row]) -> dict[str, Any]:
    """What is said of a finding and an asset together."""
    proofs = (number for place in places for number in sorted(place["place_evidence_ids"]))
    return {
        "status": _most_open(place["place_status"] for place in places),
        "subStatus": "",
        "assignedTo": None,
        "createdAt": epoch_ms(min(place["place_created_at"] for place in places)),
        "updatedAt": epoch_ms(max(place["place_updated_at"] for place in places)),
        "closedAt": None,
        "reopenedAt": None,
        "ports": _ports_by_number(_port(place) for place in places if place["place_port"] != WHOLE_HOST),
        "locationUrl": ", ".join(_distinct(place["place_location"] for place in places)),
        "vulnerableParameters": [
            {"id": cuid(f"parameter:{text}", tenant_id, place["place_affected_id"]), "text": text}
            for place in places
            for text in place["place_parameters"]
        ],
        "notes": "\n\n".join(_distinct(place["place_notes"] for place in places)),
        "evidence": list(dict.fromkeys(evidence_ids(tenant_id, proofs))),
    }


def _port(place: Row) -> dict[str, Any]:
    return {"number": place["place_port"], "protocol": place["place_protocol"], "service": place["place_service"]}


def _ports_by_number(ports: Iterable[Row], seen: int | None = None) -> dict[str, Any]:
    """Ports by number, which is a text here; the second of two protocols on one number has the protocol in its key."""
    found: dict[str, Any] = {}
    for port in ports:
        number, protocol = str(port["number"]), port["protocol"]
        shown = {
            "number": number,
            "protocol": protocol,
            "service": port.get("service") or "",
            "version": port.get("version") or "",
        }
        if seen is not None:
            shown |= {"script": "", "last_seen": seen}
        key = number if found.get(number, shown)["protocol"] == protocol else f"{number}_{protocol}"
        found.setdefault(key, shown)
    return found


def _most_open(statuses: Iterable[str]) -> str:
    """A word that is not PlexTrac's counts as open."""
    return min(statuses, key=lambda status: STATUSES.index(status) if status in STATUSES else 0)


def _distinct(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(text for text in texts if text))


def _js_date(moment: datetime) -> str:
    """As JavaScript's Date writes itself, for the one member that has it so."""
    return moment.astimezone(UTC).strftime("%a %b %d %Y %H:%M:%S GMT%z")
