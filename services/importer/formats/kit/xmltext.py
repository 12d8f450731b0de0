"""The rules of XML for text: references that it forbids, and the plain text between two tags."""

from __future__ import annotations

import re

from services.importer.formats.kit.encoding import REPLACEMENT, tidy_text

# References to characters that XML 1.0 does not have. Expat stops at one for good, so they are replaced beforehand.
_FORBIDDEN_REFERENCE = re.compile(
    rb"&#(?:0*(?:[0-8]|1[124-9]|2[0-9]|3[01]|5529[6-9]|55[3-9][0-9]{2}|56[0-9]{3}|57[0-2][0-9]{2}|573[0-3][0-9]|5734[0-3]"
    rb"|6553[45]|11141(?:1[2-9]|[2-9][0-9])|1114[2-9][0-9]{2}|111[5-9][0-9]{3}|11[2-9][0-9]{4}|1[2-9][0-9]{5}|[2-9][0-9]{6}"
    rb"|[1-9][0-9]{7,20})"
    rb"|x0*(?:[0-8bcefBCEF]|1[0-9a-fA-F]|[dD][89a-fA-F][0-9a-fA-F]{2}|[fF]{3}[efEF]"
    rb"|1[1-9a-fA-F][0-9a-fA-F]{4}|[2-9a-fA-F][0-9a-fA-F]{5}|[1-9a-fA-F][0-9a-fA-F]{6,20}));"
)
_CDATA_BORDER = re.compile(rb"<!\[CDATA\[|\]\]>")
# Those with a name, and those to ASCII characters that XML has.
_COMMON = r"&(?:(lt|gt|amp|quot|apos)|#x(0?[9aAdD]|[2-7][0-9a-fA-F])|#(9|10|13|3[2-9]|[4-9][0-9]|1[01][0-9]|12[0-7]));"
_COMMON_REFERENCE = re.compile(_COMMON)
# Line break and tab, the most common, are looked at first.
_OTHER_REFERENCE = re.compile(f"&(?!#x[9aA];)(?!{_COMMON[1:]})")
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}
_REFERENCE_BYTES = 64


def unfinished_reference(data: bytes) -> int:
    """How many bytes at the end may begin a reference that is not complete."""
    at = data.rfind(b"&", -_REFERENCE_BYTES)
    return len(data) - at if at >= 0 and data.find(b";", at) < 0 else 0


def without_forbidden_references(data: bytes, in_cdata: bool) -> tuple[bytes, int]:
    """`data` with forbidden references replaced by U+FFFD, and how many there were.

    In a CDATA section a reference is just text, and stays. `in_cdata` tells whether `data` begins in one.
    """
    if b"&" not in data or not _FORBIDDEN_REFERENCE.search(data):
        return data, 0
    parts, replaced, at = [], 0, 0
    while at < len(data):
        border = _CDATA_BORDER.search(data, at)
        end = border.end() if border else len(data)
        part = data[at:end]
        if not in_cdata:
            part, count = _FORBIDDEN_REFERENCE.subn(REPLACEMENT, part)
            replaced += count
        parts.append(part)
        if border:
            in_cdata = border[0] != b"]]>"
        at = end
    return b"".join(parts), replaced


def plain_text(raw: bytes) -> str | None:
    """The text that `raw`, the bytes between two tags, stands for; None where only a parser can tell.

    That is where something is not valid, or there is markup or a reference of another kind than the common ones.
    """
    # Text must not hold `]]>`; any `>` is written as a reference by the tools, and a search for one byte is cheap.
    if b"<" in raw or b">" in raw or (text := tidy_text(raw)) is None:
        return None
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if references := text.count("&"):
        text, found = _COMMON_REFERENCE.subn(_character, text)
        return text if found == references else None
    return text


def has_common_references(text: str) -> bool:
    """Is every `&` the beginning of a reference to a character that tools do write as one?"""
    return "&" not in text or _OTHER_REFERENCE.search(text) is None


def has_noncharacter(text: str) -> bool:
    """Is one of the two characters of the first plane in it that XML forbids, besides the controls?"""
    return not text.isascii() and ("\ufffe" in text or "\uffff" in text)


def resolved(text: str) -> str:
    """`text`, whose references are all common ones, with the characters they stand for."""
    return _COMMON_REFERENCE.sub(_character, text) if "&" in text else text


def _character(reference: re.Match[str]) -> str:
    name, hexadecimal, digits = reference.groups()
    return _NAMED[name] if name else chr(int(hexadecimal or digits, 16 if hexadecimal else 10))
