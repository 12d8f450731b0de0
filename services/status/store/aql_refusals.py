"""What is said of a clause that can be read but not answered, with the clause itself, as Atlassian's messages do."""

from __future__ import annotations

from dialects.assets.aql_times import FUNCTIONS
from dialects.assets.aql_tree import (
    AQL_NAME_UNKNOWN,
    AQL_UNSUPPORTED,
    AqlError,
    Comparison,
    Function,
    Order,
    Placeholder,
    write_condition,
    write_path,
)

OBJECT_TYPE_AND_CHILDREN = "objecttypeandchildren"
LONGEST_CLAUSE = 200


def unknown(what: str, clause: Comparison | Order) -> AqlError:
    """`what`: attribute, object type, object schema."""
    return AqlError(f"No matching {what} for AQL clause ({_text(clause)})", clause.column, AQL_NAME_UNKNOWN)


def no_reference(name: str, clause: Comparison | Order) -> AqlError:
    return AqlError(f"{name} is not a reference in AQL clause ({_text(clause)})", clause.column)


def uncomparable(wanted: str, clause: Comparison) -> AqlError:
    """`wanted`: what the attribute can be compared with."""
    return AqlError(f"This cannot be compared in AQL clause ({_text(clause)}): expected {wanted}", clause.column)


def too_much(what: str, clause: Comparison | Order) -> AqlError:
    return AqlError(f"{what} in AQL clause ({_text(clause)}): name the objectType", clause.column)


def unsortable(order: Order) -> AqlError:
    return AqlError(f"Objects cannot be ordered by {write_path(order.path)}", order.column)


def check_values(comparison: Comparison) -> None:
    """Raises AqlError for functions that are not served, and for what has not been replaced by a value."""
    for value in comparison.values:
        match value:
            case Function(name) if name not in FUNCTIONS and name != OBJECT_TYPE_AND_CHILDREN:
                message = f"The function {name} is not supported in AQL clause ({_text(comparison)})"
                raise AqlError(message, comparison.column, AQL_UNSUPPORTED)
            case Placeholder():
                message = f"Placeholder not supported in current context: AQL clause ({_text(comparison)})"
                raise AqlError(message, comparison.column)


def _text(clause: Comparison | Order) -> str:
    text = write_condition(clause) if isinstance(clause, Comparison) else f"ORDER BY {write_path(clause.path)}"
    return text if len(text) <= LONGEST_CLAUSE else f"{text[:LONGEST_CLAUSE]}…"
