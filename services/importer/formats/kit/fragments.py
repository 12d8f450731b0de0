"""Lets those parts of an XML document pass by unread that a format knows by heart.

Scanners write the same bytes again and again: the definition of a vulnerability for every host, the same open port for
thousands of hosts. Expat, though fast, is most of the time of an import, so what it has read once is not read again: a
*fragment* is one element with a given name, cut out by its tags. The format is asked whether it knows the fragment; if
not, expat reads it and the format may learn it.

That is safe because a fragment is only cut out where expat has read everything before it and stands in plain content:
in well-formed XML a `<` is then the start of a tag and nothing else, and bytes that were one whole element once are one
again.
"""

from __future__ import annotations

from typing import Protocol

from services.importer.formats.kit.xml import XmlReader

# An element that does not end within this many bytes is read by expat as it comes.
_CARRIED_BYTES = 1 << 18


class Memory(Protocol):
    """What a format knows of fragments, which come without `<` and name: from the first attribute to the end tag."""

    def recall(self, fragment: bytes, /) -> bool:
        """Is the fragment known? Then its effect has been made, as if expat had read it here."""

    def learn(self, fragment: bytes, /) -> None:
        """Expat has read the fragment just refused by `recall`, and nothing since."""

    def is_expecting(self) -> bool:
        """Do the handlers stand where such fragments are children, with none of them open?"""


class Fragments:
    """Stands before a reader and feeds it all that `memory` does not know.

    `is_bare` is for an element that the tool writes without attributes: one that has any is then read by expat.
    """

    def __init__(self, reader: XmlReader, element: bytes, memory: Memory, *, is_bare: bool = False) -> None:
        self._reader = reader
        self._memory = memory
        self._opening = b"<" + element + (b">" if is_bare else b" ")
        self._closing = b"</" + element + b">"
        self._carried = b""
        self._is_settled = False

    def feed(self, block: bytes) -> None:
        data = self._carried + block if self._carried else block
        first, *pieces = data.split(self._opening)
        # The last piece may go on in the next block.
        self._carried = self._opening + pieces.pop() if pieces else b""
        self._read(first)
        for piece in pieces:
            self._take(piece)
        if len(self._carried) > _CARRIED_BYTES:
            self._read(self._carried)
            self._carried = b""

    def close(self) -> None:
        self._read(self._carried)
        self._reader.close()

    def _take(self, piece: bytes) -> None:
        end = piece.find(self._closing)
        if not self._is_settled or end < 0:
            self._read(self._opening + piece)
            return
        end += len(self._closing)
        fragment, rest = piece[:end], piece[end:]
        if self._memory.recall(fragment):
            if rest.isspace():
                fragment, rest = piece, b""
            self._reader.pass_over(fragment, len(self._opening))
        else:
            self._read(self._opening + fragment)
            if self._is_settled:
                self._memory.learn(fragment)
        self._read(rest)

    def _read(self, data: bytes) -> None:
        if data:
            self._reader.feed(data)
            self._is_settled = self._reader.is_settled and self._memory.is_expecting()
