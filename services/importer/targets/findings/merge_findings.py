"""Definitions: which finding of the report each staged key is, and new ones for the rest."""

from __future__ import annotations

from services.importer.targets.findings.merge import Merge

MAX_FLAW_ID = 2**31 - 1


async def merge_findings(merge: Merge) -> None:
    """Leaves merge_findings(key, finding_id, is_new, is_changed, tags, ordinal, source).

    A finding that the report already has keeps everything people may have edited; only tags are added, the import's
    and the file's. A key that the file defines several times takes the gravest severity, then the first; and all
    tags and CVEs, which tables with a row for each CVE tell apart.
    """
    await merge.table(
        "merge_finding_tags",
        """
        SELECT s.key, array_agg(DISTINCT tag ORDER BY tag) AS tags
        FROM {findings} s, unnest(s.tags || CAST(:tags AS text[])) tag GROUP BY s.key
        """,
        tags=list(merge.job.finding_tags),
    )
    await merge.table(
        "merge_findings",
        """
        SELECT DISTINCT ON (s.key) s.key, s.number, s.ordinal, s.ctid AS source,
               t.finding_id, t.finding_id IS NULL AS is_new,
               t.finding_id IS NOT NULL AND NOT t.tags @> COALESCE(g.tags, '{{}}') AS is_changed,
               COALESCE(g.tags, '{{}}') AS tags
        FROM {findings} s
        LEFT JOIN merge_finding_tags g ON g.key = s.key
        LEFT JOIN findings t
               ON t.tenant_id = :tenant AND t.report_id = :report AND t.family = :family AND t.key = s.key
        ORDER BY s.key, s.severity, s.ordinal
        """,
    )
    await merge.run("UPDATE merge_findings SET finding_id = nextval('findings_finding_id_seq') WHERE is_new")
    await _add_tags(merge)
    await _allocate_public_ids(merge)
    await _insert_new(merge)
    await merge.run(
        """
        INSERT INTO sightings (tenant_id, kind, row_id, import_id)
        SELECT :tenant, 'finding', finding_id, :import_id FROM merge_findings WHERE NOT is_new AND NOT is_changed
        """
    )


async def _add_tags(merge: Merge) -> None:
    await merge.run(
        """
        INSERT INTO before_images (tenant_id, import_id, kind, row_id, image)
        SELECT :tenant, :import_id, 'finding', t.finding_id, to_jsonb(t)
        FROM findings t JOIN merge_findings m ON m.finding_id = t.finding_id AND m.is_changed
        WHERE t.tenant_id = :tenant
        """
    )
    await merge.run(
        """
        UPDATE findings t
        SET tags = ARRAY(SELECT DISTINCT tag FROM unnest(t.tags || m.tags) tag ORDER BY tag), updated_at = now()
        FROM merge_findings m
        WHERE t.tenant_id = :tenant AND t.finding_id = m.finding_id AND m.is_changed
        """
    )


async def _allocate_public_ids(merge: Merge) -> None:
    """The number that a finding asks for if it is free in the report, else the next free one."""
    await merge.table(
        "merge_flaw_ids",
        """
        SELECT m.finding_id, m.number AS flaw_id,
               row_number() OVER (PARTITION BY m.number ORDER BY m.ordinal, m.key) > 1
               OR EXISTS (SELECT FROM findings t
                          WHERE t.tenant_id = :tenant AND t.report_id = :report AND t.flaw_id = m.number) AS is_taken
        FROM merge_findings m WHERE m.is_new
        """,
    )
    found = await merge.run("SELECT finding_id, flaw_id FROM merge_flaw_ids WHERE is_taken ORDER BY finding_id")
    taken = [(row.finding_id, row.flaw_id) for row in found]
    if not taken:
        return
    used = set(
        (
            await merge.run(
                """
                SELECT flaw_id FROM findings WHERE tenant_id = :tenant AND report_id = :report
                UNION SELECT flaw_id FROM merge_flaw_ids WHERE NOT is_taken
                """
            )
        ).scalars()
    )
    for finding_id, wanted in taken:
        flaw_id = next_free(wanted, used)
        used.add(flaw_id)
        await merge.run(
            "UPDATE merge_flaw_ids SET flaw_id = :flaw_id WHERE finding_id = :finding_id",
            flaw_id=flaw_id,
            finding_id=finding_id,
        )


def next_free(wanted: int, used: set[int]) -> int:
    """The first number after `wanted` that is not used, going round at the end of int32."""
    candidate = wanted
    while candidate in used:
        candidate = candidate + 1 if candidate < MAX_FLAW_ID else 0
    return candidate


async def _insert_new(merge: Merge) -> None:
    await merge.table(
        "merge_finding_cves",
        """
        SELECT key, array_agg(cve ORDER BY place) AS cves
        FROM (SELECT s.key, c.cve, min(ARRAY[s.ordinal, c.position]) AS place
              FROM {findings} s
              JOIN (SELECT key FROM {findings} GROUP BY key HAVING count(*) > 1) several USING (key),
                   unnest(s.cves) WITH ORDINALITY c(cve, position)
              GROUP BY s.key, c.cve) each
        GROUP BY key
        """,
    )
    await merge.run(
        """
        INSERT INTO findings (
            tenant_id, finding_id, client_id, report_id, flaw_id, family, key, title, severity, source, description,
            recommendations, "references", cves, cwes, scores, fields, tags, import_id)
        SELECT :tenant, m.finding_id, :client, :report, i.flaw_id, :family, s.key, s.title, s.severity, s.source,
               s.description, s.recommendations, s."references", COALESCE(c.cves, s.cves), s.cwes, s.scores, s.fields,
               m.tags, :import_id
        FROM merge_findings m
        JOIN merge_flaw_ids i USING (finding_id)
        JOIN {findings} s ON s.ctid = m.source
        LEFT JOIN merge_finding_cves c ON c.key = m.key
        WHERE m.is_new
        """
    )
