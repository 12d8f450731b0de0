"""How large the figures of one run are, and where their files go."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from bench.documents import DOCUMENTS, items_for


@dataclass(frozen=True, slots=True)
class Options:
    """`--quick` makes everything a tenth; `--full` adds what takes minutes."""

    folder: Path
    quick: bool = False
    full: bool = False
    size_mb: float | None = None

    def sized(self, count: int) -> int:
        """A count of DESIGN's, or a tenth of it."""
        return count // 10 if self.quick else count

    def megabytes(self, default: float, full: float | None = None) -> float:
        """The size of a figure's file: what was asked for, or its own."""
        if self.size_mb is not None:
            return self.size_mb
        if self.quick:
            return default / 10
        return full if full is not None and self.full else default


def say(what: str) -> None:
    """A line of progress, beside the table and not in it."""
    print(f"  {what}", file=sys.stderr, flush=True)


def write_file(path: Path, pieces: Iterable[bytes]) -> int:
    """Writes the pieces as they come; answers the bytes."""
    began = perf_counter()
    with path.open("wb") as file:
        size = sum(map(file.write, pieces))
    say(f"{path.name}: {size / 1e6:,.1f} MB written in {perf_counter() - began:.1f} s")
    return size


def write_scan(options: Options, name: str, megabytes: float) -> Path:
    """A scan file of one of the formats of bench.documents."""
    path = options.folder / f"{name}-{megabytes:g}.xml"
    write_file(path, DOCUMENTS[name](items_for(name, megabytes)))
    return path
