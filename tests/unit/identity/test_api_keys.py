from __future__ import annotations

import re

from runtime.tokens import looks_like_token
from services.identity.api_keys import digest_of, make_key


def test_a_key_shows_what_it_is_and_hides_256_bits() -> None:
    key = make_key()
    assert re.fullmatch(r"hy_[0-9a-f]{8}_[A-Za-z0-9_-]{43}", key.secret)
    assert key.secret.startswith(key.prefix)
    assert len(key.prefix) == 11


def test_a_key_is_never_taken_for_a_token() -> None:
    assert not any(looks_like_token(make_key().secret) for _ in range(100))


def test_the_digest_is_of_the_whole_secret() -> None:
    key = make_key()
    assert key.digest == digest_of(key.secret)
    assert digest_of(key.secret[:-1]) != key.digest
    assert len({make_key().digest for _ in range(100)}) == 100
