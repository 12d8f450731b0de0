"""The XML reader of the kit: limits, repairs, positions, and what it does with bytes that come in odd portions."""

from __future__ import annotations

from io import BytesIO

import pytest

from services.importer.formats.kit.encoding import BLOCK_BYTES, Utf8Blocks, encoding_of
from services.importer.formats.kit.format import DamagedFile, WrongFormat
from services.importer.formats.kit.looks import describe, xml_root
from services.importer.formats.kit.xml import Attributes, Limits, XmlReader
from services.importer.formats.kit.xmltext import plain_text, resolved, without_forbidden_references

SMALL = Limits(depth=4, attributes=3, attribute_declarations=2, names=50, text=1 << 18, record=1 << 19, prolog=1 << 18)


class Seen:
    """A reader for `<r>` that remembers the elements it met, with text and line."""

    def __init__(self, data: bytes, limits: Limits = SMALL) -> None:
        self.texts: list[tuple[str, str]] = []
        self.items: list[tuple[int, int]] = []
        self.attributes: list[Attributes] = []
        self.reader = XmlReader(
            BytesIO(data),
            frozenset({"r"}),
            starts={"item": self._item, "skipped": lambda _: self.reader.skip()},
            ends={"item": lambda _: self.reader.end_record()},
            default_end=lambda name, text: self.texts.append((name, text)),
            limits=limits,
        )

    def _item(self, attributes: Attributes) -> None:
        position = self.reader.begin_record("r/item")
        self.items.append((position.line, position.offset))
        self.attributes.append(attributes)

    def run(self) -> Seen:
        for block in self.reader.blocks():
            self.reader.feed(block)
        self.reader.close()
        return self


def refused(data: bytes, limits: Limits = SMALL) -> str:
    with pytest.raises(DamagedFile) as caught:
        Seen(data, limits).run()
    return caught.value.code


def test_text_is_that_of_the_leaf_with_cdata_and_references() -> None:
    seen = Seen(b"<r><a>1 &lt; <![CDATA[2 & <b>]]> &#x33;</a><b/><c>x<d>y</d>z</c></r>").run()
    assert seen.texts == [("a", "1 < 2 & <b> 3"), ("b", ""), ("d", "y"), ("c", "z"), ("r", "")]


def test_what_stands_before_the_declaration_is_passed_over_and_counted() -> None:
    data = b'\n <!-- <r> -->\n<?xml version="1.0" encoding="latin-1"?>\n<r><item/></r>'
    altered = Seen(data).run()
    assert altered.items == [(4, 0)]
    exact = Seen(data.replace(b"latin-1", b"utf-8")).run()
    assert exact.items == [(4, data.index(b"<item/>") - 2)]


def test_the_offset_is_that_of_the_input() -> None:
    data = b"\xef\xbb\xbf<r>\xc3\xa9\n<item/></r>"
    assert Seen(data).run().items == [(2, data.index(b"<item/>"))]


def test_depth_at_and_above_the_limit() -> None:
    Seen(b"<r><a><a><a/></a></a></r>").run()
    assert refused(b"<r><a><a><a><a/></a></a></a></r>") == "TOO_DEEP"
    assert refused(b"<r><skipped>" + b"<a>" * 4) == "TOO_DEEP"


def test_attributes_at_and_above_the_limit() -> None:
    Seen(b"<r><a a='' b='' c=''/></r>").run()
    assert refused(b"<r><a a='' b='' c='' d=''/></r>") == "TOO_MANY_ATTRIBUTES"


def test_attribute_declarations_at_and_above_the_limit() -> None:
    Seen(b"<!DOCTYPE r [<!ATTLIST r a CDATA '1' b CDATA '2'>]><r/>").run()
    assert refused(b"<!DOCTYPE r [<!ATTLIST r a CDATA '1' b CDATA '2' c CDATA '3'>]><r/>") == "TOO_MANY_ATTRIBUTES"


def test_declared_default_values_are_not_given_to_every_element() -> None:
    assert Seen(b"<!DOCTYPE r [<!ATTLIST item a CDATA '1'>]><r><item/></r>").run().attributes == [{}]


def test_text_at_and_above_the_limit() -> None:
    assert len(Seen(b"<r><a>" + b"x" * SMALL.text + b"</a></r>").run().texts[0][1]) == SMALL.text
    assert refused(b"<r><a>" + b"x" * (SMALL.text + 1) + b"</a></r>") == "TEXT_TOO_LARGE"
    assert refused(b"<r><a>" + b"x" * 4 * SMALL.text) == "TEXT_TOO_LARGE"


def test_an_attribute_at_and_above_the_limit() -> None:
    Seen(b"<r><item a='" + b"x" * SMALL.text + b"'/></r>").run()
    assert refused(b"<r><item a='" + b"x" * (SMALL.text + 1) + b"'/></r>") == "TEXT_TOO_LARGE"
    assert refused(b"<r><!-- " + b"x" * 4 * SMALL.record) == "TEXT_TOO_LARGE"


def test_a_record_above_the_limit() -> None:
    part = b"<a>" + b"x" * 1_000 + b"</a>"
    assert refused(b"<r><item>" + part * 1_000 + b"</item></r>") == "RECORD_TOO_LARGE"
    Seen(b"<r>" + (b"<item>" + part * 300 + b"</item>") * 4 + b"</r>").run()


def test_a_prolog_above_the_limit() -> None:
    comments = (b"<!-- " + b"x" * 1_000 + b" -->") * 600
    assert refused(comments + b"<r/>") == "PROLOG_TOO_LARGE"


def test_too_many_different_names() -> None:
    assert refused(b"<r>" + b"".join(b"<a%d/>" % number for number in range(60)) + b"</r>") == "TOO_MANY_NAMES"


def test_a_skipped_element_is_not_built() -> None:
    seen = Seen(b"<r><skipped>text<a>x</a><item/></skipped><a>kept</a></r>").run()
    assert (seen.texts, seen.items) == ([("skipped", ""), ("a", "kept"), ("r", "")], [])


def test_an_entity_of_an_external_document_type_stays_as_it_is_written() -> None:
    seen = Seen(b'<!DOCTYPE r SYSTEM "x.dtd"><r><a>1&nbsp;2</a></r>').run()
    assert seen.texts[0] == ("a", "1&nbsp;2")


def test_an_undefined_entity_is_malformed() -> None:
    assert refused(b"<r>&nbsp;</r>") == "MALFORMED_XML"


@pytest.mark.parametrize(
    "data",
    [b"<r><a></b></r>", b"<r></r><r></r>", b"<r></r>text", b"<r a='1' a='2'/>", b"<r><a b=c/></r>", b"<r>]]></r>"],
)
def test_what_is_not_well_formed_is_refused_with_its_line(data: bytes) -> None:
    with pytest.raises(DamagedFile) as caught:
        Seen(b"\n\n" + data).run()
    assert (caught.value.code, caught.value.position.line) == ("MALFORMED_XML", 3)


def test_another_root_is_refused_by_name() -> None:
    with pytest.raises(WrongFormat, match="<other>"):
        Seen(b"<other/>").run()


@pytest.mark.parametrize(
    "text", ["&#0;", "&#x1F;", "&#xD800;", "&#57343;", "&#xFFFE;", "&#1114112;", "&#x110000;", "&#0000;"]
)
def test_a_forbidden_reference_is_replaced_except_in_cdata(text: str) -> None:
    seen = Seen(f"<r><a>1{text}2</a><b><![CDATA[1{text}2]]></b></r>".encode()).run()
    assert seen.texts[:2] == [("a", "1\ufffd2"), ("b", f"1{text}2")]
    assert [note.code for note in seen.reader.notes] == ["INVALID_TEXT"]


@pytest.mark.parametrize(
    "text", ["&#9;", "&#x0A;", "&#13;", "&#xD7FF;", "&#xE000;", "&#xFFFD;", "&#x10FFFF;", "&#1114111;"]
)
def test_an_allowed_reference_is_read(text: str) -> None:
    seen = Seen(f"<r><a>{text}</a></r>".encode()).run()
    assert len(seen.texts[0][1]) == 1
    assert not seen.reader.notes


def test_a_forbidden_reference_across_blocks_is_replaced() -> None:
    for cut in range(1, 6):
        filler = b"x" * (BLOCK_BYTES - len(b"<r><a>") - cut)
        assert Seen(b"<r><a>" + filler + b"&#x1;</a></r>").run().texts[0][1].endswith("x\ufffd")


def test_cdata_across_blocks_keeps_its_text() -> None:
    filler = b"x" * BLOCK_BYTES
    seen = Seen(b"<r><a><![CDATA[" + filler + b"&#1;]]>&#1;</a></r>").run()
    assert seen.texts[0][1].endswith("x&#1;\ufffd")


@pytest.mark.parametrize("character", ["é", "東", "\U0001f600"])
def test_a_character_across_blocks_is_whole(character: str) -> None:
    for cut in range(1, 5):
        filler = "x" * (BLOCK_BYTES - len("<r><a>") - cut)
        seen = Seen(f"<r><a>{filler}{character}y</a></r>".encode()).run()
        assert seen.texts[0][1] == f"{filler}{character}y"
        assert not seen.reader.notes


def test_a_character_cut_by_the_end_of_the_file_is_truncated_not_lost() -> None:
    assert refused(b"<r><a>x\xe6\x9d") == "TRUNCATED"


@pytest.mark.parametrize("opening", [b"<r><item a='", b"<r><!-- ", b"<r><?x ", b"<!DOCTYPE r ["])
def test_each_byte_of_one_huge_token_is_scanned_a_few_times_at_most(opening: bytes) -> None:
    size = 16 << 20
    seen = Seen(opening + b"x" * size, Limits(prolog=64 << 20))
    scanned, parse = 0, seen.reader._parse

    def counted(data: bytes) -> None:
        nonlocal scanned
        # Expat begins anew with the token that it could not finish.
        scanned += seen.reader._unfinished + len(data)
        parse(data)

    seen.reader._parse = counted  # type: ignore[method-assign]
    with pytest.raises((DamagedFile, WrongFormat)):
        seen.run()
    # In blocks of 64 KiB it would be 128 times.
    assert scanned < 4 * size


def test_a_document_fed_in_any_portions_reads_the_same() -> None:
    data = '<r>é<item a="1"/>\n<a>x&amp;y&#1;</a><!-- c --><item/></r>'.encode()
    expected = Seen(data).run()
    for size in range(1, 12):
        seen = Seen(data)
        for block in seen.reader.blocks():
            for at in range(0, len(block), size):
                # Characters stay whole, as `blocks` promises.
                seen.reader.feed(block[at : at + size]) if block.isascii() else None
            if not block.isascii():
                seen.reader.feed(block)
        seen.reader.close()
        assert (seen.texts, [line for line, _ in seen.items]) == (
            expected.texts,
            [line for line, _ in expected.items],
        )


@pytest.mark.parametrize(
    ("head", "codec"),
    [
        (b"\xef\xbb\xbf<r/>", "utf-8"),
        (b"\xff\xfe<\0r\0", "utf-16-le"),
        (b"\0<\0r", "utf-16-be"),
        (b"<\0r\0", "utf-16-le"),
        (b"\xff\xfe\0\0<\0\0\0", "utf-32-le"),
        (b'<?xml version="1.0" encoding="ISO-8859-1"?>', "iso8859-1"),
        (b"<!-- x --><?xml version='1.0' encoding='windows-1252'?>", "cp1252"),
        (b"<?xml version='1.0' encoding='UTF-8'?>", "utf-8"),
        (b"<?xml version='1.0' encoding='us-ascii'?>", "utf-8"),
        (b"<?xml version='1.0' encoding='UTF-16'?>", "utf-8"),
        (b"<?xml version='1.0' encoding='klingon'?>", "utf-8"),
        (b"<?xml version='1.0' encoding='zip'?>", "utf-8"),
        (b"<r/>", "utf-8"),
        (b"", "utf-8"),
    ],
)
def test_the_encoding_is_told_by_mark_then_pattern_then_declaration(head: bytes, codec: str) -> None:
    assert encoding_of(head).codec == codec


def test_an_unusable_encoding_is_noted() -> None:
    blocks = Utf8Blocks(BytesIO(b"<?xml version='1.0' encoding='klingon'?><r/>"))
    assert b"".join(blocks).endswith(b"<r/>")
    assert [note.code for note in blocks.notes] == ["UNKNOWN_ENCODING"]


@pytest.mark.parametrize(
    ("head", "root"),
    [
        (b"<r a='1'>", "r"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- <x> --><?pi <y>?><r/>", "r"),
        (b"<!DOCTYPE r [<!ELEMENT z (#PCDATA)>]><r>", "r"),
        (b"<!DOCTYPE r SYSTEM 'a>b'><r>", ""),
        (b"<!DOCTYPE r [<!ELEMENT z (#PCDATA)>", "r"),
        ("<?xml version='1.0'?><r>".encode("utf-16"), "r"),
        (b"text", ""),
        (b"", ""),
        (b"<!-- open", ""),
    ],
)
def test_the_root_is_found_in_the_first_bytes(head: bytes, root: str) -> None:
    assert xml_root(head)[0] == root


@pytest.mark.parametrize(
    ("head", "told"),
    [
        (b"", "an empty file"),
        (b"%PDF-1.7", "a PDF document"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"  [1]", "JSON"),
        (b"<!doctype HTML>", "an HTML page"),
        (b"<NexposeReport>", "XML with the root element <NexposeReport>"),
        (b"<<", "damaged XML"),
        (b"a;b\n", "text without a known structure"),
        (b"\x01\x02\x03", "binary data"),
    ],
)
def test_files_are_described(head: bytes, told: str) -> None:
    assert describe(head) == told


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"a &lt;&amp;&gt; &quot;&apos; &#10;&#x41;", "a <&> \"' \nA"),
        (b"a\r\nb\rc", "a\nb\nc"),
        ("é東".encode(), "é東"),
        (b"a<b", None),
        (b"a]]>b", None),
        (b"&nbsp;", None),
        (b"&#0;", None),
        (b"& ", None),
        (b"\xff", None),
        (b"\x00", None),
        (b"\xef\xbf\xbf", None),
    ],
)
def test_plain_text_is_read_or_left_to_the_parser(raw: bytes, text: str | None) -> None:
    assert plain_text(raw) == text


def test_every_common_reference_means_to_us_what_it_means_to_expat() -> None:
    references = [f"&#{code};" for code in range(128)] + [f"&#x{code:x};" for code in range(128)]
    for reference in [*references, "&lt;", "&gt;", "&amp;", "&quot;", "&apos;"]:
        text = plain_text(reference.encode())
        if text is not None:
            assert Seen(f"<r><a>{reference}</a></r>".encode()).run().texts[0] == ("a", text)
            assert resolved(reference) == text


@pytest.mark.parametrize(
    "data",
    [
        b"&#",
        b"&#0",
        b"<![CDATA[",
        b"]]>",
        b"&",
        b"&#x0",
        b"<!-- ",
        b"<!-- -->",
        b"<?xml ",
        b"<!DOCTYPE r [",
        b"]",
        b" ",
    ],
)
def test_adversarial_text_ends(data: bytes) -> None:
    """Two megabytes that invite to try again at every byte: what is not linear ends in the time-out of the test run."""
    many = data * ((2 << 20) // len(data))
    without_forbidden_references(many, in_cdata=False)
    plain_text(many)
    xml_root(many[:4096])
    describe(many[:4096])
    with pytest.raises((DamagedFile, WrongFormat)):
        Seen(many, Limits()).run()
    with pytest.raises(DamagedFile):
        Seen(b"<r><a>" + many + b"<", Limits()).run()
