"""What undo must know of findings, assets, affected assets and evidence; and of tags, which have no rows of their own.

The names are what a person would say: a finding's title, an asset's name, and the two for an instance.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from schema.findings import affected_assets, asset_keys, assets, evidence, findings
from services.importer.engine.statements import Statements
from services.importer.engine.undo_kinds import Attached, UndoKind

# In `tags.import_id`: who brought the tag is undone, and rows have it still.
ORPHANED = UUID(int=0)

_OF_REPORT = "f.tenant_id = :tenant AND f.report_id = :report"

UNDO_KINDS: Sequence[UndoKind] = (
    UndoKind(
        kind="evidence",
        table=evidence,
        id="evidence_id",
        name="concat(t.caption, ' of ', affected_asset.name)",
        source="""findings f
                  JOIN affected_assets i ON i.tenant_id = f.tenant_id AND i.finding_id = f.finding_id
                  JOIN evidence t ON t.tenant_id = i.tenant_id AND t.affected_id = i.affected_id""",
        scope=_OF_REPORT,
        parents={"affected_id": "affected_asset"},
    ),
    UndoKind(
        kind="affected_asset",
        table=affected_assets,
        id="affected_id",
        name="""concat(finding.name, ' on ', asset.name,
                       CASE WHEN t.port > 0 THEN concat(' ', t.port, '/', t.protocol) END,
                       CASE WHEN t.location <> '' THEN concat(' ', t.location) END)""",
        source="findings f JOIN affected_assets t ON t.tenant_id = f.tenant_id AND t.finding_id = f.finding_id",
        scope=_OF_REPORT,
        parents={"finding_id": "finding", "asset_id": "asset"},
    ),
    UndoKind(
        kind="asset",
        table=assets,
        id="asset_id",
        name="t.name",
        source="assets t",
        scope="t.client_id = :client",
        attached=(Attached(asset_keys, "asset_id", "t.client_id = :client"),),
    ),
    UndoKind(
        kind="finding",
        table=findings,
        id="finding_id",
        name="t.title",
        source="findings t",
        scope="t.report_id = :report",
    ),
)


async def release_tags(sql: Statements) -> None:
    """Removes the tags that the undone import has brought and nobody has any more.

    A tag that a later import has brought as well is that import's from now on. One that only rows still have is
    ORPHANED: the next import that brings it takes it (target.py), and each undo looks whether rows still have it.
    """
    # A flip that brings the same tag locks it, so it is either to be seen here or waits for what we do.
    found = await sql.run(
        """
        SELECT tag, import_id = :undone AS is_brought FROM tags
        WHERE tenant_id = :tenant AND import_id IN (:undone, :orphaned)
        ORDER BY tag FOR UPDATE
        """,
        orphaned=ORPHANED,
    )
    tags = {row.tag: row.is_brought for row in found}
    if any(tags.values()):
        for tag in await _hand_on(sql, [tag for tag, is_brought in tags.items() if is_brought]):
            del tags[tag]
    if tags:
        await _remove_unused(sql, list(tags))


async def _hand_on(sql: Statements, tags: list[str]) -> list[str]:
    """Answers those that another import has now."""
    handed_on = await sql.run(
        """
        UPDATE tags g SET import_id = b.import_id
        FROM (SELECT DISTINCT ON (tag) tag, i.import_id
              FROM imports i, unnest(i.asset_tags || i.finding_tags) tag
              WHERE i.tenant_id = :tenant AND i.flip_number > :flip_number AND i.state = 'SUCCEEDED'
                AND i.undone_at IS NULL AND tag = ANY(CAST(:tags AS text[]))
              ORDER BY tag, i.flip_number) b
        WHERE g.tenant_id = :tenant AND g.tag = b.tag
        RETURNING g.tag
        """,
        tags=tags,
    )
    return list(handed_on.scalars())


async def _remove_unused(sql: Statements, tags: list[str]) -> None:
    """The one statement of an undo that reads more than a client's rows: a tag is the whole tenant's."""
    await sql.run(
        """
        DELETE FROM tags WHERE tenant_id = :tenant AND tag = ANY(CAST(:tags AS text[])) AND tag NOT IN (
            SELECT tag FROM assets a, unnest(a.tags) tag
            WHERE a.tenant_id = :tenant AND a.tags && CAST(:tags AS text[])
            UNION
            SELECT tag FROM findings f, unnest(f.tags) tag
            WHERE f.tenant_id = :tenant AND f.tags && CAST(:tags AS text[]))
        """,
        tags=tags,
    )
    await sql.run(
        "UPDATE tags SET import_id = :orphaned WHERE tenant_id = :tenant AND import_id = :undone", orphaned=ORPHANED
    )
