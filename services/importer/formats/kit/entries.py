"""Entries of exports whose names are not published: rows and JSON objects, asked by names whatever their spelling.

A format that knows the names of a tool by its API or a few lines of documentation asks `Plugin ID`, `plugin_id` or
`pluginId` for the same thing, in a table as in JSON. What it does not know is kept and told.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import lru_cache
from typing import Any, Protocol, TypeVar

from services.importer.formats.kit.csv import Row, plain_name
from services.importer.formats.kit.encoding import Note
from services.importer.formats.kit.format import ByteStream, Item, WrongFormat
from services.importer.formats.kit.json import member_paths, walk_json
from services.importer.formats.kit.looks import text_of
from services.importer.formats.kit.members import Members, as_text, members_of
from services.importer.formats.kit.node import Node
from services.importer.formats.kit.values import NAME_LIMIT, custom_fields, line

T = TypeVar("T")

_HEAD_BYTES = 4_096
_NAMES_LIMIT, _SHOWN_NAMES, _SHOWN_CHARACTERS = 1_000, 20, 60
_plain = lru_cache(maxsize=4_096)(plain_name)


@lru_cache(maxsize=4_096)
def _all_plain(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(plain_name, names)))


class Entry(Protocol):
    """What a row of a table and an object of JSON have in common."""

    def get(self, *names: str) -> str:
        """The text of the first of these that has any, trimmed; "" where none has."""

    def cells(self, names: tuple[str, ...], /) -> tuple[str, ...]:
        """What stands under all of these names that there are."""

    def extra(self) -> dict[str, str]:
        """What has a name that the format does not know, by that name; at most 100 of 16,384 characters."""


class ObjectEntry:
    """The members of a JSON object. Lists and objects in them are shown as lines of text."""

    __slots__ = ("_known", "_members", "_values")

    def __init__(self, members: Members, known: Collection[str]) -> None:
        self._members, self._known = members, known
        self._values: Members = {}
        for name, value in members.items():
            self._values.setdefault(_plain(name[:NAME_LIMIT]), value)

    def get(self, *names: str) -> str:
        for name in _all_plain(names):
            if name in self._values and (text := shown(self._values[name])):
                return text
        return ""

    def cells(self, names: tuple[str, ...], /) -> tuple[str, ...]:
        return tuple([shown(self._values[name]) for name in _all_plain(names) if name in self._values])

    def values(self, *names: str) -> list[Any]:
        """The elements of the first of these that has any; a lone value is a list of one."""
        for name in names:
            value = self._values.get(_plain(name))
            if value not in (None, "", [], {}):
                return value if isinstance(value, list) else [value]
        return []

    def extra(self) -> dict[str, str]:
        unknown = (name for name in self._members if _plain(name[:NAME_LIMIT]) not in self._known)
        return custom_fields({name: shown(self._members[name]) for name in unknown})


def entry_of(raw: Node, known: Collection[str]) -> Row | ObjectEntry:
    """The item as an entry; `known` are plain names. Raises `RecordError` where it is neither row nor object."""
    return raw.value if isinstance(raw.value, Row) else ObjectEntry(members_of(raw.value), known)


def shown(value: Any) -> str:
    """A value as text: of an object or a list, what is in it, line by line."""
    if isinstance(value, list):
        return "\n".join(filter(None, map(shown, value)))
    if isinstance(value, dict):
        return "\n".join(f"{name}: {text}" for name, inside in value.items() if (text := shown(inside)))
    return as_text(value)


def plain_names(*groups: Collection[str]) -> frozenset[str]:
    return frozenset(map(plain_name, (name for names in groups for name in names)))


def unchosen(entry: Entry, *groups: tuple[str, ...]) -> dict[str, str]:
    """What stands under other names of a group than the first that has anything, and says something else."""
    found: dict[str, str] = {}
    for names in groups:
        if len(entry.cells(names)) > 1 and (chosen := entry.get(*names)):
            found |= {name: text for name in names if (text := entry.get(name)) and text != chosen}
    return found


def last_names(head: bytes) -> frozenset[str]:
    """The plain names of all members that the first bytes of a JSON document show, wherever they stand."""
    return frozenset(plain_name(path.rpartition(".")[2]) for path in member_paths(head))


def walk_objects(
    stream: ByteStream,
    *,
    items: Collection[str],
    known: Collection[str],
    sniff: Callable[[bytes], bool],
    title: str,
    left_out: Collection[str] = (),
) -> Iterator[Item]:
    """The items of a JSON document whose beginning `sniff` takes, at the paths of `walk_json`.

    Paths that begin with `[]` are for documents that are arrays, the others for objects. Names of members that are not
    among the plain names `known` are told in notes of the item that has them first; of items at the paths `left_out`,
    of which nothing is kept, they are not. Raises `WrongFormat`, in which `title` says what was looked for.
    """
    head, whole = beginning(stream)
    is_array = text_of(head).lstrip().startswith("[")
    paths = frozenset(path for path in items if path.startswith("[]") == is_array)
    # Whose it is, the beginning tells; for the walk any member will do.
    is_ours, signs = sniff(head), member_paths(head) or frozenset(items)
    told: set[str] = set()
    for node, position in walk_json(whole, items=paths, signs=signs):
        if not is_ours:
            break
        if isinstance(node.value, dict) and node.path not in left_out and len(told) < _NAMES_LIMIT:
            unknown = [name for name in node.value if _plain(name[:NAME_LIMIT]) not in known and name not in told]
            told.update(unknown)
            node.notes = (*node.notes, *_unknown(unknown))
        yield Item(node, position)
    if not is_ours:
        raise WrongFormat(f"The file is JSON, but it does not look like {title}.")


def _unknown(names: list[str]) -> tuple[Note, ...]:
    if not names:
        return ()
    which = ", ".join(f'"{line(name, _SHOWN_CHARACTERS)}"' for name in names[:_SHOWN_NAMES])
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return (Note("UNKNOWN_MEMBERS", f"These members are not known; their values are kept: {which}{more}."),)


def beginning(stream: ByteStream) -> tuple[bytes, ByteStream]:
    """As much of an input as `sniff` sees, and the whole input once more."""
    head = stream.read(_HEAD_BYTES)
    while len(head) < _HEAD_BYTES and (more := stream.read(_HEAD_BYTES - len(head))):
        head += more
    return head, _Rejoined(head, stream)


class _Rejoined:
    """An input whose beginning was read already."""

    def __init__(self, head: bytes, rest: ByteStream) -> None:
        self._head, self._rest = head, rest

    def read(self, size: int, /) -> bytes:
        piece, self._head = self._head[:size], self._head[size:]
        return piece or self._rest.read(size)
