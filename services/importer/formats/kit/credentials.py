"""Takes passwords and their hashes out of the texts of tools that crack them: a proof can do without.

Whose account it is stays. Only what looks like a hash, or stands behind a name for a secret and a colon or an equals
sign, is taken out, so that prose about passwords stays whole. All repetition in the patterns is bounded or ends at the
first character that cannot follow, so none takes more than linear time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from services.importer.formats.kit.redaction import MARK
from services.importer.targets.findings.records import Caution, FindingsRecord

_NAMES = (
    r"(?:pass(?:word|wd|phrase|code)|pwd|clear[ _-]?text|plain[ _-]?text|secret|token"
    r"|(?:api|access|private|secret|session)[ _-]?key|(?:nt|lm|ntlm|net-?ntlm|password|krb5?)?[ _-]?hash(?:es)?)s?"
)
_SECRET_NAME = re.compile(rf"{_NAMES}|credential|ntlm|cookie", re.IGNORECASE)
# A name for a secret, and its value up to the next name or the end of the line.
_NAMED = re.compile(
    rf"(?<![A-Za-z])({_NAMES}[\"']?[ \t]{{0,8}}[:=][ \t]{{0,8}})"
    r"(?=[^\s])[^\r\n]+?(?=[,;][ \t]{0,8}[\"']?\w[\w ]{0,30}[\"']?[ \t]{0,8}[:=]|[\r\n]|\Z)",
    re.IGNORECASE,
)
# `user::domain:challenge:response` of NTLM over a network.
_NETWORK_HASH = re.compile(r"(?<![^\s:;,\"'])([^\s:;,\"']{1,256}::[^\s:;,\"']{0,256}:)[0-9A-Fa-f]{8,}[0-9A-Fa-f:]*")
_HEXADECIMAL = re.compile(r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{32,}(?![0-9A-Fa-f])")
# `$6$salt$hash`, `$2b$12$…`, `$krb5tgs$23$*user$realm$…`.
_CRYPT = re.compile(r"\$(?:[0-9][a-z]?|argon2[a-z]{0,2}|krb5[a-z]{2,8}|apr1|y|DCC2)\$[^\s,;\"']{4,}", re.IGNORECASE)


def without_credentials(text: str) -> str:
    """The text without passwords and hashes."""
    if not text:
        return ""
    if "::" in text:
        text = _NETWORK_HASH.sub(rf"\1{MARK}", text)
    if "$" in text:
        text = _CRYPT.sub(MARK, text)
    return _NAMED.sub(rf"\1{MARK}", _HEXADECIMAL.sub(MARK, text))


def told_of(records: Iterable[FindingsRecord], tool: str) -> tuple[Caution, ...]:
    """A caution where something was taken out of these records."""
    if not any(MARK in repr(record) for record in records):
        return ()
    return (Caution("CREDENTIALS_LEFT_OUT", f"Passwords and hashes in texts of {tool} are left out."),)


def shown_field(name: str, value: str) -> str:
    """A value as it may be kept: a mark in its place where its name says that it is a secret."""
    return MARK if value and _SECRET_NAME.search(name) else without_credentials(value)
