"""What may be asked of the records of a workspace: a condition on their documents, an order, a page."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from uuid import UUID

Path = tuple[str, ...]
"""The member of a document, and where it is an object the member of that, and so on."""
Scalar = str | int | float | bool | None


class Operator(Enum):
    """How the values of a member are compared. One that is a list fits when an element of it does."""

    ONE_OF = "one of"
    """It equals one of the values; null is also what is not there."""
    GREATER = ">"
    GREATER_OR_EQUAL = ">="
    LESS = "<"
    LESS_OR_EQUAL = "<="
    PRESENT = "present"
    """It is there, whatever it is."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Of one member. A value of another type than its own never fits."""

    path: Path
    operator: Operator
    values: tuple[Scalar, ...] = ()


@dataclass(frozen=True, slots=True)
class Every:
    """All of the conditions hold; without any, always."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """At least one of the conditions holds."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Never:
    """The condition does not hold."""

    part: Condition


Condition = Comparison | Every | Some | Never
ANYTHING = Every(())


@dataclass(frozen=True, slots=True)
class SortKey:
    """Null and what is not there come first, then texts, numbers, truth values, lists, objects."""

    path: Path
    descending: bool = False


@dataclass(frozen=True, slots=True)
class RecordSet:
    """The records of an entity type in a workspace, of one data source or, without its name, of all."""

    workspace_id: UUID
    entity_type: str
    data_source: str = ""


@dataclass(frozen=True, slots=True)
class RecordQuery:
    """A page by offset of a set. `fields` None: whole documents. `is_distinct`: equal ones, as shown, once."""

    records: RecordSet
    condition: Condition = ANYTHING
    sort: tuple[SortKey, ...] = ()
    fields: tuple[str, ...] | None = None
    skip: int = 0
    take: int = 100
    with_total: bool = True
    is_distinct: bool = False
