"""Spoils documents in the ways that break parsers, and reads what is left as far as it goes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from typing import Any

import pytest

from bench.documents import DOCUMENTS, nmap
from services.importer.formats.burp import walk as burp_walk
from services.importer.formats.kit.format import DamagedFile, Format, WrongFormat
from services.importer.formats.nessus import walk as nessus_walk
from services.importer.formats.nmap import walk as nmap_walk
from services.importer.formats.openvas import walk as openvas_walk
from services.importer.formats.qualys_vm import report as qualys_vm_report
from tests.formats.golden import outcome, samples

PIECES = (
    b"<", b">", b"&", b"&#0;", b"&lt;", b"]]>", b"<![CDATA[", b"<!--", b"-->", b'"', b"'", b"</", b"/>", b" />",
    b"\x00", b"\xff", b"\xc3", b"\xef\xbf\xbf", b"\n", b"\r", b"=", b"&#x", b"&amp;", b"<x>", b"</x>", b' a="1"',
    b"<host ", b"</host>", b"<port ", b'portid="1"', b"<ReportItem ", b"</ReportItem>", b"<plugin_output>",
    b"</plugin_output>", b'<response base64="true"><![CDATA[', b"]]></response>", b"<?x ?>", b"<!ENTITY a 'b'>",
    b"<VULN_INFO>", b"</VULN_INFO>", b"<RESULT>", b"</RESULT>", b"<RESULT><![CDATA[", b"]]></RESULT>",
)  # fmt: skip


@cache
def documents(format_: Format) -> tuple[bytes, ...]:
    """All samples of a format, and generated documents."""
    written = [sample.read_bytes() for sample in samples(format_)]
    generated = [DOCUMENTS[format_.name](12), *([nmap(12, 2, 0.5)] if format_.family == "nmap" else [])]
    return (*written, *(b"".join(pieces) for pieces in generated))


def spoiled(data: bytes, rng: random.Random) -> bytes:
    """`data` with up to three changes: bytes changed, put in, taken out, repeated, or cut off."""
    changed = bytearray(data)
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
        way, at = rng.random(), rng.randrange(len(changed) + 1)
        end = min(len(changed), at + rng.choice((1, 2, 5, 30, 300, 1_500)))
        if way < 0.25 and at < len(changed):
            changed[at] = rng.randrange(256)
        elif way < 0.6:
            changed[at:at] = rng.choice(PIECES)
        elif way < 0.8:
            del changed[at:end]
        elif way < 0.95:
            changed[at:at] = changed[at:end]
        else:
            del changed[at:]
    return bytes(changed)


def result(format_: Format, data: bytes) -> tuple[list[list[Any]], tuple[object, ...]]:
    """What a file gives, or how it was refused. Any other exception than those of the contract passes through.

    Offsets and notes of repairs are left out: they depend on the portions in which the reader was fed.
    """
    try:
        lines = [line for line in outcome(format_, BytesIO(data)) if line[1:3] != ["Caution", "INVALID_TEXT"]]
    except WrongFormat as error:
        return [], ("WrongFormat", str(error))
    except DamagedFile as error:
        return [], ("DamagedFile", error.code, error.message, error.position.line)
    return [line[:3] + line[4:] if line[1] == "item" else line for line in lines], ()


@contextmanager
def everything_read_by_expat() -> Iterator[None]:
    """Formats read without what lets known or plain parts pass by the parser."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (burp_walk, nessus_walk, nmap_walk, openvas_walk, qualys_vm_report):
            patch.setattr(module, "Fragments", lambda reader, _element, _memory, **_options: reader)
        yield
