"""From records to staging rows: the only place that knows both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import blake2b, sha256
from ipaddress import ip_address
from typing import Any
from uuid import UUID

import msgspec
from psycopg.types.json import Jsonb
from sqlalchemy import Table

from schema import staging
from services.importer.engine.frames import Rejected
from services.importer.engine.target import Job, Tally
from services.importer.tags import tags_of_file
from services.importer.targets.findings.records import AffectedAsset, Asset, Caution, Finding

SLICE = 0
ROW_BYTES = 120
MAX_KEY = 255


class FindingsStager:
    """Collects the rows of a chunk. `weight` is their size in bytes, about."""

    def __init__(self, job: Job, tally: Tally) -> None:
        self._tenant_id = job.tenant_id
        self._tally = tally
        self._rows: dict[Table, list[tuple[Any, ...]]] = {}
        self.weight = 0
        self.facts: Mapping[str, Any] = {}
        self._clear()

    def _clear(self) -> None:
        self._findings: list[tuple[Any, ...]] = []
        self._assets: list[tuple[Any, ...]] = []
        self._affected: list[tuple[Any, ...]] = []
        self._evidence: list[tuple[Any, ...]] = []
        self.weight = 0

    def take(self) -> Mapping[Table, list[tuple[Any, ...]]]:
        """The rows by staging template, in the order of its columns."""
        rows = {
            staging.findings: self._findings,
            staging.assets: self._assets,
            staging.affected: self._affected,
            staging.evidence: self._evidence,
        }
        self._clear()
        return rows

    def reject(self, rejected: Rejected) -> None:
        """Nothing here is counted by what it would have become."""
        del rejected

    def add(self, ordinal: int, records: Iterable[Any]) -> bool:
        """Takes the records of one item; False when none of them makes a row."""
        has_rows = False
        number = 0
        for record in records:
            match record:
                case AffectedAsset():
                    self._add_affected(ordinal, number, record)
                    number += 1
                case Finding():
                    self._add_finding(ordinal, record)
                case Asset():
                    self._add_asset(ordinal, record)
                case Caution():
                    self._tally.caution(record.code, record.message)
                    continue
            has_rows = True
        return has_rows

    def _count(self, entity: str, amount: int = 1) -> None:
        self._tally.entities[entity] = self._tally.entities.get(entity, 0) + amount

    def _tags(self, tags: tuple[str, ...]) -> list[str]:
        kept, left_out = tags_of_file(tags)
        if left_out:
            self._tally.caution("TAGS_LEFT_OUT", "Tags of the file are too many for one thing, or unusable.", left_out)
        return kept

    def _add_finding(self, ordinal: int, finding: Finding) -> None:
        self._count("findings")
        self.weight += ROW_BYTES + len(finding.description) + len(finding.recommendations) + len(finding.references)
        self._findings.append(
            (
                self._tenant_id, SLICE, ordinal, finding.key, finding.number, finding.title, int(finding.severity),
                finding.description, finding.recommendations, finding.references, finding.source,
                list(finding.cves), list(finding.cwes), _json(scores_of(finding)), _json(finding.fields),
                self._tags(finding.tags),
            )
        )  # fmt: skip

    def _add_asset(self, ordinal: int, asset: Asset) -> None:
        self._count("assets")
        self.weight += ROW_BYTES * 4
        self._assets.append(
            (
                self._tenant_id, SLICE, ordinal, asset.ref, asset_keys(asset), asset.name or asset.ref, asset.hostname,
                list(asset.ips), asset.mac, asset.netbios, list(asset.operating_systems), asset.type, asset.description,
                _json(ports_of(asset)), self._tags(asset.tags),
            )
        )  # fmt: skip

    def _add_affected(self, ordinal: int, number: int, affected: AffectedAsset) -> None:
        self._count("finding_assets")
        self.weight += ROW_BYTES + len(affected.location) + len(affected.notes)
        self._affected.append(
            (
                self._tenant_id, SLICE, ordinal, number, affected.finding, affected.asset,
                place_of(affected.port, affected.protocol, affected.location, affected.parameters),
                affected.port, affected.protocol, affected.service, affected.location, list(affected.parameters),
                affected.notes,
            )
        )  # fmt: skip
        for proof in affected.evidence:
            self._count("evidence")
            self.weight += ROW_BYTES + len(proof.code)
            digest = UUID(bytes=blake2b(proof.caption.encode() + b"\0" + proof.code.encode(), digest_size=16).digest())
            self._evidence.append(
                (self._tenant_id, SLICE, ordinal, number, digest, proof.caption, proof.code, proof.length)
            )


def _json(value: Any) -> Jsonb:
    return Jsonb(value, dumps=msgspec.json.encode)


@lru_cache(maxsize=4096)
def place_of(port: int, protocol: str, location: str, parameters: tuple[str, ...]) -> UUID:
    """What makes two instances of a finding on one asset the same."""
    place = "\0".join((str(port), protocol, location, *parameters))
    return UUID(bytes=blake2b(place.encode(), digest_size=16).digest())


def asset_keys(asset: Asset) -> list[str]:
    """What an asset is matched by: name and hostname without case, and addresses; a name may be an address."""
    keys = {_name_key(name) for name in (asset.name or asset.ref, asset.hostname) if name}
    keys.update(_address_key(address) or _name_key(address) for address in asset.ips if address)
    return sorted(keys)


def _name_key(name: str) -> str:
    return _address_key(name) or "name:" + _bounded(name.strip().rstrip(".").casefold())


def _address_key(address: str) -> str | None:
    try:
        return f"ip:{ip_address(address.strip())}"
    except ValueError:
        return None


def _bounded(value: str) -> str:
    # An index entry has a limit; a digest of a longer name is as good a key.
    return value if len(value) <= MAX_KEY else sha256(value.encode()).hexdigest()


def scores_of(finding: Finding) -> list[dict[str, Any]]:
    """Scores as the findings table keeps them."""
    return [
        {"system": score.system, "vector": score.vector, "base": score.base, "temporal": score.temporal}
        for score in finding.scores
    ]


def ports_of(asset: Asset) -> dict[str, dict[str, Any]]:
    """Ports as the assets table keeps them, by `number/protocol`."""
    return {
        f"{port.number}/{port.protocol}": {
            "number": port.number,
            "protocol": port.protocol,
            "service": port.service,
            "version": port.version,
        }
        for port in asset.ports
    }
