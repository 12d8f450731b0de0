"""What objects are shown by: the object types of a workspace, and the attributes that they have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from services.status.model import Row
from services.status.store.object_types import list_attributes


@dataclass(frozen=True, slots=True)
class TypeCatalog:
    """All object types of a workspace by number, and the attributes of some of them."""

    types: Mapping[int, Row]
    attributes: Mapping[int, Sequence[Row]]
    """By the types that were asked for: those that come down to them and their own, in the order of display."""


async def load_catalog(
    connection: AsyncConnection, tenant_id: int, types: Iterable[Row], wanted: Iterable[int]
) -> TypeCatalog:
    """`types` are all of the workspace; attributes are loaded of the wanted ones."""
    known = by_number(types)
    lines = {number: _line(known, number) for number in wanted}
    owners = sorted({owner for line in lines.values() for owner in line})
    own = by_type(await list_attributes(connection, tenant_id, owners)) if owners else {}
    return TypeCatalog(
        known, {number: [each for owner in line for each in own.get(owner, ())] for number, line in lines.items()}
    )


def by_number(types: Iterable[Row]) -> dict[int, Row]:
    return {each["object_type_id"]: each for each in types}


def by_type(attributes: Iterable[Row]) -> dict[int, list[Row]]:
    """By the type that they belong to."""
    groups: dict[int, list[Row]] = {}
    for each in attributes:
        groups.setdefault(each["object_type_id"], []).append(each)
    return groups


def _line(types: Mapping[int, Row], number: int) -> list[int]:
    """The types whose attributes it has: from the topmost down to itself."""
    line: list[int] = []
    above: int | None = number
    while above is not None and above in types and above not in line:
        line.append(above)
        above = types[above]["parent_id"] if types[above]["is_inherited"] else None
    return line[::-1]
