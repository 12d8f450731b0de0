"""A condition in AQL as SQL on rows of objects.

A name is a keyword or an attribute. Several object types may have an attribute of that name: an object is compared by
the one that it has, in the way of its type.

SQL's third truth value never gets out of a negation. NOT holds where its part is not true, so also where there is no
value; != and its kin want a value, and that it is another one.

References are followed from the far end: what they lead to is looked for once, and joined as a set of ids. EXISTS for
each object, which says the same, is run through all references for each of them where the planner guesses badly, as it
does without statistics after a large import.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, and_, false, or_, select, true

from dialects.assets.aql_tree import And, AqlError, Comparison, Condition, Direction, Having, Not, Operator, Or, Order
from schema.assets import object_references, objects
from services.status.store.aql_catalogue import Attribute, Catalogue
from services.status.store.aql_keywords import KEYWORDS, keyword_fits, object_fits
from services.status.store.aql_refusals import check_values, no_reference, too_much, uncomparable, unknown
from services.status.store.aql_scopes import SCOPES
from services.status.store.aql_values import (
    EQUALITY,
    KINDS,
    PARTIAL,
    POSITIVE,
    Kind,
    any_text_fits,
    any_value_fits,
    document_text,
    document_value,
    one_of,
    text_fits,
)

MOST_REFERENCES = 20
MOST_LOOKUPS = 5_000
"""Members of a document in one query: a name is looked up as each of the attributes that it can mean."""
EMPTINESS = frozenset({Operator.EMPTY, Operator.NOT_EMPTY})


@dataclass(slots=True)
class Rows:
    """Objects that a condition is put to. While it is written, sets gather that it needs beside them."""

    objects: FromClause
    types: frozenset[int] | None = None
    """That they can be of, as far as the condition says."""
    sets: list[FromClause] = field(default_factory=list)
    """Of one row for each `object_id`."""

    def joined(self) -> FromClause:
        source = self.objects
        for each in self.sets:
            source = source.outerjoin(each, each.c.object_id == self.objects.c.object_id)
        return source


@dataclass(slots=True)
class Conditions:
    """Writes the conditions of one query for objects of one tenant, by what the names in them mean."""

    tenant_id: int
    catalogue: Catalogue
    now: datetime
    """In UTC."""
    followed: int = 0
    """References, as far as it is written; and so are those of documents."""
    looked_up: int = 0

    def holds(self, condition: Condition, rows: Rows) -> ColumnElement[bool]:
        """Raises AqlError for what cannot be answered."""
        match condition:
            case And(parts):
                rows = self.narrowed(condition, rows)
                return and_(*(self.holds(part, rows) for part in parts))
            case Or(parts):
                return or_(*(self.holds(part, rows) for part in parts))
            case Not(part):
                return self.holds(part, rows).is_not(true())
            case Having(direction, inner):
                others = Rows(objects.alias())
                fits = self.holds(inner, others) if inner else true()
                return self._refers(rows, direction, others, fits)
            case Comparison():
                check_values(condition)
                return self._along(condition.path, condition, rows)

    def narrowed(self, condition: Condition, rows: Rows) -> Rows:
        """With what a conjunction says of the types of objects, so that fewer attributes are looked for in each."""
        for part in condition.parts if isinstance(condition, And) else (condition,):
            if not isinstance(part, Comparison) or len(part.path) > 1 or part.operator not in EQUALITY:
                continue
            if scope := SCOPES.get(part.path[0].lower()):
                check_values(part)
                types = scope(self.catalogue, part)
                rows = replace(rows, types=frozenset(types if rows.types is None else rows.types & types))
        return rows

    def attributes(self, name: str, clause: Comparison | Order, rows: Rows) -> Sequence[Attribute]:
        """What the name can mean for these objects. Raises AqlError where it is nobody's."""
        found = self.catalogue.attributes.get(name)
        if not found:
            raise unknown("attribute", clause)
        if rows.types is not None:
            owners = self.catalogue.owners(rows.types)
            found = [each for each in found if each.object_type_id in owners] or found[:1]
        self.looked_up += len(found)
        if self.looked_up > MOST_LOOKUPS:
            raise too_much(f"{name} is an attribute of too many object types", clause)
        return found

    def references(self, name: str, clause: Comparison | Order, rows: Rows) -> list[int]:
        """Ids of attributes. Raises AqlError where none of that name is a reference."""
        found = [each.attribute_id for each in self.attributes(name, clause, rows) if kind_of(each) is Kind.REFERENCE]
        if not found:
            raise no_reference(name, clause)
        return found

    def edges(
        self, direction: Direction, others: Rows, attribute_ids: Sequence[int] | None = None
    ) -> tuple[Select[Any], ColumnElement[int]]:
        """Pairs of an object and another one that it refers to, or that refers to it; and the id of the first.

        Raises AqlError when the query has followed more references than are allowed.
        """
        self.followed += 1
        if self.followed > MOST_REFERENCES:
            raise AqlError(f"The query follows more than {MOST_REFERENCES} references.", 0)
        edge, other = object_references.alias(), others.objects
        here, there = edge.c.object_id, edge.c.target_id
        if direction is Direction.INBOUND:
            here, there = there, here
        pairs = select(here.label("object_id")).select_from(
            others.joined().join(edge, and_(edge.c.tenant_id == other.c.tenant_id, there == other.c.object_id))
        )
        pairs = pairs.where(other.c.tenant_id == self.tenant_id, other.c.document.is_not(None))
        return pairs if attribute_ids is None else pairs.where(one_of(edge.c.attribute_id, attribute_ids)), here

    def _refers(
        self,
        rows: Rows,
        direction: Direction,
        others: Rows,
        fits: ColumnElement[bool],
        attribute_ids: Sequence[int] | None = None,
    ) -> ColumnElement[bool]:
        """At the other end of a reference is an object that fits."""
        pairs, _ = self.edges(direction, others, attribute_ids)
        found = pairs.where(fits).distinct().subquery()
        rows.sets.append(found)
        return found.c.object_id.is_not(None)

    def _along(self, path: Sequence[str], comparison: Comparison, rows: Rows) -> ColumnElement[bool]:
        """Each name but the last leads to another object."""
        name, *rest = path
        if not rest:
            return self._compare(name, comparison, rows)
        attribute_ids = self.references(name, comparison, rows)
        targets = Rows(objects.alias())
        return self._refers(rows, Direction.OUTBOUND, targets, self._along(rest, comparison, targets), attribute_ids)

    def _compare(self, name: str, comparison: Comparison, rows: Rows) -> ColumnElement[bool]:
        positive = replace(comparison, operator=POSITIVE.get(comparison.operator, comparison.operator))
        is_negated = positive.operator is not comparison.operator
        row = rows.objects
        if name.lower() in KEYWORDS:
            if comparison.operator in EMPTINESS:
                # An object has all of them.
                return true() if comparison.operator is Operator.NOT_EMPTY else false()
            fits = keyword_fits(name.lower(), self.catalogue, row, positive, self.now)
            return fits.is_not(true()) if is_negated else fits
        attributes = self.attributes(name, comparison, rows)
        value = document_value(row.c.document, [each.attribute_id for each in attributes])
        match comparison.operator:
            case Operator.NOT_EMPTY:
                return value.is_not(None)
            case Operator.EMPTY:
                # Of objects that could have one.
                return and_(one_of(row.c.object_type_id, self.catalogue.having(attributes)), value.is_(None))
        fits = self._any_fits(attributes, positive, rows)
        return and_(value.is_not(None), fits.is_not(true())) if is_negated else fits

    def _any_fits(self, attributes: Sequence[Attribute], comparison: Comparison, rows: Rows) -> ColumnElement[bool]:
        by_kind: dict[Kind, list[Attribute]] = defaultdict(list)
        for each in attributes:
            by_kind[kind_of(each)].append(each)
        ways = (self._fits(kind, group, comparison, rows) for kind, group in by_kind.items())
        possible = [way for way in ways if way is not None]
        if not possible:
            raise uncomparable(" or ".join(f"a {kind.value}" for kind in by_kind), comparison)
        return or_(*possible)

    def _fits(
        self, kind: Kind, attributes: Sequence[Attribute], comparison: Comparison, rows: Rows
    ) -> ColumnElement[bool] | None:
        """Of attributes of one kind. None: they cannot be compared so."""
        attribute_ids = [each.attribute_id for each in attributes]
        document = rows.objects.c.document
        if kind is not Kind.TEXT and kind is not Kind.REFERENCE and comparison.operator not in PARTIAL:
            value = document_value(document, attribute_ids)
            return any_value_fits(value, kind, comparison.operator, comparison.values, self.now)
        texts = [each for each in comparison.values if isinstance(each, str)]
        if len(texts) < len(comparison.values):
            return None
        if kind is Kind.REFERENCE:
            targets = Rows(objects.alias())
            fits = object_fits(self.catalogue, targets.objects, comparison)
            return self._refers(rows, Direction.OUTBOUND, targets, fits, attribute_ids)
        if all(each.is_single for each in attributes):
            return text_fits(document_text(document, attribute_ids), comparison.operator, texts)
        return any_text_fits(document_value(document, attribute_ids), comparison.operator, texts)


def kind_of(attribute: Attribute) -> Kind:
    return KINDS.get(attribute.type, Kind.TEXT)
