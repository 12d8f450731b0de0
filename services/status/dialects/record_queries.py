"""The body of AppFile's `query`, written as MongoDB queries are, as a condition on documents.

A subset of MongoDB's language (the vendor names no limits of its own): equality, `$eq $ne $gt $gte $lt $lte $in $nin
$exists $not`, and `$and $or $nor` of those. Values are texts, numbers, true, false and null. Names of fields are taken
as they stand; the body's own members are in PascalCase or camelCase.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from dialects.appfile.entities import entity_of
from dialects.appfile.members import Members
from runtime.errors import InvalidArgument
from services.status.record_query import (
    Comparison,
    Condition,
    Every,
    Never,
    Operator,
    Path,
    RecordQuery,
    RecordSet,
    Scalar,
    Some,
    SortKey,
)

MOST_TAKEN = 1000
DEFAULT_TAKEN = 100
MOST_SKIPPED = 2**31 - 1
MOST_SORTS = 10
MOST_FIELDS = 2000
MOST_COMPARISONS = 100
MOST_VALUES = 1000
DEEPEST = 10
LONGEST_TEXT = 10_000
LONGEST_NAME = 500
LARGEST_NUMBER = 1e300

JUNCTIONS: Mapping[str, Callable[[tuple[Condition, ...]], Condition]] = {
    "$and": Every,
    "$or": Some,
    "$nor": lambda parts: Never(Some(parts)),
}
ORDERED = {
    "$gt": Operator.GREATER,
    "$gte": Operator.GREATER_OR_EQUAL,
    "$lt": Operator.LESS,
    "$lte": Operator.LESS_OR_EQUAL,
}
KNOWN = ("$eq", "$ne", *ORDERED, "$in", "$nin", "$exists", "$not")


def record_query(workspace_id: UUID, entity: str, body: Members) -> RecordQuery:
    """`entity` is from the path. Raises InvalidArgument that names what cannot be read."""
    if "\0" in entity:
        raise _invalid("The path", "an entity type")
    entity_type, data_source = entity_of(entity)
    query, fields = body.get("Query"), _fields(body.get("Fields"))
    is_distinct = bool(body.flag("Distinct"))
    sort = tuple(_sort(body.get("Sort")))
    if is_distinct and fields is not None and any(key.path[0] not in fields for key in sort):
        raise _invalid("Sort", "by members of Fields where Distinct is asked for")
    return RecordQuery(
        records=RecordSet(workspace_id, entity_type, _name(body, "DataSource") or data_source),
        condition=_Reader().condition({} if query is None else query),
        sort=sort,
        fields=fields,
        skip=_number(body, "Skip", default=0, least=0, most=MOST_SKIPPED),
        take=_number(body, "Take", default=DEFAULT_TAKEN, least=1, most=MOST_TAKEN),
        with_total=not body.flag("WithoutTotal"),
        is_distinct=is_distinct,
    )


class _Reader:
    """Reads one query, and counts what is in it."""

    def __init__(self) -> None:
        self._left = MOST_COMPARISONS

    def condition(self, query: Any, depth: int = 0) -> Condition:
        """An object whose members all have to hold."""
        if not isinstance(query, Mapping) or depth > DEEPEST:
            raise _invalid("Query", f"objects, {DEEPEST} levels deep at most")
        parts: list[Condition] = []
        for name, asked in query.items():
            if name in JUNCTIONS:
                parts.append(self._junction(name, asked, depth))
            elif name.startswith("$"):
                raise _unknown_operator(name, tuple(JUNCTIONS))
            else:
                parts.extend(self._member(_path(name, "Query"), asked, depth))
        return parts[0] if len(parts) == 1 else Every(tuple(parts))

    def _junction(self, name: str, asked: Any, depth: int) -> Condition:
        if not isinstance(asked, Sequence) or isinstance(asked, str) or not asked:
            raise _invalid("Query", f"a list with conditions for {name}")
        return JUNCTIONS[name](tuple(self.condition(part, depth + 1) for part in asked))

    def _member(self, path: Path, asked: Any, depth: int) -> Iterator[Condition]:
        if not isinstance(asked, Mapping):
            yield self._comparison(path, Operator.ONE_OF, (_scalar(asked),))
            return
        if not asked or depth > DEEPEST:
            raise _invalid("Query", f"operators, {DEEPEST} levels deep at most, for each field that has an object")
        for name, value in asked.items():
            yield self._operator(path, name, value, depth)

    def _operator(self, path: Path, name: str, value: Any, depth: int) -> Condition:
        match name:
            case "$eq":
                return self._comparison(path, Operator.ONE_OF, (_scalar(value),))
            case "$ne":
                return Never(self._comparison(path, Operator.ONE_OF, (_scalar(value),)))
            case "$in":
                return self._comparison(path, Operator.ONE_OF, _scalars(name, value))
            case "$nin":
                return Never(self._comparison(path, Operator.ONE_OF, _scalars(name, value)))
            case "$exists":
                there = self._comparison(path, Operator.PRESENT, ())
                return there if _truth("$exists", value) else Never(there)
            case "$not":
                if not isinstance(value, Mapping):
                    raise _invalid("Query", "an object with operators for $not")
                return Never(Every(tuple(self._member(path, value, depth + 1))))
            case _ if name in ORDERED:
                return self._comparison(path, ORDERED[name], (_ordered(name, value),))
        raise _unknown_operator(name, KNOWN)

    def _comparison(self, path: Path, operator: Operator, values: tuple[Scalar, ...]) -> Condition:
        self._left -= 1
        if self._left < 0:
            raise _invalid("Query", f"{MOST_COMPARISONS} comparisons at most")
        return Comparison(path, operator, values)


def _path(name: str, member: str) -> Path:
    """`address.zip` is the member `zip` of the member `address`."""
    parts = tuple(name.split("."))
    if len(name) > LONGEST_NAME or not all(parts) or "\0" in name:
        raise _invalid(member, f"names of fields of {LONGEST_NAME} characters at most")
    return parts


def _scalar(value: Any) -> Scalar:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float) and abs(value) <= LARGEST_NUMBER:
        return value
    if isinstance(value, str) and len(value) <= LONGEST_TEXT and "\0" not in value:
        return value
    raise _invalid("Query", f"texts of {LONGEST_TEXT} characters at most, numbers, true, false and null as values")


def _scalars(name: str, value: Any) -> tuple[Scalar, ...]:
    if not isinstance(value, list | tuple) or len(value) > MOST_VALUES:
        raise _invalid("Query", f"a list of {MOST_VALUES} values at most for {name}")
    return tuple(_scalar(each) for each in value)


def _ordered(name: str, value: Any) -> Scalar:
    scalar = _scalar(value)
    if scalar is None or isinstance(scalar, bool):
        raise _invalid("Query", f"a text or a number for {name}")
    return scalar


def _sort(value: Any) -> Iterator[SortKey]:
    """An object of names with 1 or -1, in the order that it has."""
    if value is None:
        return
    if not isinstance(value, Mapping) or len(value) > MOST_SORTS:
        raise _invalid("Sort", f"an object of {MOST_SORTS} fields at most")
    for name, direction in value.items():
        if isinstance(direction, bool) or direction not in (1, -1):
            raise _invalid("Sort", "an object whose members are 1 or -1")
        yield SortKey(_path(name, "Sort"), direction == -1)


def _fields(value: Any) -> tuple[str, ...] | None:
    """Empty as well as absent: whole documents."""
    if value in (None, []):
        return None
    is_list = isinstance(value, list | tuple) and len(value) <= MOST_FIELDS
    if not is_list or not all(isinstance(name, str) and name and "\0" not in name for name in value):
        raise _invalid("Fields", f"a list of {MOST_FIELDS} names of fields at most")
    if any("." in name for name in value):
        raise _invalid("Fields", "names of fields without a dot")
    return tuple(value)


def _number(body: Members, name: str, *, default: int, least: int, most: int) -> int:
    value = body.get(name)
    if value is None:
        return default
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not least <= value <= most or value != int(value):
        raise _invalid(name, f"a whole number from {least} to {most}")
    return int(value)


def _truth(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _invalid(name, "true or false")
    return value


def _name(body: Members, name: str) -> str:
    value = body.text(name)
    if len(value) > LONGEST_NAME or "\0" in value:
        raise _invalid(name, f"a text of {LONGEST_NAME} characters at most")
    return value


def _unknown_operator(name: str, known: Sequence[str]) -> InvalidArgument:
    return InvalidArgument(
        "UNKNOWN_OPERATOR", f"Query: there is no {name[:50]!r} here. Known are {', '.join(known)}.", field="Query"
    )


def _invalid(name: str, form: str) -> InvalidArgument:
    return InvalidArgument("INVALID_QUERY", f"{name} takes {form}.", field=name)
