"""Pages read tag by tag, whatever is done to them."""

from __future__ import annotations

import re
from collections import deque
from io import BytesIO

import pytest

from services.importer.formats.kit import html
from services.importer.formats.kit.format import ByteStream, DamagedFile, WrongFormat
from services.importer.formats.kit.html import HtmlReader, Tag, plain_text
from tests.formats.test_contract import ByteByByte

PAGE = b"""<!DOCTYPE html>
<html lang="en"><head><title>A page</title>
<style>p > b { content: "</b>" }</style><SCRIPT>if (1 < 2) { "<p>" }</SCRIPT>
</head><body><!-- <p>not > this</p> -->
<p class='a "b"' title="x > y">One &amp; <B>two</B> < three</p><br/>a<1
</body></html>
"""


def ours(head: bytes) -> bool:
    return html.is_page(head)


def tokens(data: bytes) -> list[Tag | str]:
    """Pieces of text that follow each other are one."""
    found: list[Tag | str] = []
    for token in HtmlReader(BytesIO(data), ours).tokens():
        if found and isinstance(token, str) and isinstance(found[-1], str) and not isinstance(token, Tag):
            found[-1] += token
        else:
            found.append(token)
    return found


def refused(data: bytes) -> str:
    with pytest.raises(DamagedFile) as caught:
        tokens(data)
    assert caught.value.position.line > 0 or caught.value.code == "EMPTY_FILE"
    return caught.value.code


def test_tags_and_the_text_between_them_come_as_they_stand() -> None:
    found = tokens(PAGE)
    assert "".join(each.text if isinstance(each, Tag) else each for each in found).split("<body>")[1] == (
        '\n<p class=\'a "b"\' title="x > y">One &amp; <B>two</B> < three</p><br/>a<1\n</body></html>\n'
    )
    names = [("/" if each.is_end else "") + each.name for each in found if isinstance(each, Tag)]
    assert " ".join(names) == ("html head title /title style /style script /script /head body p b /b /p br /body /html")


def test_attributes_are_found_however_they_are_quoted() -> None:
    (tag,) = (each for each in tokens(PAGE) if isinstance(each, Tag) and each.name == "p" and not each.is_end)
    assert (tag.attribute("class"), tag.attribute("title"), tag.attribute("id")) == ('a "b"', "x > y", "")
    assert Tag("a", False, "<a href=x&amp;y name = 'z'>").attribute("HREF") == "x&y"
    assert Tag("a", False, "<a data-href=1>").attribute("href") == ""


def test_one_byte_at_a_time_gives_the_same_lines() -> None:
    def lines(stream: ByteStream) -> list[tuple[str, int]]:
        reader = HtmlReader(stream, ours)
        return [(token.name, reader.line()) for token in reader.tokens() if isinstance(token, Tag)]

    found = lines(BytesIO(PAGE))
    assert found == lines(ByteByByte(PAGE))
    assert dict(found)["br"] == 5
    assert found[-1] == ("html", 6)


def test_what_is_asked_for_raw_comes_as_it_stands() -> None:
    def found(stream: ByteStream) -> tuple[str, list[str]]:
        reader = HtmlReader(stream, ours)
        raw, names = "", []
        for token in reader.tokens():
            if isinstance(token, Tag):
                names.append(token.name)
                reader.raw_until = re.compile("</body>") if token.name == "body" and not token.is_end else None
            elif names[-1:] == ["body"]:
                raw += token
        return raw.strip(), names

    within = PAGE.decode().partition("<body>")[2].partition("</body>")[0]
    for stream in (BytesIO(PAGE), ByteByByte(PAGE)):
        raw, names = found(stream)
        assert raw == within.strip()
        assert names[-3:] == ["body", "body", "html"]


@pytest.mark.parametrize("size", range(1, len(PAGE.rstrip())))
def test_a_page_cut_anywhere_is_truncated(size: int) -> None:
    assert refused(PAGE[:size]) == "TRUNCATED"


@pytest.mark.parametrize("data", [b"", b" \n", b"\xef\xbb\xbf"])
def test_an_empty_page_is_empty(data: bytes) -> None:
    assert refused(data) == "EMPTY_FILE"


@pytest.mark.parametrize("data", [b"<p>x</p>", b"{}", b"text", b"<?xml version='1.0'?><html5/>", b"<!DOCTYPE issues>"])
def test_what_is_no_page_is_told(data: bytes) -> None:
    with pytest.raises(WrongFormat):
        tokens(data)


def test_text_behind_the_end_is_no_end() -> None:
    assert refused(PAGE + b"<p>more") == "TRUNCATED"
    assert refused(PAGE + b"more") == "TRUNCATED"


@pytest.mark.parametrize(
    "piece", [b"<a ", b'<a "', b"<!-- ", b"<", b"</", b"<script>", b"&", b"<a b='", b"<p>", b"<!-- --", b"<a\n"]
)
@pytest.mark.timeout(60)
def test_nothing_takes_more_than_linear_time(piece: bytes) -> None:
    """Quadratic time would be hours: the time limit of the test ends it."""
    data = b"<html>" + piece * (1_000_000 // len(piece))
    with pytest.raises(DamagedFile, match="ends in the middle"):
        deque(HtmlReader(BytesIO(data), ours).tokens(), maxlen=0)


def test_a_tag_of_any_size_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html, "TAG_LIMIT", 100_000)
    assert refused(b"<html><a b='" + b"x" * 400_000 + b"'></html>") == "TEXT_TOO_LARGE"


def test_plain_text_is_what_people_read() -> None:
    assert plain_text("a<br>b<BR />c <b>d</b> &lt;p&gt; &amp;amp; 1 < 2 &#0;") == "a\nb\nc d <p> &amp; 1 < 2 \ufffd"
    assert len(plain_text("<" * 2_000_000)) == 2_000_000
