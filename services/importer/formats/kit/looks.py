"""Tells from the first bytes of a file what it looks like: the root of an XML document, or another kind of file."""

from __future__ import annotations

import codecs
import re

from services.importer.formats.kit.encoding import encoding_of

_MISC = re.compile(r"\s+|<!--.*?-->|<\?.*?\?>", re.DOTALL)
_DOCTYPE = re.compile(r"<!DOCTYPE\s+([A-Za-z_][\w.:-]*)")
_ROOT = re.compile(r"<([A-Za-z_][\w.:-]*)([^>]*)")

_SIGNATURES = (
    (b"%PDF-", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"\x1f\x8b", "a gzip file"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\0", "an xz file"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"\x89PNG", "a PNG image"),
    (b"GIF8", "a GIF image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\xd0\xcf\x11\xe0", "an old Office document"),
)
_TAR, _TAR_OFFSET = b"ustar", 257
_SHOWN = 40


def text_of(head: bytes) -> str:
    """The first bytes of a file as text, in the encoding it declares or is marked with."""
    codec, mark, _ = encoding_of(head)
    # Incremental, so that a character cut at the end is left out rather than replaced.
    return codecs.getincrementaldecoder(codec)(errors="replace").decode(head[mark:])


def is_markup(head: bytes) -> bool:
    """Does the file begin as XML does?"""
    return text_of(head).lstrip().startswith("<")


def xml_root(head: bytes) -> tuple[str, str]:
    """Name and attribute text of the root element, as far as `head` shows them; two empty strings where it is no XML.

    Where a long document type hides the root, its name stands in, which must be the same in a valid document.
    """
    text = text_of(head)
    at, declared = 0, ""
    while at < len(text):
        if misc := _MISC.match(text, at):
            at = misc.end()
        elif doctype := _DOCTYPE.match(text, at):
            declared = doctype[1]
            at = _after_doctype(text, doctype.end())
        else:
            root = _ROOT.match(text, at)
            return (root[1], root[2]) if root else ("", "")
    return declared, ""


def _after_doctype(text: str, at: int) -> int:
    """Where the document type ends: at its `>`, or after its internal subset."""
    close = text.find(">", at)
    bracket = text.find("[", at)
    if 0 <= bracket < close or (close < 0 <= bracket):
        subset_end = re.compile(r"\]\s*>").search(text, bracket)
        return subset_end.end() if subset_end else len(text)
    return close + 1 if close >= 0 else len(text)


def describe(head: bytes) -> str:
    """What a file that begins with `head` looks like, as the end of a sentence."""
    for signature, name in _SIGNATURES:
        if head.startswith(signature):
            return name
    if head.startswith(_TAR, _TAR_OFFSET):
        return "a tar archive"
    if not text_of(head).strip():
        return "an empty file"
    root, _ = xml_root(head)
    if root:
        return describe_root(root)
    start = text_of(head).lstrip()[:200]
    if start[:1] in "{[" and start[:1]:
        return "JSON"
    if start.lower().startswith(("<!doctype html", "<html")):
        return "an HTML page"
    if start.startswith("<"):
        return "damaged XML"
    return "text without a known structure" if start.isprintable() or "\n" in start else "binary data"


def describe_root(name: str) -> str:
    """What a document with this root element is, as the end of a sentence."""
    return "an HTML page" if name.lower() == "html" else f"XML with the root element <{name[:_SHOWN]}>"
