"""What HTML reports of Burp Suite have in common: issues as headings with markup below each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from services.importer.formats.burp.report import Body, Exchange, Issue, Shared
from services.importer.formats.kit.format import DamagedFile, Position
from services.importer.formats.kit.html import plain_text

ISSUE_LIMIT = 64 << 20
_PART_COST = 1_000
_WORDS_LIMIT = 1 << 14

# What stands below these headings are the elements of an issue in XML.
_ELEMENTS = {
    "issue detail": "issueDetail",
    "issue description": "issueBackground",
    "issue background": "issueBackground",
    "issue remediation": "remediationBackground",
    "remediation background": "remediationBackground",
    "remediation detail": "remediationDetail",
    "references": "references",
    "vulnerability classifications": "vulnerabilityClassifications",
}
_MESSAGE = re.compile(r"(request|response)(?: \d+)?")
# The element that holds nothing but the markup of a part.
_WRAPPER = re.compile(r"\s*+<(span|div)\b[^>]*+>(.*)</\1>(?:\s|<br\s*+/?>)*", re.DOTALL | re.IGNORECASE)
_DIV = re.compile(r"<(/?)div\b", re.IGNORECASE)


class Words:
    """The markup of a heading or a cell, of which some thousand characters are kept."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._left = _WORDS_LIMIT

    def add(self, piece: str) -> None:
        if self._left > 0:
            self._pieces.append(piece[: self._left])
            self._left -= len(piece)

    @property
    def markup(self) -> str:
        return "".join(self._pieces)

    @property
    def text(self) -> str:
        """As one line."""
        return words(self.markup)


class Parts:
    """The parts of an issue: headings, and the markup that follows each."""

    def __init__(self, position: Position) -> None:
        self.position = position
        self._headings: list[str] = []
        self._pieces: list[list[str]] = []
        self._size = 0
        self.is_open = False

    def begin(self, heading: str) -> None:
        self.is_open = True
        self._headings.append(heading.rstrip(":").strip())
        self._pieces.append([])
        self._grow(_PART_COST)

    def add(self, piece: str) -> None:
        """More markup of the last part. Raises `DamagedFile` when it becomes too much."""
        self._grow(len(piece))
        self._pieces[-1].append(piece)

    def close(self) -> None:
        self.is_open = False

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Heading and markup of each part, without the element around it."""
        for heading, pieces in zip(self._headings, self._pieces, strict=True):
            whole = _within("".join(pieces)).strip()
            wrapped = _WRAPPER.fullmatch(whole)
            yield heading, (wrapped[2] if wrapped else whole).strip()

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > ISSUE_LIMIT:
            raise DamagedFile("RECORD_TOO_LARGE", f"An issue has more than {ISSUE_LIMIT} characters.", self.position)


def _within(markup: str) -> str:
    """Markup up to where the `<div>` around it ends, if it does."""
    depth = 0
    for found in _DIV.finditer(markup):
        depth += -1 if found[1] else 1
        if depth < 0:
            return markup[: found.start()]
    return markup


# Labels and headings, which repeat; each is short.
@lru_cache(maxsize=128)
def words(markup: str) -> str:
    """Markup as one line."""
    return " ".join(plain_text(markup).split())


def issue_of(shared: Shared, texts: dict[str, str], url: str, parts: Iterable[tuple[str, str]]) -> Issue:
    """The issue that these parts tell of; `texts` are elements that are known already.

    A part below a heading that is not known is kept as evidence.
    """
    exchanges: list[Exchange] = []
    events: list[tuple[str, list[tuple[str, str]]]] = []
    for heading, markup in parts:
        name = heading.lower()
        if name in _ELEMENTS:
            texts[_ELEMENTS[name]] = markup
        elif message := _MESSAGE.fullmatch(name):
            _add_message(exchanges, message[1], plain_text(markup))
        elif shown := plain_text(markup).strip():
            events.append((name, [("", shown)]))
    return Issue(shared.definition(texts), shared.site(url), texts, exchanges=exchanges, events=events)


def _add_message(exchanges: list[Exchange], kind: str, text: str) -> None:
    body = Body(text, is_base64=False)
    if kind == "request":
        exchanges.append(Exchange(request=body))
    elif exchanges and exchanges[-1].response is None:
        exchanges[-1].response = body
    else:
        exchanges.append(Exchange(response=body))
