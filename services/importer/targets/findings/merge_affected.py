"""Instances and their proof: where each finding is, and what shows it."""

from __future__ import annotations

from services.importer.targets.findings.merge import Merge


async def merge_affected(merge: Merge) -> int:
    """Leaves merge_affected(n, first_n, ordinal, number, …) and merge_ids(first_n, affected_id, is_new).

    Answers how many staged instances name a finding or an asset that the file does not define.
    """
    staged = await merge.count("SELECT count(*) FROM {affected}")
    joined = await merge.table(
        "merge_affected",
        """
        SELECT j.*, min(n) OVER (PARTITION BY finding_id, asset_id, place) AS first_n
        FROM (SELECT row_number() OVER (ORDER BY s.ordinal, s.number) AS n, s.ordinal, s.number,
                     f.finding_id, r.asset_id, s.place,
                     s.port, s.protocol, s.service, s.location, s.parameters, s.notes
              FROM {affected} s
              JOIN merge_findings f ON f.key = s.finding
              JOIN merge_refs r ON r.ref = s.asset) j
        """,
    )
    await merge.table(
        "merge_ids",
        """
        SELECT first_n, COALESCE(affected_id, nextval('affected_assets_affected_id_seq')) AS affected_id,
               affected_id IS NULL AS is_new
        FROM (SELECT m.n AS first_n, t.affected_id
              FROM merge_affected m
              LEFT JOIN affected_assets t ON t.tenant_id = :tenant AND t.finding_id = m.finding_id
                                         AND t.asset_id = m.asset_id AND t.place = m.place
              WHERE m.n = m.first_n ORDER BY m.n) p
        """,
    )
    await merge.run(
        """
        INSERT INTO affected_assets (tenant_id, affected_id, finding_id, asset_id, place, port, protocol, service,
                                     location, parameters, notes, import_id)
        SELECT :tenant, i.affected_id, m.finding_id, m.asset_id, m.place, m.port, m.protocol, m.service, m.location,
               m.parameters, m.notes, :import_id
        FROM merge_affected m JOIN merge_ids i ON i.first_n = m.n
        WHERE i.is_new
        """
    )
    await merge.run(
        """
        INSERT INTO sightings (tenant_id, kind, row_id, import_id)
        SELECT :tenant, 'affected_asset', affected_id, :import_id FROM merge_ids WHERE NOT is_new
        """
    )
    return staged - joined


async def merge_evidence(merge: Merge) -> None:
    """Leaves merge_evidence(affected_id, digest, evidence_id, ordinal, source).

    The same proof on the same instance is kept once.
    """
    await merge.table(
        "merge_evidence",
        """
        SELECT p.*, t.evidence_id
        FROM (SELECT DISTINCT ON (i.affected_id, s.digest) i.affected_id, s.digest, s.ordinal, s.ctid AS source
              FROM {evidence} s
              JOIN merge_affected m ON m.ordinal = s.ordinal AND m.number = s.number
              JOIN merge_ids i ON i.first_n = m.first_n
              ORDER BY i.affected_id, s.digest, s.ordinal) p
        LEFT JOIN evidence t ON t.tenant_id = :tenant AND t.affected_id = p.affected_id AND t.digest = p.digest
        """,
    )
    await merge.run(
        """
        INSERT INTO evidence (tenant_id, affected_id, digest, caption, code, length, import_id)
        SELECT :tenant, m.affected_id, m.digest, s.caption, s.code, s.length, :import_id
        FROM {evidence} s JOIN merge_evidence m ON m.source = s.ctid
        WHERE m.evidence_id IS NULL
        """
    )
    await merge.run(
        """
        INSERT INTO sightings (tenant_id, kind, row_id, import_id)
        SELECT :tenant, 'evidence', evidence_id, :import_id FROM merge_evidence WHERE evidence_id IS NOT NULL
        """
    )
