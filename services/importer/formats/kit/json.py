"""Walks a JSON document of any size: each item is decoded whole, given, and forgotten; what is not asked for never is.

A format names places by path: `site[].alerts[]` are the elements of the array `alerts` in the objects of the array
`site`, `[]` those of a document that is an array, "" is the document itself. `[]` also takes a lone object for an array
of one. `assets{}` are the values of all members of an object, where their names are ids. `kit/trees.py` does the same
for XML:

- `items`: each is decoded and given with all it holds.
- `contexts`: objects around items. The function beside the path makes of it what the items need to know, once, when
  its first item was read; of the object there are those members that `keep` names and that stood before.
- `closing`: contexts that are also items themselves: given when they end, after what is in them, with all they keep.

Everything else is passed over. Values are dict, list, str, bool and None: a number is the text it has in the file.
`kit/members.py` asks them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from services.importer.formats.kit.format import ByteStream, DamagedFile, Item, Position, WrongFormat
from services.importer.formats.kit.jsontext import JsonText
from services.importer.formats.kit.looks import describe, text_of
from services.importer.formats.kit.node import Node, Once

Above = tuple[Any, ...]
Make = Callable[[dict[str, Any], Above], Any]

_BRACKETS = re.compile(r"\[\]|\{\}")
_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*+)"(\s*+:)?|[\[\]{}]|"', re.DOTALL)


def walk_json(
    stream: ByteStream,
    *,
    items: frozenset[str],
    signs: frozenset[str],
    contexts: Mapping[str, Make] | None = None,
    keep: frozenset[str] = frozenset(),
    closing: frozenset[str] = frozenset(),
) -> Iterator[Item]:
    """The items of a document, each with a `Node` whose value is what was decoded and whose `path` is that of `items`.

    `signs` are paths of members (`@programName`, `site[].alerts[].pluginid`), of which one at least is met in a
    document of this format, at the latest in its first item; else it is `WrongFormat`. Items that were whole before
    damage come out before the error. `Node.above` holds what the contexts around an item were made into, outermost
    first.
    """
    return _Walk(JsonText(stream), items, signs, contexts or {}, keep, closing).run()


def member_paths(head: bytes) -> frozenset[str]:
    """The paths of all members that the first bytes of a JSON document show; none where it is no JSON."""
    text = text_of(head).lstrip()
    paths: set[str] = set()
    above: list[str] = []
    here = name = ""
    if not text.startswith(("{", "[")):
        return frozenset()
    for token in _TOKEN.finditer(text):
        sign = token[0][0]
        if sign == '"':
            if token[2]:
                name = _joined(here, token[1])
                paths.add(name)
            elif token[1] is None:  # A string that is cut.
                break
        elif sign in "[{":
            above.append(here)
            here = (here if here.endswith("[]") and not name else name) + ("[]" if sign == "[" else "")
            name = ""
        else:
            here, name = above.pop() if above else "", ""
    return frozenset(paths)


class _Place:
    """A place in documents of a format, on the way to items or the place of items itself."""

    __slots__ = ("any", "each", "is_closing", "is_item", "make", "members", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self.members: dict[str, _Place] = {}
        self.each: _Place | None = None
        self.any: _Place | None = None
        self.is_item = self.is_closing = False
        self.make: Make | None = None

    def at(self, path: str) -> _Place:
        """The place at a path that begins here, made where it is new."""
        place = self
        for part in path.split("."):
            if name := _BRACKETS.sub("", part):
                place = place.members.setdefault(name, _Place(_joined(place.path, name)))
            for brackets in _BRACKETS.findall(part):
                inner = (place.each if brackets == "[]" else place.any) or _Place(place.path + brackets)
                if brackets == "[]":
                    place.each = inner
                else:
                    place.any = inner
                place = inner
        return place


class _Context:
    """An object around items that is open."""

    __slots__ = ("is_made", "kept", "made", "make")

    def __init__(self, make: Make) -> None:
        self.make = make
        self.kept: dict[str, Any] = {}
        self.is_made, self.made = False, None


class _Walk:
    """The state of one pass: the contexts that are open."""

    def __init__(
        self,
        text: JsonText,
        items: frozenset[str],
        signs: frozenset[str],
        contexts: Mapping[str, Make],
        keep: frozenset[str],
        closing: frozenset[str],
    ) -> None:
        self._text, self._signs, self._keep = text, signs, keep
        self._is_met = False
        self._open: list[_Context] = []
        self._once = Once()
        self._root = _Place("")
        for path in items:
            self._root.at(path).is_item = True
        for path, make in contexts.items():
            place = self._root.at(path)
            place.make, place.is_closing = make, path in closing

    def run(self) -> Iterator[Item]:
        first = self._text.peek()
        if not first:
            raise DamagedFile("EMPTY_FILE", "The file is empty.")
        if first not in "[{":
            raise WrongFormat(f"The file is {describe(self._text.head)}.")
        yield from self._value(self._root, "")
        if self._text.peek():
            message = "The document is not valid JSON: something follows its end."
            raise DamagedFile("MALFORMED_JSON", message, Position(self._text.line()))
        if not self._is_met:
            raise self._not_ours()

    def _value(self, place: _Place, path: str) -> Iterator[Item]:
        opening = self._text.peek()
        if place.is_item:
            yield self._item(place, path)
        elif place.each is not None and opening == "[":
            yield from self._array(place.each, path)
        elif place.each is not None and place.any is None and opening == "{":
            yield from self._value(place.each, f"{path}[0]")
        elif opening == "{":
            yield from self._object(place, path)
        else:
            self._text.skip()

    def _array(self, place: _Place, path: str) -> Iterator[Item]:
        self._text.take("[")
        index, end = 0, self._text.peek()
        while end != "]":
            if place.is_item:
                self._text.peek()
                yield self._item(place, f"{path}[{index}]")
            else:
                yield from self._value(place, f"{path}[{index}]")
            index += 1
            end = self._text.take(",", "]")
        if not index:
            self._text.take("]")

    def _object(self, place: _Place, path: str) -> Iterator[Item]:
        text = self._text
        position = Position(text.line(), 0, path)
        context = _Context(place.make) if place.make else None
        if context:
            self._open.append(context)
        text.take("{")
        end = "" if text.peek() == '"' else text.take("}", '"')
        while end != "}":
            text.path = path
            name = text.name()
            self._look_for_sign(place.path, name)
            if name in place.members:
                yield from self._value(place.members[name], _joined(path, name))
            elif place.any is not None:
                yield from self._value(place.any, _joined(path, name))
            elif context and name in self._keep:
                context.kept[name] = text.value()
            else:
                text.skip()
            end = text.take(",", "}")
        if context:
            if place.is_closing:
                yield self._given(place, context.kept, position)
            self._open.pop()

    def _item(self, place: _Place, path: str) -> Item:
        self._text.path = path
        position = Position(self._text.line(), 0, path)
        value = self._text.value()
        if not self._is_met and isinstance(value, dict):
            for name in value:
                self._look_for_sign(place.path, name)
        return self._given(place, value, position)

    def _given(self, place: _Place, value: Any, position: Position) -> Item:
        if not self._is_met:
            raise self._not_ours()
        notes, self._text.notes[:] = tuple(self._text.notes), []
        return Item(Node(value, self._above(), self._once, notes, place.path), position)

    def _above(self) -> Above:
        above: Above = ()
        for context in self._open:
            if not context.is_made:
                context.made, context.is_made = context.make(context.kept, above), True
            above = (*above, context.made)
        return above

    def _look_for_sign(self, path: str, name: str) -> None:
        if not self._is_met:
            self._is_met = _joined(path, name) in self._signs

    def _not_ours(self) -> WrongFormat:
        return WrongFormat(f"The file is JSON without {' or '.join(sorted(self._signs))}.")


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
