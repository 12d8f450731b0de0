"""The query of a reference (`objectMappingIQL`) as SQL: of which object its values tell.

A candidate `c` has object_id, object_type_id, label and document; a question `q` has the values of its placeholders in
`q.values`. Where a comparison asks for equality with a placeholder, the two are joined by it, so that each is looked at
once; only a query without such a comparison compares all with all. Where it asks for all identifiers of a type, only
the objects with those keys need to be looked at (key_lookups.py).

References are not followed: those of the objects that a run brings are not known yet while they are looked for.

Nothing of a query is ever text of a statement: values are parameters, attributes are ids.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dialects.assets.aql import parse_aql
from dialects.assets.aql_tree import (
    And,
    AqlError,
    Comparison,
    Condition,
    Function,
    Having,
    Not,
    Operator,
    Or,
    Placeholder,
    write_path,
)
from services.importer.targets.objects.catalog import NUMBERS, REFERENCE, Catalog
from services.importer.targets.objects.matches import (
    EQUALITIES,
    UNSUPPORTED,
    Match,
    cannot_follow,
    has_placeholder,
    refuse_unanswerable,
    strengthened,
)
from services.importer.targets.objects.plan import Reference

# A number may be written as 7.0; behind so many characters it is a text.
MOST_DIGITS = 100

_NEGATED = {
    Operator.NOT_EQUAL: Operator.EQUAL,
    Operator.NOT_LIKE: Operator.LIKE,
    Operator.NOT_STARTS_WITH: Operator.STARTS_WITH,
    Operator.NOT_ENDS_WITH: Operator.ENDS_WITH,
    Operator.NOT_IN: Operator.IN,
    Operator.NOT_EMPTY: Operator.EMPTY,
}
_ORDERS = {Operator.LESS: "<", Operator.LESS_OR_EQUAL: "<=", Operator.GREATER: ">", Operator.GREATER_OR_EQUAL: ">="}

_BY_TYPE: Mapping[str, Callable[[Catalog, int], str]] = {
    "objecttype": lambda catalog, type_id: catalog.types[type_id].name,
    "objecttypeid": lambda _, type_id: str(type_id),
    "objectschema": lambda catalog, type_id: catalog.types[type_id].schema_name,
    "objectschemaid": lambda catalog, type_id: str(catalog.types[type_id].schema_id),
}
_NUMBERED = {"objectid", "key"}
_LABELS = {"label", "name"}


@dataclass(frozen=True, slots=True)
class Equality:
    """That attributes of one name have the text of a placeholder, which is told by its number; `is_same`: its case."""

    attribute_ids: frozenset[int]
    placeholder: int
    is_same: bool


@dataclass(frozen=True, slots=True)
class Lookup:
    """The SQL of a query. `join` is the equality that it is joined by, `dynamic` what else asks for placeholders.

    `terms` are the values of an array that the join compares, as `c.term`; "": it compares no array. `types` are the
    object types that may be found at all. `equalities` are those of single values that hold for all that is found.
    """

    types: Sequence[int]
    join: str
    terms: str
    fixed: Sequence[str]
    dynamic: Sequence[str]
    parameters: Mapping[str, Any]
    equalities: Sequence[Equality]


def compile_query(reference: Reference, catalog: Catalog, match: Match = Match.SAID) -> Lookup:
    """Raises AqlError for a query that cannot be read, or not answered here: functions are no values."""
    condition = parse_aql(reference.query, placeholders=True).condition
    refuse_unanswerable(condition)
    compiler = _Compiler(reference, catalog)
    parts = condition.parts if isinstance(condition, And) else [condition]
    return compiler.compile([strengthened(part, match) for part in parts if part is not None])


@dataclass(frozen=True, slots=True)
class _Subject:
    """What is compared: one text, or those of an array (a query of one column)."""

    text: str
    is_array: bool = False
    is_number: bool = False


class _Compiler:
    def __init__(self, reference: Reference, catalog: Catalog) -> None:
        self._reference = reference
        self._catalog = catalog
        self._types = catalog.family(reference.target_type_id)
        self._parameters: dict[str, Any] = {}

    def compile(self, parts: Sequence[Condition]) -> Lookup:
        join, terms, others = "", "", list(parts)
        for part in parts:
            found = self._join(part)
            if found is not None:
                join, terms = found
                others.remove(part)
                break
        fixed = [self._condition(part) for part in others if not has_placeholder(part)]
        dynamic = [self._condition(part) for part in others if has_placeholder(part)]
        equalities = [each for each in map(self._equality, parts) if each is not None]
        return Lookup(self._types, join, terms, fixed, dynamic, self._parameters, equalities)

    def _join(self, part: Condition) -> tuple[str, str] | None:
        """The equality of a comparison that asks for one placeholder, and the terms that it compares."""
        if not isinstance(part, Comparison) or len(part.values) != 1 or not isinstance(part.values[0], Placeholder):
            return None
        if part.operator not in EQUALITIES or _keyword(part) in _BY_TYPE:
            return None
        subject = self._subject(part)
        value = self._value(part, part.values[0])
        if subject.is_array:
            element = replace(subject, text="c.term", is_array=False)
            return _equal(element, value, is_same=part.operator is Operator.SAME), subject.text
        return _equal(subject, value, is_same=part.operator is Operator.SAME), ""

    def _equality(self, part: Condition) -> Equality | None:
        """Of single texts; of numbers one may be written in many ways."""
        match part:
            case Comparison((name,), operator, (Placeholder(locator),)) if operator in EQUALITIES:
                attributes = [] if name.lower() in _NUMBERED else self._catalog.named(name, self._types)
                if attributes and not any(each.is_array or each.type in NUMBERS for each in attributes):
                    ids = frozenset(each.attribute_id for each in attributes)
                    number = self._reference.placeholders.index(locator)
                    return Equality(ids, number, operator is Operator.SAME)
        return None

    def _condition(self, condition: Condition) -> str:
        match condition:
            case Comparison():
                return self._comparison(condition)
            case And(parts):
                return f"({' AND '.join(map(self._condition, parts))})"
            case Or(parts):
                return f"({' OR '.join(map(self._condition, parts))})"
            case Not(part):
                return f"NOT COALESCE({self._condition(part)}, false)"
            case Having():
                raise cannot_follow(condition)

    def _comparison(self, comparison: Comparison) -> str:
        operator = comparison.operator
        if operator in _NEGATED:
            positive = replace(comparison, operator=_NEGATED[operator])
            return f"NOT COALESCE({self._comparison(positive)}, false)"
        if _keyword(comparison) in _BY_TYPE:
            return self._type_comparison(comparison)
        subject = self._subject(comparison)
        if operator is Operator.EMPTY:
            return f"NOT EXISTS ({subject.text})" if subject.is_array else f"({subject.text}) IS NULL"
        values = [self._value(comparison, each) for each in comparison.values]
        if subject.is_array:
            element = replace(subject, text="x.term", is_array=False)
            one_of = " OR ".join(_compare(element, operator, value) for value in values)
            return f"EXISTS (SELECT FROM ({subject.text}) x(term) WHERE {one_of})"
        return f"({' OR '.join(_compare(subject, operator, value) for value in values)})"

    def _type_comparison(self, comparison: Comparison) -> str:
        """Of what all objects of a type have in common: decided here, and said as the types that fit."""
        if comparison.operator not in {Operator.EQUAL, Operator.SAME, Operator.IN}:
            raise self._unsupported(comparison)
        wanted: set[str] = set()
        for value in comparison.values:
            wanted |= {name.lower() for name in self._type_values(comparison, value)}
        told = _BY_TYPE[_keyword(comparison)]
        fitting = [each for each in self._types if told(self._catalog, each).lower() in wanted]
        return f"c.object_type_id = ANY({self._parameter(fitting)})"

    def _type_values(self, comparison: Comparison, value: object) -> list[str]:
        match value:
            case str():
                return [value]
            case Function("objecttypeandchildren", (name,)) if _keyword(comparison) == "objecttype":
                roots = [each.type_id for each in self._catalog.types.values() if each.name.lower() == name.lower()]
                return [self._catalog.types[each].name for root in roots for each in self._catalog.family(root)]
        raise self._unsupported(comparison)

    def _subject(self, comparison: Comparison) -> _Subject:
        keyword = _keyword(comparison)
        if keyword in _NUMBERED:
            keys = " ".join(
                f"WHEN {each} THEN CAST({self._parameter(self._catalog.types[each].schema_key)} AS text)"
                for each in self._types
            )
            number = "c.object_id::text"
            return _Subject(number if keyword == "objectid" else f"CASE c.object_type_id {keys} END || '-' || {number}")
        attributes = self._catalog.named(comparison.path[0], self._types)
        if not attributes and keyword in _LABELS:
            return _Subject("c.label")
        if not attributes:
            message = f'No object that the reference leads to has an attribute "{comparison.path[0]}".'
            raise AqlError(message, comparison.column, "REFERENCE_QUERY_INVALID")
        if any(each.type == REFERENCE for each in attributes):
            raise self._unsupported(comparison)
        is_number = all(each.type in NUMBERS for each in attributes)
        if not any(each.is_array for each in attributes):
            values = ", ".join(f"c.document->>'{each.attribute_id}'" for each in attributes)
            return _Subject(f"COALESCE({values})", is_number=is_number)
        value = "COALESCE({})".format(", ".join(f"c.document->'{each.attribute_id}'" for each in attributes))
        array = f"CASE WHEN jsonb_typeof({value}) = 'array' THEN {value} ELSE jsonb_build_array({value}) END"
        return _Subject(
            f"SELECT jsonb_array_elements_text({array}) WHERE {value} IS NOT NULL", is_array=True, is_number=is_number
        )

    def _value(self, comparison: Comparison, value: object) -> str:
        """The SQL of a value."""
        match value:
            case str():
                return f"CAST({self._parameter(value)} AS text)"
            case Placeholder(locator) if locator in self._reference.placeholders:
                return f"q.values[{self._reference.placeholders.index(locator) + 1}]"
        raise self._unsupported(comparison)

    def _parameter(self, value: object) -> str:
        name = f"said_{len(self._parameters)}"
        self._parameters[name] = value
        return f":{name}"

    def _unsupported(self, comparison: Comparison) -> AqlError:
        what = f'"{write_path(comparison.path)} {comparison.operator.value}"'
        message = f"The query of a reference cannot ask for {what} and what follows it."
        return AqlError(message, comparison.column, UNSUPPORTED)


def _keyword(comparison: Comparison) -> str:
    return comparison.path[0].lower() if len(comparison.path) == 1 else ""


def _equal(subject: _Subject, value: str, *, is_same: bool = False) -> str:
    if subject.is_number:
        # As a document writes it: in its shortest form.
        shortest = f"trim_scale({value}::numeric)::text"
        return f"{subject.text} = CASE WHEN {_is_number(value)} THEN {shortest} ELSE {value} END"
    return f"{subject.text} = {value}" if is_same else f"lower({subject.text}) = lower({value})"


def _compare(subject: _Subject, operator: Operator, value: str) -> str:
    small, small_value = f"lower({subject.text})", f"lower({value})"
    match operator:
        case Operator.EQUAL | Operator.IN:
            return _equal(subject, value)
        case Operator.SAME:
            return _equal(subject, value, is_same=True)
        case Operator.LIKE:
            return f"strpos({small}, {small_value}) > 0"
        case Operator.STARTS_WITH:
            return f"starts_with({small}, {small_value})"
        case Operator.ENDS_WITH:
            return f"right({small}, length({small_value})) = {small_value}"
    sign = _ORDERS[operator]
    if subject.is_number:
        return f"({subject.text})::numeric {sign} CASE WHEN {_is_number(value)} THEN {value}::numeric END"
    return f'{small} COLLATE "C" {sign} {small_value} COLLATE "C"'


def _is_number(value: str) -> str:
    return f"length({value}) <= {MOST_DIGITS} AND {value} ~ '^[+-]?[0-9]+([.][0-9]+)?$'"
