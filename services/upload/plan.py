"""How a file is cut into parts: arithmetic within the limits of S3 (its user guide, "multipart upload limits")."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

MIB = 1024 * 1024
GIB = 1024 * MIB
MOST_PARTS = 10_000
LEAST_PART_BYTES = 5 * MIB
"""S3 takes no smaller part but the last."""
LARGEST_PART_BYTES = 5 * GIB
USUAL_PART_BYTES = 16 * MIB
"""Large enough that a part costs little beside its bytes, small enough to be sent again."""
LARGEST_PUT_BYTES = 5 * GIB
"""What S3 takes by one PUT."""
LARGEST_OBJECT_BYTES = 5 * 1024 * GIB


class Arrived(Protocol):
    """A part that the store has."""

    @property
    def number(self) -> int: ...

    @property
    def size(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Plan:
    """A file of `size` bytes, 1 or more, in parts of `part_size`; the last one may be smaller."""

    size: int
    part_size: int

    @property
    def count(self) -> int:
        return -(-self.size // self.part_size)

    def offset_of(self, number: int) -> int:
        return (number - 1) * self.part_size

    def size_of(self, number: int) -> int:
        return min(self.part_size, self.size - self.offset_of(number))

    def missing(self, arrived: Iterable[Arrived], first: int, last: int) -> Iterator[int]:
        """The numbers from `first` to `last` that have not arrived, or not with their size."""
        sizes = {part.number: part.size for part in arrived}
        return (number for number in range(first, last + 1) if sizes.get(number) != self.size_of(number))


def usual_part_size(size: int) -> int:
    """16 MiB, or as many whole MiB as keep the number of parts within the limit."""
    least = -(-size // MOST_PARTS)
    return max(USUAL_PART_BYTES, -(-least // MIB) * MIB)
