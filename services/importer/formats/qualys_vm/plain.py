"""Reads a `VULN_INFO` that stands in the file exactly as Qualys writes it, by patterns instead of an XML parser.

It is a dozen tiny elements, and a parser that hands each of them to Python reaches a third of the speed. Only what the
patterns match to the last byte is taken; that is well-formed, and means to a parser what it means here (a test compares
the two). Anything else gives None, and expat reads it.

All repetition in the patterns is possessive, so that none of them takes more than one pass over hostile text.
"""

from __future__ import annotations

import re

from services.importer.formats.kit.encoding import tidy_text
from services.importer.formats.kit.memo import Memo
from services.importer.formats.qualys_vm.detections import Detection

_GAP = r"[ \t\n]*+"
_PLAIN = r"[^<>&]*+"
_CDATA, _CDATA_END = "<![CDATA[", "]]>"
_EITHER = rf"<!\[CDATA\[[^<>\]]*+\]\]>|{_PLAIN}"


def _child(name: str, value: str = _PLAIN) -> str:
    """A pattern of a child that may be missing, with its value captured."""
    return rf"(?:<{name}>({value})</{name}>{_GAP})?+"


_HEAD = re.compile(
    rf'{_GAP}<QID(?: id="[\w-]*+")?+>([0-9]++)</QID>{_GAP}'
    + _child("TYPE")
    + _child("PORT")
    + _child("SERVICE", _EITHER)
    + _child("FQDN", _EITHER)
    + _child("PROTOCOL")
    + _child("SSL")
    + _child("INSTANCE", _EITHER),
    re.ASCII,
)
_RESULT = re.compile(r'<RESULT(?: format="[a-z]*+")?+>(?:(<!\[CDATA\[)|([^<>&]*+)</RESULT>)')
_RESULT_END = "]]></RESULT>"
_TAIL = re.compile(
    _GAP
    + "".join(map(_child, ("FIRST_FOUND", "LAST_FOUND", "TIMES_FOUND", "VULN_STATUS", "LAST_FIXED", "CVSS_FINAL")))
    + "".join(map(_child, ("CVSS3_FINAL", "TICKET_NUMBER", "TICKET_STATE")))
    + "</VULN_INFO>"
)
# What is known of heads, the same on many hosts, takes so much besides its bytes, and may take so much in all.
_KNOWN_BYTES, _KNOWN_LIMIT = 900, 6 << 20


class Plain:
    """Reads plain detections, and remembers what stands before their results, by its bytes."""

    def __init__(self) -> None:
        self._heads: Memo[bytes, tuple[str, ...]] = Memo(_KNOWN_LIMIT)

    def detection(self, raw: bytes) -> Detection | None:
        """The detection in `raw`, which begins after `<VULN_INFO>` and ends with its end tag.

        None where only a parser can read it.
        """
        begin = raw.find(b"<RESULT")
        if begin < 0:
            begin = max(raw.find(b"<FIRST_FOUND"), 0) or raw.rfind(b"</VULN_INFO>")
        head = self._heads.get(raw[:begin]) or self._head(raw[:begin])
        text = _text(raw[begin:]) if head else None
        if head is None or text is None:
            return None
        result, at = "", 0
        if opening := _RESULT.match(text):
            result, at = opening[2] or "", opening.end()
            if opening[1]:
                end = text.find(_CDATA_END, at)
                if not text.startswith(_RESULT_END, end):
                    return None
                result, at = text[at:end], end + len(_RESULT_END)
        tail = _TAIL.fullmatch(text, at)
        return Detection._make((*head, result, *tail.groups(""), ())) if tail else None

    def _head(self, raw: bytes) -> tuple[str, ...] | None:
        text = _text(raw)
        found = _HEAD.fullmatch(text) if text else None
        if found is None:
            return None
        head = tuple(map(_unwrapped, found.groups("")))
        self._heads.put(raw, head, len(raw) + _KNOWN_BYTES)
        return head


def _text(raw: bytes) -> str | None:
    """The bytes as the text a parser would see; None where they hold what XML forbids, or lines of old Macs."""
    text = tidy_text(raw)
    if text is None or "\r" not in text:
        return text
    text = text.replace("\r\n", "\n")
    # Lines that are passed over are counted by their line feeds.
    return None if "\r" in text else text


def _unwrapped(value: str) -> str:
    return value[len(_CDATA) : -len(_CDATA_END)] if value.startswith(_CDATA) else value
