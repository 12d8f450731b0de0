from __future__ import annotations

import pytest

from runtime.sealing import Sealer, Unsealable, new_key


def test_what_was_sealed_is_read_again_and_not_to_be_seen() -> None:
    sealer = Sealer(new_key())
    sealed = sealer.seal("whsec_é")
    assert sealer.unseal(sealed) == "whsec_é"
    assert b"whsec" not in sealed
    assert sealer.seal("whsec_é") != sealed


def test_a_replaced_key_still_unseals_until_it_is_taken_away() -> None:
    old, new = new_key(), new_key()
    sealed = Sealer(old).seal("secret")
    both = Sealer(f"{new}, {old}")
    assert both.unseal(sealed) == "secret"
    assert Sealer(new).unseal(both.seal("secret")) == "secret"
    with pytest.raises(Unsealable):
        Sealer(new).unseal(sealed)


def test_what_another_key_has_sealed_is_sealed_anew_and_then_needs_that_key_no_more() -> None:
    old, new = new_key(), new_key()
    sealed = Sealer(old).seal("secret")
    resealed = Sealer(f"{new},{old}").reseal(sealed)
    assert resealed is not None
    assert Sealer(new).unseal(resealed) == "secret"
    assert Sealer(f"{new},{old}").reseal(resealed) is None
    assert Sealer(f"{old},{new}").reseal(sealed) is None
    with pytest.raises(Unsealable):
        Sealer(new).reseal(sealed)


@pytest.mark.parametrize("damaged", [b"", b"x", b"gAAAAA"])
def test_damage_is_noticed(damaged: bytes) -> None:
    with pytest.raises(Unsealable):
        Sealer(new_key()).unseal(damaged)


@pytest.mark.parametrize("keys", ["", "short", "a,b", pytest.param(new_key() + ",", id="comma")])
def test_what_is_no_key_is_refused(keys: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the words are the library's
        Sealer(keys)
