"""Turns the bytes of an input into blocks of valid UTF-8, whatever their encoding, and says what it had to replace.

The encoding is that of the byte order mark, else the one an XML declaration names, else UTF-8. A byte that is not valid
in it, and a control character that XML 1.0 forbids, becomes U+FFFD: one bad byte never costs a file (`reliability.md`
H7). Blocks are of one size whatever the stream gives at a time, so the size of a read cannot change what is read.

Finding bad bytes takes about as long as parsing, so a block comes as it is and its reader calls `mend` on what it has
not seen before.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import NamedTuple

from services.importer.formats.kit.format import ByteStream

# Larger blocks are slower: they leave the cache, and glibc takes each from the system anew (measured: 64 KiB 110 MB/s,
# 1 MiB 80).
BLOCK_BYTES = 64 << 10

REPLACEMENT = "\ufffd".encode()

_CONTROLS = bytes(byte for byte in range(0x20) if byte not in b"\t\n\r")
_CONTROL = re.compile(b"[" + re.escape(_CONTROLS) + b"]")
# Any byte outside the set would do: a changed copy tells that a control is there, twenty times faster than a pattern.
_CONTROLS_MARKED = bytes.maketrans(_CONTROLS, b"?" * len(_CONTROLS))
_NONCHARACTER = re.compile(b"\xef\xbf[\xbe\xbf]")

# Nothing but comments may stand before it: inside a text it would say nothing about the file.
_DECLARED = re.compile(
    rb"(?:\s++|(?><!--.*?-->))*+"
    rb"<\?xml[^>]{0,200}?encoding\s{0,20}=\s{0,20}[\"']([A-Za-z][A-Za-z0-9._:-]{0,60})[\"']",
    re.DOTALL,
)
HEAD_BYTES = 4096

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # Before UTF-16, whose mark it begins with.
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

# What Python can decode includes things that are no character sets (zip, idna, rot13), so the families are named.
_CHARACTER_SETS = re.compile(
    r"(iso8859|cp|mac|koi8|big5|euc|gb|shift|iso2022|johab|hz|tis|ptcp|kz)[-_0-9a-z]*|ascii|latin[-_0-9a-z]*"
)


class Note(NamedTuple):
    """Something a person should know about the input; a format makes a caution of it."""

    code: str
    message: str


class Encoding(NamedTuple):
    """How to read an input: a Python codec, the size of its mark in bytes, and a declared name that was not usable."""

    codec: str
    mark: int = 0
    unusable: str = ""


def encoding_of(head: bytes) -> Encoding:
    """The encoding of an input that begins with `head`."""
    for mark, codec in _MARKS:
        if head.startswith(mark):
            return Encoding(codec, len(mark))
    pair = head[:2]
    if len(pair) == len(b"\0<") and 0 in pair and pair != b"\0\0":
        return Encoding("utf-16-be" if pair[0] == 0 else "utf-16-le")
    declared = _DECLARED.match(head[:HEAD_BYTES])
    if declared is None:
        return Encoding("utf-8")
    name = declared[1].decode("ascii")
    try:
        codec = codecs.lookup(name).name
    except LookupError:
        return Encoding("utf-8", unusable=name)
    if codec in {"utf-8", "ascii"}:
        return Encoding("utf-8")
    # A declaration that could be read as ASCII is wrong when it says UTF-16.
    return Encoding(codec) if _CHARACTER_SETS.fullmatch(codec) else Encoding("utf-8", unusable=name)


class Utf8Blocks:
    """One input as an iterator of blocks of what should be UTF-8, none of which ends within a character.

    `codec` is that of an input which does not itself say otherwise, by a mark or a declaration; "" is UTF-8.

    `notes` collects what was replaced; whoever turns them into cautions empties it. `altered` tells that the blocks are
    no longer the bytes of the input, so that offsets in them mean nothing outside. `head` is how the input begins.
    """

    def __init__(self, stream: ByteStream, block_bytes: int = BLOCK_BYTES, *, codec: str = "") -> None:
        self._stream = stream
        self._codec = codec
        self._block_bytes = block_bytes
        self._encoding = "UTF-8"
        self.head = b""
        self.mark = 0
        self.altered = False
        self.notes: list[Note] = []

    def __iter__(self) -> Iterator[bytes]:
        block = self._full_block()
        codec, self.mark, unusable = encoding_of(block)
        if self._codec and codec == "utf-8" and not self.mark:
            codec = self._codec
        self.head = block[:HEAD_BYTES]
        if unusable:
            message = f'The file declares the encoding "{unusable[:40]}", which is not usable; it was read as UTF-8.'
            self.notes.append(Note("UNKNOWN_ENCODING", message))
        block = block[self.mark :]
        if codec == "utf-8":
            yield from self._whole_characters(block)
        else:
            self.altered = True
            self._encoding = codec.upper()
            yield from self._transcoded(block, codec)

    def mend(self, data: bytes) -> bytes:
        """`data`, which may not begin or end within a character, with what is not valid replaced and noted."""
        if (data.isascii() and data.translate(_CONTROLS_MARKED) == data) or tidy_text(data) is not None:
            return data
        replaced = 0
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            text = data.decode("utf-8", "replace")
            replaced = text.count("\ufffd") - data.count(REPLACEMENT)
            data = text.encode("utf-8")
        for pattern in _NONCHARACTER, _CONTROL:
            data, count = pattern.subn(REPLACEMENT, data)
            replaced += count
        self._note(replaced)
        return data

    def _full_block(self) -> bytes:
        block = self._stream.read(self._block_bytes)
        if not block or len(block) == self._block_bytes:
            return block
        parts = bytearray(block)
        while len(parts) < self._block_bytes and (more := self._stream.read(self._block_bytes - len(parts))):
            parts += more
        return bytes(parts)

    def _whole_characters(self, block: bytes) -> Iterator[bytes]:
        carried = b""
        while block:
            data = carried + block if carried else block
            held = _unfinished(data)
            carried = data[len(data) - held :] if held else b""
            yield data[: len(data) - held] if held else data
            block = self._full_block()
        if carried:
            yield carried

    def _transcoded(self, block: bytes, codec: str) -> Iterator[bytes]:
        decode = codecs.getincrementaldecoder(codec)(errors="replace").decode
        while True:
            text = decode(block, not block)
            # A replacement character of the input itself counts too: telling them apart is not worth a second decoding.
            self._note(text.count("\ufffd"))
            yield text.encode("utf-8", "replace")
            if not block:
                return
            block = self._full_block()

    def _note(self, replaced: int) -> None:
        if replaced:
            self.altered = True
            message = f"{replaced} characters that are not valid in {self._encoding} or XML were replaced by U+FFFD."
            self.notes.append(Note("INVALID_TEXT", message))


def tidy_text(data: bytes) -> str | None:
    """`data` as text where it is valid UTF-8 without characters that XML forbids; else None."""
    if data.translate(_CONTROLS_MARKED) != data:
        return None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if not data.isascii() and ("\ufffe" in text or "\uffff" in text) else text


def _unfinished(data: bytes) -> int:
    """How many bytes at the end begin a UTF-8 character that is not complete: 0 to 3."""
    for back in range(1, min(4, len(data) + 1)):
        byte = data[-back]
        if byte >= 0xC0:  # noqa: PLR2004 - the first byte of a sequence; its size is in the leading ones (RFC 3629).
            size = 2 + (byte >= 0xE0) + (byte >= 0xF0)  # noqa: PLR2004
            return back if back < size else 0
        if byte < 0x80:  # noqa: PLR2004 - ASCII
            return 0
    return 0
