"""Makes evidence of what a scanner shows as proof, cut at a limit, and decodes bodies that are not text."""

from __future__ import annotations

import binascii

from services.importer.formats.kit.values import clean
from services.importer.targets.findings.records import Caution, Evidence

EVIDENCE_LIMIT = 1 << 20

_BASE64_GROUP = 4


def evidence(caption: str, text: str) -> Evidence:
    """One piece of evidence; `length` keeps the true length of a text that was cut."""
    return Evidence(caption, text[:EVIDENCE_LIMIT], len(text))


def cautions_of(pieces: tuple[Evidence, ...]) -> list[Caution]:
    """One caution for each piece that was cut."""
    return [
        Caution("EVIDENCE_CUT", f"{piece.caption} has {piece.length} characters; the first {EVIDENCE_LIMIT} are kept.")
        for piece in pieces
        if piece.length > EVIDENCE_LIMIT
    ]


def body_text(data: bytes) -> str:
    """The bytes of a request or response as text; what is not UTF-8 is replaced, so headers stay readable."""
    return data.decode("utf-8", "replace").replace("\0", "\ufffd")


def base64_bytes(data: bytes) -> bytes | None:
    """What `data` encodes, where it is nothing but well-formed base64; else None."""
    try:
        return binascii.a2b_base64(data, strict_mode=True)
    except binascii.Error:
        return None


def base64_text(text: str) -> str:
    """The text inside base64, which may lack its padding or be cut; what is not base64 comes back as it is."""
    try:
        return body_text(binascii.a2b_base64(text))
    except binascii.Error:
        kept = "".join(text.split()).rstrip("=")
        # One character more than whole groups carries six bits: no byte.
        kept = kept[: len(kept) - (len(kept) % _BASE64_GROUP == 1)]
        try:
            return body_text(binascii.a2b_base64(kept + "=" * (-len(kept) % _BASE64_GROUP)))
        except binascii.Error:
            return clean(text)
    except ValueError:  # Not ASCII, so not base64.
        return clean(text)
