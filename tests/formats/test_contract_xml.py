"""What must hold for every format that is XML."""

from __future__ import annotations

import re
from io import BytesIO

import pytest

from bench.documents import DOCUMENTS
from services.importer.formats.kit.format import DamagedFile, Format
from services.importer.formats.registry import FORMATS
from services.importer.targets.findings.records import Caution, FindingsRecord
from tests.formats.golden import samples

EACH = pytest.mark.parametrize(
    "format_", [each for each in FORMATS if each.syntax == "xml"], ids=lambda each: each.name
)


def records_of(format_: Format, data: bytes) -> list[FindingsRecord]:
    return [record for raw, _ in format_.walk(BytesIO(data)) for record in format_.read(raw)]


# Where a byte may be bad: templates of documents have this text.
PLACE = b"A text like any other"
PLACES = {
    "nessus": b"<synopsis>",
    "burp": b"<issueDetail><![CDATA[",
    "nmap": b'product="',
    "nmap_assets": b'product="',
}
ROOT = re.compile(rb"<([A-Za-z_][\w.:-]*)[\s>/]")


def with_doctype(data: bytes, declared: str) -> bytes:
    """The document with this document type in place of its own."""
    found = ROOT.search(data)
    assert found
    return b'<?xml version="1.0"?>\n<!DOCTYPE ' + found[1] + b" " + declared.encode() + b">" + data[found.start() :]


BOMB = "<!ENTITY a 'aaaaaaaaaa'>" + "".join(
    f"<!ENTITY {new} '{f'&{old};' * 10}'>" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@EACH
@pytest.mark.parametrize(
    "subset",
    [
        BOMB,
        "<!ENTITY x SYSTEM 'file:///etc/passwd'>",
        "<!ENTITY x PUBLIC 'p' 'http://127.0.0.1:9/x'>",
        "<!ENTITY % p SYSTEM 'http://127.0.0.1:9/x'> %p;",
        "<!ENTITY harmless 'text'>",
        "<!ENTITY u SYSTEM 'x.gif' NDATA gif>",
    ],
    ids=["bomb", "file", "network", "parameter", "harmless", "unparsed"],
)
def test_any_entity_declaration_is_refused(format_: Format, subset: str) -> None:
    with pytest.raises(DamagedFile) as caught:
        records_of(format_, with_doctype(samples(format_)[0].read_bytes(), f"[{subset}]"))
    assert caught.value.code == "ENTITY_FORBIDDEN"


@EACH
def test_a_document_type_without_entities_is_fine(format_: Format) -> None:
    data = b"".join(DOCUMENTS[format_.name](5))
    typed = with_doctype(data, "[<!ELEMENT x (#PCDATA)><!ATTLIST x y CDATA 'z'>]")
    assert records_of(format_, typed) == records_of(format_, data)


@EACH
def test_an_external_document_type_is_not_loaded(format_: Format) -> None:
    data = b"".join(DOCUMENTS[format_.name](5))
    typed = with_doctype(data, 'SYSTEM "http://127.0.0.1:9/x.dtd"')
    assert records_of(format_, typed) == records_of(format_, data)


@EACH
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252"])
def test_every_encoding_gives_the_same_records(format_: Format, encoding: str) -> None:
    text = b"".join(DOCUMENTS[format_.name](20)).decode().replace("東京", "Tokyo").replace("テスト", "test")
    text = text.replace("“", '"').replace("”", '"')
    _, _, body = text.partition("?>")
    name = encoding.removesuffix("-sig")
    declared = f'<?xml version="1.0" encoding="{name}"?>{body}'
    assert records_of(format_, declared.encode(encoding)) == records_of(format_, text.encode())


@EACH
@pytest.mark.parametrize(
    "bad", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\x00", b"\x1b", b"\xef\xbf\xbf", b"&#0;", b"&#xD800;"]
)
def test_a_bad_byte_costs_no_record_and_is_told(format_: Format, bad: bytes) -> None:
    data = b"".join(DOCUMENTS[format_.name](30))
    place = PLACES.get(format_.name, PLACE)
    if format_.name == "burp" and bad.startswith(b"&"):
        place = b"<confidence>"
    at = data.index(place) + len(place)
    spoiled = data[:at] + bad + data[at:]
    clean, found = records_of(format_, data), records_of(format_, spoiled)
    cautions = [record for record in found if isinstance(record, Caution) and record.code == "INVALID_TEXT"]
    assert len(found) == len(clean) + len(cautions)
    assert len(cautions) == 1
    assert "\ufffd" in repr(found)
