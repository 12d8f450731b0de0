"""What the formats share whose records say by a mapping what they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol, TypeVar

from services.importer.formats.kit.format import OBJECTS, ByteStream, DamagedFile, Format, Item, Syntax
from services.importer.formats.objects.mapping.invalid import InvalidMapping
from services.importer.formats.objects.mapping.records import read
from services.importer.targets.objects.plan import ObjectPlan

T = TypeVar("T")

# What is mapped at once: enough to work by columns, little enough to stay in the cache.
PORTION_RECORDS, PORTION_CHARACTERS = 256, 256 << 10


class Walk(Protocol):
    """The walk of a format, by a mapping."""

    def __call__(self, stream: ByteStream, plan: ObjectPlan) -> Iterator[Item]: ...


def mapped_format(
    *, name: str, title: str, syntax: Syntax, extensions: tuple[str, ...], sniff: Callable[[bytes], bool], walk: Walk
) -> Format:
    """The format, which has an empty mapping until a job brings another. `objects_csv` is the source `objects-csv`."""

    def with_mapping(plan: ObjectPlan) -> Format:
        return Format(
            name=name,
            title=title,
            family="objects",
            syntax=syntax,
            extensions=extensions,
            object_sources=(name.replace("_", "-"),),
            target=OBJECTS,
            sniff=sniff,
            walk=partial(walk, plan=plan),
            read=read,
            adapt=with_mapping,
        )

    return with_mapping(ObjectPlan())


def compiled(compile_: Callable[[ObjectPlan], T], plan: ObjectPlan) -> T:
    """A mapping was checked when it was saved. Raises `DamagedFile` for one that this release cannot carry out."""
    try:
        return compile_(plan)
    except InvalidMapping as error:
        raise DamagedFile("MAPPING_INVALID", f"{error.place}: {error.message}") from None
