"""What an object is told apart by: the values of its identifiers, as one text.

The parser child makes keys in the same way, many at once (formats/objects/mapping/types.py); a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from json.encoder import encode_basestring

# An index entry has a limit; a digest of a longer key is as good.
MAX_KEY = 255


def key_of(values: Iterable[str], *, ignores_case: bool) -> str:
    """The key of an object with these identifiers, in the order of their attributes' ids, as texts."""
    texts = (value.casefold() if ignores_case else value for value in values)
    key = f"[{','.join(map(encode_basestring, texts))}]"
    return key if len(key) <= MAX_KEY else sha256(key.encode()).hexdigest()
