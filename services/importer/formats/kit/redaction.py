"""Takes secrets out of what is shown of a file's items: rejected values and the messages about them.

A rejected item may be all about a secret (a password found on a host, a request with its cookies), and its error is
read by more people than the finding would be. So too much is taken out rather than too little: behind a name that
speaks of a secret nothing is left of its line, and no long word anywhere in such a text.

All repetition in the patterns is bounded, so none takes more than linear time.
"""

from __future__ import annotations

import math
import re
from collections import Counter

MARK = "[redacted]"
SHOWN_CHARACTERS = 200
# What is looked at of a long text; no more than this can be shown after all else was taken out.
SEEN_CHARACTERS = 4_096

_NAMES = (
    r"pass(?:word|wd|wort|phrase|code|key)|(?<![a-z])pass(?![a-z])|pwd|secret|token|credential|authori[sz]ation"
    r"|(?<![a-z])auth(?![a-z])|bearer|cookie|session|signature|community|connection[ _.-]?string"
    r"|(?<![a-z])(?:jwt|sid|csrf|xsrf|otp|pin|sig)(?![a-z])"
    r"|(?:api|access|account|private|secret|shared|signing|encryption|master|license|storage|ssh|aws)[ _.-]?key"
)
_NAME = re.compile(_NAMES, re.IGNORECASE)
# A name, the rest of its word, what stands between a name and its value (`: `, `="`, `' => `, `">`), and the line.
_NAMED = re.compile(
    rf"(?P<name>{_NAMES})"
    r"(?P<rest>[\w.\]-]{0,64}+)"
    r"""(?P<between>["'`\\\s]{0,8}+(?:[:=>]|is\s)[=>"'`\\\s]{0,64}+)"""
    r"[^\r\n]++",
    re.IGNORECASE,
)
# A longer word with a name in it may itself be a secret that has such letters by chance.
_LONGEST_NAME = 19
_LONG_WORD = re.compile(r"\S{16,}")
_WORD_BEGINNING = re.compile(r"(?<!\S)\S*\Z")
_KEY = re.compile(r"key|hash|salt|nonce|seed|digest|hmac|cert", re.IGNORECASE)
_DENSE_WORD = re.compile(r"[A-Za-z0-9+/=_.~-]{20,}")
# Bits a character: below it are words, paths and names; random hexadecimal has nearly 4.
_DENSE_BITS = 3.0

# Secrets by their own looks, whatever stands beside them; what the first group holds is no secret.
_PEM = r"PRIVATE KEY[A-Z ]{0,20}-----"
_LOOKS = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        rf"()-----BEGIN [A-Z0-9 ]{{0,40}}{_PEM}.*?(?:-----END [A-Z0-9 ]{{0,40}}{_PEM}|\Z)",
        r"\b((?i:Basic|Bearer|Digest|Negotiate|NTLM|ApiKey|Token)\s{1,8})[\w+/=.~:-]{8,}",
        # User and password in a URL.
        r"(://)[^\s/?#@]{1,512}(?=@)",
        # JSON web tokens, and the keys of AWS, GitHub, Slack, Google and Hythe.
        r"()\beyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)?",
        r"()\b(?:(?:AKIA|ASIA)[A-Z0-9]{16}\b|gh[pousr]_\w{20,}|xox[abprs]-[\w-]{10,}|AIza[\w-]{30,}|hy_\w{16,})",
    )
)


def shown_value(value: str, field: str = "") -> str:
    """A rejected value as it may be shown: without secrets, 200 characters at most. `field` is its name in the file."""
    if not value:
        return ""
    if _NAME.search(field):
        return MARK
    text = redacted(value)
    if _KEY.search(field):
        text = _without_dense_words(text)
    return text[:SHOWN_CHARACTERS]


def redacted(text: str) -> str:
    """The text without what is a secret by its looks or by its name; 4,096 characters at most."""
    text = text[:SEEN_CHARACTERS]
    for looks in _LOOKS:
        text = looks.sub(rf"\1{MARK}", text)
    if _NAME.search(text):
        return _without_what_is_named(text)
    return _without_dense_words(text) if _KEY.search(text) else text


def _without_what_is_named(text: str) -> str:
    """For a text that speaks of secrets: nothing behind their names, and no long word anywhere."""
    kept, at = [], 0
    for found in _NAMED.finditer(text):
        before, name = text[at : found.start()], found["name"] + found["rest"]
        beginning = _WORD_BEGINNING.search(before)
        if beginning and len(beginning[0]) + len(name) > _LONGEST_NAME:
            before, name = before[: beginning.start()], ""
        kept += [_LONG_WORD.sub(MARK, before), name, found["between"] if name else "", MARK]
        at = found.end()
    return "".join(kept) + _LONG_WORD.sub(MARK, text[at:])


def _without_dense_words(text: str) -> str:
    return _DENSE_WORD.sub(lambda found: MARK if _bits(found[0]) >= _DENSE_BITS else found[0], text)


def _bits(word: str) -> float:
    """Shannon's entropy of a word's characters, in bits a character."""
    counts = Counter(word).values()
    return -sum(count / len(word) * math.log2(count / len(word)) for count in counts)
