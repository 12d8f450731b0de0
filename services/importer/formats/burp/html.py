"""Reads HTML reports of Burp Suite Professional issue by issue.

Headings are `<span class="BODH0">`, `BODH1`, …: an issue type, and below it its issues, where there are several. One
without a heading below it is an issue itself. Below each, `<h2>` begins a part; the first is a table with severity,
confidence, host and path. The heading of a type links to PortSwigger's description, which has the number of the type.

Known from a published report of version 2.0; that other versions number their headings alike is assumed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain

from services.importer.formats.burp.issue_types import number_in_link, number_of
from services.importer.formats.burp.page import Parts, Words, issue_of, words
from services.importer.formats.burp.read import read
from services.importer.formats.burp.report import Shared
from services.importer.formats.kit.format import ByteStream, Format, Item, Position
from services.importer.formats.kit.html import HtmlReader, Tag, is_page
from services.importer.formats.kit.looks import text_of

_SIGNS = ("Burp Scanner Report", ".BODH0", "overview_table")
_HEADING = re.compile(r"BODH(\d)")
_NUMBERED = re.compile(r"(?:\d+\.)+\s")
_URL = re.compile(r"https?://", re.IGNORECASE)
_CELLS = re.compile(r"<td[^>]*+>([^<:]*+):[^<]*+</td>\s*+<td[^>]*+>(.*?)</td>", re.DOTALL | re.IGNORECASE)
# What a part of an issue ends at.
_STRUCTURE = re.compile(r"<h2\b|<span\s[^<>]{0,200}BODH|<div\s[^<>]{0,200}rule|</html", re.IGNORECASE)
_SUMMARY = "summary"
_SUMMARY_CHARACTERS = 1 << 14


def sniff(head: bytes) -> bool:
    return is_page(head) and any(sign in text_of(head) for sign in _SIGNS)


def walk(stream: ByteStream) -> Iterator[Item]:
    return _Report(stream).items()


class _Section:
    """A heading, how deep it is, and its parts."""

    def __init__(self, level: int, position: Position) -> None:
        self.level = level
        self.heading = Words()
        self.parts = Parts(position)

    @property
    def name(self) -> str:
        """The heading without its number."""
        return _NUMBERED.sub("", self.heading.text, count=1)


class _Report:
    """The state of one pass: the section that is open and those it is in, and the heading that is read."""

    def __init__(self, stream: ByteStream) -> None:
        self._reader = HtmlReader(stream, sniff)
        self._shared = Shared()
        self._open: list[_Section] = []
        self._heading: Words | None = None
        self._count = 0

    def items(self) -> Iterator[Item]:
        for token in self._reader.tokens():
            if not isinstance(token, Tag):
                self._text(token)
            elif level := _level(token):
                yield from self._leave(level)
                section = _Section(level, Position(self._reader.line()))
                self._open.append(section)
                self._heading = section.heading
            elif self._open:
                self._tag(token)
        yield from self._leave(0)

    def _text(self, text: str) -> None:
        if self._heading is not None:
            self._heading.add(text)
        elif self._open and self._open[-1].parts.is_open:
            self._open[-1].parts.add(text)

    def _tag(self, tag: Tag) -> None:
        parts = self._open[-1].parts
        if self._heading is not None and tag.is_end and tag.name in {"span", "h2"}:
            if tag.name == "h2":
                parts.begin(self._heading.text)
                self._reader.raw_until = _STRUCTURE
            self._heading = None
        elif self._heading is None and tag.name == "h2" and not tag.is_end:
            self._heading = Words()
        elif tag.name == "div" and tag.attribute("class") == "rule":
            parts.close()
        else:
            self._text(tag.text)
            self._reader.raw_until = _STRUCTURE if parts.is_open and self._heading is None else None

    def _leave(self, level: int) -> Iterator[Item]:
        """Ends the sections that are as deep as `level` or deeper; the deepest is an issue."""
        if self._open and self._open[-1].level >= level:
            yield self._item()
        while self._open and self._open[-1].level >= level:
            self._open.pop()

    def _item(self) -> Item:
        """What the open sections tell of an issue; what the deeper say goes before the others."""
        self._count += 1
        last = self._open[-1]
        named = next((each for each in reversed(self._open) if not _URL.match(each.name)), last)
        summary: dict[str, str] = {}
        parts = []
        for heading, markup in chain.from_iterable(section.parts for section in self._open):
            if heading.lower() == _SUMMARY:
                cells = _CELLS.findall(markup[:_SUMMARY_CHARACTERS])
                summary.update((words(name).lower(), words(value)) for name, value in cells)
            else:
                parts.append((heading, markup))
        host, path = summary.get("host", ""), summary.get("path", "")
        texts = {
            "name": named.name,
            "type": number_in_link(named.heading.markup) or number_of(named.name),
            "severity": summary.get("severity", ""),
            "confidence": summary.get("confidence", ""),
            "path": path,
            # The heading of an issue is its URL, with what is vulnerable in it: `https://host/path [q parameter]`.
            "location": last.name.removeprefix(host) if last is not named else path,
        }
        issue = issue_of(self._shared, texts, host, parts)
        issue.notes, self._reader.notes[:] = tuple(self._reader.notes), []
        return Item(issue, last.parts.position._replace(path=f"issue[{self._count}]"))


def _level(token: Tag) -> int:
    """How deep a heading is, from 1; 0 for another tag."""
    if token.is_end or token.name != "span":
        return 0
    found = _HEADING.fullmatch(token.attribute("class"))
    return int(found[1]) + 1 if found else 0


FORMAT = Format(
    name="burp_html",
    title="a Burp Suite HTML report",
    family="burp",
    syntax="html",
    extensions=(".html", ".htm"),
    sources=("burphtml", "burp"),
    sniff=sniff,
    walk=walk,
    read=read,
)
