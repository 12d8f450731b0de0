"""Which object types a clause on objectType, objectTypeId, objectSchema or objectSchemaId means.

The catalogue answers it, so that the database is asked for ids. A name or id that nothing has is an error and not an
empty answer, which would look like one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from dialects.assets.aql_tree import Comparison, Function, Operator
from services.status.store.aql_catalogue import Catalogue
from services.status.store.aql_refusals import OBJECT_TYPE_AND_CHILDREN, uncomparable, unknown
from services.status.store.aql_values import EQUALITY, PARTIAL, read_whole

OBJECT_TYPE = "object type"
OBJECT_SCHEMA = "object schema"


def _equals(name: str, text: str) -> bool:
    return name.casefold() == text.casefold()


FITS: Mapping[Operator, Callable[[str, str], bool]] = {
    Operator.EQUAL: _equals,
    Operator.IN: _equals,
    Operator.SAME: lambda name, text: name == text,
    Operator.LIKE: lambda name, text: text.casefold() in name.casefold(),
    Operator.STARTS_WITH: lambda name, text: name.casefold().startswith(text.casefold()),
    Operator.ENDS_WITH: lambda name, text: name.casefold().endswith(text.casefold()),
}


def _types(catalogue: Catalogue, comparison: Comparison, *, by_id: bool) -> set[int]:
    names = {each.object_type_id: each.name for each in catalogue.types}
    found: set[int] = set()
    for value in comparison.values:
        match value:
            case Function(name, (root,)) if name == OBJECT_TYPE_AND_CHILDREN and comparison.operator in EQUALITY:
                found |= catalogue.below(_named(names, root, comparison, OBJECT_TYPE, by_id=False))
            case str():
                found |= _named(names, value, comparison, OBJECT_TYPE, by_id=by_id)
            case _:
                raise uncomparable("an object type", comparison)
    return found


def _types_of_schemas(catalogue: Catalogue, comparison: Comparison, *, by_id: bool) -> set[int]:
    names = {each.object_schema_id: each.name for each in catalogue.schemas}
    found: set[int] = set()
    for value in comparison.values:
        if not isinstance(value, str):
            raise uncomparable("an object schema", comparison)
        found |= _named(names, value, comparison, OBJECT_SCHEMA, by_id=by_id)
    return set(catalogue.types_of(found))


def _named(names: Mapping[int, str], text: str, comparison: Comparison, what: str, *, by_id: bool) -> set[int]:
    operator = comparison.operator
    if operator not in EQUALITY | PARTIAL or (by_id and operator in PARTIAL):
        raise uncomparable("=, != or a list", comparison)
    fits = FITS[operator]
    found = set() if by_id else {number for number, name in names.items() if fits(name, text)}
    if not found and operator in EQUALITY:
        number = read_whole(text.strip())
        if number is None or number not in names:
            raise unknown(what, comparison)
        found = {number}
    return found


SCOPES: Mapping[str, Callable[[Catalogue, Comparison], set[int]]] = {
    "objectschema": partial(_types_of_schemas, by_id=False),
    "objectschemaid": partial(_types_of_schemas, by_id=True),
    "objecttype": partial(_types, by_id=False),
    "objecttypeid": partial(_types, by_id=True),
}
"""By keyword in lower case: types whose objects fit a positive operator. An id will do where nothing has the name."""
