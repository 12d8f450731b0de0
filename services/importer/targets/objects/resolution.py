"""The objects that the values of staged objects tell of.

Many objects ask for the same few others, so each question is answered once, by a join (queries.py). Objects that are
there are found, and those of the same run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dialects.assets.aql_tree import AqlError
from services.importer.engine.statements import Statements
from services.importer.targets.objects import unanswered
from services.importer.targets.objects.catalog import Catalog
from services.importer.targets.objects.merge import DOCUMENT
from services.importer.targets.objects.plan import ANY_NUMBER, AttributePlan, ObjectPlan, Reference
from services.importer.targets.objects.queries import Lookup, compile_query
from services.importer.targets.objects.unanswered import Caution

# A query that has no equality compares every value with every object. Some ten seconds.
MOST_PAIRS = 20_000_000
# Of one attribute of one object.
MOST_TARGETS = 1_000


@dataclass(frozen=True, slots=True)
class Resolved:
    """What could not be answered: references without an object by type, and cautions."""

    not_found: Mapping[int, int]
    cautions: Sequence[Caution]


async def resolve(sql: Statements, plan: ObjectPlan, catalog: Catalog, staged_types: Sequence[int]) -> Resolved:
    """Leaves merge_answers and merge_targets(asked, attribute_id, target_id).

    Of merge_answers(asked, document, members, emptied, has_targets), `document` has the references of an object, and so
    has `members`, as the end of the text of a document. `emptied` are those that it loses because nothing was found.
    """
    asked = await _ask(sql, plan)
    await sql.run("CREATE TEMPORARY TABLE merge_found (question bigint, target_id bigint, hits bigint) ON COMMIT DROP")
    cautions = []
    if asked:
        for type_id, attribute, reference in _referring(plan):
            cautions += await _answer(sql, type_id, attribute, reference, catalog, staged_types)
    await _collect(sql)
    not_found = await unanswered.count_not_found(sql) if asked else {}
    if not_found:
        cautions.append(await unanswered.tell_not_found(sql, catalog, sum(not_found.values())))
    if asked:
        cautions += await unanswered.tell_ambiguous(sql)
    return Resolved(not_found, cautions)


def _referring(plan: ObjectPlan) -> list[tuple[int, AttributePlan, Reference]]:
    """Type, attribute and query of each reference, each once: a type may be mapped from several arrays."""
    found = {}
    for type_ in plan.types:
        for each in type_.attributes:
            if each.reference is not None:
                found[type_.type_id, each.attribute_id] = (type_.type_id, each, each.reference)
    return list(found.values())


async def _ask(sql: Statements, plan: ObjectPlan) -> int:
    """Leaves merge_wanted, what each of merge_asked asks for, and merge_questions, the different ones of these."""
    references = [
        (type_.type_id, each.attribute_id, each.maximum, type_.empty_values == "REMOVE")
        for type_ in plan.types
        for each in type_.attributes
        if each.reference is not None
    ]
    type_ids, attribute_ids, most, empties = zip(*references, strict=True) if references else ((),) * 4
    await sql.table(
        "merge_shapes",
        """
        SELECT DISTINCT ON (object_type_id, attribute_id) p.*,
               CASE WHEN p.most = :any_number THEN :most_targets ELSE LEAST(p.most, :most_targets) END AS allowed
        FROM unnest(
            CAST(:type_ids AS int[]), CAST(:attribute_ids AS int[]), CAST(:most AS int[]), CAST(:empties AS boolean[])
        ) AS p(object_type_id, attribute_id, most, empties)
        """,
        any_number=ANY_NUMBER,
        most_targets=MOST_TARGETS,
        type_ids=list(type_ids),
        attribute_ids=list(attribute_ids),
        most=list(most),
        empties=list(empties),
    )
    await sql.table(
        "merge_wanted",
        """
        SELECT a.asked, a.object_type_id, (l.item->>0)::int AS attribute_id, l.place, l.item->1 AS said
        FROM merge_asked a, LATERAL jsonb_array_elements(a.lookups::jsonb) WITH ORDINALITY l(item, place)
        """,
    )
    return await sql.table(
        "merge_questions",
        """
        SELECT row_number() OVER () AS question, d.*, ARRAY(SELECT jsonb_array_elements_text(d.said)) AS values
        FROM (SELECT DISTINCT object_type_id, attribute_id, said FROM merge_wanted) d
        """,
    )


async def _answer(
    sql: Statements,
    type_id: int,
    attribute: AttributePlan,
    reference: Reference,
    catalog: Catalog,
    staged_types: Sequence[int],
) -> list[Caution]:
    """Adds to merge_found(question, target_id, hits) what the questions of one attribute find."""
    try:
        lookup = compile_query(reference, catalog)
        exact = compile_query(reference, catalog, is_exact=True)
    except AqlError as error:
        return [("REFERENCE_QUERY_OUTDATED", f'The query of "{attribute.name}" cannot be answered: {error.message}', 1)]
    asking = _Asking(sql, type_id, attribute, candidates(lookup.types, staged_types))
    if lookup.join:
        await asking.join(lookup)
        return []
    if exact.join and not attribute.is_array:
        # An object of exactly this name is meant rather than an older one whose name only has it in it.
        await asking.join(exact)
    return await asking.scan(lookup, exact, reference)


class _Asking:
    """The questions of one attribute, and the objects among which their answers are."""

    def __init__(self, sql: Statements, type_id: int, attribute: AttributePlan, candidates: str) -> None:
        self._sql = sql
        self._candidates = candidates
        self._place = {"type_id": type_id, "attribute_id": attribute.attribute_id}
        # Of several, a single reference takes the oldest.
        self._is_single = not attribute.is_array
        self._name = attribute.name

    async def join(self, lookup: Lookup) -> None:
        """Each question with the objects that have its value."""
        terms = f", LATERAL ({lookup.terms}) e(term)" if lookup.terms else ""
        columns = "c.*, e.term" if terms else "c.*"
        rows = f"SELECT {columns} FROM ({self._candidates}) c {terms} {_where(lookup.fixed)}"  # noqa: S608  (as below)
        await self._insert(f"JOIN ({rows}) c ON {lookup.join}", lookup)

    async def scan(self, lookup: Lookup, exact: Lookup, reference: Reference) -> list[Caution]:
        """Every question that has no answer yet with every object, unless that takes too long."""
        parameters = dict(lookup.parameters) | {"targets": list(lookup.types)}
        rows = f"SELECT c.* FROM ({self._candidates}) c {_where(lookup.fixed)}"  # noqa: S608  (as below)
        found = await self._sql.table("merge_candidates", rows, **parameters)
        questions = await self._sql.count(
            "SELECT count(*) FROM merge_questions q "
            "WHERE q.object_type_id = :type_id AND q.attribute_id = :attribute_id "
            "AND NOT EXISTS (SELECT FROM merge_found f WHERE f.question = q.question)",
            **self._place,
        )
        is_small = found * questions <= MOST_PAIRS
        if is_small:
            await self._insert("CROSS JOIN merge_candidates c", lookup)
        await self._sql.run("DROP TABLE merge_candidates")
        if is_small:
            return []
        if exact.join:
            await self.join(exact)
        told = f'"{reference.query}" would compare {questions} values with {found} objects; parts were not looked for.'
        return [("REFERENCE_QUERY_TOO_WIDE", f'The query of "{self._name}" {told}', questions)]

    async def _insert(self, source: str, lookup: Lookup) -> None:
        conditions = [
            "q.object_type_id = :type_id",
            "q.attribute_id = :attribute_id",
            "NOT EXISTS (SELECT FROM merge_found f WHERE f.question = q.question)",
            *lookup.dynamic,
        ]
        target = "min(c.object_id), count(DISTINCT c.object_id)" if self._is_single else "c.object_id, 1"
        grouping = "q.question" if self._is_single else "q.question, c.object_id"
        await self._sql.run(
            f"""
            INSERT INTO merge_found (question, target_id, hits)
            SELECT q.question, {target} FROM merge_questions q {source} {_where(conditions)} GROUP BY {grouping}
            """,  # noqa: S608  (made of constants, ids and names of parameters)
            **lookup.parameters,
            **self._place,
            targets=list(lookup.types),
        )


def candidates(types: Sequence[int], staged_types: Sequence[int]) -> str:
    """The objects of these types as they will be, but for their references: `:targets` are the types."""
    stored = """
        SELECT t.object_id, t.object_type_id, t.label, t.document
        FROM objects t
        WHERE t.tenant_id = :tenant AND t.object_type_id = ANY(:targets) AND t.document IS NOT NULL
    """
    if not set(types) & set(staged_types):
        return stored
    return f"""
        {stored} AND NOT EXISTS (SELECT FROM merge_objects m
                                 WHERE m.object_id = t.object_id AND m.is_known AND NOT m.is_rejected)
        UNION ALL
        SELECT m.object_id, m.object_type_id, COALESCE(NULLIF(s.label, ''), t.label), {DOCUMENT}
        FROM merge_objects m
        JOIN {{staged}} s ON s.ctid = m.source
        LEFT JOIN objects t ON t.tenant_id = :tenant AND t.object_id = m.object_id AND m.is_known
        WHERE m.object_type_id = ANY(:targets) AND NOT m.is_rejected
    """  # noqa: S608


def _where(conditions: Sequence[str]) -> str:
    return f"WHERE {' AND '.join(conditions)}" if conditions else ""


async def _collect(sql: Statements) -> None:
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
