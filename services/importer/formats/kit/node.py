"""What the walks of trees, JSON and tables hand to `read`: one item, with what stands around it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import msgspec

from services.importer.formats.kit.encoding import Note
from services.importer.formats.kit.memo import Memo
from services.importer.targets.findings.records import Caution, Record

T = TypeVar("T")
R = TypeVar("R", bound=Record)

_KNOWN_CHARACTERS = 8 << 20
_ENTRY_CHARACTERS = 400
# Of equal records the same bytes, a tenth of the time of a text for people.
_encoded = msgspec.msgpack.Encoder().encode


class Once:
    """Makes what several items share once: equal keys give the same object, which the engine sends once.

    Bounded, so a key that was not used for long is made again; the merge does not mind. The key must hold everything
    that `make` uses.
    """

    def __init__(self, characters: int = _KNOWN_CHARACTERS) -> None:
        self._made: Memo[Hashable, object] = Memo(characters)

    def __call__(self, key: tuple[Hashable, ...], make: Callable[[], T]) -> T:
        known = self._made.get(key)
        if known is None:
            known = make()
            weight = _ENTRY_CHARACTERS + 2 * sum(len(part) for part in key if isinstance(part, (str, bytes)))
            self._made.put(key, known, weight)
        return cast("T", known)

    def same(self, record: R) -> R:
        """The first of the records that are equal to this one. A key of raw texts is better, where there is one."""
        return self(("record", _encoded(record)), lambda: record)


@dataclass(slots=True)
class Node:
    """One item: an XML element with all it holds, a JSON value, or the row of a table.

    `above` are the contexts around it, outermost first, each as its format made it. `notes` are about the input. `path`
    is that of `walk_json` under which a JSON value was found, for formats with items of several.
    """

    value: Any
    above: tuple[Any, ...]
    once: Once
    notes: tuple[Note, ...] = ()
    path: str = ""

    @property
    def cautions(self) -> tuple[Caution, ...]:
        return tuple(Caution(*note) for note in self.notes) if self.notes else ()
