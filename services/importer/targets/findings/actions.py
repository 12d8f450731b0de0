"""Parser actions at the merge: what the tenant wants done with findings of this source, done to the staged rows.

An action is for one finding of one source. One that a file has taught knows the finding's key; one that was made by
hand names the key or the number that the finding asks for. Where several fit, the most exact one counts.

Ignored rows are taken out of the staging, so that no later step meets them; severities and texts are changed in it.
So a finding that the report has already stays as it is, with or without actions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.importer.model import ActionCode as Code
from services.importer.targets.findings.merge import Merge

SWITCHED_OFF = ("PARSER_ACTIONS_OFF", "The tenant's parser actions are switched off; none was applied.")
WRITEUP_DELETED = (
    "WRITEUP_DELETED",
    "The writeup that a finding is linked to has been deleted; the finding was imported as the scanner describes it.",
)


@dataclass(frozen=True, slots=True)
class Applied:
    """How many findings of the file each code was for, and what a person should know."""

    ignored: int = 0
    entities: Mapping[str, int] = field(default_factory=dict)
    cautions: tuple[tuple[str, str, int], ...] = ()


NOTHING_APPLIED = Applied()


async def apply_actions(merge: Merge) -> Applied:
    """Changes the staged rows. Leaves merge_actions(key, action, severity, writeup_id).

    Where something was ignored, merge_ignored(ordinal) has the items that lost a row.
    """
    switch = "SELECT COALESCE((SELECT is_enabled FROM parser_action_settings WHERE tenant_id = :tenant), true)"
    if not (await merge.run(switch)).scalar_one():
        return Applied(cautions=((*SWITCHED_OFF, 1),))
    if not await _match(merge):
        return NOTHING_APPLIED
    missing = await _unlink_deleted(merge)
    found = await merge.run("SELECT action, count(*) AS findings FROM merge_actions GROUP BY action")
    counts: dict[str, int] = {row.action: row.findings for row in found}
    if counts.get(Code.IGNORE):
        await _ignore(merge)
    if counts.get(Code.DEFAULT):
        await _force(merge)
    if counts.get(Code.LINK):
        await _link(merge)
    return Applied(
        ignored=counts.get(Code.IGNORE, 0),
        entities={
            "ignored": counts.get(Code.IGNORE, 0),
            "forced": counts.get(Code.DEFAULT, 0),
            "linked": counts.get(Code.LINK, 0),
        },
        cautions=((*WRITEUP_DELETED, missing),) if missing else (),
    )


async def _match(merge: Merge) -> int:
    """The most exact action of each finding, unless that is to let it pass.

    LATERAL with its LIMIT looks each finding up in the indexes, whatever the planner thinks of tables that it has no
    statistics of: a source may have 300,000 actions, and a file has some thousand findings.
    """
    return await merge.table(
        "merge_actions",
        f"""
        SELECT s.key, a.action, a.severity, a.writeup_id
        FROM (SELECT DISTINCT key, number::text AS number FROM {{findings}}) s,
             LATERAL ((SELECT 1 AS distance, action, severity, writeup_id FROM parser_actions
                       WHERE tenant_id = :tenant AND source = :source AND key = s.key)
                      UNION ALL
                      (SELECT 2, action, severity, writeup_id FROM parser_actions
                       WHERE tenant_id = :tenant AND source = :source AND action_id = s.key AND key IS NULL)
                      UNION ALL
                      (SELECT 3, action, severity, writeup_id FROM parser_actions
                       WHERE tenant_id = :tenant AND source = :source AND action_id = s.number AND key IS NULL)
                      ORDER BY distance LIMIT 1) a
        WHERE a.action <> '{Code.PASS_THROUGH}'
        """,  # noqa: S608  (a word of ours)
    )


async def _unlink_deleted(merge: Merge) -> int:
    """Takes out links to writeups that are deleted; answers how many."""
    gone = await merge.run(
        """
        DELETE FROM merge_actions m USING writeups w
        WHERE w.tenant_id = :tenant AND w.writeup_id = m.writeup_id AND w.is_deleted
        """
    )
    return gone.rowcount


async def _ignore(merge: Merge) -> None:
    """Definitions and instances go; proof goes with its instance, because nothing joins it any more."""
    await merge.run("CREATE TEMPORARY TABLE merge_ignored (ordinal bigint NOT NULL) ON COMMIT DROP")
    for table, key in (("{findings}", "key"), ("{affected}", "finding")):
        await merge.run(
            f"""
            WITH gone AS (DELETE FROM {table} s USING merge_actions m
                          WHERE m.key = s.{key} AND m.action = '{Code.IGNORE}' RETURNING s.ordinal)
            INSERT INTO merge_ignored SELECT DISTINCT ordinal FROM gone
            """  # noqa: S608
        )
    await merge.run("ANALYZE merge_ignored")


async def _force(merge: Merge) -> None:
    await merge.run(
        f"""
        UPDATE {{findings}} s SET severity = m.severity
        FROM merge_actions m WHERE m.key = s.key AND m.action = '{Code.DEFAULT}'
        """  # noqa: S608
    )


async def _link(merge: Merge) -> None:
    """What is seen of a finding comes from the writeup; what the scan has measured (CVE, CWE, scores, tags) stays."""
    await merge.run(
        f"""
        UPDATE {{findings}} s
        SET title = w.title, severity = w.severity, description = w.description, recommendations = w.recommendations,
            "references" = w."references", fields = w.fields
        FROM merge_actions m JOIN writeups w ON w.tenant_id = :tenant AND w.writeup_id = m.writeup_id
        WHERE m.key = s.key AND m.action = '{Code.LINK}'
        """  # noqa: S608
    )
