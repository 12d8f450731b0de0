"""What an affected asset of a finding gives: the asset, the places with notes, and proof that stands in it."""

from __future__ import annotations

from services.importer.formats.kit.evidence import cautions_of, evidence
from services.importer.formats.kit.format import RecordError
from services.importer.formats.kit.members import Members, as_text, each, text, texts
from services.importer.formats.kit.node import Once
from services.importer.formats.kit.values import NAME_LIMIT, TEXT_LIMIT, line
from services.importer.formats.ptrac.assets import asset_of, places_of, ref_of
from services.importer.formats.ptrac.findings import captions_of, exhibit_note
from services.importer.targets.findings.records import AffectedAsset, Caution, Evidence, FindingsRecord

_OPEN = "open"


def affected_records(affected: Members, key: str, once: Once) -> list[FindingsRecord]:
    """The asset, where it is affected, and cautions; nothing but a caution for an asset without a name."""
    try:
        asset, notes = asset_of(affected)
    except RecordError as error:
        return [Caution(error.code, error.message)]
    # A copy of the same asset in another finding is the same object.
    records: list[FindingsRecord] = [once(("asset", asset, asset.description), lambda: asset)]
    pieces = _inline_evidence(affected)
    remarks = _notes(affected)
    for number, (place, service) in enumerate(places_of(affected, key)):
        records.append(
            AffectedAsset(
                finding=key,
                asset=asset.ref,
                port=place.port,
                protocol=place.protocol,
                service=service,
                location=place.location,
                parameters=place.parameters,
                notes=remarks,
                evidence=pieces if not number else (),
            )
        )
    return [*records, *notes, *cautions_of(pieces), *exhibit_note(each(affected, "exhibits"))]


def named_assets(evidence_: Members) -> list[str]:
    """The assets that a piece of evidence names, by id or as objects."""
    listed = evidence_.get("assets")
    values = listed if isinstance(listed, list) else [listed]
    said = (text(value, "id", "cuid") if isinstance(value, dict) else as_text(value) for value in values)
    return [ref_of(value) for value in dict.fromkeys(said) if value]


def _inline_evidence(affected: Members) -> tuple[Evidence, ...]:
    """Evidence that stands in the affected asset itself, in place of an id."""
    listed = affected.get("evidence")
    values = listed if isinstance(listed, list) else []
    return tuple(
        evidence(line(text(value, "caption"), NAME_LIMIT) or "Evidence", code)
        for value in values
        if isinstance(value, dict) and (code := text(value, "code", "text"))
    )


def _notes(affected: Members) -> str:
    """Its notes, how far it is mended, and what pictures show."""
    status = text(affected, "status")
    facts = (
        ("Status", "" if status.lower() == _OPEN else status),
        ("Sub-status", text(affected, "subStatus")),
        ("Assigned to", text(affected, "assignedTo")),
        ("Exhibits", ", ".join(captions_of(each(affected, "exhibits")).splitlines())),
    )
    said = [f"{name}: {line(value)}" for name, value in facts if value]
    return "\n".join([*texts(affected, "notes"), *said])[:TEXT_LIMIT]
