"""References as objects will have them, put together of what was found for each question."""

from __future__ import annotations

from services.importer.engine.statements import Statements


async def collect(sql: Statements) -> None:
    """Leaves merge_answers and merge_targets (resolution.py says what is in them), of merge_found."""
    await sql.run("ANALYZE merge_found")
    await sql.table(
        "merge_filled",
        """
        SELECT g.asked, g.attribute_id, p.most, p.empties, p.allowed,
               (array_agg(g.target_id ORDER BY g.place, g.target_id) FILTER (WHERE g.target_id IS NOT NULL))
                   [1:p.allowed] AS targets,
               count(g.target_id) AS hits
        FROM (SELECT w.asked, w.object_type_id, w.attribute_id, f.target_id, min(w.place) AS place
              FROM merge_wanted w
              JOIN merge_questions q ON q.object_type_id = w.object_type_id AND q.attribute_id = w.attribute_id
                                    AND q.said = w.said
              LEFT JOIN merge_found f ON f.question = q.question
              GROUP BY 1, 2, 3, 4) g
        JOIN merge_shapes p ON p.object_type_id = g.object_type_id AND p.attribute_id = g.attribute_id
        GROUP BY g.asked, g.attribute_id, p.most, p.empties, p.allowed
        """,
    )
    await sql.table(
        "merge_answers",
        """
        SELECT asked, bool_or(targets IS NOT NULL) AS has_targets,
               COALESCE(jsonb_object_agg(attribute_id, CASE WHEN most = 1 THEN to_jsonb(targets[1])
                                                            ELSE to_jsonb(targets) END)
                            FILTER (WHERE targets IS NOT NULL), '{{}}') AS document,
               COALESCE(array_agg(attribute_id::text) FILTER (WHERE targets IS NULL AND empties), '{{}}') AS emptied,
               ',' || string_agg(format('"%s":%s', attribute_id, CASE WHEN most = 1 THEN to_jsonb(targets[1])
                                                                      ELSE to_jsonb(targets) END), ',')
                          FILTER (WHERE targets IS NOT NULL) || '}}' AS members
        FROM merge_filled GROUP BY asked
        """,
    )
    await sql.table(
        "merge_targets",
        "SELECT asked, attribute_id, unnest(CASE WHEN most = 1 THEN targets[1:1] ELSE targets END) AS target_id "
        "FROM merge_filled WHERE targets IS NOT NULL",
    )
