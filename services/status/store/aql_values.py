"""Comparisons of AQL on columns and on values of documents, in the words of PostgreSQL.

What a query says is a text; what it is compared as depends on the attribute. Texts are compared in lower case, dates
and times as texts in ISO form, which sort as they should, and numbers as numbers. Values are bound, never written into
the statement; nor are they in path expressions, which are made of signs only.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Text, and_, cast, column, exists, func, literal, or_, select
from sqlalchemy.dialects.postgresql import JSONB, JSONPATH

from dialects.assets.aql_times import Moment, read_clock, read_moment
from dialects.assets.aql_tree import Operator, Placeholder, Value

Scalar = str | int | float | bool
ID = re.compile(r"[+-]?\d{1,18}", re.ASCII)
WHOLE = re.compile(r"[+-]?\d{1,100}", re.ASCII)
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)
BOOLEANS = {"true": True, "false": False}

POSITIVE = {
    Operator.NOT_EQUAL: Operator.EQUAL,
    Operator.NOT_IN: Operator.IN,
    Operator.NOT_LIKE: Operator.LIKE,
    Operator.NOT_STARTS_WITH: Operator.STARTS_WITH,
    Operator.NOT_ENDS_WITH: Operator.ENDS_WITH,
}
"""What a negation is the negation of."""
EQUALITY = frozenset({Operator.EQUAL, Operator.SAME, Operator.IN})
PARTIAL = frozenset({Operator.LIKE, Operator.STARTS_WITH, Operator.ENDS_WITH})
"""These and equalities are positive operators, and so are those of order."""


class Kind(Enum):
    """What the values of an attribute are compared as."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "truth value"
    DATE = "date"
    CLOCK = "time of day"
    MOMENT = "point in time"
    REFERENCE = "reference"


KINDS = {
    "integer": Kind.NUMBER,
    "double": Kind.NUMBER,
    "boolean": Kind.BOOLEAN,
    "date": Kind.DATE,
    "time": Kind.CLOCK,
    "date_time": Kind.MOMENT,
    "referenced_object": Kind.REFERENCE,
}
"""Of types of attributes. All others are text."""


def one_of(number: ColumnElement[int], numbers: Sequence[int]) -> ColumnElement[bool]:
    """One parameter, however many numbers there are."""
    return number == func.any(cast(list(numbers), ARRAY(number.type)))


def document_value(document: ColumnElement[Any], attribute_ids: Sequence[int]) -> ColumnElement[Any]:
    """The value, or array of values, of that attribute which the object has; else null."""
    values = [document.op("->", return_type=JSONB())(literal(str(each), Text)) for each in attribute_ids]
    return func.coalesce(*values, type_=JSONB()) if len(values) > 1 else values[0]


def document_text(document: ColumnElement[Any], attribute_ids: Sequence[int]) -> ColumnElement[str]:
    """As `document_value`, of attributes with one value each."""
    values = [document.op("->>", return_type=Text())(literal(str(each), Text)) for each in attribute_ids]
    return func.coalesce(*values, type_=Text()) if len(values) > 1 else values[0]


def value_text(value: ColumnElement[Any]) -> ColumnElement[str]:
    """A scalar of a document as its text, without quotes."""
    return value.op("#>>", return_type=Text())(cast([], ARRAY(Text)))


def text_fits(text: ColumnElement[str], operator: Operator, values: Sequence[str]) -> ColumnElement[bool]:
    """Of one text, by any positive operator."""
    first = values[0]
    match operator:
        case Operator.IN:
            wanted = (
                func.unnest(cast(list(values), ARRAY(Text)))
                .table_valued(column("value", Text))
                .render_derived("wanted")
            )
            return func.lower(text).in_(select(func.lower(wanted.c.value)))
        case Operator.EQUAL:
            return func.lower(text) == func.lower(literal(first, Text))
        case Operator.SAME:
            return text == literal(first, Text)
        case Operator.LIKE:
            return text.icontains(first, autoescape=True)
        case Operator.STARTS_WITH:
            return text.istartswith(first, autoescape=True)
        case Operator.ENDS_WITH:
            return text.iendswith(first, autoescape=True)
    return ordered(func.lower(text), operator, func.lower(literal(first, Text)))


def any_text_fits(value: ColumnElement[Any], operator: Operator, values: Sequence[str]) -> ColumnElement[bool]:
    """Of a value or array of values in a document."""
    each = (
        func.jsonb_path_query(value, cast("$[*]", JSONPATH))
        .table_valued(column("value", JSONB))
        .render_derived("element")
    )
    return exists(select(1).select_from(each).where(text_fits(value_text(each.c.value), operator, values)))


def any_value_fits(
    value: ColumnElement[Any], kind: Kind, operator: Operator, values: Sequence[Value], now: datetime
) -> ColumnElement[bool] | None:
    """Of a value or array of values in a document that are no texts, by a positive operator that is not partial.

    None: none of `values` can be compared with this kind in this way.
    """
    if kind is Kind.BOOLEAN and operator not in EQUALITY:
        return None
    if kind is Kind.MOMENT:
        wanted, path = _moment_path(operator, read_moments(values, now))
    else:
        wanted = list(_scalars(kind, values, now))
        path = f"@ {'==' if operator in EQUALITY else operator.value} $v[*]"
    if not wanted:
        return None
    return func.jsonb_path_exists(value, cast(f"$[*] ? ({path})", JSONPATH), literal({"v": wanted}, JSONB))


def moment_fits(time: ColumnElement[datetime], operator: Operator, moments: Sequence[Moment]) -> ColumnElement[bool]:
    """Equal is what lies within what is written, a day or a minute; before and after, what does so of its beginning."""
    if operator in EQUALITY:
        return or_(*(and_(time >= moment.start, time < moment.end) for moment in moments))
    return ordered(time, operator, literal(moments[0].start))


def ordered(left: ColumnElement[Any], operator: Operator, right: ColumnElement[Any]) -> ColumnElement[bool]:
    """One of the four operators of order."""
    return left.bool_op(operator.value)(right)


def read_moments(values: Sequence[Value], now: datetime) -> list[Moment]:
    """Those of the values that are times."""
    found = (read_moment(each, now) for each in values if not isinstance(each, Placeholder))
    return [moment for moment in found if moment]


def read_whole(text: str) -> int | None:
    """A number of at most 18 digits, which is every id that there can be."""
    return int(text) if ID.fullmatch(text) else None


def _scalars(kind: Kind, values: Sequence[Value], now: datetime) -> Iterator[Scalar]:
    """Those of the values that are of the kind, as documents have them."""
    if kind is Kind.DATE:
        yield from (moment.day for moment in read_moments(values, now))
        return
    for text in (each for each in values if isinstance(each, str)):
        scalar = _scalar(kind, text.strip())
        if scalar is not None:
            yield scalar


def _scalar(kind: Kind, text: str) -> Scalar | None:
    match kind:
        case Kind.BOOLEAN:
            return BOOLEANS.get(text.lower())
        case Kind.CLOCK:
            return read_clock(text)
    if WHOLE.fullmatch(text):
        return int(text)
    number = float(text) if NUMBER.fullmatch(text) else math.nan
    return number if math.isfinite(number) else None


def _moment_path(operator: Operator, moments: Sequence[Moment]) -> tuple[list[Scalar], str]:
    """Documents know seconds, so what begins and ends in the same second is that second."""
    wanted: list[Scalar] = []
    parts = []
    for moment in moments:
        start, end = _in_seconds(moment.start), _in_seconds(moment.end)
        place = len(wanted)
        wanted += [start, end]
        if operator not in EQUALITY:
            parts.append(f"@ {operator.value} $v[{place}]")
        elif start == end:
            parts.append(f"@ == $v[{place}]")
        else:
            parts.append(f"(@ >= $v[{place}] && @ < $v[{place + 1}])")
    return wanted, " || ".join(parts)


def _in_seconds(time: datetime) -> str:
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
