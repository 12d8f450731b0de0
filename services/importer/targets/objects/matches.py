"""What the query of a reference may ask at all, and how strictly it is taken."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum

from dialects.assets.aql_tree import (
    And,
    AqlError,
    Comparison,
    Condition,
    Having,
    Not,
    Operator,
    Or,
    Placeholder,
    write_condition,
)

UNSUPPORTED = "REFERENCE_QUERY_UNSUPPORTED"
PARTS = frozenset({Operator.LIKE, Operator.STARTS_WITH, Operator.ENDS_WITH})
EQUALITIES = frozenset({Operator.EQUAL, Operator.SAME, Operator.IN})


class Match(Enum):
    """How much alike a value and what a query compares it with must be, at least."""

    SAID = "as the query says"
    WHOLE = "the whole text where a part would do"
    SAME = "the whole text, in the same case"


def refuse_unanswerable(condition: Condition | None) -> None:
    """Raises AqlError for what no query of a reference can ask, whatever it leads to: to follow another reference."""
    match condition:
        case And(parts) | Or(parts):
            for each in parts:
                refuse_unanswerable(each)
        case Not(part):
            refuse_unanswerable(part)
        case Having():
            raise cannot_follow(condition)
        case Comparison(path) if len(path) > 1:
            raise cannot_follow(condition)


def cannot_follow(condition: Comparison | Having) -> AqlError:
    """The error of a query that asks for the references of what it looks for."""
    column = condition.column if isinstance(condition, Comparison) else 0
    message = f"The query of a reference cannot follow another one: {write_condition(condition)[:200]}"
    return AqlError(message, column, UNSUPPORTED)


def strengthened(part: Condition, match: Match) -> Condition:
    """Of a part that must hold: a comparison with a placeholder. One that must not hold would become weaker."""
    if match is Match.SAID or not isinstance(part, Comparison) or not has_placeholder(part):
        return part
    operator = Operator.EQUAL if part.operator in PARTS else part.operator
    if match is Match.SAME and operator in EQUALITIES and len(part.values) == 1:
        operator = Operator.SAME
    return replace(part, operator=operator)


def has_placeholder(condition: Condition) -> bool:
    """Whether it asks for a value of a record."""
    match condition:
        case Comparison():
            return any(isinstance(each, Placeholder) for each in condition.values)
        case And(parts) | Or(parts):
            return any(map(has_placeholder, parts))
        case Not(part):
            return has_placeholder(part)
    return False
