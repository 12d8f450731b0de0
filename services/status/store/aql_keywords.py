"""The keywords of AQL: what can be asked of an object itself, whatever its type."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import BigInteger, ColumnElement, FromClause, Text, and_, case, cast, false, func, literal, or_

from dialects.assets.aql_tree import Comparison
from services.status.store.aql_catalogue import Catalogue
from services.status.store.aql_refusals import uncomparable
from services.status.store.aql_scopes import SCOPES
from services.status.store.aql_values import (
    EQUALITY,
    KINDS,
    PARTIAL,
    Kind,
    document_text,
    moment_fits,
    one_of,
    ordered,
    read_moments,
    read_whole,
    text_fits,
)

KEYWORDS = frozenset({"created", "key", "label", "name", "object", "objectid", "updated", *SCOPES})
"""In lower case, as they may be written in any."""


def keyword_fits(
    keyword: str, catalogue: Catalogue, row: FromClause, comparison: Comparison, now: datetime
) -> ColumnElement[bool]:
    """By a positive operator. Raises AqlError for values that cannot be compared with it."""
    operator = comparison.operator
    match keyword:
        case "created":
            return _time_fits(row.c.created_at, comparison, now)
        case "updated":
            return _time_fits(row.c.updated_at, comparison, now)
        case "objectid":
            return _number_fits(row.c.object_id, comparison)
        case "key" if operator in EQUALITY:
            return _has_key(catalogue, row, texts_of(comparison))
        case "key":
            key = schema_key(catalogue, row).concat("-").concat(cast(row.c.object_id, Text))
            return text_fits(key, operator, texts_of(comparison))
        case "name":
            return text_fits(name_text(catalogue, row, comparison.path[-1]), operator, texts_of(comparison))
        case "label":
            return text_fits(row.c.label, operator, texts_of(comparison))
        case "object":
            return object_fits(catalogue, row, comparison)
    return one_of(row.c.object_type_id, sorted(SCOPES[keyword](catalogue, comparison)))


def object_fits(catalogue: Catalogue, row: FromClause, comparison: Comparison) -> ColumnElement[bool]:
    """By its label or, where it is to be equal, by its key as well."""
    texts = texts_of(comparison)
    by_label = text_fits(row.c.label, comparison.operator, texts)
    return or_(by_label, _has_key(catalogue, row, texts)) if comparison.operator in EQUALITY else by_label


def name_text(catalogue: Catalogue, row: FromClause, name: str) -> ColumnElement[str]:
    """Of attributes called `name`, else the label; which is the same where the label is made of the attribute."""
    attribute_ids = [
        each.attribute_id
        for each in catalogue.attributes.get(name, ())
        if each.is_single and not each.is_label and KINDS.get(each.type, Kind.TEXT) is Kind.TEXT
    ]
    label: ColumnElement[str] = row.c.label
    return func.coalesce(document_text(row.c.document, attribute_ids), label, type_=Text()) if attribute_ids else label


def schema_key(catalogue: Catalogue, row: FromClause) -> ColumnElement[str]:
    """Of the object's schema."""
    keys = [
        (one_of(row.c.object_type_id, catalogue.types_of([schema.object_schema_id])), literal(schema.key, Text))
        for schema in catalogue.schemas
    ]
    return case(*keys, else_=literal("", Text)) if keys else literal("", Text)


def texts_of(comparison: Comparison) -> list[str]:
    """Its values. Raises AqlError for those that are no texts."""
    texts = [value for value in comparison.values if isinstance(value, str)]
    if len(texts) < len(comparison.values):
        raise uncomparable("a text", comparison)
    return texts


def _has_key(catalogue: Catalogue, row: FromClause, texts: Sequence[str]) -> ColumnElement[bool]:
    """A text that cannot be a key is no object's."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for text in texts:
        schema_part, _, digits = text.strip().rpartition("-")
        number = read_whole(digits)
        if number is not None:
            numbers[schema_part.casefold()].append(number)
    ways = [
        and_(
            one_of(row.c.object_id, numbers[schema.key.casefold()]),
            one_of(row.c.object_type_id, catalogue.types_of([schema.object_schema_id])),
        )
        for schema in catalogue.schemas
        if schema.key.casefold() in numbers
    ]
    return or_(false(), *ways)


def _number_fits(column: ColumnElement[int], comparison: Comparison) -> ColumnElement[bool]:
    numbers = [number for text in texts_of(comparison) if (number := read_whole(text.strip())) is not None]
    if len(numbers) < len(comparison.values) or comparison.operator in PARTIAL:
        raise uncomparable("a whole number", comparison)
    if comparison.operator in EQUALITY:
        return one_of(column, numbers)
    return ordered(column, comparison.operator, literal(numbers[0], BigInteger))


def _time_fits(column: ColumnElement[datetime], comparison: Comparison, now: datetime) -> ColumnElement[bool]:
    moments = read_moments(comparison.values, now)
    if len(moments) < len(comparison.values) or comparison.operator in PARTIAL:
        raise uncomparable("a time such as 2026-01-31 12:00", comparison)
    return moment_fits(column, comparison.operator, moments)
