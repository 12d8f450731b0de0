"""Reads HTML reports of Burp Suite DAST, which was the Enterprise Edition, issue by issue.

A table of each site comes first and has severity and confidence of every issue. Only then come the issues themselves,
under "More details for <site>", each a `<div class="issue-container">` with `<h3>` before its parts; they are joined to
the table by their ids. A report without details is refused: its table names no host.

The number of the issue type is not in the report; it is known by the name.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator

from services.importer.formats.burp.issue_types import number_of
from services.importer.formats.burp.page import Parts, Words, issue_of
from services.importer.formats.burp.read import read
from services.importer.formats.burp.report import Shared
from services.importer.formats.kit.encoding import Note
from services.importer.formats.kit.format import ByteStream, Format, Item, Position, WrongFormat
from services.importer.formats.kit.html import HtmlReader, Tag, is_page
from services.importer.formats.kit.looks import text_of

_SIGNS = re.compile(
    r"<title>[^<]{0,200}\bReport #\d|Burp Suite (?:Enterprise|DAST)|\bissue-(?:container|table)\b", re.IGNORECASE
)
_ID = re.compile(r"\d{1,20}", re.ASCII)
# Severity and confidence, the last cells of a row before the one with the link.
_CELLS = 2
_SITE = re.compile(r"More details for\s+(\S.*)")
# An id with its severity and confidence takes some 150 bytes.
_ROWS_LIMIT = 100_000
# What a part of an issue ends at.
_STRUCTURE = re.compile(r"<h[13]\b|<div\s[^<>]{0,200}(?:issue-container|section)|</html", re.IGNORECASE)
# Elements whose text is wanted as a whole.
_COLLECTED = frozenset({"h1", "h2", "h3", "a", "td"})


def sniff(head: bytes) -> bool:
    return is_page(head) and bool(_SIGNS.search(text_of(head)))


def walk(stream: ByteStream) -> Iterator[Item]:
    return _Report(stream).items()


class _Container:
    """An issue while it is read."""

    def __init__(self, position: Position) -> None:
        self.id = self.name = self.path = ""
        self.parts = Parts(position)


class _Report:
    """The state of one pass: the rows of the tables by the ids of issues, the site, and the issue that is open."""

    def __init__(self, stream: ByteStream) -> None:
        self._reader = HtmlReader(stream, sniff)
        self._shared = Shared()
        self._rows: dict[int, tuple[str, str]] = {}
        self._is_full = False
        self._cells = deque[str](maxlen=_CELLS)
        self._site = ""
        self._issue: _Container | None = None
        self._collected: Words | None = None
        self._count = 0

    def items(self) -> Iterator[Item]:
        for token in self._reader.tokens():
            if not isinstance(token, Tag):
                self._text(token)
                continue
            if _ends_issue(token):
                yield from self._leave()
                if token.attribute("class") == "issue-container":
                    self._issue = _Container(Position(self._reader.line()))
            if self._is_in_part and token.name != "h3":
                self._text(token.text)
                self._reader.raw_until = _STRUCTURE
            elif token.is_end and self._collected is not None and token.name in _COLLECTED:
                self._take(token.name)
            elif not token.is_end:
                self._begin(token)
        yield from self._leave()
        if self._rows and not self._count:
            raise WrongFormat("The report has a table of issues and no details of them; export it with details.")

    @property
    def _is_in_part(self) -> bool:
        return self._issue is not None and self._issue.parts.is_open and self._collected is None

    def _text(self, text: str) -> None:
        if self._collected is not None:
            self._collected.add(text)
        elif self._issue and self._issue.parts.is_open:
            self._issue.parts.add(text)

    def _begin(self, tag: Tag) -> None:
        """A start tag outside of parts: is the text after it wanted?"""
        if tag.name == "h1" or (self._issue and tag.name in {"h2", "h3"}) or (tag.name == "td" and not self._issue):
            self._collected = Words()
        elif tag.name == "tr":
            self._cells.clear()
        elif tag.name == "a":
            self._link(tag)

    def _link(self, tag: Tag) -> None:
        reference = tag.attribute("href")
        if self._issue:
            self._issue.id = self._issue.id or tag.attribute("name")
            if reference and not self._issue.path and self._collected is None:
                self._collected = Words()
        elif reference.startswith("#"):
            self._remember(reference[1:])

    def _remember(self, issue_id: str) -> None:
        if not _ID.fullmatch(issue_id) or len(self._cells) < _CELLS:
            return
        if len(self._rows) < _ROWS_LIMIT:
            self._rows[int(issue_id)] = (self._cells[0], self._cells[1])
        elif not self._is_full:
            self._is_full = True
            message = f"Severity and confidence of issues beyond the first {_ROWS_LIMIT} of the table were not read."
            self._reader.notes.append(Note("TABLE_CUT", message))

    def _take(self, name: str) -> None:
        """The text of an element that was wanted is whole."""
        text, self._collected = self._collected.text if self._collected else "", None
        if name == "td":
            self._cells.append(text)
        elif name == "h1":
            site = _SITE.match(text)
            self._site = site[1] if site else self._site
        elif self._issue and name == "h2":
            self._issue.name = text
        elif self._issue and name == "a":
            self._issue.path = text
        elif self._issue:
            self._issue.parts.begin(text)
            self._reader.raw_until = _STRUCTURE

    def _leave(self) -> Iterator[Item]:
        found, self._issue, self._collected = self._issue, None, None
        if found is None:
            return
        self._count += 1
        row = self._rows.get(int(found.id)) if _ID.fullmatch(found.id) else None
        severity, confidence = row or ("", "")
        texts = {
            "name": found.name,
            "type": number_of(found.name),
            "severity": severity,
            "confidence": confidence,
            "path": found.path,
            "location": found.path,
        }
        issue = issue_of(self._shared, texts, self._site, found.parts)
        issue.notes, self._reader.notes[:] = tuple(self._reader.notes), []
        yield Item(issue, found.parts.position._replace(path=f"issue[{self._count}]"))


def _ends_issue(tag: Tag) -> bool:
    """Does something begin that is outside of the issue before it?"""
    if tag.is_end:
        return tag.name == "html"
    return tag.name == "h1" or (tag.name == "div" and _is_outside(tag.attribute("class")))


def _is_outside(class_: str) -> bool:
    return class_ == "issue-container" or "section" in class_.split()


FORMAT = Format(
    name="burp_dast_html",
    title="a Burp Suite DAST HTML report",
    family="burp",
    syntax="html",
    extensions=(".html", ".htm"),
    sources=("burphtml", "burp"),
    sniff=sniff,
    walk=walk,
    read=read,
)
