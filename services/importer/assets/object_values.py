"""The values that a person gives an object, read as a run reads those of a record: by the types of their attributes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dialects.assets.problems import Problem, attribute_path
from services.importer.assets.object_types import REFERENCE
from services.importer.formats.objects.mapping.attributes import Attribute
from services.importer.formats.objects.mapping.invalid import BadValue
from services.importer.formats.objects.mapping.settings import settings_of
from services.importer.targets.objects.catalog import Catalog
from services.importer.targets.objects.plan import ANY_NUMBER, AttributePlan, ObjectPlan
from services.importer.targets.objects.rules import AttributeRule

Row = Mapping[str, Any]
"""Of an object type, an attribute or an object, as `services/importer/store/assets_objects.py` reads them."""

MOST_TARGETS = 1_000
"""Of one attribute of one object, as a run has it (targets/objects/resolution.py)."""
LARGEST_ID = 2**63 - 1
# Dates are ISO 8601, times that name no zone those of UTC.
_SETTINGS = settings_of(ObjectPlan())


@dataclass(frozen=True, slots=True)
class Values:
    """Of one attribute: `texts` as stored, `member` of the document or "", the `targets` it refers to."""

    texts: tuple[str, ...]
    member: str
    targets: tuple[int, ...] = ()


def read_values(attribute: Row, texts: Sequence[str]) -> Values | Problem:
    """Of an attribute that is no reference."""
    plan = AttributePlan(
        attribute["attribute_id"],
        attribute["name"],
        attribute["type"],
        AttributeRule(("value",)),
        minimum=attribute["minimum_cardinality"],
        maximum=attribute["maximum_cardinality"],
        options=tuple(attribute["options"]),
    )
    try:
        reading = Attribute(plan, _SETTINGS, "IGNORE").reading((tuple(texts),))
    except BadValue as error:
        return _problem(attribute, error.code, error.message)
    if reading.caution is not None:
        # A run leaves such a value out and says so; who has typed it would rather know.
        return _problem(attribute, "UNKNOWN_OPTION", "A value is none of the attribute's options.")
    return Values(reading.values, reading.piece)


def referred_number(text: str) -> tuple[str, int] | None:
    """The schema's key, "" for none, and the number of an object that is said by its key or its number."""
    key, dash, digits = text.strip().rpartition("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= len(str(LARGEST_ID))):
        return None
    number = int(digits)
    return (key, number) if (key or not dash) and 0 < number <= LARGEST_ID else None


def read_targets(attribute: Row, texts: Sequence[str], found: Mapping[int, Row], catalog: Catalog) -> Values | Problem:
    """Of a reference. `found` are the objects by number that there are."""
    targets: dict[int, None] = {}
    for text in texts:
        number = referred_object(text, found, catalog)
        if number is None or not _fits(attribute, found[number], catalog):
            return _problem(attribute, "REFERENCE_NOT_FOUND", f'There is no object "{text[:20]}" to refer to.')
        targets[number] = None
    least, most = attribute["minimum_cardinality"], attribute["maximum_cardinality"]
    allowed = MOST_TARGETS if most == ANY_NUMBER else min(most, MOST_TARGETS)
    if len(targets) < least:
        return _problem(attribute, "REQUIRED_VALUE_MISSING", f"At least {least} values are required.")
    if len(targets) > allowed:
        return _problem(attribute, "TOO_MANY_VALUES", f"There are {len(targets)} values, {allowed} may be.")
    if not targets:
        return Values((), "")
    numbers = ",".join(map(str, targets))
    member = f"{numbers}" if most == 1 else f"[{numbers}]"
    return Values(tuple(map(str, targets)), f'"{attribute["attribute_id"]}":{member}', tuple(targets))


def referred_object(text: str, found: Mapping[int, Row], catalog: Catalog) -> int | None:
    """The number of the object that a key or number says, where it is one of those."""
    said = referred_number(text)
    if said is None or said[1] not in found:
        return None
    key, number = said
    type_ = catalog.types.get(found[number]["object_type_id"])
    is_meant = type_ is not None and (not key or key.casefold() == type_.schema_key.casefold())
    return number if is_meant else None


def referred_numbers(texts: Iterable[str]) -> set[int]:
    """Numbers of the objects that may be meant."""
    return {said[1] for said in map(referred_number, texts) if said is not None}


def is_reference(attribute: Row) -> bool:
    return bool(attribute["type"] == REFERENCE)


def _fits(attribute: Row, target: Row, catalog: Catalog) -> bool:
    """A reference that says of no type may lead to any."""
    wanted = attribute["reference_type_id"]
    return wanted is None or target["object_type_id"] in catalog.family(wanted)


def _problem(attribute: Row, code: str, message: str) -> Problem:
    return Problem(code, attribute_path(attribute["attribute_id"]), message)
