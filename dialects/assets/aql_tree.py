"""What a query in AQL says, as a tree; its text again; and the error of one that cannot be answered.

AQL is Atlassian's Assets Query Language
(https://support.atlassian.com/jira-service-management-cloud/docs/use-assets-query-language-aql/).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum

from runtime.errors import InvalidArgument

Path = tuple[str, ...]
"""An attribute or keyword; behind a reference, one of the object that it leads to, and so on."""

BARE_NAME = re.compile(r"(?!not$)\w[\w-]*", re.IGNORECASE)
BARE_VALUE = re.compile(r"[\w.+-]+")

INVALID_AQL = "INVALID_AQL"
AQL_NAME_UNKNOWN = "AQL_NAME_UNKNOWN"
"""It names an attribute, object type or schema that is not there."""
AQL_UNSUPPORTED = "AQL_UNSUPPORTED"
"""It is AQL, of a part that is not served."""


class AqlError(InvalidArgument):
    """The query cannot be read or answered. `column` counts characters from 0, as Atlassian's messages do."""

    def __init__(self, message: str, column: int, reason: str = INVALID_AQL) -> None:
        super().__init__(reason, message, column=str(column))
        self.column = column


class Operator(Enum):
    """How the values of an attribute are compared. Of several values, one is enough."""

    EQUAL = "="
    """Whatever the case."""
    SAME = "=="
    """Of this case."""
    NOT_EQUAL = "!="
    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="
    LIKE = "LIKE"
    """Has this part, whatever the case. There are no wildcards."""
    NOT_LIKE = "NOT LIKE"
    STARTS_WITH = "STARTSWITH"
    NOT_STARTS_WITH = "NOT STARTSWITH"
    ENDS_WITH = "ENDSWITH"
    NOT_ENDS_WITH = "NOT ENDSWITH"
    IN = "IN"
    NOT_IN = "NOT IN"
    EMPTY = "IS EMPTY"
    NOT_EMPTY = "IS NOT EMPTY"


LISTS = frozenset({Operator.IN, Operator.NOT_IN})


@dataclass(frozen=True, slots=True)
class Placeholder:
    """`${locator}`: the value of the row that is being imported, or its values in a list."""

    locator: str


@dataclass(frozen=True, slots=True)
class Function:
    """A value that is found when the query is answered. The name is in lower case."""

    name: str
    arguments: tuple[str, ...] = ()


Value = str | Placeholder | Function


@dataclass(frozen=True, slots=True)
class Comparison:
    """One value, several for lists, none for IS EMPTY. `column` is where it begins in the text."""

    path: Path
    operator: Operator
    values: tuple[Value, ...] = ()
    column: int = field(default=0, compare=False)


class Direction(Enum):
    """Which way references are followed: to the object, or from it."""

    INBOUND = "inboundReferences"
    OUTBOUND = "outboundReferences"


@dataclass(frozen=True, slots=True)
class Having:
    """`object HAVING inboundReferences(…)`: at least one object at the other end fits. None: any."""

    direction: Direction
    condition: Condition | None = None


@dataclass(frozen=True, slots=True)
class And:
    """All of them, two or more."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one of two or more."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """It does not hold, also where there is no value."""

    part: Condition


Condition = Comparison | Having | And | Or | Not


@dataclass(frozen=True, slots=True)
class Order:
    """Objects without a value come first, and last when descending."""

    path: Path
    descending: bool = False
    column: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Query:
    """None: all objects; in the order of their labels."""

    condition: Condition | None = None
    order: Order | None = None


def write_query(query: Query) -> str:
    """The text that is read as this query."""
    parts = [write_condition(query.condition)] if query.condition else []
    if query.order:
        parts += ["ORDER BY", write_path(query.order.path), "DESC" if query.order.descending else "ASC"]
    return " ".join(parts)


def write_condition(condition: Condition) -> str:
    """The clause, as messages quote it."""
    match condition:
        case Comparison():
            return _write_comparison(condition)
        case Having(direction, inner):
            return f"object HAVING {direction.value}({write_condition(inner) if inner else ''})"
        case And(parts):
            return " AND ".join(_inside(part, And, Or) for part in parts)
        case Or(parts):
            return " OR ".join(_inside(part, Or) for part in parts)
        case Not(part):
            return f"NOT {_inside(part, And, Or)}"


def write_path(path: Path) -> str:
    return ".".join(name if BARE_NAME.fullmatch(name) else _quoted(name) for name in path)


def write_value(value: Value) -> str:
    match value:
        case Placeholder(locator):
            return f"${{{locator}}}"
        case Function(name, arguments):
            return f"{name}({', '.join(map(_quoted, arguments))})"
        case str():
            return value if BARE_VALUE.fullmatch(value) else _quoted(value)


def _write_comparison(comparison: Comparison) -> str:
    values = ", ".join(map(write_value, comparison.values))
    if comparison.operator in LISTS:
        values = f"({values})"
    return " ".join(filter(None, (write_path(comparison.path), comparison.operator.value, values)))


def _inside(condition: Condition, *looser: type[Condition]) -> str:
    text = write_condition(condition)
    return f"({text})" if isinstance(condition, looser) else text


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
