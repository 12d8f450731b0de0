"""References that are looked up by the keys of objects, so that few of them do not look at every object of a type.

An index knows objects by their keys. Where a query asks for all identifiers of a type, an object that fits has one
certain key, or none at all: one that lost it when the type got other identifiers (rekey.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.importer.targets.objects.catalog import Catalog
from services.importer.targets.objects.keys import key_of
from services.importer.targets.objects.queries import Lookup

# Of more questions the types are read as a whole, which then takes less.
MOST_KEYS = 10_000

_KEYED = "t.object_type_id = ANY(:{types}) AND t.key = ANY(:{keys})"
_KEYLESS = "t.object_type_id = ANY(:{types}) AND t.key IS NULL"


@dataclass(frozen=True, slots=True)
class Keyed:
    """Types, and the placeholders whose values make the keys of their objects, in the order of the identifiers."""

    type_ids: tuple[int, ...]
    placeholders: tuple[int, ...]
    ignores_case: bool


@dataclass(frozen=True, slots=True)
class Narrowed:
    """Conditions on stored objects `t`, one of which each object that fits fulfils, and their parameters."""

    conditions: Sequence[str]
    parameters: Mapping[str, Any]


def keyed_types(lookup: Lookup, catalog: Catalog) -> Sequence[Keyed]:
    """The types of which the query asks for all identifiers, as exactly as their keys are."""
    found: dict[tuple[tuple[int, ...], bool], list[int]] = {}
    for type_id in lookup.types:
        placeholders = _placeholders(lookup, catalog, type_id)
        if placeholders:
            found.setdefault((placeholders, catalog.types[type_id].ignores_case), []).append(type_id)
    return [Keyed(tuple(type_ids), *how) for how, type_ids in found.items()]


def _placeholders(lookup: Lookup, catalog: Catalog, type_id: int) -> tuple[int, ...]:
    type_ = catalog.types[type_id]
    lineage = set(catalog.lineage(type_id))
    by_attribute = {}
    for each in lookup.equalities:
        own = [one for one in each.attribute_ids if catalog.attributes[one].type_id in lineage]
        # In a key without case two texts are the same that differ in it; in another one they are not.
        if len(own) == 1 and (each.is_same or type_.ignores_case):
            by_attribute[own[0]] = each.placeholder
    if not set(type_.identifiers) <= by_attribute.keys():
        return ()
    return tuple(by_attribute[each] for each in type_.identifiers)


def narrow(lookup: Lookup, keyed: Sequence[Keyed], questions: Sequence[Sequence[str]]) -> Narrowed:
    """By the keys of these questions, which are the values of their placeholders."""
    conditions: list[str] = []
    parameters: dict[str, Any] = {}
    for number, each in enumerate(keyed):
        types, keys = f"keyed_{number}", f"keys_{number}"
        parameters[types] = list(each.type_ids)
        parameters[keys] = list(
            {key_of((values[at] for at in each.placeholders), ignores_case=each.ignores_case) for values in questions}
        )
        conditions += [_KEYED.format(types=types, keys=keys), _KEYLESS.format(types=types)]
    others = set(lookup.types).difference(*(each.type_ids for each in keyed))
    if others:
        parameters["unkeyed"] = sorted(others)
        conditions.append("t.object_type_id = ANY(:unkeyed)")
    return Narrowed(conditions, parameters)
