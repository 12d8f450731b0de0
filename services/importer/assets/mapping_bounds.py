"""How much an object schema and a mapping may come to, however many documents add to them.

A document is bounded by itself (dialects/assets/mapping_rules.py); what stays when it has been added is bounded here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from dialects.assets.mapping_documents import TypeMapping
from dialects.assets.problems import Problem, invalid_mapping
from services.importer.assets.object_types import SchemaChanges, SchemaState
from services.importer.targets.objects.options import MOST_OPTIONS

MOST_TYPES = 2_000
MOST_ATTRIBUTES = 20_000
MOST_ICONS = 200
MOST_STATUSES = 1_000
MOST_MAPPINGS = 2_000
MOST_PATTERNS = 100
"""Different regular expressions. To compile one can take a twentieth of a second."""
PATTERN, OPERATOR, MATCHES, VALUES = "pattern", "operator", "matches", ("value", "values")


def refuse_large_schema(state: SchemaState, changes: SchemaChanges) -> None:
    """Raises InvalidArgument INVALID_MAPPING (OBJECT_SCHEMA_TOO_LARGE, TYPE_VALUES_TOO_MANY).

    What is too large already may stay so.
    """
    counts = (
        ("object types", len(changes.new_types), len(state.types), MOST_TYPES),
        ("attributes", len(changes.new_attributes), len(state.attributes), MOST_ATTRIBUTES),
        *(
            (what, len(changes.schema.get(what, kept)) - len(kept), len(kept), most)
            for what, kept, most in (
                ("icons", state.schema.icons, MOST_ICONS),
                ("statuses", state.schema.statuses, MOST_STATUSES),
            )
        ),
    )
    problems = [
        Problem("OBJECT_SCHEMA_TOO_LARGE", "schema", f"An object schema may have {most} {what} at most.")
        for what, added, there, most in counts
        if added > 0 and there + added > most
    ]
    problems += [
        Problem("TYPE_VALUES_TOO_MANY", "schema", f"{name[:100]} may have {MOST_OPTIONS} options, not {count}.")
        for name, count in _longer_options(state, changes)
        if count > MOST_OPTIONS
    ]
    if problems:
        raise invalid_mapping(problems)


def _longer_options(state: SchemaState, changes: SchemaChanges) -> Iterator[tuple[str, int]]:
    """Name and number of options of each attribute that gets more of them."""
    yield from ((each.name, len(each.options)) for each in changes.new_attributes)
    for each in state.attributes:
        count = len(changes.attributes.get(each.attribute_id, {}).get("options", ()))
        if count > len(each.options):
            yield each.name, count


def refuse_large_mapping(mappings: tuple[TypeMapping, ...]) -> None:
    """Raises InvalidArgument INVALID_MAPPING (MAPPING_TOO_LARGE), before anything of it is compiled."""
    patterns = {pattern for each in mappings for pattern in patterns_in(each.attributes_mapping)}
    counts = (
        ("mappings of object types", len(mappings), MOST_MAPPINGS),
        ("different regular expressions", len(patterns), MOST_PATTERNS),
    )
    problems = [
        Problem("MAPPING_TOO_LARGE", "mapping", f"A mapping may have {most} {what} at most; here are {count}.")
        for what, count, most in counts
        if count > most
    ]
    if problems:
        raise invalid_mapping(problems)


def patterns_in(members: Any) -> Iterator[str]:
    """Every regular expression of a rule: of transformations, and what conditions match."""
    match members:
        case dict():
            yield from _texts(members.get(PATTERN))
            if members.get(OPERATOR) == MATCHES:
                for name in VALUES:
                    yield from _texts(members.get(name))
            for each in members.values():
                yield from patterns_in(each)
        case list() | tuple():
            for each in members:
                yield from patterns_in(each)


def _texts(value: Any) -> Iterable[str]:
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]
