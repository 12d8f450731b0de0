"""Reads an HTML page of any size tag by tag; nothing more of it is held than the tag or piece of text being read.

For pages that a program wrote: tags are quoted as they should be, and the page says with `</html>` that it is whole.
What is between tags comes as it stands, with its character references, so that pieces of the page can be kept.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

from services.importer.formats.kit.encoding import HEAD_BYTES, Note, Utf8Blocks, tidy_text
from services.importer.formats.kit.format import ByteStream, DamagedFile, Position, WrongFormat
from services.importer.formats.kit.looks import describe, text_of
from services.importer.formats.kit.values import clean

# In characters. Pages of scanners hold images in attributes.
TAG_LIMIT = 8 << 20

# Text, a tag, a comment, or a declaration. All repetition is possessive: what did not work in one way is not tried in
# others.
_TOKEN = re.compile(
    r"([^<]++)"
    r"|<(/?)([A-Za-z][^\s/>]*+)(?:[^>\"']++|\"[^\"]*+\"|'[^']*+')*+>"
    r"|<!--.*?-->|<(?:!(?!--)|\?)[^>]*+>",
    re.DOTALL,
)
_STRAY = re.compile(r"<(?:[^A-Za-z/!?]|/[^A-Za-z])")
_LONGEST_STRAY = 3
_LONGEST_MATCH = 512
_BEGINNINGS = ("<!doctype html", "<html")
_RAW_TEXT = frozenset({"script", "style"})

_ANY_TAG = re.compile(r"<[^<>]*+>")
_BREAK = re.compile(r"<br\s*+/?>", re.IGNORECASE)


class Tag(NamedTuple):
    """A start tag, or an end tag. The name is in lower case, `text` is all of it as it stands."""

    name: str
    is_end: bool
    text: str

    def attribute(self, name: str) -> str:
        """The value of an attribute; "" where there is none."""
        found = _attribute(name).search(self.text)
        return html.unescape(next((value for value in found.groups() if value is not None), "")) if found else ""


class HtmlReader:
    """One pass over one page. `is_ours` judges its first bytes, as `sniff` does.

    `notes` collects what was replaced. While `raw_until` is set, what is not yet given comes as it stands, tags and
    all, up to where that matches, which takes a fraction of the time; then it is None again. It should match `</html`
    as well, and matches no more than 512 characters.
    """

    def __init__(self, stream: ByteStream, is_ours: Callable[[bytes], bool]) -> None:
        self._source = Utf8Blocks(stream)
        self._is_ours = is_ours
        self._blocks = iter(self._source)
        self.notes: list[Note] = self._source.notes
        self._text, self._at = "", 0
        self._line, self._counted = 1, 0
        self.raw_until: re.Pattern[str] | None = None

    def line(self) -> int:
        """The line of the place behind the last token, from 1."""
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line

    def tokens(self) -> Iterator[Tag | str]:
        """Tags, and the text between them in pieces; comments, scripts and style sheets are passed over.

        Raises `WrongFormat` for what is no page, `DamagedFile` for one that does not end with `</html>`.
        """
        self._check_beginning()
        is_closed = False
        match = _TOKEN.match
        while True:
            if self.raw_until is not None:
                yield from self._raw()
            found = match(self._text, self._at)
            if found is None:
                if self._is_at_stray():
                    self._at += 1
                    yield "<"
                elif not self._read_on():
                    break
                continue
            self._at = found.end()
            text, slash, name = found.groups()
            if text is not None:
                is_closed = is_closed and text.isspace()
                yield text
            elif name is not None:
                name = name.lower()
                is_closed = slash == "/" and name == "html"
                yield Tag(name, slash == "/", found[0])
                if name in _RAW_TEXT and not slash:
                    self._skip_raw_text(name)
        if self._at < len(self._text) or not is_closed:
            raise self._truncated()

    def _raw(self) -> Iterator[str]:
        while self.raw_until is not None:
            found = self.raw_until.search(self._text, self._at)
            begins = self._at
            if found:
                self._at, self.raw_until = found.start(), None
            else:
                self._at = max(self._at, len(self._text) - _LONGEST_MATCH)
            if self._at > begins:
                yield self._text[begins : self._at]
            if not found and not self._read_on():
                self.raw_until = None

    def _check_beginning(self) -> None:
        while not self._text.strip() and self._read_on():
            pass
        if not self._text.strip():
            raise DamagedFile("EMPTY_FILE", "The file is empty.")
        head = self._source.head
        if self._is_ours(head):
            return
        is_whole = len(head) == HEAD_BYTES or "</html" in self._text.lower()
        if not is_whole and (is_page(head) or _begins(head)):
            raise self._truncated()
        raise WrongFormat(f"The file is {describe(head)}.")

    def _is_at_stray(self) -> bool:
        """Is the next character a `<` that begins nothing?"""
        return len(self._text) - self._at >= _LONGEST_STRAY and _STRAY.match(self._text, self._at) is not None

    def _skip_raw_text(self, name: str) -> None:
        end = re.compile(rf"</{name}", re.IGNORECASE)
        while (found := end.search(self._text, self._at)) is None:
            self._at = max(self._at, len(self._text) - len(name) - 1)
            if not self._read_on():
                raise self._truncated()
        self._at = found.start()

    def _read_on(self) -> bool:
        """As much again as is not read yet, and one block at least; False when there is nothing more."""
        parts = [self._text[self._at :]]
        unfinished = len(parts[0])
        if unfinished > TAG_LIMIT:
            message = f"A tag or comment has more than {TAG_LIMIT} characters."
            raise DamagedFile("TEXT_TOO_LARGE", message, Position(self.line()))
        got = 0
        while got <= unfinished and (block := next(self._blocks, b"")):
            parts.append(self._decoded(block))
            got += len(parts[-1])
        if got:
            self.line()
            self._text, self._at, self._counted = "".join(parts), 0, 0
        return bool(got)

    def _decoded(self, block: bytes) -> str:
        text = tidy_text(block)
        return self._source.mend(block).decode("utf-8") if text is None else text

    def _truncated(self) -> DamagedFile:
        return DamagedFile("TRUNCATED", "The file ends in the middle of the page.", Position(self.line()))


def is_page(head: bytes) -> bool:
    """Does the file begin as an HTML page does?"""
    return text_of(head).lstrip().lower().startswith(_BEGINNINGS)


def _begins(head: bytes) -> bool:
    """Is this so little that it may become a page?"""
    beginning = text_of(head).lstrip().lower()
    return any(whole.startswith(beginning) for whole in _BEGINNINGS)


def plain_text(markup: str) -> str:
    """Markup as it reads: without tags, a line break for each `<br>`, and with what character references mean."""
    text = _ANY_TAG.sub("", _BREAK.sub("\n", markup)) if "<" in markup else markup
    return clean(html.unescape(text))


@lru_cache(maxsize=64)
def _attribute(name: str) -> re.Pattern[str]:
    return re.compile(rf"\s{name}\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\s>\"']++))", re.IGNORECASE)
