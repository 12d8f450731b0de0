"""Conditions, order and projection of JSON documents, in the words of PostgreSQL.

A condition becomes one path expression in lax mode, which looks into lists as MongoDB does. Values never stand in it,
but in its variables; names of members do, as quoted texts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Text, cast, column, func, literal, select, text, true
from sqlalchemy.dialects.postgresql import JSONB, JSONPATH

from services.status.record_query import (
    Comparison,
    Condition,
    Every,
    Never,
    Operator,
    Path,
    Scalar,
    Some,
    SortKey,
)


def fits(document: ColumnElement[Any], condition: Condition) -> ColumnElement[bool]:
    """The condition as SQL on a column with a document."""
    if condition == Every(()):
        return true()
    writer = _PathWriter()
    path = writer.write(condition)
    variables = literal(writer.variables, JSONB)
    return func.jsonb_path_match(document, cast(path, JSONPATH), variables, True)


def sorted_by(document: ColumnElement[Any], sort: Sequence[SortKey]) -> list[ColumnElement[Any]]:
    """Sort keys. What is not there is the least, as null is."""
    keys: list[ColumnElement[Any]] = []
    for key in sort:
        value = func.nullif(document.op("#>")(cast(list(key.path), ARRAY(Text))), text("'null'::jsonb"))
        keys.append(value.desc().nulls_last() if key.descending else value.asc().nulls_first())
    return keys


def projected(document: ColumnElement[Any], fields: Sequence[str] | None) -> ColumnElement[Any]:
    """The document, or those of its members that are named."""
    if fields is None:
        return document
    members = func.jsonb_each(document).table_valued(column("key", Text), column("value", JSONB), name="member")
    kept = select(func.jsonb_object_agg(members.c.key, members.c.value)).where(
        members.c.key == func.any(cast(list(fields), ARRAY(Text)))
    )
    return func.coalesce(kept.scalar_subquery(), literal({}, JSONB))


class _PathWriter:
    """Writes one path expression and collects its variables. Each part is a truth value, never unknown."""

    def __init__(self) -> None:
        self.variables: dict[str, Scalar | list[Scalar]] = {}

    def write(self, condition: Condition) -> str:
        match condition:
            case Comparison():
                return self._compare(condition)
            case Every(parts):
                return self._joined(parts, " && ", empty="1 == 1")
            case Some(parts):
                return self._joined(parts, " || ", empty="1 == 0")
            case Never(part):
                return f"!({self.write(part)})"

    def _joined(self, parts: Sequence[Condition], operator: str, *, empty: str) -> str:
        return operator.join(f"({self.write(part)})" for part in parts) or empty

    def _compare(self, comparison: Comparison) -> str:
        member, values = member_path(comparison.path), comparison.values
        match comparison.operator:
            case Operator.PRESENT:
                return f"exists({member})"
            case Operator.ONE_OF:
                return self._one_of(member, [value for value in values if value is not None], null=None in values)
        return f"exists({member} ? (@ {comparison.operator.value} ${self._variable(values[0])}))"

    def _one_of(self, member: str, values: list[Scalar], *, null: bool) -> str:
        ways = []
        if values:
            ways.append(f"exists({member} ? (@ == ${self._variable(values)}[*]))")
        if null:
            ways.append(f"!exists({member}) || exists({member} ? (@ == null))")
        return " || ".join(ways) or "1 == 0"

    def _variable(self, value: Scalar | list[Scalar]) -> str:
        name = f"v{len(self.variables)}"
        self.variables[name] = value
        return name


def member_path(path: Path) -> str:
    """`$."address"."zip"`: a quoted text is written as in JSON."""
    return "$" + "".join(f".{json.dumps(name)}" for name in path)
