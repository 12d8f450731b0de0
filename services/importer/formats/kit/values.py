"""Makes values fit to be stored: clean and bounded text, numbers, names, keys of findings.

Every limit here is in characters.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from services.importer.formats.kit.format import RecordError

TITLE_LIMIT = 1_024
NAME_LIMIT = 512
KEY_LIMIT = 128
URL_LIMIT = 8_192
TEXT_LIMIT = 1 << 20
FIELD_LIMIT, FIELD_COUNT = 16_384, 100

INT32_MAX = 2**31 - 1
PORT_MAX = 65_535

_SURROGATE = re.compile("[\ud800-\udfff]")
_DECIMAL = re.compile(r"[+-]?\d{1,15}(?:\.\d{1,15})?", re.ASCII)
_WHOLE_DIGITS = 18
_TITLE_NUMBERS = 10**8


def clean(text: str) -> str:
    """`text` without what PostgreSQL refuses: NUL and lone surrogates become U+FFFD."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def line(text: str, limit: int = NAME_LIMIT) -> str:
    """`text` as one line: runs of white space are one space, and what is beyond `limit` is cut."""
    return " ".join(text[: 4 * limit].split())[:limit] if text else ""


def finding_key(native_id: str | None, title: str) -> str:
    """The key of a finding: the scanner's own id, else the SHA-256 (hex) of the title, whatever its case and spacing.

    An id too long for a key is hashed too.
    """
    if native_id and (native_id := line(native_id, 4 * KEY_LIMIT)):
        return native_id if len(native_id) <= KEY_LIMIT else digest(native_id)
    return digest(" ".join(title.split()).casefold())


def title_number(title: str) -> int:
    """PlexTrac's finding number of a title: its SHA-256 modulo 10**8."""
    return int.from_bytes(hashlib.sha256(title.encode("utf-8", "replace")).digest(), "big") % _TITLE_NUMBERS


def public_number(native_id: str, title: str) -> int:
    """The number a finding asks for: the scanner's when it is a positive int32, else that of the title."""
    number = whole(native_id)
    return number if number is not None and 0 < number <= INT32_MAX else title_number(title)


def digest(text: str) -> str:
    """SHA-256 of a text, hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def decimal(text: str) -> float | None:
    """A plain decimal number, at most 15 digits on either side of the point; None for anything else."""
    text = text.strip()
    return float(text) if _DECIMAL.fullmatch(text) else None


def whole(text: str) -> int | None:
    """A whole number from 0 up, at most 18 digits; None for anything else."""
    text = text.strip()
    return int(text) if text.isdigit() and text.isascii() and len(text) <= _WHOLE_DIGITS else None


def port_number(text: str) -> int:
    """A port, 0 to 65535; no text is 0, the whole host. Raises `RecordError` for anything else."""
    number = whole(text) if text else 0
    if number is None or number > PORT_MAX:
        raise RecordError("INVALID_PORT", "port", "The port is not a number from 0 to 65535.", text)
    return number


def unique_lines(*texts: str) -> str:
    """The lines of these texts, trimmed, each once, without empty ones."""
    return "\n".join(dict.fromkeys(line for text in texts for part in text.splitlines() if (line := part.strip())))


def paragraphs(*texts: str) -> str:
    """These texts with an empty line between them, without empty ones."""
    return "\n\n".join(part for text in texts if (part := text.strip()))


def custom_fields(values: Mapping[str, str]) -> dict[str, str]:
    """Those of these values that say something, trimmed and bounded, by name."""
    said = [(line(name), text) for name, value in values.items() if (text := value[:FIELD_LIMIT].strip())]
    return dict(said[:FIELD_COUNT])
