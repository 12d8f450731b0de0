"""Which records are taken at all, by a query in AQL on what their objects would be (`selectorQlQuery`)."""

from __future__ import annotations

from collections.abc import Mapping

from dialects.assets.aql import parse_aql
from dialects.assets.aql_tree import And, AqlError, Comparison, Having, Not, Operator, Or, write_condition
from dialects.assets.aql_tree import Condition as AqlCondition
from dialects.assets.problems import Problem
from services.importer.targets.objects.rules import Condition
from services.importer.targets.objects.rules import Operator as Compared

# Operator, whether the case counts, whether it is turned round.
OPERATORS: Mapping[Operator, tuple[Compared, bool, bool]] = {
    Operator.EQUAL: ("equals", False, False),
    Operator.SAME: ("equals", True, False),
    Operator.NOT_EQUAL: ("equals", False, True),
    Operator.LESS: ("lessThan", True, False),
    Operator.LESS_OR_EQUAL: ("lessOrEqual", True, False),
    Operator.GREATER: ("greaterThan", True, False),
    Operator.GREATER_OR_EQUAL: ("greaterOrEqual", True, False),
    Operator.LIKE: ("contains", False, False),
    Operator.NOT_LIKE: ("contains", False, True),
    Operator.STARTS_WITH: ("startsWith", False, False),
    Operator.NOT_STARTS_WITH: ("startsWith", False, True),
    Operator.ENDS_WITH: ("endsWith", False, False),
    Operator.NOT_ENDS_WITH: ("endsWith", False, True),
    Operator.IN: ("in", False, False),
    Operator.NOT_IN: ("in", False, True),
    Operator.EMPTY: ("isEmpty", True, False),
    Operator.NOT_EMPTY: ("isNotEmpty", True, False),
}


class UnusableFilter(Exception):
    """The words are for whoever has written it."""


def read_filter(query: str, attributes: Mapping[str, int], path: str) -> Condition | Problem | None:
    """None for an empty query. `attributes` are the ids of what can be asked for, by name in casefold."""
    if not query.strip():
        return None
    try:
        parsed = parse_aql(query)
        if parsed.condition is None:
            return None
        if parsed.order is not None:
            return Problem("FILTER_INVALID", path, "A filter has no order.")
        return _converted(parsed.condition, attributes)
    except (AqlError, UnusableFilter) as error:
        return Problem("FILTER_INVALID", path, str(error))


def _converted(condition: AqlCondition, attributes: Mapping[str, int]) -> Condition:
    match condition:
        case And(parts):
            return Condition(all=tuple(_converted(each, attributes) for each in parts))
        case Or(parts):
            return Condition(any=tuple(_converted(each, attributes) for each in parts))
        case Not(part):
            return Condition(negated=_converted(part, attributes))
        case Having():
            raise UnusableFilter(
                f"{write_condition(condition)[:100]} cannot be asked of a record that is no object yet."
            )
        case Comparison():
            return _compared(condition, attributes)


def _compared(comparison: Comparison, attributes: Mapping[str, int]) -> Condition:
    name = comparison.path[0]
    attribute_id = attributes.get(name.casefold())
    if len(comparison.path) > 1 or attribute_id is None:
        raise UnusableFilter(f"{'.'.join(comparison.path)[:100]!r} is no mapped attribute with a value of its own.")
    values = tuple(each for each in comparison.values if isinstance(each, str))
    if len(values) != len(comparison.values):
        raise UnusableFilter(f"{write_condition(comparison)[:100]}: only plain values can be compared with.")
    operator, is_exact, is_negated = OPERATORS[comparison.operator]
    compared = Condition(
        attribute_id=attribute_id,
        operator=operator,
        value="" if operator == "in" or not values else values[0],
        values=values if operator == "in" else (),
        ignore_case=not is_exact,
    )
    return Condition(negated=compared) if is_negated else compared
