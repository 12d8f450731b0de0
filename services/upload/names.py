"""Object keys: a random CUID and the client's file name, cleaned to a path segment that needs no escaping anywhere."""

from __future__ import annotations

import re
import secrets
import string
import unicodedata

from runtime.texts import checked_text

ALPHABET = string.digits + string.ascii_lowercase
CUID_LETTERS = 24
MAX_NAME_LENGTH = 255
MAX_SUFFIX_LENGTH = 16
FALLBACK = "file"

UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def new_key(file_name: str) -> str:
    return f"{new_cuid()}/{safe_name(file_name)}"


def new_cuid() -> str:
    """The letter c and 24 random characters of base 36: 124 bits, which nobody guesses."""
    return "c" + "".join(secrets.choice(ALPHABET) for _ in range(CUID_LETTERS))


def checked_file_name(file_name: str, field: str = "name") -> str:
    """The name as the client wrote it, which is kept beside the key. `field` is what the caller calls it."""
    return checked_text(field, file_name, max_length=MAX_NAME_LENGTH, required=True)


def safe_name(file_name: str) -> str:
    """One segment of ASCII letters, digits, `.`, `_` and `-`, at most 255 bytes, that does not begin with a dot.

    Only the part after the last separator counts. Accents go, runs of other characters become `_`, a name of which no
    letter or digit is left becomes `file`; the suffix stays, so that people recognise the file.
    """
    last = re.split(r"[/\\]", file_name)[-1]
    folded = unicodedata.normalize("NFKD", last).encode("ascii", "ignore").decode()
    stem, dot, suffix = UNSAFE.sub("_", folded).rpartition(".")
    if not dot or not suffix or len(suffix) > MAX_SUFFIX_LENGTH:
        stem, dot, suffix = stem + dot + suffix, "", ""
    stem = stem.strip("._")
    if not re.search(r"[A-Za-z0-9]", stem):
        stem = FALLBACK
    return stem[: MAX_NAME_LENGTH - len(dot + suffix)] + dot + suffix
