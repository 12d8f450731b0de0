"""The objects that the values of staged objects tell of.

Many objects ask for the same few others, so each question is answered once, by a join (queries.py). Objects that are
there are found, and those of the same run.

A single reference leads to the oldest of those that are most like what is said: of exactly this text, or else in
another case, or else with it as a part. What is said exactly, an index finds where the questions are few
(key_lookups.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dialects.assets.aql_tree import AqlError
from services.importer.engine.statements import Statements
from services.importer.targets.objects import unanswered
from services.importer.targets.objects.answers import collect
from services.importer.targets.objects.catalog import Catalog
from services.importer.targets.objects.key_lookups import MOST_KEYS, Narrowed, keyed_types, narrow
from services.importer.targets.objects.matches import Match
from services.importer.targets.objects.merge import DOCUMENT
from services.importer.targets.objects.plan import ANY_NUMBER, AttributePlan, ObjectPlan, Reference
from services.importer.targets.objects.queries import Lookup, compile_query
from services.importer.targets.objects.unanswered import Caution

# A query that has no equality compares every value with every object. Some ten seconds.
MOST_PAIRS = 20_000_000
# Of one attribute of one object.
MOST_TARGETS = 1_000
_WAITING = """
    SELECT q.values FROM merge_questions q
    WHERE q.object_type_id = :type_id AND q.attribute_id = :attribute_id
      AND NOT EXISTS (SELECT FROM merge_found f WHERE f.question = q.question)
"""


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
    await collect(sql)
    not_found = await unanswered.count_not_found(sql) if asked else {}
    if not_found:
        cautions.append(await unanswered.tell_not_found(sql, catalog, sum(not_found.values())))
    if asked:
        cautions += await unanswered.tell_ambiguous(sql)
    return Resolved(not_found, cautions)


async def forget(sql: Statements) -> None:
    """Drops what `resolve` has left, so that it can be done again."""
    await sql.run(
        "DROP TABLE IF EXISTS merge_shapes, merge_wanted, merge_questions, merge_found, merge_unanswered, "
        "merge_filled, merge_answers, merge_targets"
    )


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
        said, whole, same = (
            compile_query(reference, catalog, match) for match in (Match.SAID, Match.WHOLE, Match.SAME)
        )
    except AqlError as error:
        return [("REFERENCE_QUERY_OUTDATED", f'The query of "{attribute.name}" cannot be answered: {error.message}', 1)]
    asking = _Asking(sql, type_id, attribute, catalog, staged_types)
    if not attribute.is_array:
        for each in (same, whole):
            if each.join and each.join != said.join:
                await asking.join(each)
                if not await asking.is_waiting():
                    return []
    if said.join:
        await asking.join(said)
        return []
    return await asking.scan(said, whole, reference)


class _Asking:
    """The questions of one attribute, and the objects among which their answers are."""

    def __init__(
        self, sql: Statements, type_id: int, attribute: AttributePlan, catalog: Catalog, staged_types: Sequence[int]
    ) -> None:
        self._sql = sql
        self._catalog = catalog
        self._staged_types = staged_types
        self._place = {"type_id": type_id, "attribute_id": attribute.attribute_id}
        # Of several, a single reference takes the oldest.
        self._is_single = not attribute.is_array
        self._name = attribute.name

    async def join(self, lookup: Lookup) -> None:
        """Each question with the objects that have its value."""
        narrowed = await self._narrowed(lookup)
        found = candidates(lookup.types, self._staged_types, narrowed.conditions)
        terms = f", LATERAL ({lookup.terms}) e(term)" if lookup.terms else ""
        columns = "c.*, e.term" if terms else "c.*"
        rows = f"SELECT {columns} FROM ({found}) c {terms} {_where(lookup.fixed)}"  # noqa: S608  (as below)
        await self._insert(f"JOIN ({rows}) c ON {lookup.join}", lookup, narrowed.parameters)

    async def is_waiting(self) -> bool:
        """Whether a question has no answer yet."""
        return bool(await self._sql.count(f"SELECT count(*) FROM ({_WAITING} LIMIT 1) q", **self._place))  # noqa: S608

    async def _narrowed(self, lookup: Lookup) -> Narrowed:
        """Which of the stored objects are looked at: all of the types, unless keys say which."""
        keyed = keyed_types(lookup, self._catalog)
        if keyed:
            found = await self._sql.run(f"{_WAITING} LIMIT {MOST_KEYS + 1}", **self._place)
            questions = list(found.scalars())
            if len(questions) <= MOST_KEYS:
                return narrow(lookup, keyed, questions)
        return Narrowed(["t.object_type_id = ANY(:targets)"], {})

    async def scan(self, lookup: Lookup, whole: Lookup, reference: Reference) -> list[Caution]:
        """Every question that has no answer yet with every object, unless that takes too long."""
        parameters = dict(lookup.parameters) | {"targets": list(lookup.types)}
        everything = candidates(lookup.types, self._staged_types, ["t.object_type_id = ANY(:targets)"])
        rows = f"SELECT c.* FROM ({everything}) c {_where(lookup.fixed)}"  # noqa: S608  (as below)
        found = await self._sql.table("merge_candidates", rows, **parameters)
        questions = await self._sql.count(f"SELECT count(*) FROM ({_WAITING}) q", **self._place)  # noqa: S608
        is_small = found * questions <= MOST_PAIRS
        if is_small:
            await self._insert("CROSS JOIN merge_candidates c", lookup)
        await self._sql.run("DROP TABLE merge_candidates")
        if is_small:
            return []
        if whole.join:
            await self.join(whole)
        told = f'"{reference.query}" would compare {questions} values with {found} objects; parts were not looked for.'
        return [("REFERENCE_QUERY_TOO_WIDE", f'The query of "{self._name}" {told}', questions)]

    async def _insert(self, source: str, lookup: Lookup, parameters: Mapping[str, Any] | None = None) -> None:
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
            **(parameters or {}),
            **self._place,
            targets=list(lookup.types),
        )


def candidates(types: Sequence[int], staged_types: Sequence[int], stored: Sequence[str]) -> str:
    """The objects of these types as they will be, but for their references: `:targets` are the types.

    Of those that are there, the ones that fulfil one of the conditions `stored`.
    """
    is_staged = bool(set(types) & set(staged_types))
    unchanged = """
        AND NOT EXISTS (SELECT FROM merge_objects m
                        WHERE m.object_id = t.object_id AND m.is_known AND NOT m.is_rejected)
    """
    there = " UNION ALL ".join(
        f"""
        SELECT t.object_id, t.object_type_id, t.label, t.document
        FROM objects t
        WHERE t.tenant_id = :tenant AND {each} AND t.document IS NOT NULL {unchanged if is_staged else ""}
        """  # noqa: S608
        for each in stored
    )
    if not is_staged:
        return there
    return f"""
        {there}
        UNION ALL
        SELECT m.object_id, m.object_type_id, COALESCE(NULLIF(s.label, ''), t.label), {DOCUMENT}
        FROM merge_objects m
        JOIN {{staged}} s ON s.ctid = m.source
        LEFT JOIN objects t ON t.tenant_id = :tenant AND t.object_id = m.object_id AND m.is_known
        WHERE m.object_type_id = ANY(:targets) AND NOT m.is_rejected
    """  # noqa: S608


def _where(conditions: Sequence[str]) -> str:
    return f"WHERE {' AND '.join(conditions)}" if conditions else ""
