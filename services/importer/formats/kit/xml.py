"""Drives the standard library's expat over an input of any size, within limits, and turns its errors into ours.

A format gives tables of small functions by element name: one called at a start tag with the attributes, one at an end
tag with the text since the last tag (the whole text of a leaf element). Or it has small elements built whole, by
`kit/trees.py`. A document type is allowed; any entity declaration is refused and nothing is ever loaded
(`reliability.md` H4, H5).

Expat 2.5.0 scans a token anew each time it is fed a piece of it, so one huge attribute costs quadratic time
(CVE-2023-52425). Here a piece is held back until as many new bytes are there as the unfinished token has: each byte is
scanned about twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from services.importer.formats.kit.encoding import Note, Utf8Blocks
from services.importer.formats.kit.format import ByteStream, DamagedFile, Position, WrongFormat
from services.importer.formats.kit.looks import describe, describe_root, is_markup, text_of, xml_root
from services.importer.formats.kit.xmltext import unfinished_reference, without_forbidden_references

Attributes = dict[str, str]
StartHandler = Callable[[Attributes], None]
EndHandler = Callable[[str], None]
NamedStartHandler = Callable[[str, Attributes], None]
NamedEndHandler = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a document may ask for: counts of elements, attributes, names; sizes in bytes (text in characters)."""

    depth: int = 256
    attributes: int = 1_000
    attribute_declarations: int = 200
    names: int = 50_000
    text: int = 32 << 20
    record: int = 64 << 20
    prolog: int = 4 << 20


LIMITS = Limits()

# Possessive and atomic: what did not work in one way is not tried in others.
_BEFORE_DECLARATION = re.compile(rb"(?:\s++|(?><!--.*?-->))++(?=<\?xml\s)", re.DOTALL)
_BEFORE_DECLARATION_BYTES = 1 << 16
_TEXT_BUFFER_BYTES = 1 << 16


class XmlReader:
    """One pass over one document, whose root element must have one of the names `roots`.

    `default_start` and `default_end` take the name, too, of every element that `starts` and `ends` do not list. `notes`
    collects what was replaced.
    """

    def __init__(
        self,
        stream: ByteStream,
        roots: frozenset[str],
        starts: Mapping[str, StartHandler],
        ends: Mapping[str, EndHandler],
        default_end: NamedEndHandler | None = None,
        limits: Limits = LIMITS,
        default_start: NamedStartHandler | None = None,
    ) -> None:
        self._source = Utf8Blocks(stream)
        self.notes: list[Note] = self._source.notes
        self._roots, self._starts, self._ends = roots, starts, ends
        self._default_start, self._default_end = default_start, default_end
        self._limits, self._max_depth, self._max_attributes = limits, limits.depth, limits.attributes
        self._depth = self._skip_above = self._attribute_declarations = 0
        self._built_above = 0
        self._root_seen = self._in_cdata = self._large_token = False
        self._record_start = -1
        self._held, self._held_bytes = list[bytes](), 0
        self._fed = self._unfinished = 0
        self._unread_bytes = self._unread_lines = 0
        self._names: dict[str, str] = {}
        self._texts: list[str] = []
        self._add_text: Callable[[str], object] = self._texts.append
        self._parser = self._make_parser()

    def blocks(self) -> Iterator[bytes]:
        """The document in pieces for `feed`, without what stands before the XML declaration but may not."""
        first = True
        for block in self._source:
            if first and (junk := _BEFORE_DECLARATION.match(block, 0, _BEFORE_DECLARATION_BYTES)):
                self.pass_over(junk[0])
                yield block[junk.end() :]
            else:
                yield block
            first = False

    def feed(self, data: bytes) -> None:
        """Read on. Raises `WrongFormat` before the first item, `DamagedFile` at any time."""
        if self._held_bytes or self._unfinished:
            self._held.append(data)
            self._held_bytes += len(data)
            if self._held_bytes < self._unfinished:
                return
            data = self._take_held()
        tail = unfinished_reference(data)
        if tail:
            self._held, self._held_bytes = [data[-tail:]], tail
            data = data[:-tail]
        self._parse(data)

    def close(self) -> None:
        """The input has ended. Raises `DamagedFile` when the document has not."""
        head = self._source.head
        if not text_of(head).strip():
            raise DamagedFile("EMPTY_FILE", "The file is empty.")
        if self._held:
            self._parse(self._take_held())
        try:
            self._parser.Parse(b"", True)
        except expat.ExpatError as error:
            if not self._root_seen and not is_markup(head):
                raise WrongFormat(f"The file is {describe(head)}.") from None
            message = "The file ends in the middle of the document."
            raise DamagedFile("TRUNCATED", message, self._error_position(error)) from None

    def skip(self) -> None:
        """In a start handler: pass over this element and all it holds, without building any of it."""
        self._skip_above = self._depth
        self._parser.StartElementHandler = self._start_skipped
        self._parser.EndElementHandler = self._end_skipped
        self._parser.CharacterDataHandler = None

    def build(self, name: str, attributes: Attributes, done: Callable[[Element], None]) -> None:
        """In a start handler: build this element with all it holds, and give it to `done` at its end."""
        builder = TreeBuilder()
        builder.start(name, attributes)
        self._built_above, self._done, self._builder = self._depth, done, builder
        self._build_start, self._build_end, self._add_text = builder.start, builder.end, builder.data
        self._parser.StartElementHandler = self._start_built
        self._parser.EndElementHandler = self._end_built
        self._parser.CharacterDataHandler = builder.data

    def begin_record(self, path: str) -> Position:
        """In a start handler: a record begins here, and its size is limited until `end_record`."""
        offset = self._parser.CurrentByteIndex
        self._record_start = offset + self._unread_bytes
        return self._position(self._parser.CurrentLineNumber, offset, path)

    def end_record(self) -> None:
        self._record_start = -1

    @property
    def is_settled(self) -> bool:
        """Is all that was fed also read, and are the next bytes content that is not skipped? Not for handlers."""
        return not (self._unfinished or self._held or self._in_cdata or self._skip_above)

    @property
    def depth(self) -> int:
        """How many elements are open."""
        return self._depth

    def position(self, path: str) -> Position:
        """When settled: where the next byte is."""
        return self._position(self._parser.CurrentLineNumber, self._fed, path)

    def pass_over(self, data: bytes, more_bytes: int = 0) -> None:
        """Count bytes that are not fed, so that positions stay true; `more_bytes` are without line ends."""
        self._unread_bytes += len(data) + more_bytes
        self._unread_lines += data.count(b"\n")

    def _make_parser(self) -> expat.XMLParserType:
        # Everything is UTF-8 by now, so what the declaration says no longer holds.
        parser = expat.ParserCreate("utf-8", intern=self._names)
        parser.buffer_text = True
        parser.buffer_size = _TEXT_BUFFER_BYTES
        parser.specified_attributes = True
        parser.StartElementHandler = self._start_root
        parser.EndElementHandler = self._end_element
        parser.CharacterDataHandler = self._texts.append
        parser.EntityDeclHandler = self._refuse_entity
        parser.AttlistDeclHandler = self._count_declaration
        parser.SkippedEntityHandler = self._keep_entity
        parser.StartCdataSectionHandler = self._enter_cdata
        parser.EndCdataSectionHandler = self._leave_cdata
        return parser

    # What expat calls.

    def _start_root(self, name: str, attributes: Attributes) -> None:
        self._root_seen = True
        if name not in self._roots:
            raise WrongFormat(f"The file is {describe_root(name)}.")
        self._parser.StartElementHandler = self._start_element
        self._start_element(name, attributes)

    def _start_element(self, name: str, attributes: Attributes) -> None:
        self._depth += 1
        if self._depth > self._max_depth or len(attributes) > self._max_attributes or self._large_token:
            self._check_element(attributes)
        if self._texts:
            self._texts.clear()
        handler = self._starts.get(name)
        if handler is not None:
            handler(attributes)
        elif self._default_start is not None:
            self._default_start(name, attributes)

    def _end_element(self, name: str) -> None:
        self._depth -= 1
        texts = self._texts
        handler = self._ends.get(name)
        if handler is not None:
            handler(self._joined() if texts else "")
        elif self._default_end is not None:
            self._default_end(name, self._joined() if texts else "")
        if texts:
            texts.clear()

    def _joined(self) -> str:
        text = "".join(self._texts)
        if len(text) > self._limits.text:
            self._refuse("TEXT_TOO_LARGE", f"A text has more than {self._limits.text} characters.")
        return text

    def _start_skipped(self, name: str, attributes: Attributes) -> None:
        self._depth += 1
        if self._depth > self._max_depth or len(attributes) > self._max_attributes or self._large_token:
            self._check_element(attributes)

    def _end_skipped(self, name: str) -> None:
        if self._depth > self._skip_above:
            self._depth -= 1
            return
        self._skip_above = 0
        self._back_to_handlers()
        self._end_element(name)

    def _start_built(self, name: str, attributes: Attributes) -> None:
        self._depth = depth = self._depth + 1
        if depth > self._max_depth or self._large_token or len(attributes) > self._max_attributes:
            self._check_element(attributes)
        self._build_start(name, attributes)

    def _end_built(self, name: str) -> None:
        self._build_end(name)
        depth = self._depth
        self._depth = depth - 1
        if depth > self._built_above:
            return
        self._add_text = self._texts.append
        self._back_to_handlers()
        self._done(self._builder.close())

    def _back_to_handlers(self) -> None:
        self._parser.StartElementHandler = self._start_element
        self._parser.EndElementHandler = self._end_element
        self._parser.CharacterDataHandler = self._texts.append

    def _check_element(self, attributes: Attributes) -> None:
        if self._depth > self._max_depth:
            self._refuse("TOO_DEEP", f"Elements are nested more than {self._max_depth} deep.")
        if len(attributes) > self._max_attributes:
            self._refuse("TOO_MANY_ATTRIBUTES", f"An element has more than {self._max_attributes} attributes.")
        if any(len(value) > self._limits.text for value in attributes.values()):
            self._refuse("TEXT_TOO_LARGE", f"An attribute has more than {self._limits.text} characters.")

    def _refuse_entity(self, *_: object) -> None:
        self._refuse("ENTITY_FORBIDDEN", "The document declares an entity; entities are not accepted.")

    def _count_declaration(self, *_: object) -> None:
        self._attribute_declarations += 1
        if self._attribute_declarations > self._limits.attribute_declarations:
            most = self._limits.attribute_declarations
            self._refuse("TOO_MANY_ATTRIBUTES", f"The document type declares more than {most} attributes.")

    def _keep_entity(self, name: str, is_parameter: int) -> None:
        # An external document type may have declared it; it is not loaded, and the text should not lose it silently.
        self._add_text(f"&{name};")

    def _enter_cdata(self) -> None:
        self._in_cdata = True

    def _leave_cdata(self) -> None:
        self._in_cdata = False

    # How it is fed.

    def _take_held(self) -> bytes:
        data = b"".join(self._held)
        self._held, self._held_bytes = [], 0
        return data

    def _parse(self, data: bytes) -> None:
        data = self._source.mend(data)
        readable, replaced = without_forbidden_references(data, self._in_cdata)
        if replaced:
            self._source.altered = True
            message = f"{replaced} references to characters that XML forbids were replaced by U+FFFD."
            self.notes.append(Note("INVALID_TEXT", message))
        try:
            self._parser.Parse(readable, False)
        except expat.ExpatError as error:
            if not self._root_seen and xml_root(self._source.head)[0] not in self._roots:
                raise WrongFormat(f"The file is {describe(self._source.head)}.") from None
            message = f"The document is not well-formed: {expat.ErrorString(error.code)}."
            raise DamagedFile("MALFORMED_XML", message, self._error_position(error)) from None
        self._fed += len(readable)
        self._unfinished = self._fed - self._parser.CurrentByteIndex
        self._check_sizes()

    def _check_sizes(self) -> None:
        """What can grow between two events; each is let pass its limit by one block at most."""
        limits = self._limits
        self._large_token = self._unfinished > _TEXT_BUFFER_BYTES
        if not self._root_seen and self._fed > limits.prolog:
            self._refuse("PROLOG_TOO_LARGE", f"The root element does not begin within {limits.prolog} bytes.")
        if self._unfinished > limits.text + _TEXT_BUFFER_BYTES:
            self._refuse("TEXT_TOO_LARGE", f"A tag or comment has more than {limits.text} bytes.")
        if len(self._texts) > 1 and sum(map(len, self._texts)) > limits.text:
            self._refuse("TEXT_TOO_LARGE", f"A text has more than {limits.text} characters.")
        if 0 <= self._record_start < self._fed + self._unread_bytes - limits.record:
            self._refuse("RECORD_TOO_LARGE", f"A record has more than {limits.record} bytes.")
        if len(self._names) > limits.names:
            self._refuse("TOO_MANY_NAMES", f"More than {limits.names} different names of elements and attributes.")

    def _refuse(self, code: str, message: str) -> NoReturn:
        position = self._position(self._parser.CurrentLineNumber, self._parser.CurrentByteIndex, "")
        raise DamagedFile(code, message, position)

    def _error_position(self, error: expat.ExpatError) -> Position:
        return self._position(error.lineno, self._parser.ErrorByteIndex, "")

    def _position(self, line: int, offset: int, path: str) -> Position:
        offset += self._source.mark + self._unread_bytes
        return Position(line + self._unread_lines, 0 if self._source.altered else offset, path)
