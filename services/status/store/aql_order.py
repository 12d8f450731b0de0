"""ORDER BY of AQL as SQL: what objects are sorted by, for each kind of attribute that has the name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, cast, func
from sqlalchemy.dialects.postgresql import JSONB, JSONPATH, distinct_on

from dialects.assets.aql_tree import Direction, Order
from schema.assets import objects
from services.status.store.aql_conditions import Conditions, Rows, kind_of
from services.status.store.aql_keywords import KEYWORDS, name_text, schema_key
from services.status.store.aql_refusals import unsortable
from services.status.store.aql_values import Kind, document_value, value_text

Keys = list[ColumnElement[Any]]


def sorted_by(conditions: Conditions, order: Order | None, rows: Rows) -> Keys:
    """By the label where nothing is said. What has no value comes first; equals go by their ids."""
    keys = _keys(conditions, order, order.path, rows) if order else [func.lower(rows.objects.c.label)]
    if order and order.descending:
        return [*(key.desc().nulls_last() for key in keys), rows.objects.c.object_id]
    return [*(key.asc().nulls_first() for key in keys), rows.objects.c.object_id]


def _keys(conditions: Conditions, order: Order, path: Sequence[str], rows: Rows) -> Keys:
    name, *rest = path
    if rest:
        return _keys_of_least(conditions, order, conditions.references(name, order, rows), rest, rows)
    if name.lower() in KEYWORDS:
        return _keyword_keys(conditions, order, name, rows.objects)
    return _attribute_keys(conditions, order, name, rows)


def _keys_of_least(
    conditions: Conditions, order: Order, attribute_ids: Sequence[int], path: Sequence[str], rows: Rows
) -> Keys:
    """Of several objects that are referred to, of the one that comes first."""
    targets = Rows(objects.alias())
    keys = [key.label(f"key_{place}") for place, key in enumerate(_keys(conditions, order, path, targets))]
    pairs, object_id = conditions.edges(Direction.OUTBOUND, targets, attribute_ids)
    least = pairs.add_columns(*keys).ext(distinct_on(object_id)).order_by(object_id, *keys).subquery()
    rows.sets.append(least)
    return [least.c[key.name] for key in keys]


def _keyword_keys(conditions: Conditions, order: Order, name: str, row: FromClause) -> Keys:
    match name.lower():
        case "label" | "object":
            return [func.lower(row.c.label)]
        case "name":
            return [func.lower(name_text(conditions.catalogue, row, name))]
        case "key":
            return [schema_key(conditions.catalogue, row), row.c.object_id]
        case "objectid":
            return [row.c.object_id]
        case "created":
            return [row.c.created_at]
        case "updated":
            return [row.c.updated_at]
        case "objecttypeid":
            return [row.c.object_type_id]
    raise unsortable(order)


def _attribute_keys(conditions: Conditions, order: Order, name: str, rows: Rows) -> Keys:
    """One for each kind: values of different kinds have no order among each other."""
    by_kind: dict[Kind, list[int]] = defaultdict(list)
    for each in conditions.attributes(name, order, rows):
        by_kind[kind_of(each)].append(each.attribute_id)
    keys: Keys = []
    for kind, attribute_ids in by_kind.items():
        if kind is Kind.REFERENCE:
            keys += _keys_of_least(conditions, order, attribute_ids, ["label"], rows)
            continue
        value = document_value(rows.objects.c.document, attribute_ids)
        first = func.jsonb_path_query_first(value, cast("$[*]", JSONPATH), type_=JSONB())
        keys.append(func.lower(value_text(first)) if kind is Kind.TEXT else first)
    return keys
