"""Walks a document whose items are small: each is built whole, given, and forgotten; what is not asked for never is.

For formats in which an item is a few hundred elements at most and speed is not everything. A format names its elements:

- `items`: each is an item, given with all it holds when it ends.
- `contexts`: elements around items. The function beside the name makes of it what the items need to know, once, when
  its first item ends; of the element there are the attributes then, and those children that `keep` names and that
  stood before. None is for a mere list around items.
- `closing`: contexts that are also items themselves: given when they end, after what is in them, with all they keep.

Names are looked at in the root and in contexts only, so an item may hold elements of any name. Everything else is
passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from xml.etree.ElementTree import Element

from services.importer.formats.kit.format import ByteStream, DamagedFile, Item, Position
from services.importer.formats.kit.node import Node, Once
from services.importer.formats.kit.walking import items as walked
from services.importer.formats.kit.xml import Attributes, Limits, XmlReader

Above = tuple[Any, ...]
Make = Callable[[Element, Above], Any]

KEPT_LIMIT = 10_000
# Smaller than elsewhere: many small elements take some thirty times the memory of their bytes.
LIMITS = Limits(text=16 << 20, record=48 << 20)


def walk_trees(
    stream: ByteStream,
    *,
    roots: frozenset[str],
    items: frozenset[str],
    contexts: Mapping[str, Make | None] | None = None,
    keep: frozenset[str] = frozenset(),
    closing: frozenset[str] = frozenset(),
    check: Callable[[Attributes], None] | None = None,
    limits: Limits = LIMITS,
) -> Iterator[Item]:
    """The items of a document, each with a `Node` whose value is the element.

    `roots` are the names its root may have; the root is a context, made only where `contexts` lists it. `check` sees
    the root's attributes and raises `WrongFormat` for a document of somebody else. `Node.above` holds what the
    contexts around an item were made into, outermost first, without those made by None.
    """
    trees = _Trees(stream, roots, items, contexts or {}, keep, closing, check, limits)
    return walked(trees.reader, trees.ready)


def text_of(element: Element, path: str) -> str:
    """The text of the first element at `path`, trimmed; "" where there is none."""
    if "/" not in path:
        return (element.findtext(path) or "").strip()
    found = elements_at(element, path)
    return (found[0].text or "").strip() if found else ""


def elements_at(element: Element, path: str) -> list[Element]:
    """The elements at a path of names, `a/b/c`, in their order. The library's own takes several times as long."""
    first, *names = path.split("/")
    found = element.findall(first)
    for name in names:
        found = [inner for outer in found for inner in outer.findall(name)]
    return found


def all_text(element: Element | None) -> str:
    """All text inside an element, whatever markup it holds."""
    if element is None:
        return ""
    return ("".join(element.itertext()) if len(element) else element.text or "").strip()


class _Context:
    """An element around items that is open."""

    __slots__ = ("counts", "element", "is_made", "made", "make", "path", "position")

    def __init__(self, element: Element, make: Make | None, path: str, position: Position) -> None:
        self.element, self.make, self.path, self.position = element, make, path, position
        self.counts: dict[str, int] = {}
        self.is_made, self.made = False, None

    def numbered(self, name: str) -> str:
        """The path of the next child of this name."""
        number = self.counts[name] = self.counts.get(name, 0) + 1
        return f"{self.path}/{name}[{number}]"


class _Trees:
    """The state of one pass: the contexts that are open."""

    def __init__(
        self,
        stream: ByteStream,
        roots: frozenset[str],
        items: frozenset[str],
        contexts: Mapping[str, Make | None],
        keep: frozenset[str],
        closing: frozenset[str],
        check: Callable[[Attributes], None] | None,
        limits: Limits,
    ) -> None:
        self.ready: list[Item] = []
        self.reader = XmlReader(
            stream, roots, {}, {}, default_start=self._begins, default_end=self._ends, limits=limits
        )
        self._items, self._contexts, self._keep, self._closing, self._check = items, contexts, keep, closing, check
        self._open: list[_Context] = []
        self._is_skipping = False
        self._position = Position()
        self._once = Once()

    def _begins(self, name: str, attributes: Attributes) -> None:
        if not self._open:
            if self._check is not None:
                self._check(attributes)
            self._enter(name, attributes, name)
        elif name in self._items:
            self._position = self.reader.begin_record(self._open[-1].numbered(name))
            self.reader.build(name, attributes, self._give)
        elif name in self._contexts:
            self._enter(name, attributes, self._open[-1].numbered(name))
        elif name in self._keep:
            self.reader.begin_record("")
            self.reader.build(name, attributes, self._retain)
        else:
            self._is_skipping = True
            self.reader.skip()

    def _enter(self, name: str, attributes: Attributes, path: str) -> None:
        position = self.reader.begin_record(path)
        self.reader.end_record()
        self._open.append(_Context(Element(name, attributes), self._contexts.get(name), path, position))

    def _ends(self, name: str, text: str) -> None:
        if self._is_skipping:
            self._is_skipping = False
            return
        if name in self._closing:
            self._position = self._open[-1].position
            self._give(self._open[-1].element)
        self._open.pop()

    def _give(self, element: Element) -> None:
        self.reader.end_record()
        notes, self.reader.notes[:] = tuple(self.reader.notes), []
        self.ready.append(Item(Node(element, self._above(), self._once, notes), self._position))

    def _retain(self, element: Element) -> None:
        self.reader.end_record()
        context = self._open[-1].element
        if len(context) >= KEPT_LIMIT:
            message = f"<{context.tag}> has more than {KEPT_LIMIT} elements like <{element.tag}>."
            raise DamagedFile("TOO_MANY_ELEMENTS", message, self._open[-1].position)
        context.append(element)

    def _above(self) -> Above:
        above: Above = ()
        for context in self._open:
            if context.make is None:
                continue
            if not context.is_made:
                context.made, context.is_made = context.make(context.element, above), True
            above = (*above, context.made)
        return above
